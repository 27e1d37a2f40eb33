"""JAX's log of a process that died, as one message."""

from __future__ import annotations

import subprocess
import sys

from jaxiso.cli.relay import passed_on

LOST = """\
E1124 10:45:55.792448   21009 coordination_service.cc:1549] [92] Use error polling to propagate \
the following error to all tasks: UNAVAILABLE: The following tasks are unhealthy (stopped sending \
heartbeats):
1
4
The tasks have crashed. Check the task logs for an earlier error, or scheduler events to debug.
F1124 10:45:55.793200   21020 client.h:80] Terminating process because the JAX distributed service \
detected fatal errors. absl::Status: UNAVAILABLE: The following tasks are unhealthy (stopped \
sending heartbeats):
1
4
The tasks have crashed.
*** Check failure stack trace: ***
    @     0x7fea70c40634  absl::lts_20260107::log_internal::LogMessage::SendToLog()
"""
LEADER = """\
E1124 10:45:42.855479   20771 coordination_service_agent.cc:289] Polled an error from coordination \
service (this can be an error from this or another task).
F1124 10:45:42.855520   20771 client.h:80] Terminating process because the JAX distributed service \
detected fatal errors. absl::Status: UNAVAILABLE: Failed to send RPC to coordination service. \
Either the leader task was preempted/died/restarted unexpectedly or this task is experiencing \
network issues.
:UNKNOWN:Error received from peer  {grpc_message:"Socket closed", grpc_status:14}
"""
LATE = """\
F1124 10:46:57.955314   22627 client.h:80] Terminating process because the JAX distributed service \
detected fatal errors. absl::Status: DEADLINE_EXCEEDED: Deadline Exceeded

RPC: /xla.coordination.CoordinationService/RegisterTask
"""


def said(text: str) -> str:
    return "".join(passed_on(text.splitlines(keepends=True)))


def test_a_death_is_one_line():
    assert said(LOST).startswith("error: process 1, 4 no longer answers; where work was")
    assert said(LEADER).startswith("error: process 0 has ended, or cannot be reached any more;")
    assert said(LATE).startswith("error: not all processes came in time, or the coordinator")
    shutdown = LATE.replace("RegisterTask", "PollForError").replace("DEADLINE", "Shutdown barrier")
    assert said(shutdown).startswith("error: a process ended before the others")
    assert all(said(text).count("\n") == 1 for text in (LOST, LEADER, LATE, shutdown))


def test_only_python_speaks_on_standard_output():
    lines = "import os; from jaxiso.cli.relay import relay_errors; relay_errors()"
    lines += "; os.write(1, b'C++'); os.write(2, b'a library'); print('result')"
    found = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True)
    assert (found.returncode, found.stdout, found.stderr) == (0, "result\n", "a library")


def test_all_else_is_passed_on():
    other = "W1124 10:00:00.0 1 cpu_client.cc:1] slow\nwhat a library says\n"
    assert said(other) == other
    # This process found out by itself, and has said so.
    assert said(other + LEADER.partition("F1124")[0]) == other
