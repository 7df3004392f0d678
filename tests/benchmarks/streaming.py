"""A trained unidirectional model over real recordings: does its stream end as the file, how late?

python tests/benchmarks/streaming.py --model exp/lstmp|model.tflite --data data/test [--arpa FILE]
    [--cmvn FILE] [--files N] [--json FILE]

Each recording is fed in tenths of a second, as a microphone would, and compared with the result
of the whole: phones, times (to 0.1 ms) and confidences. `median_lag_s` is how long after its end a
phone was told, of those told before the end; `load` is processor seconds a second of sound.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

from pipeline.datadir.tables import read_table
from pipeline.recogniser import Recogniser
from pipeline.streaming import PhoneStream

SAME_S = 1e-4  # times are told to 0.1 ms


def fed(model: Recogniser, path: str) -> tuple[list, list[float]]:
    """The phones of a stream, and how late those were that came before its end."""
    samples, rate = soundfile.read(path, dtype="int16")
    stream = PhoneStream(model.runtime, model.search, rate_hz=rate)
    found, lags = [], []
    step = rate // 10
    for start in range(0, len(samples), step):
        new = stream.hear(samples[start : start + step].tobytes())
        lags += [(start + step) / rate - phone.end for phone in new]
        found += new
    return found + stream.finish(), lags


def compare(found: list, wanted: list) -> tuple[bool, float]:
    """Whether phones and times are the same; the largest difference of confidences."""
    same = [p.phone for p in found] == [p.phone for p in wanted] and all(
        abs(one.start - two.start) < SAME_S and abs(one.end - two.end) < SAME_S
        for one, two in zip(found, wanted, strict=True)
    )
    pairs = zip(found, wanted, strict=False)
    return same, max((abs(p.confidence - q.confidence) for p, q in pairs), default=0.0)


def main() -> int:
    """Runs the comparison; 0 when every stream ends as its file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--arpa")
    parser.add_argument("--cmvn")
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    paths = list(read_table(given.data / "wav.scp").values())[: given.files]
    whole = Recogniser.load(given.model, arpa=given.arpa, cmvn=given.cmvn)
    fed(whole, paths[0])  # draws graphs and loads compiled code
    seconds = sum(soundfile.info(path).duration for path in paths)
    lags: list[float] = []
    began, streams = time.process_time(), []
    for path in paths:
        found, late = fed(whole, path)
        streams.append(found)
        lags += late
    load = (time.process_time() - began) / seconds
    results = [compare(s, whole(p)) for s, p in zip(streams, paths, strict=True)]
    summary = {
        "recordings": len(paths),
        "as_the_file": sum(same for same, _ in results),
        "largest_difference_of_confidence": round(max(d for _, d in results), 4),
        "phones": sum(map(len, streams)),
        "told_before_the_end": len(lags),
        "median_lag_s": round(float(np.median(lags)), 2),
        "load": round(load, 3),
    }
    print(json.dumps(summary, indent=1))
    if given.json:
        given.json.write_text(json.dumps(summary, indent=1) + "\n")
    return 0 if summary["as_the_file"] == len(paths) else 1


if __name__ == "__main__":
    sys.exit(main())
