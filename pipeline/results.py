"""Stage results: every scored decode dir below a folder, best first."""

import re
from pathlib import Path

from rich.console import Console
from rich.table import Table

from features.errors import DataError

_RATE = re.compile(r"%PER ([\d.]+) ")
_POLICIES = ("strict", "sil-forgiven", "sil-collapsed")


def read_per(path: Path) -> dict[str, str]:
    """The lines of a `scoring/per` file by what they begin with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    named = dict(line.split(": ", 1) for line in lines if ": " in line)
    interval = next((line for line in lines if line.startswith("95 % interval ")), "")
    return {**named, "headline": lines[0], "interval": interval.split(",")[0][14:]}


def _rate(line: str) -> str:
    found = _RATE.search(line)
    return found[1] if found else "?"


def results(exp: str = "exp") -> None:
    """Prints the PERs of all scored decode dirs, best first within a set.

    Args:
        exp: folder to look in.
    """
    paths = sorted(Path(exp).glob("**/decode_*/scoring/per"))
    if not paths:
        raise DataError(f"{exp}: no **/decode_*/scoring/per; run keraldi score")
    rows = []
    for path in paths:
        decoded = path.parent.parent
        rows.append(
            (
                decoded.name,
                float(_rate(read_per(path)["headline"])),
                decoded,
                read_per(path),
            )
        )
    table = Table(title=f"Phoneme error rates below {exp}")
    for heading in ("model", "set", "%PER", "95 %", *_POLICIES, "errors", "decoding"):
        table.add_column(
            heading, justify="left" if heading in ("model", "set") else "right"
        )
    for name, rate, decoded, named in sorted(rows, key=lambda row: row[:2]):
        model = (
            str(decoded.parent.relative_to(exp)) if decoded.parent != Path(exp) else "."
        )
        columns = [_rate(named[policy]) for policy in _POLICIES]
        counts = named["headline"].split("[ ")[1].split(",")[0]
        label = name.removeprefix("decode_")
        table.add_row(
            model,
            label,
            f"{rate:.2f}",
            named["interval"],
            *columns,
            counts,
            named["decoding"],
        )
    console = Console()
    console.width = (
        max(console.width, 120) if not console.is_terminal else console.width
    )
    console.print(table)
