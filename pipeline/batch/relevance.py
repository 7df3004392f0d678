"""Items without what tables say of them that changes no result."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import numpy as np

from features.archive import ArchiveReader
from features.errors import KeraldiError
from features.sounds import command_fault
from pipeline.batch.items import Item


def stats_digest(matrix: np.ndarray) -> str:
    """Identifies the statistics [2, F + 1] of a speaker."""
    return hashlib.sha256(matrix.tobytes()).hexdigest()[:16]


def relevant(
    items: Iterable[Item], *, text: bool, speaker: bool, pipes: bool = True
) -> list[Item]:
    """Items with a digest of the statistics they use, and without what nobody looks at.

    Commands that may not be run are items that fail; once they may, no other is done anew.

    What is left says whether an older result of an item still holds, see `Item.basis`.

    Args:
        items: as they were found.
        text: whether transcripts change results.
        speaker: whether the speakers' statistics do.
        pipes: whether commands may be run.
    """
    reader = cache(ArchiveReader)

    @cache
    def digest(cmvn: str, name: str) -> str:
        """Of a speaker's statistics, or why there are none: mended, it is another."""
        try:
            stats = reader(cmvn)[name]
        except (KeraldiError, LookupError, OSError) as error:
            return f"{type(error).__name__}: {error}"
        return stats_digest(stats)

    chosen = []
    for item in items:
        if not pipes and not item.fault and item.source.endswith("|"):
            item = replace(item, fault=command_fault(item.source))
        if not text:
            item = replace(item, text=None)
        if not speaker or item.cmvn is None or item.speaker is None:
            item = replace(item, speaker=None, cmvn=None)
        else:
            item = replace(item, stats=digest(item.cmvn, item.speaker))
        chosen.append(item)
    return chosen
