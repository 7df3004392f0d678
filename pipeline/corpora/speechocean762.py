"""speechocean762: English read by 250 native speakers of Mandarin, children and adults."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from features.errors import DataError, counted, named
from pipeline.corpora.layout import (
    CorpusSet,
    arpabet_lang,
    find_folder,
    measure,
    tag_variants,
    write_sets,
)
from pipeline.datadir.datadir import DataDir, read_datadir, restrict
from pipeline.datadir.lexicon import Lexicon, Pronunciation, read_lexicon
from pipeline.datadir.tables import read_lines, read_table

SOURCE = (
    "get speechocean762 from OpenSLR (https://www.openslr.org/101) and give its folder"
)
_DEV_SPEAKERS = 12  # of the 125 training speakers
_SUFFIXES = (".WAV", ".wav", ".flac")
_FILES = ("wav.scp", "text", "utt2spk", "spk2gender", "spk2age")
_RESOURCES = ("resource/text-phone", "resource/lexicon.txt")
_MARK = re.compile(r"[0-2]?(_[BEIS])?$")  # stress and place in the word


def read_spoken(path: Path) -> dict[str, list[Pronunciation]]:
    """Reads `resource/text-phone`: `utt.index<TAB>phones`, a line a word.

    Returns:
        The phones of every word of every utterance, stress and position marks removed.

    Raises:
        DataError: a line is not of that form, or words of an utterance are out of order.
    """
    spoken: dict[str, list[Pronunciation]] = {}
    for number, line in enumerate(read_lines(path), start=1):
        name, _, phones = line.partition("\t")
        utt, _, index = name.rpartition(".")
        words = spoken.setdefault(utt, [])
        if not phones.strip() or index != str(len(words)):
            raise DataError(
                f"{path}:{number}: expected {utt}.{len(words)} and phones: {line!r}"
            )
        words.append(tuple(_MARK.sub("", phone) for phone in phones.split()))
    return spoken


def find_audio(folder: Path, wav: Mapping[str, str]) -> dict[str, str]:
    """The audio files of `wav.scp`: as published, or repacked as FLAC.

    Raises:
        DataError: lists the files that are not there under any known suffix.
    """
    found: dict[str, str] = {}
    absent = []
    for utt, entry in wav.items():
        path = folder / entry
        places = (path, *(path.with_suffix(suffix) for suffix in _SUFFIXES))
        there = next((place for place in places if place.exists()), None)
        if there is None:
            absent.append(str(path))
        else:
            found[utt] = str(there)
    if absent:
        raise DataError(
            f"{folder}: {counted(len(absent), 'audio file')} missing, nor there as "
            f"{', '.join(_SUFFIXES)}: {named(absent, 5)}; {SOURCE}"
        )
    return found


def check_words(data: DataDir, spoken: Mapping[str, Sequence[Pronunciation]]) -> None:
    """Checks that `resource/text-phone` has the phones of every word of a set.

    Raises:
        DataError: lists every utterance where it has more or fewer words.
    """
    words = data.text or {}
    faults = [
        f"{data.path}/text: utterance {utt!r} has {counted(len(words[utt]), 'word')} but "
        f"resource/text-phone has phones of {len(spoken.get(utt, ()))}; "
        "the corpus is damaged, get it again"
        for utt in words
        if len(words[utt]) != len(spoken.get(utt, ()))
    ]
    if faults:
        raise DataError.of(faults)


def build_lexicon(
    path: Path, sets: Iterable[DataDir], spoken: Mapping[str, Sequence[Pronunciation]]
) -> Lexicon:
    """All pronunciations: those of the corpus's lexicon, then those only spoken."""
    found: dict[str, dict[Pronunciation, None]] = {}
    for word, variants in read_lexicon(path).pronunciations.items():
        plain = (tuple(_MARK.sub("", phone) for phone in v) for v in variants)
        found[word] = dict.fromkeys(plain)
    for data in sets:
        for utt, words in (data.text or {}).items():
            for word, phones in zip(words, spoken[utt], strict=True):
                found.setdefault(word, {})[phones] = None
    return Lexicon({word: tuple(variants) for word, variants in found.items()})


def choose_dev_speakers(speakers: Sequence[str]) -> set[str]:
    """Every tenth or so of the training speakers, so that all ages and both sexes come."""
    count = min(_DEV_SPEAKERS, len(speakers) // 2)
    return {speakers[number * len(speakers) // count] for number in range(count)}


def read_set(
    folder: Path, spoken: Mapping[str, Sequence[Pronunciation]]
) -> tuple[DataDir, dict[str, str]]:
    """Reads one of the corpus's data dirs, with absolute paths and durations.

    Returns:
        The data dir, its text still plain words, and the ages of its speakers.
    """
    data = read_datadir(folder)
    check_words(data, spoken)
    wav = find_audio(folder.parent, data.wav)
    data = dataclasses.replace(data, wav=wav, utt2dur=measure(wav))
    return data, read_table(folder / "spk2age")


def prepare_speechocean762(corpus: Path, out: Path) -> dict[str, DataDir]:
    """Makes train, dev and test data dirs and the lang dir.

    The dev set is 12 of the training speakers. Transcripts are words, tagged with the
    variant whose phones the corpus gives; these are the dictionary's phones, not what a
    learner really said.

    Args:
        corpus: folder with `train`, `test`, `resource`.
        out: folder to make `train`, `dev`, `test` and `lang` in.

    Returns:
        The sets.

    Raises:
        DataError: something is missing from the corpus or does not fit together.

    References:
        Zhang et al. 2021, speechocean762 (arXiv 2104.01378).
    """
    needed = [f"{s}/{f}" for s in ("train", "test") for f in _FILES] + list(_RESOURCES)
    folder = find_folder(corpus, *needed, mend=SOURCE)
    spoken = read_spoken(folder / "resource" / "text-phone")
    train, ages = read_set(folder / "train", spoken)
    test, test_ages = read_set(folder / "test", spoken)
    lexicon = build_lexicon(folder / "resource" / "lexicon.txt", (train, test), spoken)
    speakers = choose_dev_speakers(list(train.spk2utt))
    dev = {utt for utt, speaker in train.utt2spk.items() if speaker in speakers}
    parts = {
        "train": restrict(train, set(train.utterances) - dev),
        "dev": restrict(train, dev),
        "test": test,
    }
    for name, data in parts.items():
        text = {
            u: tag_variants(w, spoken[u], lexicon) for u, w in (data.text or {}).items()
        }
        parts[name] = dataclasses.replace(data, text=text)
    ages |= test_ages
    sets = {
        name: CorpusSet(
            data, tables={"spk2age": {s: ages[s] for s in data.spk2utt if s in ages}}
        )
        for name, data in parts.items()
    }
    write_sets(out, sets, arpabet_lang(lexicon))
    return parts
