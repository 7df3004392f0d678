"""The embedded corpus: prompts of our own grammar, spoken by espeak-ng's voices."""

import importlib.util
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from features.errors import DataError
from features.files import atomic_folder
from pipeline.corpora.layout import CorpusSet
from pipeline.corpora.mini_grammar import draw_sentences, words_of
from pipeline.corpora.mini_phones import PHONES, SILENCE
from pipeline.corpora.mini_speech import Job, Prompt
from pipeline.datadir.datadir import DataDir
from pipeline.datadir.lang import Lang, write_lang
from pipeline.datadir.phones import Fold, PhoneTable
from pipeline.datadir.times import PhoneInterval, phones_of
from pipeline.stage import progress

LANGUAGE = "en-us"

# espeak's voice variants that sound like people: without whispers, robots, echoes and those
# that clip. Variants that differ little (`steph`, `steph2`) are represented once.
VOICES = {
    "train": (
        "Alex Andy Denis Diogo Gene Mario Mike Nguyen Reed adam boris croak david gustave m1 m2 "
        "m3 m5 m8 marcelo max pedro quincy "
        "Alicia Andrea anika aunty belinda f1 f3 f4 grandma shelby steph zac"
    ).split(),
    "dev": "m6 travis victor Annie f5".split(),
    "test": "m4 m7 robert f2 linda".split(),
}
FEMALE = frozenset(
    "Alicia Andrea Annie anika aunty belinda f1 f2 f3 f4 f5 grandma linda shelby steph zac".split()
)


@dataclass(frozen=True)
class Size:
    """How much is spoken: speakers and utterances a speaker, by set."""

    speakers: dict[str, int]
    utterances: dict[str, int]


FULL = Size({"train": 35, "dev": 5, "test": 5}, {"train": 32, "dev": 40, "test": 72})
QUICK = Size({"train": 12, "dev": 3, "test": 3}, {"train": 12, "dev": 10, "test": 10})


def plan(size: Size, *, seed: int) -> dict[str, dict[str, list[Prompt]]]:
    """Decides who says what and how; no two utterances share a sentence.

    Args:
        size: of the corpus.
        seed: the same seed gives the same plan.

    Returns:
        The prompts by set and voice.
    """
    counts = {name: size.speakers[name] * size.utterances[name] for name in VOICES}
    sentences = iter(draw_sentences(sum(counts.values()), seed=seed))
    return {
        name: {
            voice: _prompts(
                voice, [next(sentences) for _ in range(size.utterances[name])], seed
            )
            for voice in _spread(voices, size.speakers[name])
        }
        for name, voices in VOICES.items()
    }


def _spread(voices: Sequence[str], count: int) -> list[str]:
    """Takes `count` voices at even steps, so that a few are men and women too."""
    return [voices[number * len(voices) // count] for number in range(count)]


def _prompts(voice: str, sentences: list[str], seed: int) -> list[Prompt]:
    """Gives a speaker rate, pitch, loudness and noise; each utterance is a little off them."""
    draw = random.Random(f"{seed} {voice}")
    rate, pitch = draw.uniform(145, 195), draw.uniform(38, 62)
    level_db, noise_db = draw.uniform(-29, -21), draw.uniform(-42, -28)
    speaker = voice.lower()
    return [
        Prompt(
            utt=f"{speaker}-{number:03d}",
            sentence=sentence,
            words_per_minute=round(rate * draw.uniform(0.9, 1.1)),
            pitch=round(pitch + draw.uniform(-6, 6)),
            level_db=round(level_db + draw.uniform(-3, 3), 2),
            noise_db=round(noise_db, 2),
            margins=(
                round(draw.uniform(0.1, 0.3), 3),
                round(draw.uniform(0.1, 0.3), 3),
            ),
        )
        for number, sentence in enumerate(sentences, start=1)
    ]


def run_job(job: Job) -> dict[str, list[PhoneInterval]]:
    """Speaks a job in a process of its own.

    Returns:
        The times of the phones by utterance; the audio is in the job's folder.

    Raises:
        DataError: the process failed; names the voice and what it said.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        file.write(job.to_json())
        file.flush()
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.corpora.mini_speech", file.name],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        tail = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise DataError(
            f"espeak voice {job.voice!r} failed with status {done.returncode}: {tail[0]}"
        )
    return {
        utt: [PhoneInterval(*mark) for mark in marks]
        for utt, marks in json.loads(done.stdout).items()
    }


def check_espeak() -> None:
    """Checks that espeak is there.

    Raises:
        DataError: it is not; names the command that installs it.
    """
    if importlib.util.find_spec("espeakng_loader") is None:
        raise DataError(
            "espeakng_loader is not installed; the mini corpus is spoken by espeak-ng: "
            "pip install 'keraldi[mini]'"
        )


def speak_set(
    name: str,
    prompts: dict[str, list[Prompt]],
    folder: Path,
    final: Path,
    *,
    seed: int,
    nj: int,
) -> CorpusSet:
    """Speaks one set.

    Args:
        name: of the set.
        prompts: by voice.
        folder: audio is written to `folder/audio`.
        final: what `folder` will be called; names the audio in `wav.scp`.
        seed: of espeak and the noise.
        nj: processes at a time.

    Raises:
        DataError: a voice failed.
    """
    audio = folder / "audio"
    audio.mkdir()
    jobs = [
        Job(f"{LANGUAGE}+{voice}", seed, str(audio), tuple(spoken))
        for voice, spoken in prompts.items()
    ]
    phones: dict[str, list[PhoneInterval]] = {}
    with ThreadPoolExecutor(nj) as pool:
        for times in progress(
            pool.map(run_job, jobs), total=len(jobs), label=f"voices, {name}"
        ):
            phones.update(times)
    said = {p.utt: p.sentence for spoken in prompts.values() for p in spoken}
    data = DataDir(
        path=final,
        wav={utt: str(final / "audio" / f"{utt}.flac") for utt in said},
        text={utt: phones_of(marks) for utt, marks in phones.items()},
        utt2spk={
            p.utt: voice.lower() for voice, spoken in prompts.items() for p in spoken
        },
        spk2gender={
            voice.lower(): "f" if voice in FEMALE else "m" for voice in prompts
        },
        utt2dur={utt: marks[-1].end for utt, marks in phones.items()},
    )
    words = {utt: " ".join(words_of(text)) for utt, text in said.items()}
    return CorpusSet(data, phones, {"words": words})


def mini_lang() -> Lang:
    """The phones of the embedded corpus; transcripts are phones, scored as they are."""
    return Lang(
        phones=PhoneTable(PHONES),
        fold=Fold({phone: phone for phone in PHONES}),
        lexicon=None,
        silence=(SILENCE,),
    )


def prepare_mini(out: Path, size: Size, *, seed: int, nj: int) -> dict[str, DataDir]:
    """Makes the embedded corpus: `out/train`, `out/dev`, `out/test`, `out/lang`.

    Args:
        out: where the data dirs go.
        size: how much is spoken; `FULL` is about an hour, `QUICK` a few minutes.
        seed: the same seed gives the same bits.
        nj: processes at a time.

    Returns:
        The sets, disjoint in speakers and in sentences.

    Raises:
        DataError: espeak is not installed, or fails.
    """
    check_espeak()
    sets = {}
    for name, prompts in plan(size, seed=seed).items():
        with atomic_folder(out / name) as folder:
            made = speak_set(name, prompts, folder, out / name, seed=seed, nj=nj)
            made.write(folder)
        sets[name] = made.data
    with atomic_folder(out / "lang") as folder:
        write_lang(mini_lang(), folder)
    return sets
