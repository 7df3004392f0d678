"""Speech from espeak-ng: levels, margins, times that fit the sound, equal bits."""

import numpy as np
import pytest
import soundfile

from features.errors import DataError
from pipeline.corpora.mini import run_job
from pipeline.corpora.mini_grammar import RULES
from pipeline.corpora.mini_phones import PHONES
from pipeline.corpora.mini_speech import (
    RATE_HZ,
    Job,
    Prompt,
    finish,
    place_in_margins,
)

pytest.importorskip("espeakng_loader")
SAID = "She has six shoes and a seashell, so she hushed us."


def prompt(sentence: str = SAID, **changes: object) -> Prompt:
    values: dict[str, object] = {
        "utt": "a-001",
        "sentence": sentence,
        "words_per_minute": 160,
        "pitch": 50,
        "level_db": -25.0,
        "noise_db": -40.0,
        "margins": (0.2, 0.25),
    }
    return Prompt(**(values | changes))  # type: ignore[arg-type]


def job(folder: object, *prompts: Prompt, voice: str = "en-us+f1") -> Job:
    return Job(voice, 1, str(folder), prompts)


def test_a_job_survives_json() -> None:
    made = job("x", prompt(), prompt(utt="a-002"))
    loaded = Job.from_json(made.to_json())
    assert loaded.to_json() == made.to_json()


def test_speech_has_the_level_asked_for() -> None:
    tone = (8000 * np.sin(np.arange(22050) / 10)).astype(np.int16)
    audio = finish(tone, 22050, prompt(margins=(0.0, 0.0)), np.random.default_rng(1))
    level_db = 10 * np.log10(np.mean(audio.astype(float) ** 2))
    assert level_db == pytest.approx(-25, abs=0.01)
    assert len(audio) == RATE_HZ


def test_loud_speech_is_turned_down_not_clipped() -> None:
    clicks = np.zeros(22050, np.int16)
    clicks[::2000] = 30000
    audio = finish(clicks, 22050, prompt(level_db=-12.0), np.random.default_rng(1))
    assert np.abs(audio).max() == pytest.approx(0.95)


def test_margins_are_silence() -> None:
    phones = [("sil", 0.0, 0.1), ("S", 0.1, 0.3)]
    assert place_in_margins(phones, (0.5, 0.25)) == [
        ("sil", 0.0, 0.6),
        ("S", 0.6, 0.8),
        ("sil", 0.8, pytest.approx(1.05)),
    ]


def test_times_fit_the_sound(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Sibilants cross zero often, vowels seldom; margins are quiet."""
    marks = run_job(job(tmp_path, prompt()))["a-001"]
    audio, rate_hz = soundfile.read(tmp_path / "a-001.flac")
    assert marks[-1].end == pytest.approx(len(audio) / rate_hz, abs=1e-3)
    crossings = np.abs(np.diff(np.signbit(audio).astype(float)))

    def rate_of(phones: set[str]) -> float:
        spans = [
            crossings[int(m.start * rate_hz) : int(m.end * rate_hz)]
            for m in marks
            if m.phone in phones
        ]
        return float(np.concatenate(spans).mean())

    assert rate_of({"S", "SH"}) > 0.4
    assert rate_of({"IY", "IH", "AX", "AH", "UW"}) < 0.25
    quiet = audio[: int(0.19 * rate_hz)]
    assert np.sqrt(np.mean(quiet**2)) < 0.05 * np.sqrt(np.mean(audio**2))


def test_equal_jobs_give_equal_bits(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Also with a voice that flutters at random."""
    sides = [tmp_path / "one", tmp_path / "two"]
    for side in sides:
        side.mkdir()
        run_job(job(side, prompt("The boy left."), voice="en-us+croak"))
    first, second = ((side / "a-001.flac").read_bytes() for side in sides)
    assert first == second


def test_every_word_of_the_grammar_has_phones(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """An unmapped mnemonic would be an error; together the words have all phones."""
    words = sorted(
        {text for texts in RULES.values() for text in texts if "<" not in text}
    )
    lines = [
        ". ".join(words[n : n + 40]).replace("-", " ") for n in range(0, len(words), 40)
    ]
    lines.append("The butter and the other answer, a little daughter.")
    prompts = [prompt(line, utt=f"a-{n:03d}") for n, line in enumerate(lines)]
    marks = run_job(job(tmp_path, *prompts, voice="en-us+m3"))
    assert {mark.phone for line in marks.values() for mark in line} == set(PHONES)


def test_an_unknown_voice_is_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(
        DataError, match="voice 'xx-nowhere' failed with status 2: .*no voice"
    ):
        run_job(job(tmp_path, prompt(), voice="xx-nowhere"))
