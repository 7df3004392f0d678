"""What a run that died had begun: any of it may have killed it."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from features.files import write_text
from pipeline.batch.items import Item


class Begun:
    """Ids of items as they are begun, in a file that only a sudden death leaves behind.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def left(self) -> set[str]:
        """What was begun by a run that died; the results of some may be there already."""
        if not self._path.exists():
            return set()
        return set(self._path.read_text(encoding="utf-8").splitlines())

    def keep(self, items: Collection[Item]) -> None:
        """Remembers these, and forgets all others."""
        if items:
            write_text(self._path, "".join(f"{item.id}\n" for item in items))
        else:
            self._path.unlink(missing_ok=True)

    def noting(self, items: Iterable[Item]) -> Iterator[Item]:
        """Hands items on, and notes each before, beside those that it remembers."""
        with open(self._path, "a", encoding="utf-8") as file:
            for item in items:
                file.write(f"{item.id}\n")
                file.flush()
                yield item
