"""What is done about silence before errors are counted."""

from collections.abc import Callable, Sequence, Set

Policy = Callable[[Sequence[str], Set[str]], list[str]]


def strict(phones: Sequence[str], silence: Set[str]) -> list[str]:
    """Silence is a phone like any other."""
    return list(phones)


def forgiven(phones: Sequence[str], silence: Set[str]) -> list[str]:
    """Silence is deleted."""
    return [phone for phone in phones if phone not in silence]


def collapsed(phones: Sequence[str], silence: Set[str]) -> list[str]:
    """Silences in a row are one."""
    return [
        phone
        for place, phone in enumerate(phones)
        if not (place and phone in silence and phones[place - 1] in silence)
    ]


POLICIES: dict[str, Policy] = {
    "strict": strict,
    "sil-forgiven": forgiven,
    "sil-collapsed": collapsed,
}
