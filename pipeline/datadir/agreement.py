"""Whether marked phones are what a transcript's words say."""

from collections.abc import Sequence

from pipeline.datadir.lang import Lang
from pipeline.datadir.lexicon import Pronunciation


class Agreement:
    """Holds marked phones against words, in any of their pronunciations.

    Silence may stand anywhere among the marks, and be absent where the words have it.

    Args:
        lang: pronunciations and silence; words that it does not know agree with nothing.
    """

    def __init__(self, lang: Lang) -> None:
        self._lang = lang
        self._silence = frozenset(lang.silence)
        self._known: dict[str, tuple[Pronunciation, ...]] = {}

    def _spoken(self, phones: Sequence[str]) -> Pronunciation:
        return tuple(phone for phone in phones if phone not in self._silence)

    def _variants(self, word: str) -> tuple[Pronunciation, ...]:
        if word not in self._known:
            self._known[word] = tuple(map(self._spoken, self._lang.find(word)))
        return self._known[word]

    def fault(self, words: Sequence[str], marked: Sequence[str]) -> str | None:
        """Where words and marked phones part; None where they agree.

        Args:
            words: of a transcript.
            marked: phones by time.
        """
        phones = self._spoken(marked)
        places = {0}  # how many of the phones the words so far may be
        for number, word in enumerate(words, start=1):
            variants = self._variants(word)
            reached = {
                place + len(variant)
                for place in places
                for variant in variants
                if phones[place : place + len(variant)] == variant
            }
            if not reached:
                rest = phones[max(places) :]
                wanted = " or ".join(" ".join(v) for v in variants)
                said = f"word {number}, {word!r}" + (
                    f", is {wanted}" if variants != ((word,),) else ""
                )
                found = " ".join(rest[: max(map(len, variants), default=1)])
                return f"{said}, but the marks say {found or 'no more'}"
            places = reached
        if len(phones) in places:
            return None
        rest = phones[max(places) :]
        return f"the words end, but the marks go on with {' '.join(rest[:5])}"
