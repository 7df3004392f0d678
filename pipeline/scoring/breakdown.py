"""Error counts by phone, class and kind of speaker."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from features.errors import DataError, named
from pipeline.datadir.tables import read_table
from pipeline.scoring.alignment import Pair
from pipeline.scoring.counts import Comparison, ErrorCounts

Counts = dict[str, ErrorCounts]
_TRAITS = {"sex": "gender", "dialect": "dialect", "age": "age"}
_BAND = 10  # years


def age_band(age: str) -> str:
    """Ten years of age, `20-29`; what is no number stays as it is."""
    if not age.isdigit():
        return age
    low = int(age) // _BAND * _BAND
    return f"{low}-{low + _BAND - 1}"


def read_traits(folder: Path, utt2spk: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What a data dir says of its speakers: trait -> utterance -> value.

    Reads `utt2X` or else `spk2X` for X in gender (sex), dialect and age, where they are.

    Raises:
        DataError: such a file lacks some of the utterances or speakers.
    """
    found: dict[str, dict[str, str]] = {}
    for trait, name in _TRAITS.items():
        for path, keys in (
            (folder / f"utt2{name}", {utt: utt for utt in utt2spk}),
            (folder / f"spk2{name}", dict(utt2spk)),
        ):
            if not path.exists():
                continue
            table = read_table(path)
            if lacking := sorted(set(keys.values()) - set(table)):
                raise DataError(
                    f"{path}: no line for {len(lacking)} of {len(set(keys.values()))}: "
                    f"{named(lacking)}; add them, or remove the file"
                )
            values = {utt: table[key] for utt, key in keys.items()}
            if trait == "age":
                values = {utt: age_band(value) for utt, value in values.items()}
            found[trait] = values
            break
    return found


def group_counts(
    utterances: Mapping[str, Comparison], group_of: Mapping[str, str]
) -> Counts:
    """Counts by the group of each utterance; they add up to the set's."""
    groups: Counts = {}
    for utt, comparison in utterances.items():
        group = group_of[utt]
        groups[group] = groups.get(group, ErrorCounts()) + comparison.counts
    return groups


def phone_counts(confusion: Mapping[Pair, int]) -> Counts:
    """Counts by phone: an insertion belongs to the inserted phone, the rest to the reference's."""
    kinds: dict[str, Counter[str]] = {}
    for (left, right), count in confusion.items():
        phone = right if left is None else left
        kind = (
            "insertions"
            if left is None
            else (
                "deletions"
                if right is None
                else "hits" if left == right else "substitutions"
            )
        )
        kinds.setdefault(str(phone), Counter())[kind] += count
    return {phone: ErrorCounts(**kind) for phone, kind in kinds.items()}


def error_tables(
    confusion: Mapping[Pair, int],
) -> dict[str, list[tuple[str, str, int]]]:
    """The substitutions, insertions and deletions, the most frequent first."""
    tables: dict[str, list[tuple[str, str, int]]] = {
        "substitutions": [],
        "insertions": [],
        "deletions": [],
    }
    for (left, right), count in sorted(
        confusion.items(), key=lambda item: (-item[1], str(item[0]))
    ):
        if left is None:
            tables["insertions"].append(("<ins>", str(right), count))
        elif right is None:
            tables["deletions"].append((left, "<del>", count))
        elif left != right:
            tables["substitutions"].append((left, right, count))
    return tables


def class_confusion(
    confusion: Mapping[Pair, int], classes: Mapping[str, str]
) -> Counter[Pair]:
    """The pairs between broad classes; another phone of the same class is on the diagonal."""
    table: Counter[Pair] = Counter()
    for (left, right), count in confusion.items():
        pair = (
            None if left is None else classes[left],
            None if right is None else classes[right],
        )
        table[pair] += count
    return table


def phones_in(confusion: Iterable[Pair]) -> set[str]:
    """All phones of either side."""
    return {phone for pair in confusion for phone in pair if phone is not None}
