"""A corpus with damaged files mixed in: the good are done as ever, the damaged are named.

python tests/benchmarks/damaged.py --corpus DIR --model exp/blstmp [--arpa FILE] [--nj N]
    [--json FILE]

Makes 60 files beside links to the corpus: six each of truncated, empty, text renamed to .wav,
48 kHz stereo, 8-bit, NaN, silence, a folder named x.wav, one without permission, and one whose
name is not UTF-8. Transcribes the corpus with and without them and compares every result.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

EACH = 6
GOOD = {"stereo", "eight", "latin"}  # unusual, but sound
# Root may read anything, unless it gives that power up.
POWERLESS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


def make_damaged(folder: Path, source: Path) -> None:
    """Writes the 60 files; `source` is a sound recording."""
    samples, rate = soundfile.read(source)
    for number in range(EACH):
        place = folder / f"mixed{number}"
        place.mkdir()
        soundfile.write(place / "whole.wav", samples, rate)
        whole = (place / "whole.wav").read_bytes()
        (place / "whole.wav").unlink()
        (place / "truncated.wav").write_bytes(whole[: len(whole) // (number + 2)])
        (place / "empty.wav").write_bytes(b"")
        (place / "text.wav").write_text("no audio at all\n" * (number + 1))
        stereo = np.stack([np.repeat(samples, 3)] * 2, axis=1)
        soundfile.write(place / "stereo.wav", stereo, 48000)
        soundfile.write(place / "eight.wav", samples, rate, subtype="PCM_U8")
        spoilt = samples.copy()
        spoilt[number * 100] = np.nan
        soundfile.write(place / "nan.wav", spoilt, rate, subtype="FLOAT")
        soundfile.write(place / "silence.wav", np.zeros(rate), rate)
        (place / "folder.wav").mkdir()
        (place / "locked.wav").write_bytes(whole)
        (place / "locked.wav").chmod(0)
        name = os.fsencode(place) + b"/latin-\xe9\xff.wav"
        with open(name, "wb") as file:
            file.write(whole)


def transcribe(
    folder: Path, out: Path, options: list[str]
) -> subprocess.CompletedProcess:
    """Runs the command; shows what it says."""
    command = [sys.executable, "-m", "pipeline", "transcribe", str(folder)]
    rights = POWERLESS if os.geteuid() == 0 else []
    return subprocess.run([*rights, *command, "--out", str(out), *options], check=False)


def results(out: Path) -> dict[str, str]:
    """What every recording that is done came to, without the place it lay in."""
    found = {}
    with open(out / "phones.jsonl", encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            del record["source"]
            found[record["id"]] = json.dumps(record)
    return found


def link(files: list[Path], folder: Path) -> None:
    """Links recordings into a folder, under names of their own."""
    folder.mkdir()
    for number, path in enumerate(files):
        (folder / f"good{number:05d}{path.suffix}").symlink_to(path)


def main() -> int:
    """Runs the comparison; 0 when all is as it must be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--limit", type=int, help="recordings of the corpus")
    arguments, options = parser.parse_known_args()
    corpus = arguments.corpus.resolve()  # links to it lie elsewhere
    files = sorted(corpus.rglob("*.flac"))[: arguments.limit]
    root = Path(tempfile.mkdtemp(prefix="damaged"))
    try:
        link(files, root / "clean")
        link(files, root / "mixed")
        make_damaged(root / "mixed", files[0])
        clean = transcribe(root / "clean", root / "out_clean", options)
        mixed = transcribe(root / "mixed", root / "out_mixed", options)
        expected, found = results(root / "out_clean"), results(root / "out_mixed")
        lines = (root / "out_mixed" / "failed.jsonl").read_text().splitlines()
        failed = [json.loads(line) for line in lines]
        manifest = (root / "out_mixed" / "manifest.jsonl").read_text().splitlines()
    finally:
        shutil.rmtree(root)
    kinds = ("truncated", "empty", "text", "nan", "silence", "folder", "locked")
    named = {kind: sum(kind in r["id"] for r in failed) for kind in kinds}
    summary = {
        "files": len(files),
        "statuses": [clean.returncode, mixed.returncode],
        "equal_to_clean_run": sum(found.get(n) == line for n, line in expected.items()),
        "damaged_named": named,
        "unusual_done": len(found) - len(expected),
        "all_accounted_for": len(manifest) == len(files) + 10 * EACH,
        "reasons": sorted({r["reason"].split(": ", 1)[-1] for r in failed}),
    }
    print(json.dumps(summary, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(summary, indent=1) + "\n")
    right = (
        summary["equal_to_clean_run"] == len(expected) == len(files)
        and summary["statuses"] == [0, 1]
        and set(named.values()) == {EACH}
        and summary["unusual_done"] == EACH * len(GOOD)
        and summary["all_accounted_for"]
    )
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
