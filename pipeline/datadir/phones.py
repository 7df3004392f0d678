"""Phone tables and their folds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from features.errors import DataError
from features.files import write_text
from pipeline.datadir.tables import read_lines


@dataclass(frozen=True)
class PhoneTable:
    """Phones and their 0-based indices.

    Raises:
        DataError: a symbol comes twice.
    """

    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        twice = sorted({s for s in self.symbols if self.symbols.count(s) > 1})
        if twice:
            raise DataError(
                f"phone table: symbols come twice: {' '.join(twice)}; keep one each"
            )

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {symbol: index for index, symbol in enumerate(self.symbols)}

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._indices

    def index(self, symbol: str) -> int:
        """The 0-based index of a phone; DataError when it is unknown."""
        if symbol not in self._indices:
            raise DataError(
                f"phone {symbol!r} is not in the phone table; add it to phones.txt"
            )
        return self._indices[symbol]

    def indices(self, symbols: Iterable[str]) -> tuple[int, ...]:
        """The indices of several phones."""
        return tuple(map(self.index, symbols))

    def symbols_of(self, indices: Iterable[int]) -> tuple[str, ...]:
        """The phones of several indices."""
        return tuple(self.symbols[index] for index in indices)

    def write(self, path: str | Path) -> None:
        """Writes `symbol index` lines."""
        write_text(path, "".join(f"{s} {i}\n" for i, s in enumerate(self.symbols)))


def read_phones(path: str | Path) -> PhoneTable:
    """Reads `symbol index` lines.

    Raises:
        DataError: a line is not of that form, or the indices are not 0, 1, 2, …
    """
    symbols = []
    for number, line in enumerate(read_lines(path), start=1):
        fields = line.split()
        if len(fields) != 2 or fields[1] != str(number - 1):
            raise DataError(
                f"{path}:{number}: expected a phone and the index {number - 1}, got {line!r}; "
                "number phones from 0 without gaps"
            )
        symbols.append(fields[0])
    return PhoneTable(tuple(symbols))


@dataclass(frozen=True)
class Fold:
    """A map from training phones to scoring phones; None deletes a phone."""

    table: Mapping[str, str | None]

    def fold(self, phones: Sequence[str]) -> tuple[str, ...]:
        """Folds a sequence; DataError when a phone has no entry."""
        unknown = sorted({p for p in phones if p not in self.table})
        if unknown:
            raise DataError(f"fold.map has no entry for {' '.join(unknown)}; add them")
        folded = (self.table[phone] for phone in phones)
        return tuple(phone for phone in folded if phone is not None)

    def write(self, path: str | Path) -> None:
        """Writes `phone folded` lines, a deleted phone alone on its line."""
        write_text(
            path,
            "".join(f"{p} {f or ''}".rstrip() + "\n" for p, f in self.table.items()),
        )


def read_fold(path: str | Path) -> Fold:
    """Reads `phone folded` lines; a phone alone is deleted.

    Raises:
        DataError: a line has more than two fields, or a phone comes twice.
    """
    table: dict[str, str | None] = {}
    for number, line in enumerate(read_lines(path), start=1):
        fields = line.split()
        if len(fields) not in (1, 2):
            raise DataError(
                f"{path}:{number}: expected a phone and its fold, got {line!r}"
            )
        if fields[0] in table:
            raise DataError(
                f"{path}:{number}: phone {fields[0]!r} comes twice; keep one line"
            )
        table[fields[0]] = fields[1] if len(fields) == 2 else None
    return Fold(table)
