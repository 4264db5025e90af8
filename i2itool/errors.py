"""The errors that a user can cause or mend; each carries the exit code of the command line.

Any other exception is a bug of ours and keeps its traceback.
"""

from __future__ import annotations


class I2IError(Exception):
    """Something went wrong that the user can mend; `hint` says how.

    `exit_code` is what the command line returns.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """One line: the cause and, in brackets, the remedy."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


class OptionError(I2IError):
    """An option has a value that cannot be, or does not go with another."""

    exit_code = 2


class InputError(I2IError):
    """An input file or folder is missing, unreadable or not what it should be."""

    exit_code = 3


class PresetError(I2IError):
    """A preset is missing, malformed, or its weights do not match."""

    exit_code = 4


class EngineError(I2IError):
    """An inference engine or a device cannot be used."""

    exit_code = 5


class MissingExtra(EngineError):
    """An optional package is not installed."""


class OutOfMemory(EngineError):
    """A device has too little memory for a network, a batch and a size of picture."""


class OutputError(I2IError):
    """An output cannot be written, or is already there."""

    exit_code = 6


class AlreadyThere(OutputError):
    """An output exists, and is not to be overwritten."""


class BeingWritten(OutputError):
    """Another process is writing an output."""


class TrainingError(I2IError):
    """Training cannot start or cannot go on."""

    exit_code = 7
