"""The errors that are the user's to mend; anything else is a bug of ours."""

from collections.abc import Iterable, Sequence


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


def named(names: Sequence[str], most: int = 10) -> str:
    """A list as a message holds it: the first `most`, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """A number and what is counted: `1 utterance`, `3 utterances`; `nouns` where -s is wrong."""
    return f"{number} {noun if number == 1 else nouns or noun + 's'}"


def first_line(error: BaseException) -> str:
    """What an exception says first; its kind where it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)
