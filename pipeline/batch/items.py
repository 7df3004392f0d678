"""What there is to do: one item for each recording, or segment of one."""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from urllib.parse import quote_from_bytes

from features.parts import WHOLE, Part

_BYTES_A_SECOND = 32_000  # of 16 kHz and 16 bits: to compare segments with files
_OF_COMMANDS = 1 << 40  # bytes: more than one prints, whatever segments say
_OTHER = re.compile(r"[^\w+,=@~.-]")  # than letters, digits and marks that stay


@dataclass(frozen=True)
class Item:
    """A recording, or a segment of one.

    Attributes:
        id: unique; without white space or control characters.
        source: path, or a command that ends in `|`.
        part: what it is of that recording.
        speaker: None where nobody said who speaks.
        cmvn: `cmvn.scp` with the speaker's statistics.
        text: words, where a transcript is known.
        fault: why it cannot be read, where finding it showed that already.
        stats: digest of the speaker's statistics, where they are used.
        opened: `state` of the file before it was opened; None where it was not yet.
    """

    id: str
    source: str
    part: Part = WHOLE
    speaker: str | None = None
    cmvn: str | None = None
    text: tuple[str, ...] | None = None
    fault: str = ""
    stats: str = ""
    opened: tuple[int, int, int] | None = None

    @property
    def folder(self) -> str:
        """The folder that the audio lies in; of a command, `-`."""
        return "-" if self.source.endswith("|") else os.path.dirname(self.source) or "."

    @property
    def basis(self) -> str:
        """Digest of what tables say of the item; empty of a whole file nothing is said of."""
        if (self.part, self.text, self.fault, self.stats) == (WHOLE, None, "", ""):
            return ""
        part = self.part
        said: tuple = (part.start, part.end, self.text, self.fault, self.stats)
        if part.channel is not None:
            said = (*said, part.channel)
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]

    def state(self) -> tuple[int, int, int]:
        """Size, time of the content and time of the permissions; zeros when absent."""
        try:
            found = os.stat(self.source)
        except (OSError, ValueError):
            return (0, 0, 0)
        return (found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    @property
    def size(self) -> int:
        """Bytes of audio, as far as they can be told without opening the file."""
        whole = self.state()[0]
        if self.part.end is None:
            return whole
        seconds = self.part.end - self.part.start
        return round(min(seconds * _BYTES_A_SECOND, whole or _OF_COMMANDS))

    @property
    def state_read(self) -> tuple[int, int, int]:
        """State of what a result is of: a file that is replaced meanwhile is another one."""
        return self.opened or self.state()


def safe_id(name: str) -> str:
    """An id that a line of a table and a file system can hold, different for every name.

    Letters, digits and common marks of UTF-8 stay; any other byte becomes %XX, and so do
    the dots of a part that is `.` or `..`, a slash in front and one of two in a row.

    Example:
        >>> safe_id("my file/../x")
        'my%20file/%2E%2E/x'
    """
    parts = []
    for part in name.split("/"):
        kept = _OTHER.sub(lambda found: quote_from_bytes(os.fsencode(found[0])), part)
        if not part.strip("."):
            kept = kept.replace(".", "%2E") or "%2F"
        parts.append(kept)
    return "/".join(parts)
