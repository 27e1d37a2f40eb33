"""How a command ends when it does not end well."""


class InputError(Exception):
    """Something the user gave (an option, a file, a run directory) cannot be used.

    The message names the value, the file and line where there is one, what is allowed, and what to
    do next. The commands print it without a traceback and exit with code 2.
    """


class Stopped(Exception):
    """The user, or the machine's scheduler, asked the command to stop, and it saved its work.

    Attributes:
        code: exit code of the process: 128 and the number of the signal.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
