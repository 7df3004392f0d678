"""Pronunciations of words, with variants."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from features.errors import DataError, counted
from features.files import write_text
from pipeline.datadir.tables import read_lines

Pronunciation = tuple[str, ...]
_TAGGED = re.compile(r"(?P<word>.+)\((?P<number>[1-9]\d*)\)")


@dataclass(frozen=True)
class Lexicon:
    """Words and their pronunciations.

    As in the CMU dictionary, `THE(2)` in a transcript means the second variant of THE.
    """

    pronunciations: Mapping[str, tuple[Pronunciation, ...]]

    def find(self, word: str) -> tuple[Pronunciation, ...]:
        """The variants of a word, one when it is tagged, none when it is unknown."""
        if word in self.pronunciations:
            return self.pronunciations[word]
        tagged = _TAGGED.fullmatch(word)
        if tagged is None:
            return ()
        known = self.pronunciations.get(tagged["word"], ())
        number = int(tagged["number"])
        return known[number - 1 : number]

    def variants(self, word: str) -> tuple[Pronunciation, ...]:
        """The variants of a word, one when it is tagged; DataError when it is unknown."""
        found = self.find(word)
        if not found:
            raise DataError(
                f"word {word!r} has no pronunciation; add it to lexicon.txt"
            )
        return found

    def phones(self, words: Iterable[str]) -> Pronunciation:
        """The phones of a transcript: the first variant unless a word is tagged."""
        return tuple(phone for word in words for phone in self.variants(word)[0])

    def write(self, path: str | Path) -> None:
        """Writes `WORD P1 P2 …` lines, a line for each variant."""
        rows = sorted(self.pronunciations.items(), key=lambda item: item[0].encode())
        lines = (f"{word} {' '.join(v)}\n" for word, variants in rows for v in variants)
        write_text(path, "".join(lines))


def check_known(
    texts: Mapping[str, Sequence[str]],
    known: Mapping[str, bool],
    *,
    source: str,
    mend: str,
) -> None:
    """Checks that every word of every utterance is known.

    Args:
        texts: words by utterance.
        known: whether a word is known, for every word that occurs.
        source: the transcripts' file, named in the message.
        mend: what to do about it.

    Raises:
        DataError: lists every unknown word with its count and the first utterance it is in.
    """
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for utt, words in texts.items():
        for word in words:
            if not known[word]:
                counts[word] += 1
                first.setdefault(word, utt)
    if counts:
        raise DataError.of(
            f"{source}: unknown {word!r}, {counted(count, 'time')}, first in utterance "
            f"{first[word]!r}; {mend}"
            for word, count in counts.most_common()
        )


def read_lexicon(path: str | Path) -> Lexicon:
    """Reads `WORD P1 P2 …` lines; several lines for a word are its variants, in order.

    Raises:
        DataError: a word has no phones; names the line.
    """
    found: dict[str, list[Pronunciation]] = {}
    for number, line in enumerate(read_lines(path), start=1):
        word, *phones = line.split() or [""]
        if not phones:
            raise DataError(
                f"{path}:{number}: expected a word and its phones, got {line!r}"
            )
        variants = found.setdefault(word, [])
        if tuple(phones) not in variants:
            variants.append(tuple(phones))
    return Lexicon({word: tuple(variants) for word, variants in found.items()})
