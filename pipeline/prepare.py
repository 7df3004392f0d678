"""Stage prepare: a raw corpus -> data dirs and a lang dir."""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from features.errors import ConfigError, counted, named
from pipeline.corpora.fsdd import prepare_fsdd
from pipeline.corpora.mini import FULL, QUICK, prepare_mini
from pipeline.corpora.speechocean762 import prepare_speechocean762
from pipeline.corpora.timit import prepare_timit
from pipeline.datadir.datadir import DataDir
from pipeline.stage import Stamp, note

_OUTPUTS = ("train/wav.scp", "dev/wav.scp", "test/wav.scp", "lang/phones.txt")


def _report(corpus: str, sets: Mapping[str, DataDir]) -> None:
    """One line on all sets, and a warning where speakers are in more than one."""
    parts = []
    for name, data in sets.items():
        hours = sum((data.utt2dur or {}).values()) / 3600
        parts.append(
            f"{name}: {counted(len(data.utterances), 'utterance')}, {hours:.2f} h, "
            f"{counted(len(data.spk2utt), 'speaker')}"
        )
    for first, second in itertools.combinations(sets, 2):
        shared = sorted(set(sets[first].spk2utt) & set(sets[second].spk2utt))
        if shared:
            note(
                f"prepare {corpus}: warning: {counted(len(shared), 'speaker')} in both {first} and "
                f"{second} ({named(shared, 5)}): "
                f"the PER of {second} is not that of unseen speakers"
            )
    note(f"prepare {corpus}: {'; '.join(parts)}")


def _prepare(
    corpus: str,
    out: str,
    make: Callable[[], Mapping[str, DataDir]],
    *,
    settings: Mapping[str, Any],
    inputs: Iterable[Path] = (),
) -> None:
    """Prepares a corpus unless the same was finished before, and reports what it is."""
    stamp = Stamp.of(out, f"prepare_{corpus}", settings=settings, inputs=inputs)
    if stamp.matches(*(Path(out) / name for name in _OUTPUTS)):
        note(f"prepare {corpus}: {out} is up to date")
        return
    stamp.clear()
    sets = make()
    stamp.write()
    _report(corpus, sets)


def mini(*, out: str = "data", quick: bool = False, seed: int = 1, nj: int = 2) -> None:
    """Makes the embedded corpus: about an hour of English spoken by espeak.

    Args:
        out: folder to make train, dev, test and lang in.
        quick: a few minutes of speech and fewer speakers.
        seed: the same seed gives the same bits.
        nj: processes at a time.

    Raises:
        DataError: espeak is not installed.
        ConfigError: `nj` is below 1.
    """
    if nj < 1:
        raise ConfigError(f"--nj must be 1 or more, got {nj}")
    size = QUICK if quick else FULL
    _prepare(
        "mini",
        out,
        lambda: prepare_mini(Path(out), size, seed=seed, nj=nj),
        settings={"quick": quick, "seed": seed},
    )


def speechocean762(corpus: str, *, out: str = "data") -> None:
    """Prepares speechocean762 (OpenSLR 101).

    Args:
        corpus: its folder, with `train`, `test` and `resource`.
        out: folder to make train, dev, test and lang in.

    Raises:
        DataError: something is missing from the corpus or does not fit together.
    """
    folder = Path(corpus)
    names = ("train/text", "train/wav.scp", "test/text", "resource/text-phone")
    _prepare(
        "speechocean762",
        out,
        lambda: prepare_speechocean762(folder, Path(out)),
        settings={"corpus": str(folder.resolve())},
        inputs=[folder / name for name in names],
    )


def fsdd(corpus: str, *, out: str = "data") -> None:
    """Prepares the Free Spoken Digit Dataset.

    Args:
        corpus: its folder, with `recordings`.
        out: folder to make train, dev, test and lang in.

    Raises:
        DataError: there are no recordings, or one has another name than the corpus's.
    """
    folder = Path(corpus)
    names = sorted(path.name for path in (folder / "recordings").glob("*.wav"))
    listing = hashlib.sha256("\n".join(names).encode()).hexdigest()
    _prepare(
        "fsdd",
        out,
        lambda: prepare_fsdd(folder, Path(out)),
        settings={"corpus": str(folder.resolve()), "recordings": listing},
    )


def timit(corpus: str, *, out: str = "data", complete_test: bool = False) -> None:
    """Prepares TIMIT (LDC93S1).

    Args:
        corpus: its folder, with TRAIN and TEST in any case; audio as SPHERE or RIFF.
        out: folder to make train, dev, test and lang in.
        complete_test: all 168 test speakers in place of the 24 of the core test.

    Raises:
        DataError: the corpus is not complete, or a file is damaged.
    """
    folder = Path(corpus)
    _prepare(
        "timit",
        out,
        lambda: prepare_timit(folder, Path(out), complete_test=complete_test),
        settings={"corpus": str(folder.resolve()), "complete_test": complete_test},
    )
