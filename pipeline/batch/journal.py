"""What became of every item: a journal that survives any death, a manifest, a lock."""

import fcntl
import hashlib
import itertools
import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from features.errors import DataError
from features.files import atomic_file
from pipeline.batch.items import Item
from pipeline.batch.phones import BLOCK, Phones, Row

WORK = ".work"  # beside the outputs: the journal, the lock and what is not finished

_DAMAGES = (ValueError, LookupError, TypeError, AttributeError)


def parts_folder(folder: Path, settings: Mapping[str, Any] | None = None) -> Path:
    """Where the posteriors of recordings are until they are put together.

    Args:
        folder: the output folder.
        settings: everything that changes a result; with None the folder of all such folders.
    """
    place = folder / WORK / "posteriors"
    if settings is None:
        return place
    text = json.dumps(settings, sort_keys=True, default=str)
    return place / hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Outcome:
    """What became of an item.

    Attributes:
        id, source: of the item.
        state: of the file before it was read: size, time of content, time of permissions.
        seconds: of audio.
        phones: symbol, start, end, confidence; times in seconds from the item's start.
        words: word, start, end, where they were asked for.
        reason, mend: why it failed and what helps; empty where it is done.
        basis: `Item.basis` of then. Journals from before it was kept have none: of them whole
            files hold, and segments and what used tables are done again.
    """

    id: str
    source: str
    state: tuple[int, ...] = (0, 0, 0)
    seconds: float = 0.0
    phones: Phones | list[Row] = field(default_factory=list)
    words: list[tuple[str, float, float]] | None = None
    reason: str = ""
    mend: str = ""
    basis: str = ""

    @property
    def done(self) -> bool:
        """Whether there is a result."""
        return not self.reason

    @classmethod
    def failure(cls, item: Item, message: str) -> "Outcome":
        """A failure, from an error's message `place: reason; mend`."""
        reason, _, mend = message.replace("\n", " ").rpartition("; ")
        if not reason:
            reason, mend = mend, "look at the file"
        return cls(
            item.id,
            item.source,
            item.state_read,
            reason=reason,
            mend=mend,
            basis=item.basis,
        )

    def still_holds(self, item: Item) -> bool:
        """Whether the item is as it was; one that failed is also asked for its permissions."""
        state = item.state()
        if (self.source, self.basis) != (item.source, item.basis):
            return False
        kept = 2 if self.done else 3
        return tuple(self.state[:kept]) == state[:kept]


class FolderLock:
    """Keeps a second process from an output folder; the system frees it at any death.

    Args:
        folder: the output folder.

    Raises:
        DataError: another process has it.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / WORK / "lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "a+", encoding="utf-8")
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            self._file.seek(0)
            owner = self._file.read().strip() or "another process"
            self._file.close()
            raise DataError(
                f"{folder}: {owner} is at work here; wait for it, or give another --out"
            ) from None
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def _lines(outcome: Outcome) -> Iterator[bytes]:
    """The lines of an outcome in a journal; its own is the last."""
    phones = iter(outcome.phones)
    for _ in range(BLOCK, len(outcome.phones), BLOCK):
        yield json.dumps(list(itertools.islice(phones, BLOCK))).encode("ascii") + b"\n"
    record = {**vars(outcome), "phones": list(phones)}
    yield json.dumps(record).encode("ascii") + b"\n"


class Journal:
    """Outcomes in the order they came, added and never changed.

    Each is a line; of a recording of hours it follows lines of its phones. What a death cut
    short is dropped at the next start; an item of which the file, the tables or the settings
    changed is done again. Outcomes stay on disk: memory holds their places.

    Args:
        folder: the output folder.
        settings: everything that changes a result; with others, work starts anew.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._path = folder / WORK / "journal.jsonl"
        self._settings = json.loads(json.dumps(settings, sort_keys=True, default=str))
        self._places: dict[str, int] = {}
        self._failed: set[str] = set()
        self._file: IO[bytes] | None = None
        self.differing: list[str] = []  # settings of the older journal that are others
        self.older: set[str] = set()  # ids in a journal of other settings

    def _load(self) -> bool:
        """Reads what is there; whether it was made with the same settings.

        Raises:
            DataError: a line is damaged, which no death of ours does.
        """
        whole = behind = 0
        with open(self._path, "rb") as file:
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    break
                behind += len(line)
                try:
                    record = json.loads(line)
                    if number and isinstance(record, list):
                        continue  # phones of the outcome that follows
                    if number and self.differing:
                        self.older.add(record["id"])
                    elif number:
                        self._remember(record["id"], whole, bool(record["reason"]))
                    else:
                        self.differing = self._differing(record["settings"])
                except _DAMAGES:
                    raise self._damaged(f":{number + 1}") from None
                whole = behind
        if whole == 0 or self.differing:
            return False
        os.truncate(self._path, whole)
        return True

    def _damaged(self, line: str = "") -> DataError:
        return DataError(
            f"{self._path}{line}: damaged; remove the file, and all is done again"
        )

    def _remember(self, name: str, place: int, failed: bool) -> None:
        self._places[name] = place
        (self._failed.add if failed else self._failed.discard)(name)

    def _differing(self, older: Mapping[str, Any]) -> list[str]:
        """Names of the settings that an older journal has otherwise."""
        names = sorted(older.keys() | self._settings.keys())
        missing = object()
        return [
            name
            for name in names
            if older.get(name, missing) != self._settings.get(name, missing)
        ]

    def open(self) -> bool:
        """Opens the journal; tells whether an older one goes on.

        One of other settings stays until the first outcome is added: a mistake that shows
        before, such as an n-gram of other phones, costs nothing that was done.
        """
        goes_on = self._path.exists() and self._load()
        if not goes_on and not self.differing:
            self._begin()
        elif goes_on:
            self._file = open(self._path, "ab")
        return goes_on

    def _begin(self) -> IO[bytes]:
        """A new journal in place of an older one."""
        line = json.dumps({"settings": self._settings}, sort_keys=True) + "\n"
        with atomic_file(self._path) as temporary:
            temporary.write_text(line, encoding="ascii")
        self._file = open(self._path, "ab")
        return self._file

    @property
    def begun(self) -> bool:
        """Whether the file holds these settings, and not yet those of an older journal."""
        return self._file is not None

    def close(self) -> None:
        """Puts what was added to disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def add(self, outcome: Outcome) -> None:
        """Adds an outcome; a kill -9 right after it does not lose it."""
        file = self._file or self._begin()
        place = file.seek(0, os.SEEK_END)
        file.writelines(_lines(outcome))
        file.flush()
        self._remember(outcome.id, place, not outcome.done)

    def forget(self, names: set[str]) -> None:
        """Lets items count as pending again."""
        for name in names & set(self._places):
            del self._places[name]
            self._failed.discard(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __getitem__(self, name: str) -> Outcome:
        with open(self._path, "rb") as file:
            return self._read(file, name)

    def _read(self, file: IO[bytes], name: str) -> Outcome:
        file.seek(self._places[name])
        record: dict[str, Any] = {}

        def rows() -> Iterator[Row]:
            while isinstance(found := json.loads(file.readline()), list):
                yield from found
            record.update(found)
            yield from found["phones"]

        try:
            phones = Phones(rows())
            values = {"state": tuple(record["state"]), "phones": phones}
            return Outcome(**{**record, **values, "seconds": float(record["seconds"])})
        except _DAMAGES:
            raise self._damaged() from None

    def outcomes(self, items: list[Item]) -> Iterator[tuple[Item, Outcome]]:
        """What became of items, in their order; those pending are left out."""
        with open(self._path, "rb") as file:
            for item in items:
                if item.id in self._places:
                    yield item, self._read(file, item.id)

    def status(self, name: str) -> str:
        """`done`, `failed` or `pending`."""
        if name not in self._places:
            return "pending"
        return "failed" if name in self._failed else "done"


def write_manifest(folder: Path, items: tuple[Item, ...], journal: Journal) -> None:
    """Writes `manifest.jsonl`: for every item its status, and why it failed."""
    with (
        atomic_file(folder / "manifest.jsonl") as temporary,
        open(temporary, "w", encoding="ascii") as file,
    ):
        for item in items:
            status = journal.status(item.id)
            record = {"id": item.id, "source": item.source, "status": status}
            if status == "failed":
                record["reason"] = journal[item.id].reason
            file.write(json.dumps(record) + "\n")
