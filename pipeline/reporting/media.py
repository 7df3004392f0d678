"""Pictures and sound small enough to stand inside a page, as data URIs."""

import base64
import io
from collections.abc import Sequence

import numpy as np
import soundfile
from PIL import Image
from scipy.signal import stft

_WINDOW = 0.006  # seconds: short, so that formants and single pulses of the voice show
_STEP = 0.004  # seconds a column
_TRANSFORM = 256
_EMPHASIS = 0.97
_RANGE_DB = 60.0
_WEBP_QUALITY = 60
_AUDIO_HZ = 16000
_MP3_COMPRESSION = 0.9  # about 4 kB a second at 16 kHz
_FAINT = 0.15  # posteriors that stay below this are not worth a row


def data_uri(content: bytes, kind: str) -> str:
    """Content as a `data:` address."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _image(pixels: np.ndarray, form: str, **options: object) -> str:
    """[H, W] uint8, the first row on top, as a grey picture."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return data_uri(buffer.getvalue(), f"image/{form.lower()}")


def spectrogram_pixels(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """A wide-band spectrogram, of 60 dB below the loudest point.

    Args:
        samples: [S] float32.
        rate_hz: their rate.

    Returns:
        [129, columns of 4 ms] uint8, from half the rate down to 0 Hz; 255 is loudest.
    """
    width, step = round(_WINDOW * rate_hz), round(_STEP * rate_hz)
    louder = np.append(samples[:1], samples[1:] - _EMPHASIS * samples[:-1])
    size = max(_TRANSFORM, width)
    louder = np.pad(louder, (0, max(0, width - len(louder))))
    _, _, values = stft(
        louder, nperseg=width, noverlap=width - step, nfft=size, window="hann"
    )
    level = 20.0 * np.log10(np.maximum(np.abs(values), 1e-10))
    scaled = np.clip((level - level.max() + _RANGE_DB) / _RANGE_DB, 0.0, 1.0)
    return np.round(255 * scaled[::-1]).astype(np.uint8)


def spectrogram(samples: np.ndarray, rate_hz: int) -> str:
    """The spectrogram as a grey WebP picture; see `spectrogram_pixels`."""
    return _image(
        spectrogram_pixels(samples, rate_hz), "WebP", quality=_WEBP_QUALITY, method=6
    )


def posteriorgram(
    posteriors: np.ndarray, names: Sequence[str], wanted: Sequence[str]
) -> tuple[str, list[str]]:
    """A picture of posteriors with a row for every phone that matters.

    Args:
        posteriors: [T, V].
        names: of the V columns.
        wanted: phones that get a row in any case; others where they come near to being found.

    Returns:
        A grey PNG picture, a column a network frame, and the names of its rows from the top.
    """
    peaks = posteriors.max(axis=0)
    kept = [
        i for i, name in enumerate(names) if name in set(wanted) or peaks[i] > _FAINT
    ]
    # In the order of their first moment, so that the path runs down the picture.
    kept.sort(key=lambda i: int(posteriors[:, i].argmax()))
    pixels = np.round(255 * np.clip(posteriors[:, kept].T, 0, 1)).astype(np.uint8)
    return _image(pixels, "PNG", optimize=True), [names[i] for i in kept]


def audio(samples: np.ndarray, rate_hz: int) -> str:
    """Samples [S] at 16 kHz or less as MP3, which every browser plays."""
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        np.clip(samples, -1.0, 1.0),
        rate_hz,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=_MP3_COMPRESSION,
    )
    return data_uri(buffer.getvalue(), "audio/mpeg")
