"""New data dirs from old ones: subset, split, combine, perturb."""

import dataclasses
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from features.errors import ConfigError, DataError, named
from features.files import atomic_folder, check_apart
from features.temporaries import recover
from pipeline.datadir.datadir import DataDir, restrict, write_datadir
from pipeline.datadir.further import (
    BY_RECORDING,
    BY_SPEAKER,
    BY_UTTERANCE,
    WHOLE,
    copy_further,
    copy_perturbed,
    read_speeds,
    write_lines,
)
from pipeline.datadir.tables import read_lines, read_table, write_table

_FEATURES = frozenset({"feats", "utt2num_frames"})
_MARK = ".keraldi-data"  # stands in data dirs that were made here, and may be made anew


def check_target(out: str | Path, *sources: DataDir) -> None:
    """Checks that a folder may be written: no source, and made by these operations if at all.

    Raises:
        ConfigError: it is the folder of a source, or holds it.
        DataError: something else made it.
    """
    path = Path(out)
    for source in sources:
        check_apart(path, {"utterances": source.path}, replaced=True)
    recover(path)
    if path.exists() and not (path / _MARK).exists():
        raise DataError(
            f"{path} exists and was not made by keraldi data; choose another name or remove it"
        )


def write_part(data: DataDir, utterances: set[str], out: str | Path) -> DataDir:
    """Writes the part of a data dir that some utterances make, further files included."""
    part = restrict(data, utterances)
    if not part.utt2spk:
        raise DataError(f"{out}: no utterance is left of {data.path}; choose others")
    check_target(out, data)
    with atomic_folder(out) as folder:
        (folder / _MARK).touch()
        write_datadir(part, folder)
        copy_further(part, data.path, folder)
        for name in WHOLE:
            if (data.path / name).exists():
                shutil.copyfile(data.path / name, folder / name)
    return dataclasses.replace(part, path=Path(out))


def _known(
    wanted: Iterable[str], known: Iterable[str], what: str, source: str
) -> set[str]:
    chosen = set(wanted)
    absent = sorted(chosen - set(known))
    if absent:
        raise DataError(f"{source}: unknown {what} {named(absent)}; mend the list")
    return chosen


def choose(
    data: DataDir,
    *,
    first: int | None = None,
    last: int | None = None,
    per_speaker: int | None = None,
    shortest: int | None = None,
    speakers: str | None = None,
    utterances: str | None = None,
) -> set[str]:
    """Chooses utterances in one of the ways of Kaldi's subset_data_dir.sh.

    Args:
        data: to choose from.
        first, last, shortest: so many of the sorted list, or of the shortest.
        per_speaker: so many of every speaker, the first ones.
        speakers, utterances: files that list names, one a line.

    Raises:
        ConfigError: not exactly one way is given, or a number is out of range.
        DataError: a listed name is unknown, or lengths are not known.
    """
    numbers = {
        "first": first,
        "last": last,
        "per-speaker": per_speaker,
        "shortest": shortest,
    }
    lists = {"speakers": speakers, "utterances": utterances}
    given = {k: v for k, v in {**numbers, **lists}.items() if v is not None}
    if len(given) != 1:
        ways = ", ".join(f"--{name}" for name in (*numbers, *lists))
        raise ConfigError(f"give exactly one of {ways}; got {len(given)}")
    every = data.utterances
    for name, count in numbers.items():
        if count is not None and not 1 <= count <= len(every):
            raise ConfigError(f"--{name}: expected 1 to {len(every)}, got {count}")
    if first is not None:
        return set(every[:first])
    if last is not None:
        return set(every[-last:])
    if per_speaker is not None:
        return {utt for utts in data.spk2utt.values() for utt in utts[:per_speaker]}
    if shortest is not None:
        lengths = data.utt2num_frames or data.utt2dur
        if lengths is None:
            raise DataError(
                f"{data.path}: lengths are not known; run keraldi extract first"
            )
        absent = [utt for utt in every if utt not in lengths]
        if absent:
            raise DataError(
                f"{data.path}: no length of {named(absent)}; keraldi validate --fix "
                "removes utterances without features"
            )
        return set(sorted(every, key=lambda utt: (lengths[utt], utt))[:shortest])
    if speakers is not None:
        chosen = _known(read_table(speakers), data.spk2utt, "speakers", speakers)
        return {utt for utt in every if data.utt2spk[utt] in chosen}
    listed = str(utterances)
    return _known(read_table(listed), every, "utterances", listed)


def split_by_speaker(data: DataDir, parts: int) -> list[set[str]]:
    """Divides utterances into parts of like size, no speaker in two of them.

    Raises:
        ConfigError: there are fewer speakers than parts.
    """
    speakers = data.spk2utt
    if not 1 <= parts <= len(speakers):
        raise ConfigError(
            f"{data.path}: expected 1 to {len(speakers)} parts (its speakers), got {parts}"
        )
    groups: list[set[str]] = [set() for _ in range(parts)]
    for spk in sorted(speakers, key=lambda s: (-len(speakers[s]), s)):
        min(groups, key=len).update(speakers[spk])
    return groups


def _merged(
    tables: Sequence[dict | None], name: str, sources: Sequence[Path]
) -> dict | None:
    """One table of several; None when any is missing."""
    if any(table is None for table in tables):
        return None
    whole: dict = {}
    for table, source in zip(tables, sources, strict=True):
        for key, value in (table or {}).items():
            if whole.get(key, value) != value:
                raise DataError(
                    f"{source}: {name}: {key!r} has another value in another data dir; rename it"
                )
            whole[key] = value
    return whole


def _cannot_join(sources: Sequence[DataDir]) -> set[str]:
    """Tables that say nothing of the whole: features made otherwise, halves of statistics."""
    settings = {
        path.read_bytes() if (path := data.path / "features.yaml").exists() else b""
        for data in sources
    }
    apart = set(_FEATURES) if len(settings) > 1 else set()
    speakers = [spk for data in sources for spk in data.spk2utt]
    if apart or len(set(speakers)) < len(speakers):
        apart.add("cmvn")
    return apart


def combine(sources: Sequence[DataDir], out: str | Path) -> tuple[DataDir, list[str]]:
    """Writes several data dirs as one; a table that one of them lacks is left out.

    So are features, where the settings that made them differ, and CMVN statistics, where a
    speaker is in two of them.

    Returns:
        The data dir, and the tables left out though some sources have them.

    Raises:
        DataError: an utterance is in two of them, or a speaker's table values differ.
    """
    seen: dict[str, Path] = {}
    for data in sources:
        for utt in data.utterances:
            if utt in seen:
                raise DataError(
                    f"{data.path}: utterance {utt!r} is in {seen[utt]} too; rename it"
                )
            seen[utt] = data.path
    if len({data.segments is None for data in sources}) > 1:
        raise DataError(
            "some data dirs have segments and some have not; give all of them some"
        )
    paths = [data.path for data in sources]
    names = [f.name for f in dataclasses.fields(DataDir) if f.name != "path"]
    apart = _cannot_join(sources)
    tables: dict[str, Any] = {
        n: (None if n in apart else _merged([getattr(d, n) for d in sources], n, paths))
        for n in names
    }
    whole = dataclasses.replace(sources[0], path=Path(out), **tables)
    left_out = [
        n
        for n in names
        if tables[n] is None and any(getattr(d, n) is not None for d in sources)
    ]
    check_target(out, *sources)
    with atomic_folder(out) as folder:
        (folder / _MARK).touch()
        write_datadir(whole, folder)
        for name in WHOLE:
            if not apart & _FEATURES and (paths[0] / name).exists():
                shutil.copyfile(paths[0] / name, folder / name)
        for name in (*BY_UTTERANCE, *BY_SPEAKER, *BY_RECORDING):
            present = [path / name for path in paths if (path / name).exists()]
            if len(present) == len(paths):
                # What two data dirs say of a speaker or recording they share is said once.
                lines = dict.fromkeys(x for path in present for x in read_lines(path))
                write_lines(lines, folder / name)
            elif name == "utt2speed" and present:
                known = {
                    u: f"{v:g}"
                    for path in present
                    for u, v in read_speeds(path).items()
                }
                write_table(folder / name, {u: "1" for u in whole.utterances} | known)
            elif present:
                left_out.append(name)
    return whole, left_out


def perturb_speed(
    data: DataDir, factors: Sequence[float], out: str | Path
) -> tuple[DataDir, list[str]]:
    """Writes copies of a data dir at other speeds, as speakers of their own.

    A copy's utterances and speakers begin with `sp1.1-`; `utt2speed` tells `extract` how
    fast to play them. A factor of 1 keeps the names. Features are not copied; times of phones
    and words are those of the copy.

    Returns:
        The data dir, and files of the source that are left out.

    Raises:
        ConfigError: a factor is not between 0.5 and 2, or comes twice.
    """
    names = {f"{factor:g}" for factor in factors}
    if len(names) != len(factors) or not all(0.5 <= f <= 2.0 for f in factors):
        raise ConfigError(
            f"speed factors {factors}: expected different ones from 0.5 to 2"
        )
    prefixes = {factor: "" if factor == 1.0 else f"sp{factor:g}-" for factor in factors}

    def copied(
        table: dict | None, change: Callable = lambda value, prefix: value
    ) -> dict | None:
        if table is None:
            return None
        return {
            p + k: change(v, p) for p in prefixes.values() for k, v in table.items()
        }

    segments = copied(
        data.segments, lambda s, p: dataclasses.replace(s, recording=p + s.recording)
    )
    whole = DataDir(
        path=Path(out),
        wav=copied(data.wav) or {},
        utt2spk=copied(data.utt2spk, lambda speaker, prefix: prefix + speaker) or {},
        segments=segments,
        text=copied(data.text),
        spk2gender=copied(data.spk2gender),
    )
    check_target(out, data)
    with atomic_folder(out) as folder:
        (folder / _MARK).touch()
        write_datadir(whole, folder)
        old = (
            read_speeds(data.path / "utt2speed")
            if (data.path / "utt2speed").exists()
            else {}
        )
        speeds = {
            prefix + utt: f"{factor * old.get(utt, 1.0):g}"
            for factor, prefix in prefixes.items()
            for utt in data.utterances
        }
        write_table(folder / "utt2speed", speeds)
        left_out = copy_perturbed(data, prefixes, folder)
    return whole, left_out
