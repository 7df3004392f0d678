"""What decoding writes: hypotheses in every form that is asked for."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from features.errors import DataError
from features.files import atomic_folder, write_text
from pipeline.batch.items import safe_id
from pipeline.config import save
from pipeline.datadir.datadir import DataDir
from pipeline.datadir.tables import read_lines, write_table
from pipeline.datadir.textgrid import write_textgrid
from pipeline.datadir.times import PhoneInterval, write_ctm
from pipeline.decoding.decoder import Decoder, Hypothesis
from pipeline.decoding.settings import DecodeSettings
from pipeline.decoding.tuning import Trial
from pipeline.posteriors import STORED, Posteriors, StoredLayer
from pipeline.tuning import tuning_table

Format = Literal["jsonl", "textgrid"]
OUTPUTS = ("settings.yaml", "ctm", "hyp")
_PHONES = ("phone_posteriors.ark", "phone_posteriors.scp")
_FILES = {"jsonl": "phones.jsonl", "textgrid": "textgrid"}


@dataclass(frozen=True)
class Extras:
    """What is written beside hypotheses and times.

    Attributes:
        nbest: sequences an utterance in `nbest.jsonl`; 0 for none.
        formats: further forms of the hypotheses.
        posteriors, phone_posteriors: whether the archives are written.
    """

    nbest: int
    formats: tuple[Format, ...]
    posteriors: bool
    phone_posteriors: bool

    @property
    def names(self) -> list[str]:
        """The files and folders that are wanted."""
        found = [_FILES[form] for form in self.formats]
        found += ["nbest.jsonl"] if self.nbest else []
        found += STORED if self.posteriors else []
        return found + (list(_PHONES) if self.phone_posteriors else [])


@dataclass
class Found:
    """What was heard in every utterance.

    Attributes:
        marks: phones by utterance.
        nbest: lines of `nbest.jsonl`.
        short: utterances that end before one phone could.
        fewer: utterances with fewer sequences in `nbest` than were asked for.
    """

    marks: dict[str, list[PhoneInterval]] = field(default_factory=dict)
    nbest: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)
    fewer: list[str] = field(default_factory=list)


def _nbest_line(
    utt: str,
    found: list[Hypothesis],
    layer: StoredLayer,
    frames: int,
    duration: float | None,
) -> str:
    """An utterance's line of `nbest.jsonl`."""
    clock, symbols = layer.clock, layer.phones
    hypotheses = [
        {
            "score": round(h.score, 4),
            "acoustic": round(h.acoustic, 4),
            "lm": round(h.lm, 4),
            "phones": [symbols[token.phone] for token in h.tokens],
            "spans": [
                [round(time, 4) for time in span]
                for span in clock.spans(h.tokens, frames, duration)
            ],
        }
        for h in found
    ]
    return json.dumps({"utterance": utt, "nbest": hypotheses}) + "\n"


def read_nbest(path: Path) -> dict[str, list[tuple[float, list[PhoneInterval]]]]:
    """The scores and phones of every utterance's sequences, from `nbest.jsonl`.

    Raises:
        DataError: a line is not of the form; names it.
    """
    found = {}
    for number, line in enumerate(read_lines(path), start=1):
        try:
            record = json.loads(line)
            found[record["utterance"]] = [
                (
                    float(one["score"]),
                    [
                        PhoneInterval(phone, start, end)
                        for phone, (start, end) in zip(
                            one["phones"], one["spans"], strict=True
                        )
                    ],
                )
                for one in record["nbest"]
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path}:{number}: not a line of n-best sequences ({error}); decode again"
            ) from None
    return found


def hear(
    data: DataDir,
    decoder: Decoder,
    posteriors: Posteriors,
    settings: DecodeSettings,
    layer: StoredLayer,
    count: int,
) -> Found:
    """The phones of every utterance; one utterance's posteriors are in memory at a time."""
    durations = data.utt2dur or {}
    found, shortest = Found(), decoder.shortest(settings)
    for utt, matrix in posteriors:
        length = durations[utt] if utt in durations else None
        try:
            tokens = decoder.decode(matrix, settings)
            several = decoder.nbest(matrix, settings, count=count) if count else []
        except DataError as error:
            raise DataError(f"utterance {utt!r}: {error}") from None
        if len(matrix) < shortest:
            found.short.append(utt)
        if count:
            line = _nbest_line(utt, several, layer, len(matrix), length)
            found.nbest.append(line)
            if len(several) < count:
                found.fewer.append(utt)
        found.marks[utt] = decoder.intervals(tokens, matrix, length)
    return found


def _json_lines(marks: dict[str, list[PhoneInterval]]) -> Iterator[str]:
    for utt, found in marks.items():
        phones = [{k: v for k, v in asdict(m).items() if v is not None} for m in found]
        yield json.dumps({"id": utt, "phones": phones}) + "\n"


def _write_formats(
    folder: Path, found: Found, extras: Extras, durations: dict[str, float]
) -> None:
    """Writes the forms that were asked for."""
    if extras.nbest:
        write_text(folder / "nbest.jsonl", "".join(found.nbest))
    if "jsonl" in extras.formats:
        write_text(folder / "phones.jsonl", "".join(_json_lines(found.marks)))
    if "textgrid" in extras.formats:
        with atomic_folder(folder / "textgrid") as place:
            for utt, marks in found.marks.items():
                last = marks[-1].end if marks else 0.0
                length = max(durations.get(utt, last), last)
                write_textgrid(
                    place / f"{safe_id(utt)}.TextGrid", marks, duration=length
                )


def replace_outputs(
    folder: Path,
    found: Found,
    settings: DecodeSettings,
    trials: list[Trial],
    extras: Extras,
    durations: dict[str, float],
) -> None:
    """Puts new hypotheses in place of old ones, which no reader can mistake for each other.

    `hyp` goes first and comes last: a run killed in between leaves none. The error rates of
    the old hypotheses go with them.
    """
    every = ("nbest.jsonl", "phones.jsonl", *STORED, *_PHONES)
    stale = [
        "hyp",
        "tuning",
        "scoring/per",
        *(n for n in every if n not in extras.names),
    ]
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    if "textgrid" not in extras.formats:
        shutil.rmtree(folder / "textgrid", ignore_errors=True)
    save(folder / "settings.yaml", settings)
    write_ctm(folder / "ctm", found.marks)
    if trials:
        write_text(folder / "tuning", tuning_table(trials))
    _write_formats(folder, found, extras, durations)
    rows = {utt: " ".join(m.phone for m in ms) for utt, ms in found.marks.items()}
    write_table(folder / "hyp", rows)
