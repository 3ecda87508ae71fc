"""The few kinds of errors that users see, each with its exit code on the command line; and their warnings."""


class BioTuneError(Exception):
    """Root of all errors of this package; raised itself, it means a bug in BioTune (exit code 1)."""

    exit_code = 1


class InputError(BioTuneError, ValueError):
    """A wrong argument or bad input: says what was received, what is allowed and what to do (exit code 2)."""

    exit_code = 2


class InterruptedRunError(BioTuneError):
    """The run was stopped by the user or a signal; the same command continues it (exit code 3)."""

    exit_code = 3


class DamagedStateError(BioTuneError):
    """A file of a run folder cannot be trusted; names the file (exit code 4)."""

    exit_code = 4


class BioTuneWarning(UserWarning):
    """Something about a run that a user may want to act on, as a warning of Python; the command line prints it."""
