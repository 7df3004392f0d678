"""Stage validate: every fault of a data dir, and the mend."""

from pathlib import Path

from features.errors import counted, named
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.lang import read_lang
from pipeline.datadir.mending import fix as mend
from pipeline.datadir.validation import check_datadir
from pipeline.stage import note


def _heard_in_training(data: str, train: str) -> str | None:
    """A warning where speakers of a set are in the training set too."""
    if Path(data).resolve() == Path(train).resolve():
        return None
    shared = sorted(set(read_datadir(data).spk2utt) & set(read_datadir(train).spk2utt))
    if not shared:
        return None
    return (
        f"{data}: {counted(len(shared), 'speaker')} also in {train} ({named(shared, 5)}): a PER on "
        "it is not that of unseen speakers"
    )


def validate(
    data: str, *, lang: str | None = None, train: str | None = None, fix: bool = False
) -> None:
    """Checks a data dir and lists every fault with its file, line and mend.

    Args:
        data: data dir.
        lang: lang dir; the transcripts' words are checked against it.
        train: training data dir; shared speakers are warned of.
        fix: sort and tidy tables (Unix line ends, no blank line, none twice), make spk2utt
            anew, drop utterances that lack audio, text or features (named); the old tables
            are kept in .backup.
    """
    if fix:
        mended = mend(data)
        for table, count in mended.tidied.items():
            note(
                f"validate: {data}/{table}: {counted(count, 'line')} tidied or removed"
            )
        for table, dropped in mended.dropped.items():
            note(
                f"validate: {counted(len(dropped), 'utterance')} dropped, absent from {table}: "
                + ", ".join(dropped)
            )
    warnings = check_datadir(data, lang=read_lang(lang) if lang else None)
    if train and (warning := _heard_in_training(data, train)):
        warnings.append(warning)
    for line in warnings:
        note(f"validate: warning: {line}")
    utterances = read_datadir(data)
    note(
        f"validate: {data} is well: {counted(len(utterances.utterances), 'utterance')} of "
        f"{counted(len(utterances.spk2utt), 'speaker')}"
    )
