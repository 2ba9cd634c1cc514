"""What a user's mistake raises: its text is the sentence the user reads."""


class CelosiaError(Exception):
    """Something the user gave can't be used.

    The message is one sentence that says what is wrong and what to do. The command line prints it
    and exits with status 2; nothing has been written when it is raised.
    """


class DoesNotFit(CelosiaError):
    """A network, or a part of it, is too large for a configuration's memories or instructions.

    A smaller part may fit.
    """


class LeftOut(CelosiaError):
    """A network needs what a configuration leaves out."""
