"""Kill -9 at random moments, driver and workers in turn: nothing is lost, nothing comes twice.

python tests/benchmarks/kills.py --corpus DIR --model exp/blstmp [--arpa FILE] [--json FILE]
    [--kills N]

Starts `transcribe --nj 2` again and again on one folder and kills it, 20 times; every second time
a worker dies first. A run that ends before its death is compared and begun anew. In the
end a last run finishes, and all outputs are compared with those of an uninterrupted run: every
file that differs is named, with what it differs in.
"""

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

SHOWN = 300  # characters of a difference


def files_of(folder: Path) -> dict[str, bytes]:
    """All outputs but the summary, which tells times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".work" not in path.parts and path.name != "summary.json"
    }


def difference(expected: bytes, found: bytes) -> str:
    """The first line that differs, as it should be and as it is."""
    ours, theirs = expected.splitlines(), found.splitlines()
    for number, pair in enumerate(itertools.zip_longest(ours, theirs), start=1):
        if pair[0] != pair[1]:
            wanted, got = (repr(line)[:SHOWN] for line in pair)
            return f"line {number}: expected {wanted}, found {got}"
    return "the ends of lines"


def differences(expected: dict[str, bytes], found: dict[str, bytes]) -> list[str]:
    """What is missing, too many or different, one line a file."""
    lines = [f"{name}: missing" for name in sorted(set(expected) - set(found))]
    lines += [f"{name}: too many" for name in sorted(set(found) - set(expected))]
    lines += [
        f"{name}: {difference(expected[name], found[name])}"
        for name in sorted(set(expected) & set(found))
        if expected[name] != found[name]
    ]
    return lines


def begin(folder: Path, out: Path, options: list[str]) -> subprocess.Popen:
    """Starts the command."""
    command = [sys.executable, "-m", "pipeline", "transcribe", str(folder)]
    log = open(out.with_suffix(".log"), "ab")
    return subprocess.Popen(
        [*command, "--out", str(out), *options], stderr=log, stdout=log
    )


def workers_of(driver: subprocess.Popen) -> list[psutil.Process]:
    """The processes that load the network: the largest of the driver's children."""
    try:
        children = psutil.Process(driver.pid).children(recursive=True)
        return [c for c in children if c.memory_info().rss > 100 << 20]
    except psutil.NoSuchProcess:
        return []


def wait_for_journal(out: Path, driver: subprocess.Popen, lines: int) -> None:
    """Waits until so many results are written, or the driver ends."""
    journal = out / ".work" / "journal.jsonl"
    while driver.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") > lines:
            return
        time.sleep(0.05)


def kill_once(
    folder: Path, out: Path, options: list[str], dice: random.Random, worker: bool
) -> str:
    """One run and its death; what was killed."""
    driver = begin(folder, out, options)
    journal = out / ".work" / "journal.jsonl"
    before = journal.read_bytes().count(b"\n") if journal.exists() else 1
    if dice.random() < 0.7:  # else: at any moment of the start
        wait_for_journal(out, driver, before)
    time.sleep(dice.uniform(0, 4))
    killed = "driver"
    if worker and (victims := workers_of(driver)):
        dice.choice(victims).send_signal(signal.SIGKILL)
        killed = "worker, driver"
        time.sleep(dice.uniform(0, 8))
    try:
        children = psutil.Process(driver.pid).children(recursive=True)
        if driver.poll() is not None:
            return "none: it had ended"
        os.kill(driver.pid, signal.SIGKILL)
    except psutil.NoSuchProcess:
        return "none: it had ended"
    driver.wait()
    psutil.wait_procs(children, timeout=30)
    return killed


def main() -> int:
    """Runs the deaths; 0 when the outputs are those of an uninterrupted run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=20)
    arguments, options = parser.parse_known_args()
    dice = random.Random(arguments.seed)
    root = Path(tempfile.mkdtemp(prefix="kills"))
    deaths: list[str] = []
    found_wrong: list[str] = []
    try:
        options += ["--posteriors"]
        begin(arguments.corpus, root / "whole", options).wait()
        expected = comparable(files_of(root / "whole"))
        out = root / "out"
        # The scp names its archive by path: the same one for both.
        os.rename(root / "whole", out)
        shutil.rmtree(out)
        while len(deaths) < arguments.kills:
            worker = len(deaths) % 2 == 1
            death = kill_once(
                arguments.corpus, out, [*options, "--nj", "2"], dice, worker
            )
            if "none" in death:
                status = begin(arguments.corpus, out, options).wait()
                found_wrong += compared(status, expected, out)
                shutil.rmtree(out)
                continue
            deaths.append(death)
            print(len(deaths), death, flush=True)
        status = begin(arguments.corpus, out, options).wait()
        found_wrong += compared(status, expected, out)
        finished = json.loads((out / "summary.json").read_text())
    finally:
        shutil.rmtree(root)
    summary = {
        "deaths": deaths,
        "status": status,
        "done": finished["done"],
        "files_compared": sorted(expected),
        "differences": found_wrong,
    }
    print(json.dumps(summary, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(summary, indent=1) + "\n")
    return 1 if found_wrong else 0


def compared(status: int, expected: dict[str, bytes], out: Path) -> list[str]:
    """What differs in a folder whose last run ended with `status`; it is printed as well."""
    lines = differences(expected, comparable(files_of(out)))
    if status:
        said = out.with_suffix(".log").read_text(errors="replace").splitlines()[-5:]
        lines.append(f"status {status}: {' | '.join(said)}"[:SHOWN])
    for line in lines:
        print("DIFFERS", line, flush=True)
    return lines


def comparable(files: dict[str, bytes]) -> dict[str, bytes]:
    """Outputs, with the folder's own name out of the index of posteriors."""
    if "posteriors.scp" not in files:
        return files
    index = files["posteriors.scp"].replace(b"/whole/", b"/out/")
    return {**files, "posteriors.scp": index}


if __name__ == "__main__":
    sys.exit(main())
