"""Folders looked through with all that is below: links are followed, and no loop is endless."""

import glob
import os
from collections import deque
from collections.abc import Iterator


def walked(
    root: str, troubles: list[OSError]
) -> Iterator[tuple[str, list[str], list[str]]]:
    """As `os.walk`, then what links to folders lead to; each folder once, so no loop is endless."""
    waiting, seen = deque([root]), set()
    while waiting:
        top = waiting.popleft()
        for place, folders, files in os.walk(top, onerror=troubles.append):
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders.sort()
            paths = (os.path.join(place, name) for name in folders)
            waiting.extend(filter(os.path.islink, paths))
            yield place, folders, files


def _hidden(path: str) -> bool:
    """Whether a part of a path is one that `*` does not match."""
    parts = path.split("/")
    return any(p.startswith(".") and p.strip(".") for p in parts)


def expanded(pattern: str) -> list[str]:
    """The paths that a pattern matches, sorted, as of `glob`.

    What `**` stands for is looked through once: where links go in circles, glob itself finds
    files time and again, and may not end.
    """
    parts = pattern.split("/")
    if "**" not in parts:
        return sorted(glob.glob(pattern))
    place = parts.index("**")
    head, tail = "/".join(parts[:place]), parts[place + 1 :]
    start = "/" if pattern.startswith("/") and not head.strip("/") else head
    found: set[str] = set()
    for root in glob.glob(start) if start else ["."]:
        for folder, folders, files in walked(root, []):
            below = os.path.relpath(folder, root)
            if _hidden(below):
                continue
            known = folder if start else os.path.normpath(folder)
            names = [known] if known != "." else []
            if tail:
                found.update(expanded("/".join([*map(glob.escape, names), *tail])))
            else:
                shown = (n for n in [*folders, *files] if not n.startswith("."))
                found.update(names, (os.path.join(*names, name) for name in shown))
    return sorted(found)
