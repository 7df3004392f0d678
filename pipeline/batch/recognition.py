"""Recordings to phones: read ahead, through the network in batches, searched, put together."""

import contextlib
import errno
import functools
import itertools
import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from features.archive import ArchiveReader
from features.errors import DataError, KeraldiError
from features.normalize import CmvnStats
from pipeline.batch.allocation import give_back_freed, give_back_large
from pipeline.batch.assembly import Assembly
from pipeline.batch.exported import (
    ExportedNetwork,
    WaveformListener,
    is_exported,
)
from pipeline.batch.items import Item
from pipeline.batch.journal import Outcome
from pipeline.batch.meter import Heard
from pipeline.batch.phones import FOUND
from pipeline.batch.plan import Plan
from pipeline.batch.reading import LONG, Fault, Reading
from pipeline.batch.relevance import stats_digest
from pipeline.batch.shares import tell
from pipeline.batch.turns import Turns
from pipeline.batch.windows import Listener, Window
from pipeline.batch.words import WordAligner
from pipeline.config import check
from pipeline.datadir.lang import read_lang
from pipeline.nnet.artefact import GRAMMAR

if TYPE_CHECKING:
    from pipeline.nnet.recogniser import Recogniser

# Batches of short windows from one giving back of freed memory, which costs, to the next.
_TRIMMED = 4


def _load(model: str, callers: int) -> "Recogniser | ExportedNetwork":
    """A model dir's network, or an exported one without TensorFlow."""
    give_back_large()
    if is_exported(model):
        return ExportedNetwork(model)
    from pipeline.nnet.threads import one_thread_an_operation

    one_thread_an_operation(callers)
    from pipeline.nnet.recogniser import load_recogniser

    return load_recogniser(model)


def _stats(matrix: list[list[float]] | None) -> CmvnStats | None:
    return None if matrix is None else CmvnStats(np.array(matrix))


def make_aligner(lang: str, recogniser: "Recogniser | ExportedNetwork") -> WordAligner:
    """What finds words of transcripts with a model and a lexicon.

    Raises:
        DataError: the model is not framewise, or knows other phones than the lang dir.
    """
    tables = read_lang(lang)
    if recogniser.objective == "ctc":
        raise DataError(
            f"{lang}: --words needs a framewise model: CTC says when a phone was certain, not "
            "where it is; leave --words out"
        )
    if tables.phones.symbols != recogniser.phones.symbols:
        raise DataError(
            f"{lang}/phones.txt: not the model's phones; give the lang dir of its training"
        )
    return WordAligner(tables, recogniser.log_priors, recogniser.states_per_phone)


class Recognition:
    """A model, its search and what it takes to run them over recordings.

    Args:
        plan: what to use.
        callers: threads of this process that will run it at a time; the plan's by default.
    """

    def __init__(self, plan: Plan, *, callers: int | None = None) -> None:
        from pipeline.decoding.decoder import Decoder
        from pipeline.decoding.grammar import parse_grammar, read_grammar
        from pipeline.decoding.outputs import OutputLayer
        from pipeline.decoding.settings import DecodeSettings

        self._plan = plan
        self._recogniser = _load(plan.model, callers or plan.threads)
        recipe = self._recogniser.recipe
        layer = OutputLayer.of(recipe)
        if plan.grammar is None:
            grammar = read_grammar(plan.arpa, layer.table)
        else:
            place = f"{plan.model}:{GRAMMAR}"
            grammar = parse_grammar(plan.grammar, layer.table, source=place)
        self._decoder = Decoder(layer, grammar)
        self._settings = check(plan.settings, DecodeSettings, source="settings")
        self._listener: Listener | WaveformListener
        if is_exported(plan.model):
            self._listener = WaveformListener(
                recipe.features, recipe.frontend.skip, plan.allow_pipes
            )
        else:
            self._listener = Listener(
                recipe.features,
                recipe.frontend,
                _stats(recipe.global_cmvn),
                plan.allow_pipes,
                _stats(plan.cmvn),
            )
        self._by_speaker = plan.by_speaker(recipe.frontend)
        self._clock = layer.clock
        self._align = None
        if plan.words is not None:
            self._align = make_aligner(plan.words, self._recogniser).align
        self._speakers: dict[str, ArchiveReader] = {}
        self._lock = threading.Lock()
        self._batches = itertools.count(1)

    def _speaker_stats(self, item: Item) -> CmvnStats | None:
        """Statistics of an item's speaker, where its data dir has them and they are wanted."""
        if not self._by_speaker or item.cmvn is None or item.speaker is None:
            return None
        with self._lock:
            held = self._speakers.get(item.cmvn)
            if held is not None and item.speaker in held:
                matrix = held[item.speaker]
                if item.stats in ("", stats_digest(matrix)):
                    return CmvnStats(matrix)
            # Not opened yet, or made again since an earlier run of this process opened it.
            reader = self._speakers[item.cmvn] = ArchiveReader(item.cmvn)
            if item.speaker not in reader:
                raise DataError(
                    f"{item.cmvn}: no statistics of speaker {item.speaker!r}; run keraldi "
                    "extract"
                )
            return CmvnStats(reader[item.speaker])

    def _read(self, item: Item) -> Iterator[Reading | Fault]:
        """An item's windows; whatever is wrong with it is told, not raised."""
        item = replace(item, opened=item.state())
        try:
            if item.fault:
                raise DataError(item.fault)
            for window in self._listener.windows(item, self._speaker_stats(item)):
                yield Reading(item, window)
        except KeraldiError as error:
            yield Fault(item, str(error))
        except OSError as error:
            reason = error.strerror or str(error)
            circle = error.errno == errno.ELOOP
            mend = "mend the links" if circle else "copy it again"
            yield Fault(item, f"{item.source}: {reason}; {mend}")
        except (ValueError, MemoryError, OverflowError) as error:
            kind = type(error).__name__
            message = f"{item.source}: {kind}: {error}; please report this file"
            yield Fault(item, message)

    def _search(self, item: Item, window: Window, matrix: np.ndarray) -> np.ndarray:
        """The phones of a window, [N] of `FOUND`, at the recording's frames."""
        self._decoder.outputs.check(item.id, matrix)
        tokens = self._decoder.decode(matrix, self._settings)
        confidences = self._decoder.confidences(tokens, matrix)
        first = window.first
        rows = (
            (token.phone, first + token.start, first + token.end, confidence)
            for token, confidence in zip(tokens, confidences, strict=True)
        )
        return np.fromiter(rows, FOUND, count=len(tokens))

    def _recognise(
        self, assembly: Assembly, readings: Sequence[Reading]
    ) -> list[Outcome | Heard]:
        """A batch through network and search: outcomes of what is complete, parts of the rest."""
        outputs = self._recogniser.batch([r.window.frames for r in readings])
        found: list[Outcome | Heard] = []
        for reading, output in zip(readings, outputs, strict=True):
            item, window = reading.item, reading.window
            # The frames that the window answers for, without its context.
            matrix = output[window.skipped : window.skipped + window.count]
            try:
                phones = self._search(item, window, matrix)
                outcome = assembly.add(item, window, phones, matrix)
            except KeraldiError as error:
                outcome = assembly.fail(item, str(error))
            if outcome is not None:
                found.append(outcome)
            elif assembly.awaits(item):
                share = window.count / window.total
                found.append(Heard(item.id, share, share * window.seconds))
        longest = max(reading.window.count for reading in readings)
        if longest > LONG or next(self._batches) % _TRIMMED == 0:
            give_back_freed()
        return found

    def run(self, items: Iterable[Item]) -> Iterator[Outcome | Heard]:
        """Yields what became of every item, in any order, and parts of those that take long.

        Threads take turns at reading, and at running network and search over batches of like
        length.
        """
        symbols = self._recogniser.phones.symbols
        place = None if self._plan.posteriors is None else Path(self._plan.posteriors)
        assembly = Assembly(symbols, self._clock, place, self._align)
        # Sums of BLAS depend on its threads; the cores are busy anyway.
        with contextlib.closing(assembly), threadpool_limits(limits=1):
            yield from Turns(
                items,
                read=self._read,
                work=functools.partial(self._recognise, assembly),
                fail=lambda fault: _given_up(assembly, fault),
                threads=self._plan.threads,
                prepare=self._recogniser.prepare,
            )


def _given_up(assembly: Assembly, fault: Fault) -> list[Outcome | Heard]:
    """The outcome of an item that cannot be read, unless it was given up before."""
    outcome = assembly.fail(fault.item, fault.message)
    return [] if outcome is None else [outcome]


@functools.lru_cache(maxsize=1)
def _known(plan: str) -> Recognition:
    """One recogniser for all shares of a run that a worker gets, some at a time if it has threads.

    Raises:
        DataError: the model, n-gram or lexicon are no longer what they were when it began.
    """
    from distributed import get_worker

    values = Plan(**json.loads(plan))
    try:
        seen = values.fingerprints()
    except OSError as error:
        raise DataError(
            f"{error.filename}: a worker cannot read it ({error.strerror}); put it where all "
            "machines see it"
        ) from None
    if values.content not in (None, seen):
        raise DataError(
            f"{values.model}: it, its n-gram or lexicon changed while they were in use, or other "
            "machines see others; give the same command again"
        )
    return Recognition(values, callers=values.threads * get_worker().state.nthreads)


def recognise(plan: Plan, items: Sequence[Item]) -> list[Outcome]:
    """Does some items, in a worker, which tells of the parts of long ones."""
    outcomes = []
    for found in _known(json.dumps(asdict(plan), sort_keys=True)).run(items):
        if isinstance(found, Heard):
            tell(list(found))
        else:
            outcomes.append(found)
    return outcomes


def lost(item: Item) -> Outcome:
    """What becomes of an item that killed two workers."""
    reason = "two workers died of it"
    message = (
        f"{item.source}: {reason}; look at it, or try it again with --retry-failed"
    )
    return Outcome.failure(item, message)
