"""Results in the forms that were asked for, in the order of their ids."""

import contextlib
import functools
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal

from features.errors import ConfigError
from features.files import atomic_file
from pipeline.batch.assembly import part_path
from pipeline.batch.items import safe_id
from pipeline.batch.journal import Outcome
from pipeline.datadir.textgrid import textgrid_lines
from pipeline.datadir.times import PhoneInterval, ctm_lines

Format = Literal["text", "ctm", "jsonl", "textgrid"]
Layout = Literal["stream", "files"]
_FAULT = ("id", "source", "reason", "mend")
_LONGEST = (
    200  # bytes of a name: file systems take 255, with suffix and temporary marks
)
_COPIED = 1 << 20  # bytes of posteriors moved at once
_JOINED = 256  # phones that become text together, which is faster than one by one


def intervals(outcome: Outcome) -> Iterator[PhoneInterval]:
    """The phones of an outcome as time marks."""
    return (PhoneInterval(*phone) for phone in outcome.phones)


# A result is written as it is made: a recording of hours has much of it.
def _text(outcome: Outcome) -> Iterator[str]:
    yield outcome.id
    for phone, *_ in outcome.phones:
        yield f" {phone}"
    yield "\n"


def _ctm(outcome: Outcome) -> Iterator[str]:
    return ctm_lines(outcome.id, intervals(outcome))


def _words(outcome: Outcome) -> Iterator[str]:
    marks = (PhoneInterval(*word) for word in outcome.words or ())
    return ctm_lines(outcome.id, marks)


def _listed(kind: str, marks: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Phones or words as JSON, a block of them at a time."""
    names = (kind, "start", "end", "confidence")
    records = (dict(zip(names, mark, strict=False)) for mark in marks)
    before = f', "{kind}s": ['
    while block := list(itertools.islice(records, _JOINED)):
        yield before + json.dumps(block)[1:-1]
        before = ", "
    yield "]" if before == ", " else f"{before}]"


def _jsonl(outcome: Outcome) -> Iterator[str]:
    head = {"id": outcome.id, "source": outcome.source, "seconds": outcome.seconds}
    yield json.dumps(head)[:-1]
    yield from _listed("phone", outcome.phones)
    if outcome.words is not None:
        yield from _listed("word", outcome.words)
    yield "}\n"


def _textgrid(outcome: Outcome) -> Iterator[str]:
    return textgrid_lines(lambda: intervals(outcome), duration=outcome.seconds)


_LINES: dict[str, Callable[[Outcome], Iterator[str]]] = {
    "text": _text,
    "ctm": _ctm,
    "jsonl": _jsonl,
    "words": _words,
    "textgrid": _textgrid,
}
STREAMS = {
    "text": "hyp",
    "ctm": "ctm",
    "jsonl": "phones.jsonl",
    "words": "words.ctm",
}
_ALWAYS = ("text", "ctm", "jsonl")  # those that every recording has
_SUFFIXES = {
    "text": "txt",
    "ctm": "ctm",
    "jsonl": "jsonl",
    "words": "words.ctm",
    "textgrid": "TextGrid",
}
_SCORES = ("scoring", "scored", "unscored")  # that score-corpus adds
# All that a run may make in its folder.
RESULTS = (
    *STREAMS.values(),
    *_SUFFIXES,
    *("failed.jsonl", "manifest.jsonl", "summary.json", "settings.yaml"),
    *("posteriors.ark", "posteriors.scp"),
    *_SCORES,
)


def _fitting(part: str) -> str:
    """A part of a path in at most `_LONGEST` bytes: a longer one ends in its digest."""
    whole = part.encode()
    if len(whole) <= _LONGEST:
        return part
    digest = f"~{hashlib.sha256(whole).hexdigest()[:16]}"
    return whole[: _LONGEST - len(digest)].decode(errors="ignore") + digest


class Outputs:
    """The output files of a run.

    Args:
        folder: the output folder.
        formats: which to write; TextGrids are always one file a recording.
        layout: all results in one file, or a file for each.
        words: whether words were aligned, and have a CTM too.
    """

    def __init__(
        self,
        folder: Path,
        formats: Sequence[Format],
        layout: Layout,
        *,
        words: bool = False,
    ) -> None:
        self._folder = folder
        forms = set[str](formats) | ({"words"} if words else set())
        files = forms if layout == "files" else forms & {"textgrid"}
        self._files = sorted(files)
        # What an earlier run wrote in other forms goes on as long as the corpus is longer.
        there = {form for form in _ALWAYS if (folder / STREAMS[form]).is_file()}
        self._streams = sorted((forms - files) | there)

    def check(self) -> None:
        """Checks that nothing of another layout is in the way.

        Raises:
            ConfigError: a file is where a folder has to be, or a folder where a file has to.
        """
        for form in self._files:
            if (place := self._folder / form).is_file():
                raise ConfigError(
                    f"{place}: expected a folder, is a file, of an earlier --layout stream; "
                    "take another --out or remove it"
                )
        for form in self._streams:
            if (place := self._folder / STREAMS[form]).is_dir():
                raise ConfigError(
                    f"{place}: expected a file, is a folder, of an earlier --layout files; "
                    "take another --out or remove it"
                )

    def _path(self, form: str, name: str) -> Path:
        *folders, last = map(_fitting, safe_id(name).split("/"))
        suffix = _SUFFIXES[form]
        # `a.txt/b` has no folder in the place of the file of `a`; %2E is in no other id's path.
        marked = (
            (
                f"{folder.removesuffix(f'.{suffix}')}%2E{suffix}"
                if folder.endswith(f".{suffix}")
                else folder
            )
            for folder in folders
        )
        return self._folder.joinpath(form, *marked, f"{last}.{suffix}")

    def _write(self, form: str, outcome: Outcome, path: Path) -> None:
        with contextlib.ExitStack() as stack:
            _begin_lines(stack, path).writelines(_LINES[form](outcome))

    @functools.cached_property
    def _kept(self) -> list[str]:
        """Forms of which recordings have files of their own, of this run or an earlier one."""
        # `ctm` is a file where all recordings are in one.
        return [
            form
            for form in _SUFFIXES
            if form in self._files or (self._folder / form).is_dir()
        ]

    def take(self, outcome: Outcome) -> None:
        """Writes the files of one recording; its others, of an older result, go."""
        written = self._files if outcome.done else ()
        self.remove([outcome.id], but=written)
        for form in written:
            self._write(form, outcome, self._path(form, outcome.id))

    def remove(self, names: Iterable[str], *, but: Collection[str] = ()) -> None:
        """Removes the files that recordings have of their own, of whatever form.

        Args:
            names: ids of the recordings.
            but: forms that stay.
        """
        forms = [form for form in self._kept if form not in but]
        for name in names:
            for form in forms:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    self._path(form, name).unlink()

    def forget(self, names: Iterable[str]) -> None:
        """Removes every file, of whatever form, that such recordings have or are in."""
        for name in (*STREAMS.values(), "failed.jsonl"):
            # `ctm` is a folder where there is a file for each recording.
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                (self._folder / name).unlink()
        self.forget_scores()
        self.remove(names)

    def forget_scores(self) -> None:
        """Removes the rates of earlier results, which say nothing of those to come."""
        *folders, absent = (self._folder / name for name in _SCORES)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        absent.unlink(missing_ok=True)

    def complete(self, outcomes: Iterable[Outcome]) -> None:
        """Writes what is one file for all, and files of a recording that are not there yet.

        Args:
            outcomes: all there are, sorted by id; gone through once.
        """
        with contextlib.ExitStack() as stack:
            streams = {
                form: _begin_lines(stack, self._folder / STREAMS[form])
                for form in self._streams
            }
            faults = _begin_lines(stack, self._folder / "failed.jsonl")
            for outcome in outcomes:
                if not outcome.done:
                    record = {name: getattr(outcome, name) for name in _FAULT}
                    faults.write(json.dumps(record) + "\n")
                    continue
                for form, stream in streams.items():
                    stream.writelines(_LINES[form](outcome))
                for form in self._files:
                    path = self._path(form, outcome.id)
                    if not path.exists():
                        self._write(form, outcome, path)


def _begin_lines(stack: contextlib.ExitStack, path: Path) -> IO[str]:
    """A file for lines as they come, which is there whole when the stack ends, or not at all."""
    temporary = stack.enter_context(atomic_file(path))
    return stack.enter_context(open(temporary, "w", encoding="utf-8"))


def _append(source: Path, target: IO[bytes]) -> None:
    with open(source, "rb") as part:
        shutil.copyfileobj(part, target, _COPIED)


def write_posteriors(folder: Path, parts: Path, names: Iterable[str]) -> None:
    """Puts the posteriors of recordings together: `posteriors.ark` and `posteriors.scp`.

    Args:
        folder: the output folder.
        parts: where the parts are.
        names: ids in their order.
    """
    ark, scp = folder / "posteriors.ark", folder / "posteriors.scp"
    with contextlib.ExitStack() as stack:
        # The index goes first and comes last: it never names an archive that is not whole.
        temporary = stack.enter_context(atomic_file(scp))
        places = stack.enter_context(open(temporary, "w", encoding="utf-8"))
        with atomic_file(ark) as whole, open(whole, "wb") as file:
            for name in names:
                file.write(f"{name} ".encode())
                places.write(f"{name} {ark}:{file.tell()}\n")
                _append(part_path(parts, name), file)
            file.flush()
            scp.unlink(missing_ok=True)
            os.fsync(file.fileno())
