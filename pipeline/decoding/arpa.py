"""N-gram models as ARPA files, the format of every n-gram tool."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from features.errors import DataError, counted, named
from features.files import write_text
from pipeline.datadir.tables import read_lines
from pipeline.decoding.ngram import START, History, Ngram

_PROMISE = re.compile(r"ngram\s+(\d+)\s*=\s*(\d+)")
_HEADING = re.compile(r"\\(\d+)-grams:")


def write_arpa(path: str | Path, model: Ngram) -> None:
    """Writes a model of any order; log10, seven decimals."""
    by_length: dict[int, list[History]] = defaultdict(list)
    for gram in model.log10_probs:
        by_length[len(gram)].append(gram)
    lengths = range(1, model.order + 1)
    lines = ["", "\\data\\", *(f"ngram {n}={len(by_length[n])}" for n in lengths)]
    for n in lengths:
        lines += ["", f"\\{n}-grams:"]
        for gram in sorted(by_length[n]):
            backoff = model.log10_backoffs.get(gram)
            tail = "" if backoff is None else f"\t{backoff:.7f}"
            lines.append(f"{model.log10_probs[gram]:.7f}\t{' '.join(gram)}{tail}")
    write_text(path, "\n".join([*lines, "", "\\end\\", ""]))


def _entry(line: str, length: int) -> tuple[float, History, float | None] | None:
    """Log10 probability, n-gram and back-off of a line; None when it is not of that form."""
    fields = line.split()
    if len(fields) not in (length + 1, length + 2):
        return None
    try:
        prob = float(fields[0])
        backoff = float(fields[-1]) if len(fields) == length + 2 else None
    except ValueError:
        return None
    if not prob <= 0.0 or (backoff is not None and not backoff < math.inf):  # or NaN
        return None
    return prob, tuple(fields[1 : length + 1]), backoff


def _check_counts(
    path: str | Path, promised: dict[int, int], found: Counter[int]
) -> None:
    """Checks the header against what the sections hold.

    Raises:
        DataError: an order has fewer or more n-grams than promised, or no promise.
    """
    faults = [
        f"{path}: {found[n]} {n}-grams where the header promises {promised.get(n, 0)}; "
        "the file is damaged, make it again"
        for n in sorted(set(promised) | set(found))
        if found[n] != promised.get(n, 0)
    ]
    if faults:
        raise DataError.of(faults)


def _check_whole(path: str | Path, model: Ngram) -> None:
    """Checks that every n-gram is of listed symbols, and that what must back off can.

    Raises:
        DataError: names the symbols, or the histories.
    """
    listed = {gram[0] for gram in model.log10_probs if len(gram) == 1}
    followers = Counter(gram[:-1] for gram in model.log10_probs if len(gram) > 1)
    strange = {symbol for gram in model.log10_probs for symbol in gram} - listed
    # A history that every symbol follows never backs off.
    stuck = [
        " ".join(history)
        for history, number in sorted(followers.items())
        if history not in model.log10_backoffs and number < len(listed - {START})
    ]
    faults = [
        f"{path}: {what}: {named(names)}; make the file again"
        for names, what in (
            (sorted(strange), "n-grams of symbols that are no 1-grams"),
            (
                stuck,
                f"{counted(len(stuck), 'history', 'histories')} without a back-off weight",
            ),
        )
        if names
    ]
    if faults:
        raise DataError.of(faults)


def read_arpa(path: str | Path) -> Ngram:
    """Reads a model of any order, of any tool; see `parse_arpa`."""
    return parse_arpa(read_lines(path), source=path)


def parse_arpa(lines: Iterable[str], *, source: str | Path) -> Ngram:
    """The model that the lines of an ARPA file describe.

    An n-gram that none goes on from needs no back-off weight; it is 1.

    Args:
        lines: of the file.
        source: the file, named in messages.

    Raises:
        DataError: a line is not of the format, an n-gram comes twice, counts differ from the
            header's, a history has no back-off weight, or the end is missing; names file and
            line.
    """
    promised: dict[int, int] = {}
    probs: dict[History, float] = {}
    backoffs: dict[History, float] = {}
    begun, section, ended = False, 0, False
    for number, line in enumerate(map(str.strip, lines), start=1):
        if line == "\\data\\":
            begun = True
        elif begun and (header := _PROMISE.fullmatch(line)):
            promised[int(header[1])] = int(header[2])
        elif heading := _HEADING.fullmatch(line):
            section = int(heading[1])
        elif line == "\\end\\":
            ended = True
            break
        elif line and section:
            entry = _entry(line, section)
            if entry is None:
                raise DataError(
                    f"{source}:{number}: expected a log10 probability up to 0, "
                    f"{counted(section, 'symbol')} and perhaps a back-off, got {line!r}; make the "
                    "file again"
                )
            prob, gram, backoff = entry
            if gram in probs:
                raise DataError(
                    f"{source}:{number}: {' '.join(gram)!r} comes twice; remove one line"
                )
            probs[gram] = prob
            if backoff is not None:
                backoffs[gram] = backoff
    if not promised:
        raise DataError(
            f"{source}: no counts of n-grams below a line \\data\\: no ARPA file, or one without "
            "its head; make it again"
        )
    if not ended:
        raise DataError(f"{source}: no \\end\\; the file is cut short, make it again")
    _check_counts(source, promised, Counter(map(len, probs)))
    model = Ngram(max(promised), probs, backoffs)
    _check_whole(source, model)
    return model
