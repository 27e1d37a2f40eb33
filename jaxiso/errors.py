"""The one error that a user of the commands can cause."""


class InputError(Exception):
    """Something the user gave (an option, a file, a run directory) cannot be used.

    The message names the value, the file and line where there is one, what is allowed, and what to
    do next. The commands print it without a traceback and exit with code 2.
    """
