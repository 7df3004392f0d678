"""The errors that are the user's to mend; anything else is a bug of ours."""

from collections.abc import Iterable


class KeraldiError(Exception):
    """Base of all errors whose message names the place and the mend."""


class ConfigError(KeraldiError):
    """A setting is unknown, of the wrong type or out of range."""


class DataError(KeraldiError):
    """A file of the user's (data dir, archive, model, transcript) is not as it must be."""

    @classmethod
    def of(cls, faults: Iterable[str]) -> "DataError":
        """Joins several faults, one a line, so that a run lists them all."""
        return cls("\n".join(faults))


class AudioError(DataError):
    """An audio file cannot be opened, or holds no usable signal."""
