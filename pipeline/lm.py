"""Stage lm: training transcripts -> phone n-gram."""

from pathlib import Path

from features.errors import DataError
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.lang import read_lang
from pipeline.decoding.arpa import read_arpa, write_arpa
from pipeline.decoding.ngram import train_ngram
from pipeline.stage import Stamp, note, require


def lm(data: str, out: str, *, lang: str, order: int = 2) -> None:
    """Trains a phone n-gram on the transcripts of a data dir.

    Args:
        data: data dir with `text`.
        out: ARPA file to write.
        lang: lang dir, which turns words into phones.
        order: longest n-gram, 1 to 5; decoding uses the bigrams.
    """
    require(data, lang, mend="run keraldi prepare")
    target = Path(out)
    stamp = Stamp.of(
        target.parent,
        f"lm-{target.name}",
        settings={"order": order},
        inputs=[
            Path(data) / "text",
            Path(lang) / "phones.txt",
            Path(lang) / "lexicon.txt",
        ],
    )
    if stamp.matches(target):
        note(f"lm: {target} is up to date")
        return
    table, utterances = read_lang(lang), read_datadir(data)
    if utterances.text is None:
        raise DataError(f"{data}/text: no such file; the model learns from transcripts")
    table.check_oov(utterances.text, source=f"{data}/text")
    sentences = [table.phones_of(words) for words in utterances.text.values()]
    write_arpa(
        target, train_ngram(sentences, order=order, symbols=table.phones.symbols)
    )
    stamp.write()
    note(
        f"lm: {target}: {order}-gram of {len(sentences)} sentences, "
        f"perplexity {read_arpa(target).perplexity(sentences):.2f} on them"
    )
