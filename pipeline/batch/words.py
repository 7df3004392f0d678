"""Words of known transcripts in time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features.errors import DataError, counted, named
from pipeline.batch.items import Item
from pipeline.datadir.lang import Lang, read_lang


@dataclass(frozen=True)
class Word:
    """A word over network frames `start` to `end` (not included)."""

    word: str
    start: int
    end: int


@dataclass(frozen=True)
class WordAligner:
    """Finds where the words of a transcript are.

    Attributes:
        lang: the lexicon, and which phones are silence.
        log_priors: [V * states], taken off the posteriors.
        states: states a phone.
        min_frames: network frames a phone lasts at least.
    """

    lang: Lang
    log_priors: np.ndarray
    states: int
    min_frames: int = 1

    def align(self, item: Item, log_posteriors: np.ndarray) -> list[Word]:
        """The words of an item, in order.

        Args:
            item: with its transcript.
            log_posteriors: [T, V * states] of all of it.

        Raises:
            DataError: there is no transcript, a word has no pronunciation, or the words do
                not fit the frames.
        """
        from pipeline.decoding.forced import align_transcript

        if item.text is None:
            raise DataError(
                f"{item.source}: --words needs a transcript; give a data dir with text, or "
                "leave --words out"
            )
        if not item.text:
            return []
        pause = (
            [self.lang.phones.index(self.lang.silence[0])] if self.lang.silence else []
        )
        # Every phone of every variant gets columns of its own, so that a label tells its word.
        columns, owners = list(pause), [-1] * len(pause)
        words: list[list[range]] = []
        for number, word in enumerate(item.text):
            variants = []
            for variant in self.lang.variants(word):
                first = len(columns)
                columns += self.lang.phones.indices(variant)
                owners += [number] * len(variant)
                variants.append(range(first, len(columns)))
            words.append(variants)
        labels = align_transcript(
            self._spread(log_posteriors - self.log_priors, columns),
            words,
            silence=0 if pause else None,
            states_per_phone=self.states,
            min_frames=self.min_frames,
        )
        return _runs(np.array(owners)[labels // self.states], item.text)

    def _spread(self, scores: np.ndarray, phones: Sequence[int]) -> np.ndarray:
        """[T, len(phones) * states]: the states of each phone, in the given order."""
        offsets = np.arange(self.states)
        return scores[:, (np.array(phones)[:, None] * self.states + offsets).ravel()]


def check_transcripts(items: Sequence[Item], folder: str) -> None:
    """Checks that there are transcripts, and a lexicon where they are not phones.

    Args:
        items: what is to be aligned.
        folder: the lang dir.

    Raises:
        DataError: not one item has a transcript, or words have nowhere a pronunciation.
    """
    texts = [item.text for item in items if item.text is not None]
    if not texts:
        raise DataError(
            f"--words: no transcript of any of {counted(len(items), 'recording')}; give data "
            "dirs with text, or leave --words out"
        )
    lang = read_lang(folder)
    words = sorted({word for text in texts for word in text})
    unknown = [word for word in words if not lang.find(word)]
    if lang.lexicon is None and unknown:
        raise DataError(
            f"{folder}: no lexicon.txt, and {counted(len(unknown), 'word')} of the transcripts "
            f"not in phones.txt ({named(unknown, 5)}); give --words a lang dir with a lexicon"
        )


def _runs(owners: np.ndarray, words: Sequence[str]) -> list[Word]:
    """Where each word's frames are; -1 is a pause."""
    found = []
    for number, word in enumerate(words):
        (frames,) = np.nonzero(owners == number)
        found.append(Word(word, int(frames[0]), int(frames[-1]) + 1))
    return found
