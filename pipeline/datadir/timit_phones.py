"""TIMIT's phones: the 61 of the labels, the 48 that are trained, the 39 that are scored.

References:
    Lee & Hon 1989, Speaker-independent phone recognition using hidden Markov models.
"""

from pipeline.datadir.lang import Lang
from pipeline.datadir.phones import Fold, PhoneTable

PHONES_61 = tuple(
    "aa ae ah ao aw ax ax-h axr ay b bcl ch d dcl dh dx eh el em en eng epi er ey f g gcl h# hh "
    "hv ih ix iy jh k kcl l m n ng nx ow oy p pau pcl q r s sh t tcl th uh uw ux v w y z "
    "zh".split()
)
SILENCE = "sil"

_TO_48: dict[str, str | None] = {
    **{
        "ax-h": "ax",
        "axr": "er",
        "ux": "uw",
        "hv": "hh",
        "nx": "n",
        "em": "m",
        "eng": "ng",
    },
    **{"pcl": "cl", "tcl": "cl", "kcl": "cl", "bcl": "vcl", "dcl": "vcl", "gcl": "vcl"},
    **{"h#": SILENCE, "pau": SILENCE, "q": None},
}
_TO_39 = {
    **{"ao": "aa", "ax": "ah", "ix": "ih", "el": "l", "en": "n", "zh": "sh"},
    **{"cl": SILENCE, "vcl": SILENCE, "epi": SILENCE},
}

FOLD_61_48 = Fold({phone: _TO_48.get(phone, phone) for phone in PHONES_61})
PHONES_48 = tuple(sorted({p for p in FOLD_61_48.table.values() if p is not None}))
FOLD_48_39 = Fold({phone: _TO_39.get(phone, phone) for phone in PHONES_48})
PHONES_39 = tuple(sorted({p for p in FOLD_48_39.table.values() if p is not None}))


def timit_lang() -> Lang:
    """48 training phones folded to 39 for scoring; transcripts are phones."""
    return Lang(PhoneTable(PHONES_48), FOLD_48_39, None, (SILENCE,))
