"""Audio of every kind comes back as it went in; every bad file is told."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from features import audio
from features.audio import audio_duration, read_audio
from features.errors import AudioError
from features.parts import Part

RATE = 16000
TONE = (0.5 * np.sin(np.arange(RATE) * 0.1)).astype(np.float32)  # one second

LOSSLESS = {
    "u8": ("wav", "PCM_U8", 2**-7),
    "s16": ("wav", "PCM_16", 2**-15),
    "s24": ("wav", "PCM_24", 2**-23),
    "s32": ("wav", "PCM_32", 2**-23),
    "float": ("wav", "FLOAT", 0.0),
    "flac": ("flac", "PCM_16", 2**-15),
    "sphere": ("nist", "PCM_16", 2**-15),
}  # name -> format, subtype, half a quantisation step and a little


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_keep_samples(name, tmp_path):
    kind, subtype, step = LOSSLESS[name]
    path = tmp_path / f"a.{kind}"
    soundfile.write(path, TONE, RATE, subtype=subtype, format=kind.upper())
    samples, rate = read_audio(path)
    assert (rate, samples.dtype) == (RATE, np.float32)
    np.testing.assert_allclose(samples, TONE, atol=step + 1e-7)


@pytest.mark.parametrize("kind", ["ogg", "mp3"])
def test_lossy_formats_keep_the_tone(kind, tmp_path):
    soundfile.write(tmp_path / f"a.{kind}", TONE, RATE)
    samples, _ = read_audio(tmp_path / f"a.{kind}")
    spectrum = np.abs(np.fft.rfft(samples[2000:14000]))
    assert abs(spectrum.argmax() / 12000 * RATE - 0.1 / (2 * np.pi) * RATE) < 2.0


def test_channels_are_averaged(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([TONE, 0 * TONE], 1), RATE, "FLOAT")
    np.testing.assert_allclose(
        read_audio(tmp_path / "a.wav")[0], TONE / 2, atol=2e-4
    )  # written as 16 bits


def test_floats_may_pass_full_scale_a_little(tmp_path):
    soundfile.write(tmp_path / "a.wav", 3 * TONE, RATE, "FLOAT")
    assert np.abs(read_audio(tmp_path / "a.wav")[0]).max() > 1


def test_a_space_before_a_name_is_part_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", TONE, RATE)
    soundfile.write(" a.wav", TONE[:8000], RATE)
    assert [len(read_audio(name)[0]) for name in ("a.wav", " a.wav")] == [RATE, 8000]


def test_rates_are_changed(tmp_path):
    soundfile.write(tmp_path / "a.wav", TONE, RATE)
    samples, rate = read_audio(tmp_path / "a.wav", rate_hz=8000)
    assert (rate, len(samples)) == (RATE, 8000)
    np.testing.assert_allclose(samples[500:7500], TONE[::2][500:7500], atol=1e-3)


def test_a_part_is_cut_by_time(tmp_path):
    soundfile.write(tmp_path / "a.flac", TONE, RATE)
    samples, _ = read_audio(tmp_path / "a.flac", Part(0.25, 0.5))
    np.testing.assert_allclose(samples, TONE[4000:8000], atol=1e-4)
    assert audio_duration(tmp_path / "a.flac") == 1.0


@pytest.mark.parametrize(("channel", "factor"), [(0, 1.0), (1, -0.5)])
def test_one_channel_is_read(tmp_path, channel, factor):
    soundfile.write(tmp_path / "a.wav", np.stack([TONE, -0.5 * TONE], 1), RATE, "FLOAT")
    samples, _ = read_audio(tmp_path / "a.wav", Part(0.5, channel=channel))
    np.testing.assert_allclose(samples, factor * TONE[8000:], atol=1e-4)


def test_a_channel_that_is_not_there_is_named(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([TONE, TONE], 1), RATE)
    with pytest.raises(AudioError, match="2 channels, counted from 0, .* channel 2"):
        read_audio(tmp_path / "a.wav", Part(channel=2))


def test_pipes_run_only_when_allowed(tmp_path):
    soundfile.write(tmp_path / "a.wav", TONE, RATE)
    command = f"cat {tmp_path}/a.wav |"
    with pytest.raises(AudioError, match="--allow-pipes"):
        read_audio(command)
    np.testing.assert_allclose(
        read_audio(command, allow_pipes=True)[0], TONE, atol=1e-4
    )
    with pytest.raises(AudioError, match="exit status 3: gone; mend it"):
        read_audio("echo gone >&2; exit 3 |", allow_pipes=True)


def cut(path: Path, keep: float) -> None:
    """Leaves the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


def sphere_header(**fields: str) -> bytes:
    rows = "".join(f"{name} {value}\n" for name, value in fields.items())
    return f"NIST_1A\n   1024\n{rows}end_head\n".encode().ljust(1024)


def bad_files(folder: Path) -> None:
    """Writes one file of every bad kind."""
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("not audio at all, but long enough for a header")
    for kind in ("wav", "flac"):
        soundfile.write(folder / f"truncated.{kind}", TONE, RATE)
        cut(folder / f"truncated.{kind}", 0.6)
    soundfile.write(folder / "silent.wav", 0 * TONE, RATE)
    soundfile.write(
        folder / "nan.wav", np.full(RATE, np.nan, np.float32), RATE, "FLOAT"
    )
    soundfile.write(folder / "loud.wav", 1e30 * TONE, RATE, "FLOAT")
    soundfile.write(folder / "none.wav", TONE[:0], RATE)
    soundfile.write(folder / "slow.wav", TONE, 1)
    (folder / "folder.wav").mkdir()
    (folder / "shorten.wav").write_bytes(
        sphere_header(sample_coding="-s26 pcm,embedded-shorten-v2.00") + b"x" * 99
    )
    (folder / "short_sphere.wav").write_bytes(
        sphere_header(
            sample_count="-i 9000", sample_n_bytes="-i 2", channel_count="-i 1"
        )
        + b"x" * 99
    )
    huge = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 2**32 - 2, b"WAVE", b"fmt ", 16, 1, 1,
                       RATE, 2 * RATE, 2, 16, b"data", 2**32 - 40)  # fmt: skip
    (folder / "huge.wav").write_bytes(huge + b"\x01\x00" * 50)
    os.mkfifo(folder / "pipe.wav")
    for name, promised in (("endless", 0), ("vast", (1 << 36) - 1)):
        soundfile.write(folder / f"{name}.flac", TONE, RATE)
        content = bytearray((folder / f"{name}.flac").read_bytes())
        packed = int.from_bytes(content[21:26]) >> 36 << 36 | promised
        content[21:26] = packed.to_bytes(5)
        (folder / f"{name}.flac").write_bytes(content)
    soundfile.write(folder / "cancels.wav", np.stack([TONE, -TONE], 1), RATE, "FLOAT")


# whole files as libsndfile writes them: one page of sound, several, and streams in a row
OGG = [("VORBIS", 400), ("VORBIS", 60_000), ("OPUS", 400), ("OPUS", 60_000)]


def ogg_file(path: Path, subtype: str, count: int) -> bytes:
    """Writes noise as Ogg, and gives its bytes."""
    noise = np.random.default_rng(3).uniform(-0.3, 0.3, count)
    soundfile.write(path, noise, RATE, format="OGG", subtype=subtype)
    return path.read_bytes()


@pytest.mark.parametrize(("subtype", "count"), OGG)
def test_whole_ogg_files_are_heard_to_their_end(subtype, count, tmp_path):
    path = tmp_path / "a.ogg"
    content = ogg_file(path, subtype, count)
    # streams in a row are a file; tags behind the last page are no sound
    for more in (b"", content, b"TAG" + bytes(125), b"OggS by chance" + bytes(40)):
        path.write_bytes(content + more)
        assert len(read_audio(path)[0]) >= count


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_file_cut_anywhere_is_told(subtype, tmp_path):
    path = tmp_path / "a.ogg"
    content = ogg_file(path, subtype, 60_000)
    last = content.rindex(b"OggS")
    # at a page's end, in its magic, header, table and sound, and in halves
    for end in (last, last + 2, last + 5, last + 20, last + 28, len(content) - 1):
        path.write_bytes(content[:end])
        with pytest.raises(AudioError, match="truncated.*copy it again") as caught:
            read_audio(path)
        assert str(caught.value).startswith(f"{path}: ")
    for keep in (0.5, 0.7, 0.9):
        path.write_bytes(content)
        cut(path, keep)
        with pytest.raises(AudioError, match="truncated: its last page "):
            read_audio(path)
    path.write_bytes(content + bytes(70_000))
    with pytest.raises(AudioError, match="truncated: no page at its end"):
        read_audio(path)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF])
@pytest.mark.parametrize("piped", [False, True])
def test_wav_that_was_streamed_is_heard_to_its_end(size, piped, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, TONE, RATE)
    whole, _ = read_audio(path)
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    source = f"cat {path} |" if piped else path
    samples, rate = read_audio(source, allow_pipes=True)
    assert rate == RATE
    np.testing.assert_array_equal(samples, whole)
    assert path.read_bytes() == content


def test_what_a_header_promises_is_read_in_blocks(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([TONE, TONE / 2], 1), RATE)
    whole, _ = read_audio(path)
    monkeypatch.setattr(audio, "_TRUSTED", 3000)
    np.testing.assert_array_equal(read_audio(path)[0], whole)


BAD = {
    "pipe.wav": "a pipe, socket or device, not a file; write its sound",
    "empty.wav": "empty file",
    "text.wav": "cannot be read as audio",
    "truncated.wav": "truncated: .* where the header promises 32000",
    "truncated.flac": r"truncated or damaged \(flac decoder lost sync\); copy it again",
    "silent.wav": "silent, every sample is zero",
    "nan.wav": "holds NaN or infinity",
    "loud.wav": r"floats up to 5e\+29: expected -1 to 1; divide",
    "none.wav": "no samples",
    "slow.wav": "1 samples a second: expected at least 1000; mend the header",
    "folder.wav": "a folder, not a file",
    "absent.wav": "no such file; mend its path .relative ones begin",
    "shorten.wav": "shorten, which is not supported; unpack it",
    "short_sphere.wav": "truncated: 99 bytes of samples where the header promises 18000",
    "huge.wav": "truncated: 100 bytes",
    "endless.flac": "FLAC that does not tell its length.*; decode it to WAV",
    "vast.flac": "its header promises 68719476735 samples, more than the file can hold",
    "cancels.wav": "silent, every sample is zero or its channels cancel out",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_told(name, tmp_path):
    bad_files(tmp_path)
    with pytest.raises(AudioError, match=BAD[name]) as caught:
        read_audio(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert "\n" not in str(caught.value)
