"""Broad phonetic classes of phones."""

from collections.abc import Iterable
from pathlib import Path

from pipeline.datadir.tables import read_table

OTHER = "other"
_CLASSES = {
    "vowel": "aa ae ah ao ax ax-h axr eh er ih ix iy uh uw ux aar aor ehr ihr uhr",
    "diphthong": "aw ay ey ow oy",
    "semivowel": "l el r w y",
    "stop": "b d g p t k q dx bcl dcl gcl pcl tcl kcl cl vcl",
    "affricate": "ch jh",
    "fricative": "dh f hh hv s sh th v z zh",
    "nasal": "m n ng nx em en eng",
    "silence": "sil pau h# epi sp spn <sil>",
}
ENGLISH = {phone: name for name, row in _CLASSES.items() for phone in row.split()}


def class_table(
    phones: Iterable[str], *, path: Path | None = None, silence: Iterable[str] = ()
) -> dict[str, str]:
    """The class of every phone: of TIMIT's 61, 48, 39, ARPAbet and the mini corpus's phones.

    Closures are with the stops. Case and ARPAbet's stress digits do not matter.

    Args:
        phones: those that occur.
        path: `classes.txt`, lines `phone class`, which goes before the table here.
        silence: phones that are silence in this corpus.

    Returns:
        Class by phone; `other` where none is known.

    Raises:
        DataError: `path` is not of that form.

    References:
        Halberstadt 1998, Heterogeneous acoustic measurements and multiple classifiers for
        speech recognition, table 2.1 (TIMIT's phones by manner).
    """
    given = read_table(path) if path is not None and path.exists() else {}
    quiet = dict.fromkeys(silence, "silence")
    return {
        phone: given.get(phone)
        or quiet.get(phone)
        or ENGLISH.get(phone.lower().rstrip("012"), OTHER)
        for phone in sorted(set(phones), key=str.encode)
    }
