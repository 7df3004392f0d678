"""Transcripts looked up in a lang dir, ready to be aligned."""

from collections.abc import Mapping
from dataclasses import dataclass

from features.errors import DataError, counted, named
from pipeline.datadir.datadir import DataDir
from pipeline.datadir.lang import Lang


@dataclass(frozen=True)
class Transcripts:
    """What was said in each utterance, ready to be aligned.

    Attributes:
        words: for every utterance its words, each with its variants, each as phone ids.
        silence: the phone that may stand between words; None where the text has it already.
    """

    words: dict[str, list[tuple[tuple[int, ...], ...]]]
    silence: int | None

    @classmethod
    def of(cls, data: DataDir, lang: Lang) -> "Transcripts":
        """Looks all words up.

        Raises:
            DataError: there is no text, or a word or phone is unknown (all are listed).
        """
        if data.text is None:
            raise DataError(
                f"{data.path}/text: no such file; aligning needs transcripts"
            )
        if absent := [utt for utt in data.utterances if utt not in data.text]:
            raise DataError(
                f"{data.path}/text: no transcript of {named(absent)}; add them, or "
                "keraldi validate --fix removes such utterances"
            )
        lang.check_oov(data.text, source=f"{data.path}/text")
        words = {
            utt: [tuple(map(lang.phones.indices, lang.variants(w))) for w in line]
            for utt, line in data.text.items()
        }
        spoken = {lang.phones.indices(lang.silence)[0]} if lang.silence else set()
        written = {
            p for line in words.values() for word in line for v in word for p in v
        }
        silence = None if not spoken or spoken & written else spoken.pop()
        return cls(words, silence)

    def phones(self, utt: str) -> list[int]:
        """The first variants in a row, silence at both ends where it is optional."""
        ends = [] if self.silence is None else [self.silence]
        return ends + [p for word in self.words[utt] for p in word[0]] + ends

    def check_lengths(
        self, rooms: Mapping[str, int], *, min_frames: int, source: str
    ) -> None:
        """Checks that every transcript fits into its frames.

        Args:
            rooms: network frames of every utterance.
            min_frames: how many of them a phone lasts at least.
            source: named in the error.

        Raises:
            DataError: lists every utterance that has more phones than frames for them.
        """
        faults = []
        for utt, room in rooms.items():
            phones = sum(min(map(len, variants)) for variants in self.words[utt])
            if phones * min_frames > room:
                faults.append(
                    f"{source}: utterance {utt!r}: {counted(phones, 'phone')} for "
                    f"{counted(room, 'frame')}, at least {phones * min_frames} needed; lower "
                    "min_frames or skip, "
                    "or remove the utterance"
                )
        if faults:
            raise DataError.of(faults)
