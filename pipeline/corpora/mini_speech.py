"""Speaks sentences with espeak-ng: `python -m pipeline.corpora.mini_speech JOB`.

A program of its own, one process a voice: espeak-ng is under the GPL and is only ever run as a
subprocess, and its state (some voices flutter at random) starts the same in every process.
"""

import ctypes
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from features.errors import DataError
from pipeline.corpora.mini_phones import SILENCE, time_phones

RATE_HZ = 16000
_SYNCHRONOUS = 2
_PHONEME_EVENTS = 1
_PHONEME_EVENT = 7
_RATE, _VOLUME, _PITCH = 1, 2, 3
_UTF8 = 1
_VOLUME_WITHOUT_CLIPPING = 50
_PEAK = 0.95


class _EventName(ctypes.Union):
    _fields_ = [
        ("number", ctypes.c_int),
        ("text", ctypes.c_char * 8),
        ("_", ctypes.c_void_p),
    ]


class _Event(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", _EventName),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class Prompt:
    """One utterance to speak.

    Attributes:
        utt: its id.
        sentence: what to say.
        words_per_minute: 80 to 450.
        pitch: 0 to 100; 50 is the voice's own.
        level_db: RMS of the speech relative to full scale.
        noise_db: RMS of the background noise relative to the speech.
        margins: seconds of background before and after the speech.
    """

    utt: str
    sentence: str
    words_per_minute: int
    pitch: int
    level_db: float
    noise_db: float
    margins: tuple[float, float]


@dataclass(frozen=True)
class Job:
    """The utterances of one voice.

    Attributes:
        voice: espeak's name, `language+variant`.
        seed: of espeak's random numbers and of the noise.
        folder: where `UTT.flac` go; it exists.
        prompts: in the order in which they are spoken.
    """

    voice: str
    seed: int
    folder: str
    prompts: tuple[Prompt, ...]

    def to_json(self) -> str:
        """The job as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """The inverse of `to_json`."""
        values = json.loads(text)
        prompts = tuple(Prompt(**prompt) for prompt in values.pop("prompts"))
        return cls(prompts=prompts, **values)


class Espeak:
    """The espeak-ng library, synthesising in the calling thread."""

    def __init__(self, library: str, data: str, *, voice: str, seed: int) -> None:
        self._library = ctypes.CDLL(library)
        self._library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
        self._chunks: list[np.ndarray] = []
        self._events: list[tuple[int, str]] = []
        self._callback = _Callback(self._receive)  # kept: C holds only its address
        self.rate_hz: int = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, data.encode(), _PHONEME_EVENTS
        )
        if self.rate_hz <= 0:
            raise DataError(
                f"espeak cannot read its data in {data}; reinstall espeakng-loader"
            )
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_ng_SetRandSeed(seed)
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise DataError(f"espeak has no voice {voice!r}; update espeakng-loader")
        self._library.espeak_SetParameter(_VOLUME, _VOLUME_WITHOUT_CLIPPING, 0)

    def _receive(self, samples, count, events) -> int:  # type: ignore[no-untyped-def]
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        for event in iter_events(events):
            if event.kind == _PHONEME_EVENT:
                self._events.append((event.sample, event.name.text.decode("utf-8")))
        return 0

    def speak(
        self, sentence: str, *, words_per_minute: int, pitch: int
    ) -> tuple[np.ndarray, list[tuple[int, str]]]:
        """Speaks a sentence.

        Returns:
            [S] int16 samples at `rate_hz`, and first sample and mnemonic of every phoneme.

        Raises:
            DataError: nothing came out.
        """
        self._chunks.clear()
        self._events.clear()
        self._library.espeak_SetParameter(_RATE, words_per_minute, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        text = sentence.encode() + b"\0"
        status = self._library.espeak_Synth(text, len(text), 0, 0, 0, _UTF8, None, None)
        if status != 0 or not self._chunks:
            raise DataError(f"espeak did not speak {sentence!r} (status {status})")
        return np.concatenate(self._chunks), list(self._events)


def iter_events(events):  # type: ignore[no-untyped-def]
    """Yields the events of a C array that ends with one of kind 0."""
    number = 0
    while events[number].kind != 0:
        yield events[number]
        number += 1


def finish(
    samples: np.ndarray, rate_hz: int, prompt: Prompt, noise: np.random.Generator
) -> np.ndarray:
    """Resamples speech, sets its level, and puts it into background noise.

    Args:
        samples: [S] int16.
        rate_hz: of the samples.
        prompt: its level, noise and margins.
        noise: where the noise comes from.

    Returns:
        [S'] float32 at 16 kHz, within ±0.95: louder speech is turned down as a whole.
    """
    speech = soxr.resample(samples.astype(np.float64) / 32768, rate_hz, RATE_HZ)
    speech *= 10 ** (prompt.level_db / 20) / np.sqrt(np.mean(speech**2))
    before, after = (round(seconds * RATE_HZ) for seconds in prompt.margins)
    padded = np.pad(speech, (before, after))
    deviation = 10 ** ((prompt.level_db + prompt.noise_db) / 20)
    padded += deviation * noise.standard_normal(len(padded))
    padded *= min(1.0, _PEAK / np.abs(padded).max())
    return padded.astype(np.float32)


def place_in_margins(
    phones: list[tuple[str, float, float]], margins: tuple[float, float]
) -> list[tuple[str, float, float]]:
    """Shifts times by the margin before, and makes both margins silence."""
    before, after = margins
    times = [(phone, start + before, end + before) for phone, start, end in phones]
    total = times[-1][2] + after
    if times[0][0] == SILENCE:
        times[0] = (SILENCE, 0.0, times[0][2])
    else:
        times.insert(0, (SILENCE, 0.0, before))
    if times[-1][0] == SILENCE:
        times[-1] = (SILENCE, times[-1][1], total)
    else:
        times.append((SILENCE, total - after, total))
    return times


def speak(job: Job, espeak: Espeak) -> dict[str, list[tuple[str, float, float]]]:
    """Speaks all prompts of a job into FLAC files.

    Returns:
        Phone, start and end in seconds, by utterance.
    """
    noise = np.random.default_rng(job.seed)
    times = {}
    for prompt in job.prompts:
        samples, events = espeak.speak(
            prompt.sentence,
            words_per_minute=prompt.words_per_minute,
            pitch=prompt.pitch,
        )
        phones = time_phones(events, samples, espeak.rate_hz)
        times[prompt.utt] = place_in_margins(phones, prompt.margins)
        audio = finish(samples, espeak.rate_hz, prompt, noise)
        soundfile.write(
            Path(job.folder) / f"{prompt.utt}.flac", audio, RATE_HZ, subtype="PCM_16"
        )
    return times


def main(arguments: list[str]) -> int:
    """Reads a job from the file named, prints times as JSON; 2 and a message on an error."""
    import espeakng_loader

    job = Job.from_json(Path(arguments[0]).read_text(encoding="utf-8"))
    try:
        espeak = Espeak(
            espeakng_loader.get_library_path(),
            espeakng_loader.get_data_path(),
            voice=job.voice,
            seed=job.seed,
        )
        print(json.dumps(speak(job, espeak)))
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
