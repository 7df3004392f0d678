"""What stands on disk about a model: its training, its scored decode dirs, their data."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features.errors import DataError
from pipeline.config import parse_yaml
from pipeline.datadir.datadir import DataDir, read_datadir
from pipeline.datadir.tables import read_lines
from pipeline.datadir.times import PhoneInterval, read_ctm
from pipeline.decoding.settings import DecodeSettings, read_settings
from pipeline.scoring.systems import System, read_system

Marks = dict[str, list[PhoneInterval]]
History = dict[str, list[float | None]]
_PREFIX = "decode_"


@dataclass(frozen=True)
class ScoredSet:
    """A scored decode dir and the data it is of.

    Attributes:
        name: of the decode dir, without `decode_`.
        folder: the decode dir.
        system: its scores.
        settings: how it was decoded; None where that is not known.
        hypotheses: times of the phones found; empty without `ctm`.
        references: true times; empty where the data dir has none.
        data: the data dir; None where it is not there any more.
        notes: what is missing, and what that leaves out.
    """

    name: str
    folder: Path
    system: System
    settings: DecodeSettings | None
    hypotheses: Marks
    references: Marks
    data: DataDir | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ModelDir:
    """A model dir with what is known of its training and of its scores.

    Attributes:
        name: the folder's name, or as much of its path as tells it from the others.
        path: the folder.
        history: columns of `history.csv`; None without one.
        config: `config.yaml` as it stands; empty without one.
        environment: lines of `environment.txt`, as pairs.
        sets: scored decode dirs by name, those of test first.
        unscored: decode dirs without scores.
    """

    name: str
    path: Path
    history: History | None
    config: Mapping[str, Any]
    environment: tuple[tuple[str, str], ...]
    sets: Mapping[str, ScoredSet]
    unscored: tuple[str, ...] = field(default=())


def _number(text: str, place: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        raise DataError(
            f"{place}: expected a number, got {text!r}; train again, or remove the file"
        ) from None
    return value if math.isfinite(value) else None


def read_history(path: Path) -> History | None:
    """The columns of `history.csv`, NaN and infinity as None; None where there is none.

    Raises:
        DataError: a line is not of the header's form.
    """
    if not path.exists():
        return None
    rows = list(csv.reader(read_lines(path)))
    if not rows or len(rows) < 2:
        return None
    head, *body = rows
    columns: History = {name: [] for name in head}
    for number, row in enumerate(body, start=2):
        if len(row) != len(head):
            raise DataError(
                f"{path}:{number}: expected {len(head)} values, got {len(row)}; train again, "
                "or remove the file"
            )
        for name, text in zip(head, row, strict=True):
            columns[name].append(_number(text, f"{path}:{number}: {name}"))
    return columns


def _read_data(settings: DecodeSettings | None) -> tuple[DataDir | None, list[str]]:
    """The data dir that was decoded, and why it is not at hand."""
    if settings is None or settings.decoded is None:
        return None, ["the decode dir does not say what was decoded: no audio is shown"]
    if not (Path(settings.decoded) / "wav.scp").exists():
        return None, [
            f"{settings.decoded}: no data dir from here: no audio, no reference times; run "
            "from the folder that it was decoded in"
        ]
    return read_datadir(settings.decoded), []


def read_set(folder: Path) -> ScoredSet:
    """Reads one scored decode dir; what is optional and absent is noted.

    Raises:
        DataError: scores are missing, or a file is not of its form.
    """
    path = folder / "settings.yaml"
    settings = read_settings(path) if path.exists() else None
    data, notes = _read_data(settings)
    ctm = folder / "ctm"
    if not ctm.exists():
        notes.append(f"{ctm}: no such file: phones are shown without times")
    truth = None if data is None else data.path / "phones.ctm"
    known = truth is not None and truth.exists()
    if data is not None and not known:
        notes.append(
            f"{data.path} has no phones.ctm: references stand where their alignment puts them"
        )
    return ScoredSet(
        name=folder.name.removeprefix(_PREFIX),
        folder=folder,
        system=read_system(folder),
        settings=settings,
        hypotheses=read_ctm(ctm) if ctm.exists() else {},
        references=read_ctm(truth) if truth is not None and known else {},
        data=data,
        notes=tuple(notes),
    )


def find_sets(path: Path) -> tuple[list[Path], list[Path]]:
    """The decode dirs of a model dir that have scores, and those that have none.

    Raises:
        DataError: none has scores.
    """
    if not path.is_dir():
        raise DataError(f"{path}: no such folder; give a model dir")
    folders = sorted(p for p in path.glob(f"{_PREFIX}*") if p.is_dir())
    scored = [p for p in folders if (p / "scoring" / "scores.json").exists()]
    if not scored:
        found = ", ".join(p.name for p in folders) or f"no {_PREFIX}*"
        verb = "keraldi score" if folders else "keraldi decode and keraldi score"
        raise DataError(
            f"{path}: expected {_PREFIX}*/scoring/scores.json, found {found}; run {verb}"
        )
    scored.sort(key=lambda p: (not p.name.startswith(f"{_PREFIX}test"), p.name))
    return scored, [p for p in folders if p not in scored]


def read_model(path: Path, *, name: str) -> ModelDir:
    """Reads a model dir.

    Raises:
        DataError: it has no scored decode dir, or a file is not of its form.
    """
    scored, others = find_sets(path)
    config = path / "config.yaml"
    values = parse_yaml(config) if config.exists() else {}
    environment = path / "environment.txt"
    lines = read_lines(environment) if environment.exists() else []
    pairs = (line.partition(": ") for line in lines if ": " in line)
    return ModelDir(
        name=name,
        path=path,
        history=read_history(path / "history.csv"),
        config=values if isinstance(values, dict) else {},
        environment=tuple((key, value) for key, _, value in pairs),
        sets={found.name: found for found in map(read_set, scored)},
        unscored=tuple(p.name for p in others),
    )


def short_names(paths: list[Path]) -> list[str]:
    """The shortest ends of paths that tell them apart.

    Raises:
        DataError: a folder comes twice.
    """
    whole = [path.resolve() for path in paths]
    if twice := sorted({str(p) for p in whole if whole.count(p) > 1}):
        raise DataError(f"{', '.join(twice)}: comes twice; give every model dir once")
    for depth in range(1, max(len(path.parts) for path in whole) + 1):
        names = ["/".join(path.parts[-depth:]) for path in whole]
        if len(set(names)) == len(names):
            break
    return names
