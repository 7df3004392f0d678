"""A small model with random weights, for stages that only need one that runs."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

PHONES = ["sil", "a", "b", "c", "d"]


def save_model(
    folder: Path, layer: dict, frontend: dict, *, layers: int = 1, **recipe
) -> Path:
    """Saves a network of such layers over 12 mel filters, with random weights."""
    import keras

    from features.frontend import FrontendOptions
    from features.spectral import FeatureOptions
    from pipeline.nnet.config import LayerOptions
    from pipeline.nnet.network import AcousticModel
    from pipeline.nnet.recipe import Recipe

    keras.utils.set_random_seed(7)
    features = FeatureOptions(num_mels=12)
    options = FrontendOptions(**frontend)
    values = {
        "objective": "framewise",
        "states": 1,
        "label_delay": 0,
        "global_cmvn": None,
        **recipe,
    }
    count = len(PHONES) * values["states"]
    values.setdefault("log_priors", np.full(count, -np.log(count)).tolist())
    if values["objective"] == "ctc":
        count, values["log_priors"] = count + 1, []
    made = Recipe(phones=PHONES, features=features, frontend=options, **values)
    model = AcousticModel(
        [vars(LayerOptions(**layer))] * layers,
        options.output_dim(features.dim),
        count,
        recipe=made.to_values(),
    )
    # Random weights say little that is certain: larger ones make phones change.
    model.output_layer.kernel.assign(model.output_layer.kernel * 6)
    model.save(folder / "final.keras")
    return folder


@pytest.fixture(scope="session")
def random_model(tmp_path_factory) -> Path:
    """A model dir: bidirectional, every second frame, statistics of the speaker."""
    layer = {"type": "lstmp", "cells": 16, "projection": 8, "bidirectional": "concat"}
    folder = tmp_path_factory.mktemp("random_model")
    return save_model(folder, layer, {"stack": 2, "skip": 2})


@pytest.fixture(scope="session")
def light_model(random_model, tmp_path_factory) -> Path:
    """`random_model` as a TFLite file, with an n-gram and settings in it."""
    from pipeline.config import save
    from pipeline.decoding.settings import DecodeSettings
    from pipeline.export import export

    folder = tmp_path_factory.mktemp("light")
    save(folder / "settings.yaml", DecodeSettings(insertion_penalty=0.5))
    (folder / "lm.arpa").write_text(
        "\\data\\\nngram 1=7\n\n\\1-grams:\n-99 <s>\n-0.8 </s>\n"
        + "".join(f"-0.8 {phone}\n" for phone in PHONES)
        + "\n\\end\\\n"
    )
    export(
        str(random_model),
        str(folder / "out"),
        formats=("tflite",),
        arpa=str(folder / "lm.arpa"),
        settings=str(folder / "settings.yaml"),
    )
    return folder / "out" / "model.tflite"


@pytest.fixture(scope="session")
def forward_model(tmp_path_factory) -> Path:
    """A model dir: hears no future but three states a phone late, and fixed statistics."""
    stats = np.zeros((2, 13))
    stats[0, :-1], stats[1, :-1], stats[0, -1] = -500.0, 3000.0, 100.0
    layer = {"type": "lstmp", "cells": 16, "projection": 8}
    return save_model(
        tmp_path_factory.mktemp("forward_model"),
        layer,
        {"cmvn": "global", "deltas": 1, "splice_right": 1, "stack": 3, "skip": 2},
        layers=2,
        states=2,
        label_delay=3,
        global_cmvn=stats.tolist(),
    )


# ids that would break a careless page; reference and hypothesis of each
SPOKEN = {
    "s1-&amp;": ("sil b a sil", "sil b sil"),
    "s1-<b>": ("sil a q b sil", "sil ax a sil"),
    's2-"x"\'': ("sil a sil", "sil a b sil"),
    "s2-</script>": ("sil b b sil", "sil b b sil"),
}
SECONDS = 0.8


def _evenly(phones: str):
    """Marks of equal length over an utterance."""
    from pipeline.datadir.times import PhoneInterval

    names = phones.split()
    step = SECONDS / len(names)
    return [
        PhoneInterval(name, i * step, (i + 1) * step, 0.5 + 0.1 * (i % 5))
        for i, name in enumerate(names)
    ]


def write_model(name: str, spoken: dict[str, tuple[str, str]]) -> None:
    """A scored model dir `exp/NAME` of `data/test`, with stored posteriors."""
    from features.archive import ArchiveWriter
    from features.files import write_text
    from pipeline.config import save
    from pipeline.datadir.phones import PhoneTable
    from pipeline.datadir.times import write_ctm
    from pipeline.decoding.settings import DecodeSettings
    from pipeline.posteriors import StoredLayer
    from pipeline.score import score

    model = Path("exp") / name
    decoded = model / "decode_test"
    PhoneTable(("a", "ax", "b", "q", "sil")).write(model / "phones.txt")
    write_text(
        model / "config.yaml",
        "network: {layers: [{type: lstmp, cells: 8, projection: 4}]}\n"
        "objective: {type: framewise, states: 1}\n",
    )
    write_text(
        model / "history.csv",
        "epoch,loss,val_loss,learning_rate\n1,2.0,1.9,0.1\n2,nan,1.5,0.05\n3,1.0,1.2,0.01\n",
    )
    write_text(model / "environment.txt", "python: 3.11\nseed: 1\n")
    write_text(
        decoded / "hyp", "".join(f"{utt} {hyp}\n" for utt, (_, hyp) in spoken.items())
    )
    write_ctm(decoded / "ctm", {utt: _evenly(hyp) for utt, (_, hyp) in spoken.items()})
    settings = DecodeSettings(
        search="viterbi", tuned_on="data/dev", decoded="data/test"
    )
    save(decoded / "settings.yaml", settings)
    layer = StoredLayer(
        phones=["a", "ax", "b", "q", "sil"],
        objective="framewise",
        states=1,
        log_priors=np.full(5, np.log(0.2)).tolist(),
        frame_shift=0.01,
        frame_length=0.025,
        skip=2,
        made=str(model),
        decoded="data/test",
    )
    save(decoded / "posteriors.yaml", layer)
    rng = np.random.default_rng(3)
    with ArchiveWriter(
        decoded / "posteriors.ark", decoded / "posteriors.scp"
    ) as writer:
        for utt in spoken:
            writer.write(
                utt, np.log(rng.dirichlet(np.ones(5), size=40)).astype("float32")
            )
    score("data/test", str(decoded), lang="lang")


def write_spoken(spoken: dict[str, tuple[str, str]]) -> None:
    """`lang` and `data/test` in the working directory: tones, texts and times."""
    import soundfile

    from pipeline.datadir.datadir import DataDir, write_datadir
    from pipeline.datadir.lang import Lang, write_lang
    from pipeline.datadir.phones import Fold, PhoneTable
    from pipeline.datadir.times import write_ctm

    phones = ("a", "ax", "b", "q", "sil")
    fold = {"a": "a", "ax": "a", "b": "b", "q": None, "sil": "sil"}
    write_lang(Lang(PhoneTable(phones), Fold(fold), None, ("sil",)), "lang")
    data = Path("data/test")
    time = np.arange(round(16000 * SECONDS)) / 16000
    wav = {}
    (data / "audio").mkdir(parents=True)
    for number, utt in enumerate(spoken):
        wav[utt] = f"data/test/audio/{number}.wav"
        soundfile.write(
            wav[utt], 0.3 * np.sin(2 * np.pi * 300 * (number + 1) * time), 16000
        )
    text = {utt: tuple(ref.split()) for utt, (ref, _) in spoken.items()}
    speakers = {utt: utt[:2] for utt in spoken}
    gender = {speaker: "mf"[speaker == "s1"] for speaker in speakers.values()}
    write_datadir(DataDir(data, wav, speakers, text=text, spk2gender=gender), data)
    write_ctm(
        data / "phones.ctm", {utt: _evenly(ref) for utt, (ref, _) in spoken.items()}
    )


@pytest.fixture(scope="session")
def scored_corpus(tmp_path_factory) -> Path:
    """A folder with `lang`, `data/test` and two scored models; copy it to change it."""
    folder = tmp_path_factory.mktemp("scored")
    with contextlib.chdir(folder):
        write_spoken(SPOKEN)
        write_model("net", SPOKEN)
        worse = {utt: (ref, "sil b sil") for utt, (ref, _) in SPOKEN.items()}
        write_model("other", worse)
    return folder
