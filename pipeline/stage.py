"""What every stage shares: stamps, accounting, progress, and how it ends."""

import dataclasses
import errno
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from features.errors import DataError, KeraldiError, counted, named
from features.files import write_text
from features.temporaries import recover

T = TypeVar("T")

_HASHED_BYTES = (
    1 << 26
)  # larger files are known by size and time: hashing would cost minutes
_FULL = "disk full; free some space and run again"
_DENIED = "permission denied; change its permissions, or work in a folder of yours"
_MENDS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: "on a read-only file system; write somewhere else",
    errno.ENOENT: "no such file or folder; check the path",
    errno.ENOTDIR: "a file, or below a file, where a folder must be; choose another name",
    errno.EISDIR: "a folder, where a file must be; give a file's name, or remove it",
    errno.EEXIST: "a file, where a folder must be; choose another name, or remove it",
    errno.ENOTEMPTY: "something was put here meanwhile; run again",
    errno.ENAMETOOLONG: "name too long; use shorter names",
    errno.ELOOP: "links in a circle; mend them",
    errno.EIO: "the disk failed to read or write; check it, and run again",
    errno.EFBIG: "too large for the file system or your limit (ulimit -f); raise it",
    errno.EMFILE: "too many open files; raise the limit (ulimit -n), or lower --nj",
}
_PLAIN_LINES = 10  # progress lines a loop leaves in a log file


def note(message: str) -> None:
    """Prints one line of progress or result to standard error, where logs look for it."""
    print(message, file=sys.stderr, flush=True)


def fingerprint(path: Path) -> str:
    """Identifies the content of a file: a hash, or size and time for files of many megabytes."""
    state = path.stat()
    if state.st_size > _HASHED_BYTES:
        return f"size {state.st_size} time {state.st_mtime_ns}"
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Stamp:
    """What made an output: a stage, its settings, and the content of its inputs.

    A stamp holds no times and no absolute paths, so that the same work gives the same
    stamp, and a stage downstream can take the stamp of its input as an input.
    """

    path: Path
    record: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        folder: str | Path,
        stage: str,
        *,
        settings: Mapping[str, Any],
        inputs: Iterable[str | Path],
    ) -> "Stamp":
        """Describes work about to be done.

        Args:
            folder: the output folder; the stamp is `folder/.stamps/STAGE.json`.
            stage: name of the stage.
            settings: everything that changes the output; must survive JSON.
            inputs: files that are read; those that do not exist count as absent.
        """
        seen = {}
        for item in inputs:
            path = Path(item)
            seen["/".join(path.parts[-3:])] = (
                fingerprint(path) if path.is_file() else "absent"
            )
        record = {"stage": stage, "settings": dict(settings), "inputs": seen}
        normal = json.loads(json.dumps(record, sort_keys=True, default=str))
        return cls(Path(folder) / ".stamps" / f"{stage}.json", normal)

    def matches(self, *outputs: str | Path) -> bool:
        """Tells whether the same work was finished before and every output is still there."""
        try:
            old = json.loads(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
            return False
        sizes = old.pop("sizes", {})
        whole = all(
            Path(o).exists()
            and sizes.get(Path(o).name, -1) in (-1, Path(o).stat().st_size)
            for o in outputs
        )
        return whole and bool(old == self.record)

    def clear(self) -> None:
        """Forgets finished work; call it before its outputs are replaced.

        Killed between the first new output and the last, a stage must not leave a stamp
        that vouches for a mixture.
        """
        self.path.unlink(missing_ok=True)

    def write(self, *outputs: str | Path) -> None:
        """Marks the work as finished; call it last.

        Args:
            outputs: files whose size is remembered, so that a file cut short is noticed.
        """
        sizes = {Path(o).name: Path(o).stat().st_size for o in outputs}
        record = {**self.record, "sizes": sizes}
        write_text(self.path, json.dumps(record, sort_keys=True, indent=1) + "\n")


class Accounting:
    """Counts what a stage kept and, by reason, what it left out."""

    def __init__(self, noun: str = "utterance") -> None:
        self._noun = noun
        self.kept = 0
        self.left_out: dict[str, list[str]] = {}

    def keep(self, count: int = 1) -> None:
        """Counts items that went through."""
        self.kept += count

    def leave_out(self, key: str, reason: str) -> None:
        """Records that the item `key` was not used, and why."""
        self.left_out.setdefault(reason, []).append(key)

    @property
    def total(self) -> int:
        """All items seen."""
        return self.kept + sum(len(keys) for keys in self.left_out.values())

    def line(self) -> str:
        """One sentence: kept N of M, and why the others were not."""
        parts = [f"kept {self.kept} of {counted(self.total, self._noun)}"]
        for reason, keys in sorted(self.left_out.items()):
            shown = named(keys, 5)
            parts.append(f"{len(keys)} left out: {reason} ({shown})")
        return "; ".join(parts)


def progress(items: Iterable[T], *, total: int, label: str) -> Iterator[T]:
    """Passes items through and shows how far it is: a bar on a terminal, else a few lines."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track

        yield from track(
            items, description=label, total=total, console=Console(stderr=True)
        )
        return
    began = time.monotonic()
    step = max(1, total // _PLAIN_LINES)
    for count, item in enumerate(items, start=1):
        yield item
        if count % step == 0 or count == total:
            note(f"{label}: {count} of {total}, {time.monotonic() - began:.1f} s")


def _told(error: OSError) -> str:
    """One line on what the system refused: place, reason and mend."""
    place = os.fsdecode(error.filename) if error.filename else os.getcwd()
    if error.errno in _MENDS:
        return f"{place}: {_MENDS[error.errno]}"
    return f"{place}: {os.strerror(error.errno or 0).lower()}; mend that and run again"


def _end(message: str, status: int) -> int:
    note(message)
    return status


def guarded(name: str, call: Callable[[], object]) -> int:
    """Runs a stage and turns how it ended into an exit status.

    Args:
        name: the stage, named in the message.
        call: the stage with its arguments bound.

    Returns:
        0 when all that was asked for is there, or the status that the stage returned; 2
        after a user's mistake or what the system refused (a full disk, no permission), told
        in one message without a traceback; 1 when nobody reads the output; 130 when
        interrupted. Other exceptions pass through: they are bugs of ours and keep their
        traceback.
    """
    try:
        status = call()
    except KeraldiError as error:
        return _end(f"keraldi {name}: error: {error}", 2)
    except BrokenPipeError:
        # Whoever read the output wants no more of it: `keraldi results | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno is None:
            raise
        return _end(f"keraldi {name}: error: {_told(error)}", 2)
    except KeyboardInterrupt:
        return _end(
            f"keraldi {name}: interrupted; the same command goes on from here", 130
        )
    return status if isinstance(status, int) else 0


def require(*paths: str | Path, mend: str) -> None:
    """Checks that files or folders exist.

    Raises:
        DataError: lists every absent one, and the `mend`.
    """
    for path in paths:
        recover(path)
    absent = [path for path in paths if not Path(path).exists()]
    if absent:
        raise DataError.of(f"{path}: no such file or folder; {mend}" for path in absent)
