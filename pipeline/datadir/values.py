"""What a line of a data dir's table may say, whatever the other tables hold."""

import re
from pathlib import Path

from pipeline.datadir.rows import Rows, number_in

# Tables of one number above 0 a line, and whether it is a whole one.
_NUMBERS = {
    "utt2num_frames": True,
    "utt2dur": False,
    "reco2dur": False,
    "utt2warp": False,
    "spk2warp": False,
}
_RESERVED = frozenset({"<s>", "</s>", "<eps>", "#0"})


def check_values(read: Rows) -> None:
    """Notes every line whose value cannot be: numbers, genders, archives, channels, words."""
    _check_numbers(read)
    _check_genders(read)
    _check_archives(read)
    _check_channels(read)
    _check_symbols(read)


def _check_numbers(read: Rows) -> None:
    for name, whole in _NUMBERS.items():
        for row in read.tables.get(name, []):
            value = number_in(row.value)
            if value is None or value <= 0 or (whole and value != int(value)):
                plain = "seconds" if name.endswith("2dur") else "a number"
                what = f"{'a whole number' if whole else plain} above 0"
                read.fault(name, row.number, f"expected {what}, got {row.value!r}")


def _check_genders(read: Rows) -> None:
    for row in read.tables.get("spk2gender", []):
        if row.value not in ("m", "f"):
            read.fault("spk2gender", row.number, f"expected m or f, got {row.value!r}")


def _check_archives(read: Rows) -> None:
    """Looks whether what an scp points at is there; reading it is left to those who use it."""
    sizes: dict[str, int] = {}
    for name in ("feats.scp", "cmvn.scp", "vad.scp"):
        for row in read.tables.get(name, []):
            found = re.fullmatch(r"(.+):(\d+)(\[.*\])?", row.value)
            if found is None:
                read.fault(name, row.number, f"expected FILE:OFFSET, got {row.value!r}")
                continue
            file, offset = found[1], int(found[2])
            if file not in sizes:
                path = Path(file)
                sizes[file] = path.stat().st_size if path.is_file() else -1
            if sizes[file] <= offset:
                short = f"ends before byte {offset}"
                what = "no such file" if sizes[file] < 0 else short
                read.fault(
                    name,
                    row.number,
                    f"{file}: {what}; run keraldi extract again, or mend the path",
                )


def _check_channels(read: Rows) -> None:
    for row in read.tables.get("reco2file_and_channel", []):
        fields = row.value.split()
        if len(fields) != 2 or fields[1] not in ("A", "B"):
            read.fault(
                "reco2file_and_channel",
                row.number,
                f"expected file, and A or B for the channel, got {row.value!r}",
            )


def _check_symbols(read: Rows) -> None:
    """Words that language models and decoders use for things of their own."""
    for row in read.tables.get("text", []):
        for word in sorted(_RESERVED.intersection(row.value.split())):
            read.fault(
                "text", row.number, f"{word!r} is reserved; call the word otherwise"
            )
