"""Transcribing a corpus: how much of the bare network's speed is left, and what it costs.

python tests/benchmarks/corpus.py --corpus DIR --model exp/blstmp [--arpa FILE] [--json FILE]
    [--tflite FILE] [--parts speed scaling pocketsphinx memory startup]

Figures, each of one run on this machine with both sides alternating:

- end_to_end_of_model: audio seconds a second of the whole command, start-up taken off, over
  those of the network alone on the same batches in memory; start-up is the same command on
  one short file. The network runs its best of two ways: one caller with TensorFlow's own
  threads, or a caller a processor. end_to_end_of_large_model: the same with a network of the
  size that recurrent.py measures, in both directions and not trained, in the place of the model's.
- vs_pocketsphinx_allphone: against pocketsphinx's phone loop as its package runs it, one process;
  vs_pocketsphinx_a_processor: against as many such processes as there are processors.
- scaling_2_over_1: --nj 2 over --nj 1, one thread each, in the time that four fifths of all files
  of the corpus add; scaling_of_bare_networks: what two processes with the network alone gain over
  one, on a fifth; processor_s_of_two_over_one: what two workers use more, time apart.
- rss_growth: peak memory for ten times the audio over peak memory: the whole corpus over a tenth
  of its audio with the longest files among it, and one long file; peak_gib of the long one.
- startup_s: from the command to the end of a one-second file, and what it is spent on;
  startup_tflite_s: the same with --tflite, a model that `keraldi export` made.
- processors_of_others: how many processors other work of the machine kept busy meanwhile, of each
  part; a figure of speed is worth something only where this is near 0.
"""

import argparse
import itertools
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import psutil
import soundfile

from pipeline.nnet.recipe import ROWS

CPUS = len(os.sched_getaffinity(0))
PARTS = ("speed", "scaling", "pocketsphinx", "memory", "startup")
REPEATS = 3
LAYERS, LARGE = 3, {
    "type": "lstmp",
    "cells": 512,
    "projection": 256,
    "bidirectional": "concat",
}
POCKET_S = 120.0  # of audio through pocketsphinx: it is slow, and its speed is even


class Others:
    """How busy the rest of the machine is while a part runs."""

    def __init__(self) -> None:
        self._began = time.monotonic(), self._busy(), self._own()

    @staticmethod
    def _busy() -> float:
        times = psutil.cpu_times()
        return float(times.user + times.nice + times.system)

    @staticmethod
    def _own() -> float:
        """Processor seconds of this process and of all that it has waited for."""
        kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        used = map(resource.getrusage, kinds)
        return sum(usage.ru_utime + usage.ru_stime for usage in used)

    def processors(self) -> float:
        """Processors kept busy by others since the start, on average."""
        began, busy, own = self._began
        others = self._busy() - busy - (self._own() - own)
        return round(max(0.0, others) / (time.monotonic() - began), 2)


class Command:
    """`keraldi transcribe` as users run it.

    Args:
        model: model dir.
        options: n-gram and the like.
        root: scratch folder.
    """

    def __init__(self, model: str, options: list[str], root: Path) -> None:
        self.options = ["--model", model, *options]
        self._more, self._root = options, root
        self._numbers = itertools.count()

    def of(self, model: str) -> Self:
        """The same with another model."""
        return type(self)(model, self._more, Path(tempfile.mkdtemp(dir=self._root)))

    def __call__(self, audio: Sequence[str], *more: str) -> tuple[float, int]:
        """Seconds, and peak memory in KiB, of one run."""
        out = self._root / f"out{next(self._numbers)}"
        words = [sys.executable, "-m", "pipeline", "transcribe", *audio]
        words += ["--out", str(out), *self.options, *more]
        began = time.monotonic()
        process = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        said = process.stderr.read() if process.stderr else ""
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.monotonic() - began
        if status:
            sys.exit(f"{' '.join(words)}: status {status}\n{said}")
        shutil.rmtree(out)
        return elapsed, usage.ru_maxrss


def listed(files: Sequence[Path], root: Path) -> str:
    """A list file of paths."""
    path = root / f"{len(files)}.lst"
    path.write_text("".join(f"{file}\n" for file in files))
    return str(path)


def seconds_of(files: Sequence[Path]) -> float:
    """Audio seconds."""
    return sum(soundfile.info(file).duration for file in files)


BARE = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
model, listed, callers = sys.argv[1], sys.argv[2], int(sys.argv[3])
if callers:
    from pipeline.nnet.threads import one_thread_an_operation
    one_thread_an_operation(callers)
from features.normalize import CmvnStats
from pipeline.batch.discovery import discover
from pipeline.batch.execution import longest_first
from pipeline.batch.reading import Reading, groups
from pipeline.batch.windows import Listener
from pipeline.nnet.recogniser import load_recogniser
recogniser = load_recogniser(model)
listener = Listener(recogniser.features, recogniser.frontend)
items = longest_first(discover([listed]).items)
readings = (Reading(i, w) for i in items for w in listener.windows(i))
batches = [[r.window.frames for r in group] for group in groups(readings)]
recogniser.batch(batches[0])
for line in sys.stdin:
    began = time.monotonic()
    with ThreadPoolExecutor(max(callers, 1)) as pool:
        list(pool.map(lambda rows: len(recogniser.batch(rows)), batches))
    print(json.dumps(time.monotonic() - began), flush=True)
"""


class BareNetwork:
    """The network alone on all batches, in memory and warm, in a process of its own.

    Args:
        model: model dir.
        audio: list of files.
        callers: threads that call it, a thread of TensorFlow's each; 0 is one caller, with
            TensorFlow's own threads.
    """

    def __init__(self, model: str, audio: str, callers: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", BARE, model, audio, str(callers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.seconds()  # the first pass has graphs to draw

    def begin(self) -> None:
        """Starts a pass."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> float:
        """Waits for the pass; its seconds."""
        return float(self._process.stdout.readline())

    def seconds(self) -> float:
        """Seconds of a pass."""
        self.begin()
        return self.end()

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()


def bare_networks(model: str, audio: str, callers: int, processes: int) -> float:
    """Seconds of the slowest of some processes at the same time, the median of `REPEATS`."""
    networks = [BareNetwork(model, audio, callers) for _ in range(processes)]
    slowest = []
    for _ in range(REPEATS):
        for network in networks:
            network.begin()
        slowest.append(max(network.end() for network in networks))
    for network in networks:
        network.close()
    return statistics.median(slowest)


def save_large(model: str, root: Path) -> str:
    """A model dir with another's front end and phones, and a large network with random weights."""
    import keras

    from pipeline.nnet.config import LayerOptions
    from pipeline.nnet.network import AcousticModel
    from pipeline.nnet.recogniser import load_recogniser

    recipe, folder = load_recogniser(model).recipe, root / "large"
    folder.mkdir()
    keras.utils.set_random_seed(1)
    network = AcousticModel(
        [vars(LayerOptions(**LARGE))] * LAYERS,
        recipe.input_dim,
        recipe.num_outputs,
        recipe=recipe.to_values(),
    )
    network.save(folder / "final.keras")
    return str(folder)


def turns(command: Command, files: list[Path], root: Path, model: str) -> dict:
    """The whole command beside the network alone, in turns: medians of times real time."""
    audio, seconds = listed(files, root), seconds_of(files)
    bare = [BareNetwork(model, audio, callers) for callers in (0, CPUS)]
    alone: list[list[float]] = [[] for _ in bare]
    whole = []
    for _ in range(REPEATS):
        for taken, network in zip(alone, bare, strict=True):
            taken.append(network.seconds())
        start, _ = command([str(files[0])])
        whole.append(command([audio])[0] - start)
    for network in bare:
        network.close()
    network_s, command_s = min(map(statistics.median, alone)), statistics.median(whole)
    return {
        "audio_s": round(seconds, 1),
        "network_times_real_time": round(seconds / network_s, 1),
        "command_times_real_time": round(seconds / command_s, 1),
        "end_to_end": round(network_s / command_s, 3),
    }


def speed(command: Command, files: list[Path], root: Path, model: str) -> dict:
    """The whole command beside the network alone, for a large network and for the model's."""
    large = save_large(model, root)
    half = files[: len(files) // 2]
    of_large = turns(command.of(large), half, root, large)
    of_given = turns(command, files, root, model)
    return {
        "end_to_end_of_model": of_given.pop("end_to_end"),
        "end_to_end_of_large_model": of_large["end_to_end"],
        **of_given,
        "large": of_large,
    }


def processor_s() -> float:
    """Processor seconds of all processes that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def scaling(command: Command, files: list[Path], root: Path, model: str) -> dict:
    """Two workers over one, a thread each: the time that four fifths of the files add.

    Beside it what two processes that know nothing of each other gain over one.
    """
    some, every = listed(files[::5], root), listed(files, root)
    added: dict[str, list[float]] = {"1": [], "2": []}
    used: dict[str, list[float]] = {"1": [], "2": []}
    for _ in range(REPEATS):
        for nj, times in added.items():
            words = ["--nj", nj, "--threads", "1"]
            began = processor_s()
            start, _ = command([some], *words)
            middle = processor_s()
            times.append(command([every], *words)[0] - start)
            used[nj].append(processor_s() - middle - (middle - began))
    one, two = (statistics.median(added[nj]) for nj in ("1", "2"))
    one_used, two_used = (statistics.median(used[nj]) for nj in ("1", "2"))
    bare: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(REPEATS):
        for count, times in bare.items():
            times.append(bare_networks(model, some, 1, count))
    alone, beside = (statistics.median(bare[count]) for count in (1, 2))
    return {
        "scaling_2_over_1": round(one / two, 3),
        "scaling_of_bare_networks": round(2 * alone / beside, 3),
        "processor_s_of_two_over_one": round(two_used / one_used, 3),
    }


def pocketsphinx_speed(files: list[Path]) -> float:
    """Times real time of pocketsphinx's phone loop, in one process."""
    from pocketsphinx import Decoder, get_model_path

    decoder = Decoder(
        hmm=get_model_path("en-us/en-us"),
        allphone=get_model_path("en-us/en-us-phone.lm.bin"),
        dict=None,
        lm=None,
        loglevel="FATAL",
    )
    total, began = 0.0, time.monotonic()
    for file in files:
        samples, rate = soundfile.read(file, dtype="int16")
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        total += len(samples) / rate
        if total > POCKET_S:
            break
    return total / (time.monotonic() - began)


def repeat_audio(files: Sequence[Path], path: Path, hours: float) -> None:
    """Writes one recording of so many hours."""
    parts = [soundfile.read(file, dtype="int16")[0] for file in files[:200]]
    once = np.concatenate(parts)
    with soundfile.SoundFile(path, "w", 16000, 1) as sound:
        left = round(hours * 3600 * 16000)
        while left > 0:
            sound.write(once[:left])
            left -= len(once)


def memory(command: Command, files: list[Path], root: Path, hours: float) -> dict:
    """Peak memory against the amount of audio."""
    # A tenth of the audio, the longest files among it: the peak is where all threads have a batch
    # of those, which with ten times the files is at the start.
    by_length = sorted(files, key=lambda file: seconds_of([file]), reverse=True)
    count = ROWS // 2 * CPUS
    longest, rest = by_length[:count], by_length[count:]
    left = seconds_of(files) / 10 - seconds_of(longest)
    few = longest + (rest[:: round(seconds_of(rest) / left)] if left > 0 else [])
    small, large = (command([listed(f, root)])[1] for f in (few, files))
    peaks = []
    for length in (hours / 10, hours):
        path = root / "long.wav"
        repeat_audio(files, path, length)
        peaks.append(command([str(path)])[1])
        path.unlink()
    return {
        "rss_growth": round(max(large / small, peaks[1] / peaks[0]), 3),
        "rss_growth_files": round(large / small, 3),
        "times_the_audio": round(seconds_of(files) / seconds_of(few), 2),
        "rss_growth_long_file": round(peaks[1] / peaks[0], 3),
        "long_file_hours": hours,
        "long_file_peak_gib": round(peaks[1] / 2**20, 3),
    }


STARTUP = """
import json, sys, time
began = time.monotonic()
marks = {}
def mark(name):
    global began
    marks[name] = round(time.monotonic() - began, 2)
    began = time.monotonic()
from pipeline.startup import start_quickly
start_quickly()
import pipeline.transcribe
mark("stage")
import tensorflow
mark("tensorflow")
import pipeline.nnet.recogniser
mark("layers")
from pipeline.nnet.recogniser import load_recogniser
recogniser = load_recogniser(sys.argv[1])
mark("model")
import numpy as np
recogniser.batch([np.zeros((40, recogniser.model.input_dim), np.float32)])
mark("first batch: the graph is built")
print(json.dumps(marks))
"""


def one_second(file: Path, root: Path) -> Path:
    """The first second of a recording, as WAV."""
    path = root / "second.wav"
    samples, rate = soundfile.read(file)
    soundfile.write(path, samples[:rate], rate)
    return path


def startup(command: Command, files: list[Path], root: Path, model: str) -> dict:
    """The whole command on one second of audio, and where the time goes."""
    second = one_second(files[0], root)
    words = [sys.executable, "-c", STARTUP, model]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return {
        "startup_s": first_result_s(command, second),
        "startup_spent_on": json.loads(done.stdout.splitlines()[-1]),
    }


def first_result_s(command: Command, audio: Path, repeats: int = REPEATS) -> float:
    """Median seconds of the whole command on one short file, once started before."""
    command([str(audio)])
    times = [command([str(audio)])[0] for _ in range(repeats)]
    return round(statistics.median(times), 2)


def tflite_startup(model: Path, files: list[Path], root: Path) -> dict:
    """The same of a TFLite model; TensorFlow is not loaded."""
    second = one_second(files[0], root)
    seconds = first_result_s(Command(str(model), [], root), second, 7)
    return {"startup_tflite_s": seconds}


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--arpa")
    parser.add_argument("--tflite", type=Path, help="an export; with part startup")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--hour", type=float, default=1.0, help="audio of speed")
    parser.add_argument("--long-hours", type=float, default=10.0)
    given = parser.parse_args()
    every = sorted(given.corpus.rglob("*.flac"))
    lengths = itertools.accumulate(soundfile.info(f).duration for f in every)
    files = [f for f, end in zip(every, lengths) if end <= given.hour * 3600]
    options = ["--arpa", given.arpa] if given.arpa else []
    root = Path(tempfile.mkdtemp(prefix="corpus"))
    command = Command(given.model, options, root)
    runs: dict[str, Callable[[], dict]] = {
        "speed": lambda: speed(command, files, root, given.model),
        "scaling": lambda: scaling(command, every, root, given.model),
        "memory": lambda: memory(command, every, root, given.long_hours),
        "startup": lambda: startup(command, files, root, given.model)
        | (tflite_startup(given.tflite, files, root) if given.tflite else {}),
    }
    beside: dict[str, float] = {}
    found: dict = {"processors": CPUS, "processors_of_others": beside}
    try:
        for part in given.parts:
            if part in runs:
                others = Others()
                found |= runs[part]()
                beside[part] = others.processors()
                print(json.dumps(found, indent=1), flush=True)
        if "pocketsphinx" in given.parts:
            found["pocketsphinx_times_real_time"] = round(pocketsphinx_speed(files), 2)
            if "speed" in given.parts:
                ratio = (
                    found["command_times_real_time"]
                    / found["pocketsphinx_times_real_time"]
                )
                found["vs_pocketsphinx_allphone"] = round(ratio, 1)
                found["vs_pocketsphinx_a_processor"] = round(ratio / CPUS, 1)
    finally:
        shutil.rmtree(root)
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
