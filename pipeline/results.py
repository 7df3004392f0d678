"""Stage results: every scored folder below another, best first."""

import re
from pathlib import Path
from statistics import mean, stdev

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from features.errors import DataError
from pipeline.scoring.policies import POLICIES
from pipeline.scoring.summary import Summary, read_per
from pipeline.stage import note, require

# blstmp_seed1, blstmp-s2, blstmp/seed3: runs of one system
_SEED = re.compile(r"[-_./]?(?:seed|(?<=[-_./])s)[-_]?\d+$")
# What is tuned for every seed on its own; the set it was tuned on is part of the protocol.
_TUNED = re.compile(r"(lm_weight|insertion_penalty) -?[\d.]+(?=.*; tuned on )")
_WIDTH = 240  # of a log: a row is never broken


def _rows(exp: Path) -> list[tuple[str, str, Summary]]:
    """Set, model and summary of every scored folder: sets by name, best first in each.

    Raises:
        DataError: nothing is scored, or lists every file that is damaged.
    """
    rows, faults = [], []
    for path in sorted(exp.glob("**/scoring/per")):
        decoded = path.parent.parent
        model = decoded.parent.relative_to(exp) if decoded != exp else exp
        name = decoded.resolve().name.removeprefix("decode_")
        try:
            rows.append((name, str(model), read_per(path)))
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise DataError.of(faults)
    if not rows:
        raise DataError(f"{exp}: no **/scoring/per below it; run keraldi score")
    return sorted(rows, key=lambda row: (row[0], row[2].rate, row[1]))


def _unscored(exp: Path) -> list[Path]:
    """Decode dirs that hold hypotheses and no rate."""
    found = (path.parent for path in sorted(exp.glob("**/decode_*/hyp")))
    return [path for path in found if not (path / "scoring" / "per").exists()]


def seed_groups(rows: list[tuple[str, str, Summary]]) -> list[str]:
    """One line for each system of several seeds under one protocol: mean ± sd of %PER.

    Args:
        rows: set, model and summary; a model whose name ends in `_seed3`, `-s3` or the like
            is a seed of what stands before. What was tuned may differ among seeds.

    Returns:
        Lines, sets by name, the best mean first. The sd is the sample's (n - 1).
    """
    groups: dict[tuple[object, ...], list[float]] = {}
    for name, model, summary in rows:
        system = _SEED.sub("", model)
        if system != model:
            protocol = tuple(_TUNED.sub(r"\1", line) for line in summary.protocol)
            key = (name, system, summary.headline, protocol)
            groups.setdefault(key, []).append(summary.rate)
    several = [(k, rates) for k, rates in groups.items() if len(rates) > 1]
    return [
        f"{key[0]} {key[1]}: {mean(rates):.2f} ± {stdev(rates):.2f} (mean and sd of "
        f"{len(rates)} seeds, {min(rates):.2f} to {max(rates):.2f})"
        for key, rates in sorted(several, key=lambda g: (str(g[0][0]), mean(g[1])))
    ]


def results(exp: str = "exp") -> None:
    """Prints the error rates of all scored decode dirs, best first within a set.

    Each row names its protocol: fold, reference tokens, silence policy, decoding settings; a
    set that these were tuned on is marked. Below the table, seeds of one system (`x_seed1`,
    `x_seed2`, …) as mean ± sd, the protocols, and what was decoded and not scored.

    Args:
        exp: folder to look in.
    """
    require(exp, mend="give the folder of the models")
    rows = _rows(Path(exp))
    table = Table(box=SIMPLE, title=f"Phoneme error rates below {exp}")
    table.add_column("set")
    table.add_column("model")
    for heading in ("%PER", "95 %", *POLICIES, "errors"):
        table.add_column(heading, justify="right")
    table.add_column("protocol")
    protocols: dict[tuple[str, ...], str] = {}
    for name, model, summary in rows:
        lines = (f"headline: {summary.headline}", *summary.protocol)
        key = protocols.setdefault(lines, f"[{len(protocols) + 1}]")
        mark = " tuned on this set" if summary.tuned_on_itself else ""
        table.add_row(
            name,
            model,
            f"{summary.rate:.2f}",
            summary.interval,
            *(summary.rates[policy] for policy in POLICIES),
            summary.counts,
            key + mark,
        )
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(table)
    for line in seed_groups(rows):
        console.print(line)
    for lines, key in protocols.items():
        console.print(f"{key} " + "\n    ".join(lines))
    for path in _unscored(Path(exp)):
        note(f"results: {path}: decoded and not scored; run keraldi score")
