"""Stage lm: training transcripts -> phone n-gram."""

from pathlib import Path

from features.errors import DataError
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.lang import read_lang
from pipeline.decoding.ngram import train_ngram, write_arpa
from pipeline.stage import note


def lm(data: str, out: str, *, lang: str, order: int = 2) -> None:
    """Trains a phone n-gram on the transcripts of a data dir.

    Args:
        data: data dir with `text`.
        out: ARPA file to write.
        lang: lang dir, which turns words into phones.
        order: longest n-gram, 1 to 5.
    """
    table, utterances = read_lang(lang), read_datadir(data)
    if utterances.text is None:
        raise DataError(f"{data}/text: no such file; the model learns from transcripts")
    table.check_oov(utterances.text, source=f"{data}/text")
    sentences = [table.phones_of(words) for words in utterances.text.values()]
    model = train_ngram(sentences, order=order, symbols=table.phones.symbols)
    write_arpa(Path(out), model)
    note(
        f"lm: {out}: {order}-gram of {len(sentences)} sentences, "
        f"perplexity {model.perplexity(sentences):.2f} on them"
    )
