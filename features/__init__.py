"""Waveform to feature matrix: audio, spectra, dynamics, normalisation, archives."""

import os
import tempfile
from pathlib import Path


def _find_place_for_compiled_code() -> None:
    """Names a folder for numba's compiled code where the user's own cannot be written to.

    Else numba, and librosa with it, refuse to be imported: in an installation that is read
    only, by a user without a home.
    """
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    place = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    while not place.exists() and place != place.parent:
        place = place.parent
    if place.is_absolute() and os.access(place, os.W_OK):
        return
    folder = Path(tempfile.gettempdir(), f"keraldi-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():  # somebody's trap
        folder = Path(tempfile.mkdtemp(prefix="keraldi-"))
    os.environ["NUMBA_CACHE_DIR"] = str(folder)


_find_place_for_compiled_code()
