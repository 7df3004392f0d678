"""Stage data: new data dirs from old ones, and marks for one."""

from pathlib import Path

from features.errors import ConfigError, DataError, counted, named
from pipeline.datadir import operations
from pipeline.datadir.datadir import DataDir, read_datadir
from pipeline.datadir.marks import check_ends, filled, lengths, read_marks
from pipeline.datadir.times import write_ctm
from pipeline.stage import note


def _report(name: str, data: DataDir) -> None:
    note(
        f"data {name}: {data.path}: {counted(len(data.utterances), 'utterance')} of "
        f"{counted(len(data.spk2utt), 'speaker')}"
    )


def subset(
    data: str,
    out: str,
    *,
    first: int | None = None,
    last: int | None = None,
    per_speaker: int | None = None,
    shortest: int | None = None,
    speakers: str | None = None,
    utterances: str | None = None,
) -> None:
    """Writes some of the utterances of a data dir as a data dir; give exactly one option.

    Args:
        data: data dir to take from.
        out: data dir to make.
        first: so many from the start of the sorted list.
        last: so many from its end.
        per_speaker: so many of every speaker.
        shortest: so many, the shortest ones.
        speakers: file that lists speakers.
        utterances: file that lists utterances.
    """
    source = read_datadir(data)
    chosen = operations.choose(
        source,
        first=first,
        last=last,
        per_speaker=per_speaker,
        shortest=shortest,
        speakers=speakers,
        utterances=utterances,
    )
    _report("subset", operations.write_part(source, chosen, out))


def split(data: str, out: str, *, parts: int) -> None:
    """Divides a data dir into parts, no speaker in two of them: OUT/1, OUT/2, …

    Args:
        data: data dir to divide.
        out: folder of the parts.
        parts: how many.
    """
    source = read_datadir(data)
    later = sorted(
        p for p in Path(out).glob("[0-9]*") if p.name.isdigit() and int(p.name) > parts
    )
    if later:
        raise DataError(
            f"{later[0]}: of a split into more parts; remove it or choose another name"
        )
    divided = {
        Path(out) / str(number): chosen
        for number, chosen in enumerate(
            operations.split_by_speaker(source, parts), start=1
        )
    }
    for place in divided:  # all of them before the first is written
        operations.check_target(place, source)
    for place, chosen in divided.items():
        _report("split", operations.write_part(source, chosen, place))


def combine(out: str, *sources: str) -> None:
    """Writes several data dirs as one.

    Args:
        out: data dir to make.
        sources: data dirs to take from, two or more.
    """
    if len(sources) < 2:
        raise ConfigError(
            f"expected two or more data dirs to combine, got {len(sources)}"
        )
    whole, left_out = operations.combine([read_datadir(path) for path in sources], out)
    if left_out:
        note(f"data combine: left out, not alike in all sources: {', '.join(left_out)}")
    _report("combine", whole)


def perturb(
    data: str, out: str, *, speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
) -> None:
    """Writes copies at other speeds as one data dir.

    Args:
        data: data dir to copy.
        out: data dir to make.
        speeds: factors; 1 keeps the originals.
    """
    whole, left_out = operations.perturb_speed(read_datadir(data), speeds, out)
    if left_out:
        note(
            f"data perturb: left out, of the old speed alone: {', '.join(left_out)}; "
            "make it anew"
        )
    _report("perturb", whole)


def marks(
    data: str, *files: str, tier: str = "phones", silence: str | None = None
) -> None:
    """Writes `phones.ctm`, the times of the phones, from marks that you have.

    Args:
        data: data dir that they are of.
        files: Praat's TextGrids and TIMIT's .PHN (samples at 16 kHz), named by utterance; CTM;
            or folders of these. Times count from the start of the utterance.
        tier: of TextGrids.
        silence: phone to mark where nothing is marked.
    """
    if not files:
        raise ConfigError(
            f"{data}: expected files of marks behind the data dir, got none; give them"
        )
    source = read_datadir(data)
    found, seconds = read_marks(files, source, tier=tier), lengths(source)
    check_ends(found, seconds, source=source.path)
    times = {
        utt: (
            marked.intervals
            if silence is None
            else filled(marked.intervals, silence, seconds.get(utt))
        )
        for utt, marked in found.items()
    }
    write_ctm(source.path / "phones.ctm", times)
    if unknown := [utt for utt in source.utterances if utt not in seconds]:
        note(
            f"data marks: warning: {counted(len(unknown), 'utterance')} of unknown length, whose "
            f"marks were not held against it: {named(unknown, 3)}"
        )
    note(
        f"data marks: {source.path}/phones.ctm: "
        f"{counted(sum(map(len, times.values())), 'phone')} in "
        f"{counted(len(times), 'utterance')}; keraldi validate --lang holds them against text"
    )
