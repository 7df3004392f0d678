"""Every fault of a data dir, each with its file, line and mend."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from features.errors import DataError, counted, named
from features.temporaries import recover
from pipeline.datadir.agreement import Agreement
from pipeline.datadir.durations import RecordingTimes
from pipeline.datadir.lang import Lang
from pipeline.datadir.rows import KEYS, Rows
from pipeline.datadir.segments import FORM, parse_segment
from pipeline.datadir.tables import absent
from pipeline.datadir.times import PhoneInterval, phones_of, read_ctm
from pipeline.datadir.values import check_values

_MOST = 1000  # faults of one kind that are listed one by one: a page, not a book
_NEEDED = ("wav.scp", "utt2spk")


class Validator:
    """Holds the tables of a data dir against each other and gathers what is wrong.

    Args:
        path: the data dir.
        lang: checks the words of `text`, when given.
    """

    def __init__(self, path: str | Path, lang: Lang | None = None) -> None:
        self.path = Path(path)
        self._lang = lang
        self._read = read = Rows(self.path)
        self._fault, self._keys = read.fault, read.keys
        self._tables = read.tables
        self._times = RecordingTimes(read.tables)
        self.faults = read.faults
        self.warnings: list[str] = []

    def run(self) -> None:
        """Makes all checks; `faults` and `warnings` are filled."""
        for name in _NEEDED:
            if name not in self._tables:
                self.faults.append(absent(self.path / name))
        if "spk2utt" not in self._tables:
            self.faults.append(
                f"{self.path}/spk2utt: no such file; keraldi validate --fix makes it"
            )
        if self._keys("utt2spk"):  # else every line of every table would be a fault
            self._check_key_sets()
            self._check_speakers()
        self._check_audio()
        self._check_segments()
        check_values(self._read)
        self._check_times()
        if self._lang is not None:
            self._check_text(self._lang)

    def _check_key_sets(self) -> None:
        utterances, speakers = self._keys("utt2spk"), self._speakers()
        wanted = {"utterance": utterances, "speaker": speakers}
        for name, kind in KEYS.items():
            if self._tables.get(name) and name != "utt2spk" and kind in wanted:
                self._compare(name, wanted[kind], kind)
        if "segments" in self._tables:
            recordings = {
                row.value.split()[0] for row in self._tables["segments"] if row.value
            }
        else:
            recordings = utterances
        if self._tables.get("wav.scp"):
            self._compare("wav.scp", recordings, "recording")
        for name in ("reco2file_and_channel", "reco2dur"):
            if self._tables.get(name):
                self._compare_recordings(name)

    def _compare(self, name: str, wanted: set[str], kind: str) -> None:
        home = (
            "segments"
            if kind == "recording" and "segments" in self._tables
            else "utt2spk"
        )
        for row in self._tables[name]:
            if row.key not in wanted:
                self._fault(
                    name,
                    row.number,
                    f"{kind} {row.key!r} is absent from {home}; add it there or remove this line "
                    "(keraldi validate --fix does the latter)",
                )
        present = self._keys(name)
        for row in self._tables.get("utt2spk", []):
            key = row.value if kind == "speaker" else row.key
            if kind == "recording" and "segments" in self._tables:
                continue
            if key not in present:
                self._fault(
                    "utt2spk",
                    row.number,
                    f"{kind} {key!r} is absent from {name}; add it there or remove this line "
                    "(keraldi validate --fix does the latter)",
                )
                present.add(key)

    def _compare_recordings(self, name: str) -> None:
        """Holds a table of recordings against `wav.scp`, both ways."""
        for table, other in ((name, "wav.scp"), ("wav.scp", name)):
            present = self._keys(other)
            for row in self._tables.get(table, []):
                if row.key not in present:
                    self._fault(
                        table,
                        row.number,
                        f"recording {row.key!r} is absent from {other}; add it there or "
                        "remove this line",
                    )

    def _speakers(self) -> set[str]:
        return {row.value for row in self._tables.get("utt2spk", [])}

    def _check_speakers(self) -> None:
        by_speaker: dict[str, list[str]] = {}
        unlike: list[str] = []
        for row in self._tables.get("utt2spk", []):
            if len(row.value.split()) > 1:
                self._fault(
                    "utt2spk", row.number, f"expected one speaker, got {row.value!r}"
                )
            by_speaker.setdefault(row.value, []).append(row.key)
            if not row.key.startswith(row.value):
                unlike.append(row.key)
        if unlike:
            self.warnings.append(
                f"{self.path}/utt2spk: {counted(len(unlike), 'utterance')} not beginning with "
                "the speaker "
                f"({named(unlike, 3)}): Kaldi's own tools want that, Keraldi does not"
            )
        for row in self._tables.get("spk2utt", []):
            if sorted(row.value.split()) != sorted(by_speaker.get(row.key, [])):
                self._fault(
                    "spk2utt",
                    row.number,
                    f"utterances of {row.key!r} differ from utt2spk's; keraldi validate --fix "
                    "makes spk2utt anew",
                )

    def _check_audio(self) -> None:
        commands = 0
        for row in self._tables.get("wav.scp", []):
            commands += row.value.endswith("|")
            if row.value.endswith("|") or not row.value:
                continue
            path = Path(row.value)
            if not path.is_file():
                what = "a folder" if path.is_dir() else "no such file"
                self._fault(
                    "wav.scp", row.number, f"{row.value}: {what}; mend the path"
                )
            elif path.stat().st_size == 0:
                self._fault(
                    "wav.scp", row.number, f"{row.value}: empty file; copy it again"
                )
        if commands:
            self.warnings.append(
                f"{self.path}/wav.scp: {counted(commands, 'command')} in place of audio, not "
                "tried: "
                "keraldi extract runs them with --allow-pipes only"
            )

    def _check_segments(self) -> None:
        for row in self._tables.get("segments", []):
            segment = parse_segment(row.value)
            if segment is None:
                self._fault("segments", row.number, f"expected {FORM}: {row.value!r}")
                continue
            recording, start, end = segment.recording, segment.start, segment.end
            if recording not in self._keys("wav.scp"):
                self._fault(
                    "segments",
                    row.number,
                    f"recording {recording!r} is absent from wav.scp; add it",
                )
            if start < 0 or (end <= start and end != -1):
                self._fault(
                    "segments",
                    row.number,
                    f"from {start} s to {end} s: expected 0 <= start < end, or -1 for the end",
                )
            elif fault := self._times.fault(recording, start, end):
                self._fault("segments", row.number, fault)

    def _check_times(self) -> None:
        path = self.path / "phones.ctm"
        if not path.exists():
            return
        try:
            intervals = read_ctm(path)
        except DataError as error:
            self.faults.append(str(error))
            return
        absent = sorted(self._keys("utt2spk") - set(intervals))
        if absent:
            self.faults.append(f"{path}: no times of {named(absent)}; add them")
        unknown = {m.phone for marks in intervals.values() for m in marks}
        unknown -= set(self._lang.phones.symbols) if self._lang is not None else unknown
        for phone in sorted(unknown):
            self.faults.append(
                f"{path}: unknown phone {phone!r}; add it to phones.txt or correct it"
            )
        if self._lang is not None:
            self._check_spoken(intervals, self._lang, unknown)

    def _check_spoken(
        self,
        intervals: Mapping[str, Sequence[PhoneInterval]],
        lang: Lang,
        unknown: set[str],
    ) -> None:
        """Holds `text` against the marked phones; what is unknown is told of elsewhere."""
        agreement = Agreement(lang)
        mend = "correct the text or the marks"
        if lang.lexicon is not None:
            mend += ", or add the pronunciation to lexicon.txt"
        for row in self._tables.get("text", []):
            words, marked = row.value.split(), phones_of(intervals.get(row.key, ()))
            if not marked or not unknown.isdisjoint(marked):
                continue
            if all(map(lang.find, words)) and (part := agreement.fault(words, marked)):
                self._fault(
                    "text",
                    row.number,
                    f"{row.key!r} is not what phones.ctm marks: {part}; {mend}",
                )

    def _check_text(self, lang: Lang) -> None:
        counts: dict[str, list[int]] = {}
        for row in self._tables.get("text", []):
            for word in row.value.split():
                if not lang.find(word):
                    counts.setdefault(word, []).append(row.number)
        table = "lexicon.txt" if lang.lexicon is not None else "phones.txt"
        for word, numbers in sorted(counts.items(), key=lambda item: -len(item[1])):
            self._fault(
                "text",
                numbers[0],
                f"unknown {word!r}, {counted(len(numbers), 'time')}; add it to {table} or "
                "correct the text",
            )


def shortened(faults: list[str]) -> Iterator[str]:
    """Faults as listed to a person: a kind that fills pages is cut, its count told."""
    kinds: dict[str, int] = {}
    for fault in faults:
        kind = re.sub(r":\d+:|'[^']*'|\d+", "", fault)
        kinds[kind] = kinds.get(kind, 0) + 1
        if kinds[kind] <= _MOST:
            yield fault
        elif kinds[kind] == _MOST + 1:
            total = sum(re.sub(r":\d+:|'[^']*'|\d+", "", f) == kind for f in faults)
            yield f"… and {total - _MOST} more like the last"


def check_datadir(path: str | Path, *, lang: Lang | None = None) -> list[str]:
    """Validates a data dir.

    Args:
        path: the data dir.
        lang: checks the words of `text`, when given.

    Returns:
        Warnings.

    Raises:
        DataError: lists all faults, each with file, line and mend.
    """
    recover(path)
    if not Path(path).is_dir():
        raise DataError(f"{path}: no such folder; run keraldi prepare")
    validator = Validator(path, lang)
    validator.run()
    if validator.faults:
        raise DataError.of(shortened(validator.faults))
    return validator.warnings
