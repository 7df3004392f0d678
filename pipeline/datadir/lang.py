"""The lang dir: phone table, fold, lexicon, silence."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from features.errors import DataError
from features.files import write_text
from features.temporaries import recover
from pipeline.datadir.lexicon import (
    Lexicon,
    Pronunciation,
    check_known,
    read_lexicon,
)
from pipeline.datadir.phones import Fold, PhoneTable, read_fold, read_phones
from pipeline.datadir.tables import read_lines

_NEEDED = ("phones.txt", "fold.map", "silence.txt")


@dataclass(frozen=True)
class Lang:
    """What a corpus says about its phones.

    Attributes:
        phones: the training phones.
        fold: training phone -> scoring phone.
        lexicon: words -> phones; None where transcripts are phones already.
        silence: training phones that are silence.
    """

    phones: PhoneTable
    fold: Fold
    lexicon: Lexicon | None
    silence: tuple[str, ...]

    def find(self, word: str) -> tuple[Pronunciation, ...]:
        """The pronunciations of a word (of a phone: itself); none when it is unknown."""
        if self.lexicon is not None:
            return self.lexicon.find(word)
        return ((word,),) if word in self.phones else ()

    def variants(self, word: str) -> tuple[Pronunciation, ...]:
        """The pronunciations of a word (of a phone: itself); DataError when unknown."""
        if self.lexicon is not None:
            return self.lexicon.variants(word)
        self.phones.index(word)
        return ((word,),)

    def phones_of(self, words: Iterable[str]) -> Pronunciation:
        """The phones of a transcript, first variants."""
        return tuple(phone for word in words for phone in self.variants(word)[0])

    def phone_ids(self, words: Iterable[str]) -> tuple[int, ...]:
        """The 0-based phone ids of a transcript, first variants."""
        return self.phones.indices(self.phones_of(words))

    @property
    def scoring_silence(self) -> frozenset[str]:
        """Scoring phones that are silence."""
        return frozenset(
            f for p in self.silence if (f := self.fold.table.get(p)) is not None
        )

    def check_oov(self, texts: Mapping[str, Sequence[str]], *, source: str) -> None:
        """Checks that every word has a pronunciation; see `check_known` for the error."""
        words = {word for line in texts.values() for word in line}
        known = {word: bool(self.find(word)) for word in words}
        what = "lexicon.txt" if self.lexicon is not None else "phones.txt"
        check_known(
            texts, known, source=source, mend=f"add it to {what} or correct the text"
        )


def write_lang(lang: Lang, folder: str | Path) -> None:
    """Writes `phones.txt`, `fold.map`, `silence.txt`, and `lexicon.txt` where there is one."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    lang.phones.write(place / "phones.txt")
    lang.fold.write(place / "fold.map")
    write_text(place / "silence.txt", "".join(f"{s}\n" for s in lang.silence))
    if lang.lexicon is not None:
        lang.lexicon.write(place / "lexicon.txt")


def read_lang(folder: str | Path) -> Lang:
    """Reads a lang dir; without `lexicon.txt` transcripts are phones.

    Raises:
        DataError: a file is missing or wrong, or names a phone that `phones.txt` lacks.
    """
    place = Path(folder)
    recover(place)
    if not place.is_dir():
        raise DataError(
            f"{place}: no such folder; run keraldi prepare, or give the lang dir that it made"
        )
    if absent := [n for n in _NEEDED if not (place / n).exists()]:
        raise DataError.of(
            f"{place}/{n}: no such file; run keraldi prepare, which makes lang dirs"
            for n in absent
        )
    phones = read_phones(place / "phones.txt")
    fold = read_fold(place / "fold.map")
    lexicon = (
        read_lexicon(place / "lexicon.txt")
        if (place / "lexicon.txt").exists()
        else None
    )
    silence = tuple(
        line.strip() for line in read_lines(place / "silence.txt") if line.strip()
    )
    faults = [
        f"{place}/fold.map: no entry for phone {p!r}; add it"
        for p in phones.symbols
        if p not in fold.table
    ]
    used = {"silence.txt": set(silence)}
    if lexicon is not None:
        variants = lexicon.pronunciations.values()
        used["lexicon.txt"] = {p for vs in variants for v in vs for p in v}
    for name, symbols in used.items():
        faults += [
            f"{place}/{name}: phone {p!r} is not in phones.txt; add it there or correct it"
            for p in sorted(symbols - set(phones.symbols))
        ]
    if faults:
        raise DataError.of(faults)
    return Lang(phones, fold, lexicon, silence)
