"""Stage lm: training transcripts -> phone n-gram."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from features.errors import ConfigError, DataError, counted
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.lang import Lang, read_lang
from pipeline.decoding.arpa import read_arpa, write_arpa
from pipeline.decoding.smoothing import Smoothing, train_ngram
from pipeline.stage import Stamp, note, require

SILENCE_PROB = 0.5
_SEED = 0  # of the pauses put in: the same transcripts give the same model


def sentences_of(
    texts: Mapping[str, Sequence[str]], lang: Lang, *, silence_prob: float
) -> list[list[str]]:
    """Transcripts as phones, with pauses where the transcripts have none.

    Decoded speech has pauses, so a model that never saw one would charge for each. Where no
    transcript holds silence, it is put at both ends, and between words where there is a lexicon,
    each with probability `silence_prob`, as in Kaldi's lexicons.

    Args:
        texts: words by utterance.
        lang: their phones.
        silence_prob: from 0 to 1.

    Returns:
        Phones of every utterance, in the order of their names.
    """
    rng = random.Random(_SEED)
    lines = [texts[utt] for utt in sorted(texts, key=str.encode)]
    if lang.lexicon is None:  # phones: where words end is not known
        sentences = [[lang.phones_of(line)] for line in lines]
    else:
        sentences = [[lang.variants(word)[0] for word in line] for line in lines]
    written = {phone for words in sentences for word in words for phone in word}
    pause = [] if written & set(lang.silence) else list(lang.silence[:1])

    def maybe() -> list[str]:
        return pause if pause and rng.random() < silence_prob else []

    return [
        sum(([*word, *maybe()] for word in words), start=list(maybe()))
        for words in sentences
    ]


def lm(
    data: str,
    out: str,
    *,
    lang: str,
    order: int = 2,
    smoothing: Smoothing = "witten-bell",
    silence_prob: float = SILENCE_PROB,
) -> None:
    """Trains a phone n-gram on the transcripts of a data dir.

    Args:
        data: data dir with `text`.
        out: ARPA file to write.
        lang: lang dir, which turns words into phones.
        order: longest n-gram, 1 to 5.
        smoothing: Witten-Bell, or modified Kneser-Ney, both interpolated.
        silence_prob: of a pause at the ends and between words, where the transcripts hold no
            silence at all.
    """
    if not 0.0 <= silence_prob <= 1.0:
        raise ConfigError(f"--silence-prob: expected 0 to 1, got {silence_prob}")
    require(data, lang, mend="run keraldi prepare")
    target = Path(out)
    stamp = Stamp.of(
        target.parent,
        f"lm-{target.name}",
        settings={"order": order, "smoothing": smoothing, "silence_prob": silence_prob},
        inputs=[
            Path(data) / "text",
            Path(lang) / "phones.txt",
            Path(lang) / "lexicon.txt",
            Path(lang) / "silence.txt",
        ],
    )
    if stamp.matches(target):
        note(f"lm: {target} is up to date")
        return
    table, utterances = read_lang(lang), read_datadir(data)
    if utterances.text is None:
        raise DataError(f"{data}/text: no such file; the model learns from transcripts")
    table.check_oov(utterances.text, source=f"{data}/text")
    sentences = sentences_of(utterances.text, table, silence_prob=silence_prob)
    symbols = table.phones.symbols
    model = train_ngram(sentences, order=order, symbols=symbols, smoothing=smoothing)
    stamp.clear()
    write_arpa(target, model)
    stamp.write(target)
    note(
        f"lm: {target}: {order}-gram of {counted(len(sentences), 'sentence')}, {smoothing}, "
        f"perplexity {read_arpa(target).perplexity(sentences).value:.2f} on them"
    )
