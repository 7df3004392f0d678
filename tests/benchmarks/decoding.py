"""How many times real time the searches run on one core, posteriors given.

    python tests/benchmarks/decoding.py --json FILE
    python tests/benchmarks/decoding.py --store exp/x/decode_dev --data data/train --lang data/lang

Without options: 48 phones, frames of 30 ms, made posteriors of 60 utterances (see `made_case`).
With them: posteriors that `decode --posteriors` stored, n-grams of a data dir's transcripts.
The searches take turns; medians are printed. A fresh process tells what compiling costs, with
numba's cache empty and then filled.
"""

import json as jsonlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cyclopts
import numpy as np

from features.archive import ArchiveReader
from pipeline.config import load
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.lang import read_lang
from pipeline.datadir.phones import PhoneTable
from pipeline.decoding.decoder import Decoder
from pipeline.decoding.grammar import Grammar, make_grammar
from pipeline.decoding.outputs import OutputLayer
from pipeline.decoding.settings import DecodeSettings
from pipeline.decoding.smoothing import train_ngram
from pipeline.lm import sentences_of
from pipeline.posteriors import StoredLayer

PHONES = 48
FRAME_S = 0.03
TURNS = 7
FRESH = """
import time, numpy as np
began = time.perf_counter()
from pipeline.decoding.ctc import prefix_beam
from pipeline.decoding.grammar import flat_grammar
from pipeline.decoding.hmm import make_network
from pipeline.decoding.viterbi import decode_frames
imported = time.perf_counter()
grammar = flat_grammar(3)
decode_frames(np.zeros((9, 3), np.float32), make_network(grammar))
prefix_beam(np.zeros((9, 4), np.float32), grammar, width=4)
print(time.perf_counter() - imported)
"""


@dataclass(frozen=True)
class Case:
    """Posteriors and n-grams over the same phones.

    Attributes:
        layer: framewise outputs.
        utterances: [T, V] float32 each.
        grammars: by order.
    """

    layer: OutputLayer
    utterances: list[np.ndarray]
    grammars: dict[int, Grammar]

    @property
    def seconds(self) -> float:
        """Of speech in all."""
        step = self.layer.frame_shift * self.layer.skip
        return sum(map(len, self.utterances)) * step

    def decoder(self, order: int) -> Decoder:
        """The Viterbi search."""
        return Decoder(self.layer, self.grammars[order])


def layer_of(phones: list[str], *, ctc: bool = False) -> OutputLayer:
    """Outputs of 30 ms with flat priors."""
    return OutputLayer(
        phones=phones,
        objective="ctc" if ctc else "framewise",
        states=1,
        log_priors=[] if ctc else np.full(len(phones), -np.log(len(phones))).tolist(),
        frame_shift=0.01,
        frame_length=0.025,
        skip=3,
    )


def made_sentences(rng: np.random.Generator, number: int) -> list[list[int]]:
    """Sequences of a chain whose next phone hangs on the last two, with few likely choices."""
    chain = rng.dirichlet(np.full(PHONES, 0.15), (PHONES, PHONES))
    sentences = []
    for _ in range(number):
        left, right = rng.integers(PHONES, size=2).tolist()
        line = []
        for _ in range(int(rng.integers(20, 60))):
            left, right = right, int(rng.choice(PHONES, p=chain[left, right]))
            line.append(right)
        sentences.append(line)
    return sentences


def made_scores(rng: np.random.Generator, labels: np.ndarray, width: int) -> np.ndarray:
    """Posteriors like those of a poor model of real speech.

    A bidirectional LSTMP on speechocean762's dev set (PER 54 %): entropy 1.08 nats, best
    posterior 0.68, 10 of 40 phones within 5 nats of the best and 23 within 8.
    """
    noise = rng.normal(scale=2.8, size=(len(labels), width))
    for frame in range(1, len(labels)):  # neighbours are alike
        noise[frame] = 0.8 * noise[frame - 1] + 0.6 * noise[frame]
    scores = noise
    scores[np.arange(len(labels)), labels] += 7.5
    norm = np.logaddexp.reduce(scores, axis=1)[:, None]
    return (scores - norm).astype(np.float32)


def made_like(utterances: list[np.ndarray]) -> dict[str, float]:
    """What `made_scores` is said to be like."""
    frames = np.concatenate(utterances)
    best = frames.max(axis=1, keepdims=True)
    return {
        "entropy": float(-(np.exp(frames) * frames).sum(axis=1).mean()),
        "best": float(np.exp(best).mean()),
        "within_5_nats": float((frames > best - 5).sum(axis=1).mean()),
        "within_8_nats": float((frames > best - 8).sum(axis=1).mean()),
    }


def made_case() -> tuple[Case, list[np.ndarray]]:
    """Made sentences as a framewise model hears them, phones of 1 to 5 frames; and as CTC."""
    rng = np.random.default_rng(0)
    names = [f"p{number:02d}" for number in range(PHONES)]
    sentences = made_sentences(rng, 3696)
    spoken = [[names[k] for k in line] for line in sentences]
    grammars = {
        order: make_grammar(
            train_ngram(spoken, order=order, symbols=names), PhoneTable(tuple(names))
        )
        for order in (2, 3, 4)
    }
    framewise, ctc = [], []
    for line in sentences[:60]:
        labels = np.repeat(line, rng.integers(1, 6, len(line)))
        framewise.append(made_scores(rng, labels, PHONES))
        peaks = np.where(np.diff(labels, prepend=-1) != 0, labels, PHONES)
        ctc.append(made_scores(rng, peaks, PHONES + 1))
    return Case(layer_of(names), framewise, grammars), ctc


def stored_case(store: Path, data: Path, lang: Path) -> Case:
    """Stored posteriors, and n-grams of transcripts."""
    words = read_lang(lang)
    text = read_datadir(data).text or {}
    spoken = sentences_of(text, words, silence_prob=0.5)
    grammars = {
        order: make_grammar(
            train_ngram(spoken, order=order, symbols=words.phones.symbols), words.phones
        )
        for order in (2, 3, 4)
    }
    reader = ArchiveReader(store / "posteriors.scp")
    layer = load(store / "posteriors.yaml", StoredLayer)
    return Case(layer, [np.asarray(reader[utt]) for utt in reader], grammars)


def compile_s() -> dict[str, float]:
    """Seconds of the first calls in a fresh process, numba's cache empty and filled."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        found = {}
        for name in ("first_call_empty_cache_s", "first_call_filled_cache_s"):
            command = [sys.executable, "-c", FRESH]
            done = subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True
            )
            found[name] = float(done.stdout)
    return found


def agreement(case: Case, order: int, settings: DecodeSettings) -> float:
    """Share of utterances in which the beam finds what an exact search finds."""
    decoder, exact = case.decoder(order), DecodeSettings(beam=None)
    same = [
        decoder.decode(u, settings) == decoder.decode(u, exact) for u in case.utterances
    ]
    return sum(same) / len(same)


def main(
    *,
    store: Path | None = None,
    data: Path | None = None,
    lang: Path | None = None,
    json: Path | None = None,
) -> None:
    """Measures and prints.

    Args:
        store: folder of stored posteriors of a framewise model.
        data: data dir whose transcripts train the n-grams.
        lang: lang dir of both.
        json: file for the figures.
    """
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    ctc: list[np.ndarray] = []
    if store is None:
        case, ctc = made_case()
    elif data is None or lang is None:
        raise SystemExit("--store needs --data and --lang")
    else:
        case = stored_case(store, data, lang)
    settings = DecodeSettings()
    runs: dict[str, tuple[Decoder, DecodeSettings, list[np.ndarray]]] = {
        "viterbi_bigram_xrt": (case.decoder(2), settings, case.utterances),
        "viterbi_bigram_exact_xrt": (
            case.decoder(2),
            DecodeSettings(beam=None),
            case.utterances,
        ),
        "viterbi_trigram_xrt": (case.decoder(3), settings, case.utterances),
        "viterbi_4gram_xrt": (case.decoder(4), settings, case.utterances),
    }
    if ctc:
        heard = Decoder(layer_of(case.layer.phones, ctc=True), case.grammars[2])
        runs["ctc_beam16_bigram_xrt"] = (heard, DecodeSettings(prefixes=16), ctc)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for (
        decoder,
        chosen,
        utterances,
    ) in runs.values():  # compiled, and the grammar weighed
        decoder.decode(utterances[0], chosen)
    clock: Callable[[], float] = time.perf_counter
    for _ in range(TURNS):
        for name, (decoder, chosen, utterances) in runs.items():
            began = clock()
            for matrix in utterances:
                decoder.decode(matrix, chosen)
            times[name].append(clock() - began)
    found: dict[str, object] = {
        name: case.seconds / statistics.median(spent) for name, spent in times.items()
    }
    found["spread"] = {
        name: [case.seconds / max(spent), case.seconds / min(spent)]
        for name, spent in times.items()
    }
    found["speech_s"] = case.seconds
    found["posteriors"] = made_like(case.utterances)
    found["histories"] = {n: len(g.final) for n, g in case.grammars.items()}
    found["beam_finds_the_exact_trigram"] = agreement(case, 3, settings)
    found |= compile_s()
    for name, value in found.items():
        print(
            f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}"
        )
    if json is not None:
        json.write_text(jsonlib.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    cyclopts.run(main)
