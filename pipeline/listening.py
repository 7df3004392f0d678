"""Standard input as it comes in: raw samples to lines of phones (`transcribe --stream`)."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType, TracebackType
from typing import Protocol

from features.errors import ConfigError, counted
from features.sounds import check_rate
from pipeline.batch.exported import is_exported
from pipeline.batch.options import check_model, given_stats
from pipeline.batch.plan import model_file
from pipeline.datadir.times import PhoneInterval
from pipeline.nnet.artefact import parse_description, read_companions
from pipeline.nnet.recipe import stored_network
from pipeline.stage import note, require

_READ = 1 << 14  # bytes taken from standard input at once, where so many wait


class Interruptible:
    """Reads until the end or an interrupt (SIGINT), which never comes amid other work.

    Args:
        descriptor: of the file to read.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._reading = self._stopped = False

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopped = True
        if self._reading:
            raise KeyboardInterrupt

    def __enter__(self) -> Iterator[bytes]:
        self._before = signal.signal(signal.SIGINT, self._stop)
        return self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        while not self._stopped:
            try:
                self._reading = True
                content = os.read(self._descriptor, _READ)
                self._reading = False
            except KeyboardInterrupt:
                return
            finally:
                self._reading = False
            if not content:
                return
            yield content

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGINT, self._before)


def line(phone: PhoneInterval) -> str:
    """Start and end in seconds, phone, confidence."""
    return f"{phone.start:.4f} {phone.end:.4f} {phone.phone} {phone.confidence:.3f}\n"


class Hearing(Protocol):
    """What `follow` feeds: a `PhoneStream`."""

    def hear(self, content: bytes) -> list[PhoneInterval]:
        """The phones that are certain with these bytes."""

    def finish(self) -> list[PhoneInterval]:
        """The phones that are still to come at the end."""


def follow(stream: Hearing, descriptor: int, write: Callable[[str], None]) -> int:
    """Writes the phones of what comes from a file until it ends or SIGINT comes.

    Args:
        stream: what hears it.
        descriptor: of the file.
        write: takes lines as soon as they are known.

    Returns:
        How many phones there were.
    """
    count = 0

    def tell(phones: list[PhoneInterval]) -> int:
        if phones:
            write("".join(map(line, phones)))
        return len(phones)

    with Interruptible(descriptor) as pieces:
        for content in pieces:
            count += tell(stream.hear(content))
        return count + tell(stream.finish())


def _hears_no_future(model: str) -> bool:
    """Whether a model can be fed as audio comes in, told without TensorFlow."""
    path = model_file(model)
    if is_exported(model):
        return parse_description(read_companions(path), model).streams
    _, layers = stored_network(path)
    return all(layer["bidirectional"] == "none" for layer in layers)


def check_streaming(model: str, rate: int | None, others: Mapping[str, object]) -> int:
    """What a stream cannot do is refused before TensorFlow is loaded; the rate of its samples.

    Raises:
        ConfigError: the model hears the future, or an option is missing or too many.
    """
    given = [name for name, value in others.items() if value]
    if given:
        raise ConfigError(
            f"--stream reads standard input and writes standard output; leave out "
            f"{', '.join(given)}"
        )
    if sys.stdin is None:
        raise ConfigError("--stream: standard input is closed; give it raw samples")
    if rate is None:
        raise ConfigError(
            "--stream: raw samples do not say their rate; expected --rate in Hz, got none"
        )
    check_rate(rate, "--rate")
    check_model(model)
    if not _hears_no_future(model):
        raise ConfigError(
            f"--stream: {model} is bidirectional: it hears an utterance from its end too, and "
            "cannot speak before; train a unidirectional one (label_delay lets it hear some of "
            "the future), or give it files"
        )
    return rate


def say(lines: str) -> None:
    """Prints lines at once; what the system refuses is said of standard output."""
    try:
        sys.stdout.write(lines)
        sys.stdout.flush()
    except OSError as error:
        error.filename = "standard output"
        raise


def listen(
    model: str, rate_hz: int, arpa: str | None, settings: str | None, cmvn: str | None
) -> int:
    """Prints the phones of standard input as they become certain."""
    from pipeline.streaming import load_stream

    if arpa is not None:
        require(arpa, mend="run keraldi lm")
    given_stats(model, cmvn)  # says whether they fit before TensorFlow is loaded
    stream = load_stream(
        model, arpa=arpa, settings=settings, cmvn=cmvn, rate_hz=rate_hz
    )
    note(
        f"transcribe: 16-bit samples at {rate_hz} Hz from standard input; a sound is known "
        f"{stream.latency} after it began, its phone when all paths of the search agree on it "
        "and the next"
    )
    count = follow(stream, sys.stdin.fileno(), say)
    if stream.pending:
        note("transcribe: the last byte is half of a sample, and was left out")
    note(f"transcribe: {counted(count, 'phone')} in {stream.seconds:.2f} s of sound")
    return 0
