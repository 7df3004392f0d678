"""How many times real time the extract stage runs, beside other tools on the same audio.

    python tests/benchmarks/extract.py --corpus DIR --json FILE

`DIR` is searched for FLAC at 16 kHz. One core each; the sides alternate, medians are printed.
Memory: the peak of the whole stage on a list of files and on one ten times as long.
"""

import json as jsonlib
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cyclopts
import kaldi_native_fbank as knf
import librosa
import numpy as np
import soundfile
from threadpoolctl import threadpool_limits

from pipeline.datadir.tables import write_table
from pipeline.extract import extract

RUNS = 5
FEW = 100  # files in the short list of the memory measurement


def make_data(folder: Path, files: list[Path]) -> Path:
    """A data dir over the files, a speaker for every ten."""
    folder.mkdir(parents=True)
    names = {f"u{number:06d}": path for number, path in enumerate(files)}
    write_table(folder / "wav.scp", {u: str(p) for u, p in names.items()})
    write_table(folder / "utt2spk", {u: f"s{i // 10:05d}" for i, u in enumerate(names)})
    return folder


def stage(files: list[Path], preset: str = "librosa") -> None:
    """The whole stage: reading, features, statistics, writing."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "features.yaml"
        config.write_text(f"preset: {preset}\n", encoding="utf-8")
        data = make_data(Path(folder) / "data", files)
        extract(str(data), config=str(config), nj=1)


def librosa_loop(files: list[Path]) -> None:
    """librosa's own log-mel spectrogram, file by file."""
    for path in files:
        samples, rate = librosa.load(path, sr=None)
        power = librosa.feature.melspectrogram(
            y=samples, sr=rate, n_fft=512, win_length=400, hop_length=160, n_mels=40
        )
        librosa.power_to_db(power)


def kaldi_loop(files: list[Path]) -> None:
    """kaldi-native-fbank, file by file."""
    options = knf.FbankOptions()
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = 40
    for path in files:
        samples, rate = soundfile.read(path, dtype="float32")
        online = knf.OnlineFbank(options)
        online.accept_waveform(rate, samples)
        online.input_finished()
        np.stack([online.get_frame(i) for i in range(online.num_frames_ready)])


def peak_of(files: list[Path], queue: "multiprocessing.Queue[int]") -> None:
    """Puts the peak memory of this process, in KiB, after running the stage."""
    stage(files)
    queue.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def peak_memory(files: list[Path]) -> int:
    """Peak memory of the stage in a fresh process, in KiB."""
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[int] = context.Queue()
    process = context.Process(target=peak_of, args=(files, queue))
    process.start()
    peak = queue.get()
    process.join()
    return peak


def main(*, corpus: Path, json: Path | None = None) -> None:
    """Measures and prints.

    Args:
        corpus: folder with FLAC files.
        json: where to write the figures.
    """
    files = sorted(corpus.rglob("*.flac"))[:1000]
    seconds = sum(soundfile.info(path).duration for path in files)
    sides: dict[str, Callable[[list[Path]], None]] = {
        "extract": stage,
        "extract, Kaldi's preset": partial(stage, preset="kaldi"),
        "librosa": librosa_loop,
        "kaldi-native-fbank": kaldi_loop,
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    with threadpool_limits(limits=1):
        for side in sides.values():
            side(files[:20])  # caches, imports
        for _ in range(RUNS):
            for name, side in sides.items():
                began = time.perf_counter()
                side(files)
                times[name].append(seconds / (time.perf_counter() - began))
    figures = {
        f"{n} times real time": round(statistics.median(t), 1) for n, t in times.items()
    }
    small, large = peak_memory(files[:FEW]), peak_memory(files[:FEW] * 10)
    figures |= {
        "peak MiB": round(small / 1024, 1),
        "memory, ten times the files": large / small,
    }
    print(jsonlib.dumps(figures, indent=1))
    if json is not None:
        json.write_text(jsonlib.dumps({**figures, "runs": times}, indent=1))


if __name__ == "__main__":
    cyclopts.run(main)
