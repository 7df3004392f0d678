"""A small data dir."""

import numpy as np
import pytest
import soundfile

from pipeline.datadir.datadir import DataDir, write_datadir


@pytest.fixture
def data(tmp_path) -> DataDir:
    """Three speakers with three utterances each."""
    utterances = [f"{spk}-{n}" for spk in ("ann", "bob", "eve") for n in range(3)]
    wav = {}
    for number, utt in enumerate(utterances):
        wav[utt] = str(tmp_path / f"{utt}.wav")
        soundfile.write(wav[utt], np.full(1600 * (number + 1), 0.1), 16000)
    data = DataDir(
        path=tmp_path / "data",
        wav=wav,
        utt2spk={utt: utt[:3] for utt in utterances},
        text={utt: ("a", "b") for utt in utterances},
        spk2gender={"ann": "f", "bob": "m", "eve": "f"},
        utt2dur={utt: (n + 1) / 10 for n, utt in enumerate(utterances)},
    )
    write_datadir(data, tmp_path / "data")
    (tmp_path / "data" / "spk2age").write_text("ann 30\nbob 40\neve 50\n")
    (tmp_path / "data" / "words").write_text("".join(f"{u} x y\n" for u in utterances))
    return data
