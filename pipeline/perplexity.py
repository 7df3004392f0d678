"""Stage perplexity: how well a phone n-gram foretells the transcripts of each set."""

from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from features.errors import ConfigError, DataError
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.lang import read_lang
from pipeline.decoding.arpa import read_arpa
from pipeline.decoding.ngram import Perplexity
from pipeline.lm import SILENCE_PROB, sentences_of
from pipeline.stage import require


def perplexity(
    arpa: str, *data: str, lang: str, silence_prob: float = SILENCE_PROB
) -> None:
    """Prints the perplexity of a phone n-gram on the transcripts of data dirs.

    Perplexity is exp of the mean negative log probability of phones and ends of sentences.

    Args:
        arpa: ARPA file of any tool, over the lang dir's phones.
        data: data dirs with `text`.
        lang: lang dir, which turns words into phones.
        silence_prob: of a pause, where the transcripts hold no silence: as `keraldi lm` had it.
    """
    if not data:
        raise ConfigError("give at least one data dir")
    require(arpa, lang, *data, mend="run keraldi lm and keraldi prepare")
    model, words = read_arpa(arpa), read_lang(lang)
    rows: list[tuple[str, Perplexity]] = []
    for folder in data:
        text = read_datadir(folder).text
        if text is None:
            raise DataError(
                f"{Path(folder) / 'text'}: no such file; give one with text"
            )
        words.check_oov(text, source=f"{folder}/text")
        sentences = sentences_of(text, words, silence_prob=silence_prob)
        try:
            rows.append((folder, model.perplexity(sentences)))
        except DataError as error:
            raise DataError(f"{arpa} on {folder}/text: {error}") from None
    table = Table(box=SIMPLE, title=f"{model.order}-gram {arpa}")
    table.add_column(
        "set", overflow="fold"
    )  # a path is shown whole, if on several lines
    for heading in ("sentences", "tokens", "log10 probability", "perplexity"):
        table.add_column(heading, justify="right")
    for folder, found in rows:
        table.add_row(
            folder,
            str(found.sentences),
            str(found.tokens),
            f"{found.log10_prob:.4f}",
            f"{found.value:.4f}",
        )
    Console(highlight=False, markup=False, emoji=False).print(table)
