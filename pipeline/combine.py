"""Stage combine: posteriors of several models, or votes among their hypotheses."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from features.archive import ArchiveReader
from features.errors import ConfigError, DataError, counted, named
from pipeline.config import save
from pipeline.datadir.tables import read_table, write_table
from pipeline.datadir.times import read_ctm, write_ctm
from pipeline.decoding.combination import Pool, pool
from pipeline.decoding.rover import Voter, vote
from pipeline.decoding.settings import DecodeSettings, read_settings
from pipeline.hypotheses import read_nbest
from pipeline.posteriors import STORED, Posteriors, Store, StoredLayer, stored
from pipeline.stage import Stamp, note, progress, require

_VOTED = ("hyp", "ctm", "settings.yaml")


def _check_same(utterances: Mapping[str, set[str]]) -> None:
    """Checks that all systems have the same utterances.

    Raises:
        DataError: they differ; names what each lacks.
    """
    every = set().union(*utterances.values())
    faults = [
        f"{place}: lacks {counted(len(absent), 'utterance')} that others have: "
        f"{named(absent)}; decode all on the same set"
        for place, names in utterances.items()
        if (absent := sorted(every - names))
    ]
    if faults:
        raise DataError.of(faults)


def _shares(weights: Sequence[float], systems: Sequence[str]) -> list[float]:
    """Weights with a sum of 1; equal ones when none are given."""
    if not weights:
        return [1.0 / len(systems)] * len(systems)
    total = sum(weights)
    if len(weights) != len(systems) or min(weights) < 0 or not 0 < total < math.inf:
        raise ConfigError(
            f"--weights: expected {len(systems)} weights, one a system, none negative and not "
            "all 0, got "
            f"{' '.join(f'{w:g}' for w in weights)}"
        )
    return [weight / total for weight in weights]


def _members(names: Sequence[str], shares: Sequence[float]) -> str:
    """What was combined, with shares where they differ."""
    if len(set(shares)) == 1:
        return ", ".join(names)
    return ", ".join(f"{s:.3g} {name}" for s, name in zip(shares, names, strict=True))


def _joined_layer(
    layers: Mapping[str, StoredLayer], shares: Sequence[float], how: Pool
) -> StoredLayer:
    """What combined posteriors mean.

    Raises:
        DataError: the systems' outputs mean different things; says which and what.
    """
    (first, model), *others = layers.items()
    names = ("phones", "objective", "states", "skip", "frame_shift", "frame_length")
    faults = [
        f"{place}/posteriors.yaml: {name} is not that of {first}; only posteriors over the "
        "same outputs and frames can be combined (votes can: --how rover)"
        for place, layer in others
        for name in names
        if getattr(layer, name) != getattr(model, name)
    ]
    if faults:
        raise DataError.of(faults)
    priors = model.log_priors
    if priors:
        rows = [np.array(layer.log_priors) for layer in layers.values()]
        priors = pool(rows, shares, how).tolist()
    members = _members([layer.made for layer in layers.values()], shares)
    return replace(model, log_priors=priors, made=f"{how} of {members}")


def _pooled(
    readers: Mapping[str, ArchiveReader],
    layer: StoredLayer,
    shares: Sequence[float],
    how: Pool,
) -> Posteriors:
    """The combined posteriors of every utterance.

    Raises:
        DataError: an utterance has another number of frames in another system, or its
            posteriors are damaged, or leave a frame without any output that all hold possible.
    """
    utterances = sorted(next(iter(readers.values())), key=str.encode)
    for utt in progress(utterances, total=len(utterances), label="combine"):
        matrices = {place: reader[utt] for place, reader in readers.items()}
        shapes = {place: matrix.shape for place, matrix in matrices.items()}
        if len(set(shapes.values())) > 1:
            told = ", ".join(f"{p} {list(s)}" for p, s in shapes.items())
            raise DataError(
                f"utterance {utt!r}: posteriors of different shapes: {told}; decode all on "
                "the same features"
            )
        for place, matrix in matrices.items():
            try:
                layer.check(utt, matrix)
            except DataError as error:
                raise DataError(f"{place}/posteriors.scp: {error}") from None
        try:
            pooled = pool(list(matrices.values()), shares, how)
        except DataError as error:
            raise DataError(f"utterance {utt!r}: {error}") from None
        yield utt, pooled


def _combine_posteriors(
    systems: Sequence[str], folder: Path, shares: Sequence[float], how: Pool
) -> int:
    stores = {place: Store(Path(place)) for place in systems}
    layers = {place: store.layer() for place, store in stores.items()}
    layer = _joined_layer(layers, shares, how)
    readers = {place: store.reader() for place, store in stores.items()}
    _check_same({place: set(reader) for place, reader in readers.items()})
    with stored(_pooled(readers, layer, shares, how), folder, layer) as passing:
        return sum(1 for _ in passing)


@dataclass(frozen=True)
class _Ballot:
    """How votes are counted; see `combine`."""

    shares: list[float]
    vote_weight: float
    null_confidence: float
    nbest_scale: float | None

    def describe(
        self, systems: Sequence[str], members: Sequence[DecodeSettings]
    ) -> str:
        """For the protocol beside an error rate: also where each member's settings are from."""
        names, chosen = list(systems), [member.chosen for member in members]
        origin = f"; its systems {chosen[0]}"
        if len(set(chosen)) > 1:
            origin = ""
            names = [f"{n} ({c})" for n, c in zip(names, chosen, strict=True)]
        nbest = (
            "" if self.nbest_scale is None else f", nbest_scale {self.nbest_scale:g}"
        )
        return (
            f"ROVER of {_members(names, self.shares)}, vote_weight {self.vote_weight:g}, "
            f"null_confidence {self.null_confidence:g}{nbest}{origin}"
        )


Said = Mapping[str, list[Voter]]


def _said(place: str, share: float, ballot: _Ballot) -> Said:
    """What a system says of every utterance, with the weights of its votes."""
    if ballot.nbest_scale is None:
        marks = read_ctm(f"{place}/ctm")
        said = {}
        for utt, line in read_table(f"{place}/hyp").items():
            found = marks.get(utt, [])
            if [mark.phone for mark in found] != line.split():
                raise DataError(
                    f"{place}: hyp and ctm say different phones of {utt!r}; run keraldi "
                    "decode again"
                )
            said[utt] = [Voter(found, share)]
        return said
    said = {}
    for utt, several in read_nbest(Path(place) / "nbest.jsonl").items():
        scores = np.array([score for score, _ in several]) * ballot.nbest_scale
        weights = share * np.exp(scores - np.logaddexp.reduce(scores))
        said[utt] = [
            Voter(phones, weight)
            for (_, phones), weight in zip(several, weights.tolist(), strict=True)
            if weight > 0.0
        ]
    return said


def _tuned_on(members: Sequence[DecodeSettings]) -> str | None:
    """Where members were tuned: on the very set, if any was, which must be told above all."""
    places = [m for m in members if m.tuned_on is not None]
    places.sort(key=lambda member: not member.tuned_on_itself)
    return places[0].tuned_on if places else None


def _combine_votes(systems: Sequence[str], folder: Path, ballot: _Ballot) -> int:
    pairs = zip(systems, ballot.shares, strict=True)
    said = {place: _said(place, share, ballot) for place, share in pairs if share > 0.0}
    _check_same({place: set(lines) for place, lines in said.items()})
    utterances = sorted(next(iter(said.values())), key=str.encode)
    found = {
        utt: vote(
            [voter for lines in said.values() for voter in lines[utt]],
            vote_weight=ballot.vote_weight,
            null_confidence=ballot.null_confidence,
        )
        for utt in progress(utterances, total=len(utterances), label="combine")
    }
    members = [read_settings(f"{place}/settings.yaml") for place in systems]
    sets = {member.decoded for member in members}
    settings = DecodeSettings(
        search="votes",
        decoded=sets.pop() if len(sets) == 1 else None,
        tuned_on=_tuned_on(members),
        posteriors=ballot.describe(systems, members),
    )
    for name in ("hyp", "scoring/per"):
        (folder / name).unlink(missing_ok=True)
    save(folder / "settings.yaml", settings)
    write_ctm(folder / "ctm", found)
    rows = {utt: " ".join(m.phone for m in line) for utt, line in found.items()}
    write_table(folder / "hyp", rows)
    return len(found)


def combine(
    *systems: str,
    out: str,
    how: Literal["mean", "product", "rover"] = "mean",
    weights: tuple[float, ...] = (),
    vote_weight: float = 1.0,
    null_confidence: float = 0.0,
    nbest_scale: float | None = None,
) -> None:
    """Combines several systems that decoded the same set.

    `mean` and `product` take posteriors as `decode --posteriors` stored them, over the same
    phones and frames, and store theirs in `out`, to be decoded: `keraldi decode OUT …`.
    `rover` takes `ctm` and `hyp`, of any models, and writes a decode dir. `keraldi compare`
    tells what is gained, with its interval.

    Args:
        systems: two decode dirs or more; for `rover` the best first.
        out: folder to write.
        how: mean or product of posteriors, or votes among hypotheses (ROVER).
        weights: one a system; equal when not given.
        vote_weight: of votes against confidences, from 0 to 1; at 1, confidences break ties.
        null_confidence: of no phone where others have one, from 0 to 1.
        nbest_scale: let all sequences of `nbest.jsonl` vote, their weights in a system being
            exp(nbest_scale * score) of their sum; only the best votes when not given.
    """
    if len(systems) < 2:
        raise ConfigError(f"give two decode dirs or more, got {len(systems)}")
    for name, value in (
        ("--vote-weight", vote_weight),
        ("--null-confidence", null_confidence),
    ):
        if not 0.0 <= value <= 1.0:
            raise ConfigError(f"{name}: expected 0 to 1, got {value:g}")
    if nbest_scale is not None and (how != "rover" or not nbest_scale > 0.0):
        raise ConfigError("--nbest-scale: expected above 0, and --how rover")
    if len(set(map(_resolved, (*systems, out)))) <= len(systems):
        raise ConfigError("the systems and --out must be different folders")
    shares = _shares(weights, systems)
    ballot = _Ballot(shares, vote_weight, null_confidence, nbest_scale)
    needed: tuple[str, ...] = STORED
    if how == "rover":
        needed = _VOTED + (() if nbest_scale is None else ("nbest.jsonl",))
    files = [Path(place) / name for place, name in itertools.product(systems, needed)]
    mend = "run keraldi decode" + (" --posteriors" if how != "rover" else "")
    mend += " --nbest N" if nbest_scale is not None else ""
    require(*files, mend=mend)
    folder = Path(out)
    stamp = Stamp.of(
        folder,
        "combine",
        settings={"how": how, **asdict(ballot)},
        inputs=files,
    )
    written = _VOTED if how == "rover" else STORED
    if stamp.matches(*(folder / name for name in written)):
        note(f"combine: {folder} is up to date")
        return
    stamp.clear()
    if how == "rover":
        count = _combine_votes(systems, folder, ballot)
    else:
        count = _combine_posteriors(systems, folder, shares, how)
    stamp.write(*(folder / name for name in written))
    note(
        f"combine: {folder}: {counted(count, 'utterance')}, {how} of {len(systems)} systems"
    )


def _resolved(place: str) -> Path:
    return Path(place).resolve()
