"""Stage results: every scored decode dir below a folder, best first."""

from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from features.errors import DataError
from pipeline.scoring.policies import POLICIES
from pipeline.scoring.report import Summary, read_per

_WIDTH = 240  # of a log: a row is never broken


def _rows(exp: Path) -> list[tuple[str, str, Summary]]:
    """Set, model and summary of every scored decode dir: sets by name, best first in each."""
    rows = []
    for path in sorted(exp.glob("**/decode_*/scoring/per")):
        decoded = path.parent.parent
        model = decoded.parent.relative_to(exp)
        rows.append((decoded.name.removeprefix("decode_"), str(model), read_per(path)))
    if not rows:
        raise DataError(f"{exp}: no **/decode_*/scoring/per; run keraldi score")
    return sorted(rows, key=lambda row: (row[0], row[2].rate, row[1]))


def results(exp: str = "exp") -> None:
    """Prints the error rates of all scored decode dirs, best first within a set.

    Args:
        exp: folder to look in.
    """
    table = Table(box=SIMPLE, title=f"Phoneme error rates below {exp}")
    table.add_column("set")
    table.add_column("model")
    for heading in ("%PER", "95 %", *POLICIES, "errors"):
        table.add_column(heading, justify="right")
    table.add_column("protocol")
    protocols: dict[tuple[str, ...], str] = {}
    for name, model, summary in _rows(Path(exp)):
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
    for lines, key in protocols.items():
        console.print(f"{key} " + "\n    ".join(lines))
