"""Headers of chunked formats: whole files are read, those cut short are told."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from features.audio import read_audio
from features.chunks import promised
from features.errors import AudioError

RATE = 16000
TONE = (0.5 * np.sin(np.arange(8000) * 0.1)).astype(np.float32)
FORMATS = [
    ("WAV", "PCM_16", "LITTLE", 2),
    ("WAV", "PCM_16", "BIG", 2),  # RIFX
    ("WAVEX", "PCM_24", "FILE", 3),
    ("RF64", "PCM_24", "FILE", 3),
    ("W64", "FLOAT", "FILE", 4),
    ("AIFF", "PCM_16", "FILE", 2),
    ("AIFF", "FLOAT", "FILE", 4),  # AIFF-C
    ("CAF", "PCM_16", "FILE", 2),
    ("AU", "ULAW", "FILE", 1),
    ("AU", "PCM_16", "LITTLE", 2),
]


@pytest.mark.parametrize(("kind", "subtype", "endian", "width"), FORMATS)
def test_files_cut_anywhere_are_told(kind, subtype, endian, width, tmp_path):
    path = tmp_path / "x"
    soundfile.write(path, TONE, RATE, subtype, endian, kind)
    content = path.read_bytes()
    assert len(read_audio(path)[0]) == len(TONE)
    found = promised(io.BytesIO(content))
    assert (found.size, found.there >= found.size) == (len(TONE) * width, True)
    end = found.start + found.size
    for cut in (end - 1, end // 2, found.start + 1):
        path.write_bytes(content[:cut])
        with pytest.raises(AudioError, match="truncated: .* bytes of samples where"):
            read_audio(path)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0])
def test_au_that_was_streamed_is_heard_to_its_end(size, tmp_path):
    path = tmp_path / "x.au"
    soundfile.write(path, TONE, RATE)
    content = bytearray(path.read_bytes())
    content[8:12] = size.to_bytes(4)
    found = promised(io.BytesIO(content))
    assert (found.known, found.kept, found.there) == (False, True, 2 * len(TONE))


@given(
    st.sampled_from(FORMATS[::2]),
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 255)), max_size=8),
    st.integers(0, 200),
)
def test_any_header_is_borne(known, changes, length):
    kind, subtype, endian, _ = known
    file = io.BytesIO()
    soundfile.write(file, TONE[:40], RATE, subtype, endian, kind)
    content = bytearray(file.getvalue())
    for place, value in changes:
        content[place % len(content)] = value
    found = promised(io.BytesIO(content[:length]))
    assert found is None or found.there >= 0
