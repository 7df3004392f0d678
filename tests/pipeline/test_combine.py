import json
from pathlib import Path

import numpy as np
import pytest

from features.archive import ArchiveReader
from features.errors import ConfigError, DataError
from pipeline.combine import combine
from pipeline.config import load, save
from pipeline.datadir.datadir import DataDir, write_datadir
from pipeline.datadir.lang import Lang, write_lang
from pipeline.datadir.phones import Fold, PhoneTable
from pipeline.datadir.tables import read_table
from pipeline.datadir.times import read_ctm
from pipeline.decode import decode
from pipeline.decoding.settings import DecodeSettings
from pipeline.posteriors import StoredLayer, stored

PHONES = ("a", "b", "sil")
TRUTH = {"s1-u1": "sil a b sil", "s2-u1": "a b a sil"}


def posteriors(seed):
    """What a model of ten frames a phone hears: the truth under noise of its own."""
    rng = np.random.default_rng(seed)
    for utt, line in TRUTH.items():
        labels = np.repeat(PhoneTable(PHONES).indices(line.split()), 10)
        scores = rng.normal(scale=2.0, size=(len(labels), 3))
        scores[np.arange(len(labels)), labels] += 2.0
        norm = np.logaddexp.reduce(scores, axis=1)[:, None]
        yield utt, (scores - norm).astype(np.float32)


def store(name, stream, **changes):
    layer = {
        "phones": list(PHONES),
        "objective": "framewise",
        "states": 1,
        "log_priors": np.log([0.5, 0.25, 0.25]).tolist(),
        "frame_shift": 0.01,
        "frame_length": 0.025,
        "skip": 1,
        "made": f"exp/{name}",
        "decoded": "test",
    }
    with stored(stream, Path(name), StoredLayer(**{**layer, **changes})) as passing:
        for _ in passing:
            pass


@pytest.fixture
def systems(tmp_path, monkeypatch):
    """Three stores `m0`, `m1`, `m2`, a data dir and a lang dir in the working directory."""
    monkeypatch.chdir(tmp_path)
    write_lang(
        Lang(PhoneTable(PHONES), Fold({p: p for p in PHONES}), None, ("sil",)), "lang"
    )
    text = {utt: tuple(line.split()) for utt, line in TRUTH.items()}
    wav = {utt: f"{utt}.wav" for utt in TRUTH}
    data = DataDir(tmp_path / "test", wav, {u: u[:2] for u in TRUTH}, text=text)
    write_datadir(data, "test")
    for seed in range(3):
        store(f"m{seed}", posteriors(seed))
    return ("m0", "m1", "m2")


def frame_errors(name):
    reader = ArchiveReader(f"{name}/posteriors.scp")
    wrong = 0
    for utt, line in TRUTH.items():
        labels = np.repeat(PhoneTable(PHONES).indices(line.split()), 10)
        wrong += int((reader[utt].argmax(axis=1) != labels).sum())
    return wrong


@pytest.mark.parametrize("how", ["mean", "product"])
def test_combined_posteriors_are_better_and_can_be_decoded(systems, how):
    combine(*systems, out="all", how=how)
    assert frame_errors("all") < min(map(frame_errors, systems))
    decode("all", "test", "out", lang="lang", insertion_penalty=3.0)
    assert read_table("out/hyp") == TRUTH
    settings = load("out/settings.yaml", DecodeSettings)
    assert settings.posteriors == f"{how} of exp/m0, exp/m1, exp/m2"
    layer = load("all/posteriors.yaml", StoredLayer)
    assert np.exp(layer.log_priors) == pytest.approx([0.5, 0.25, 0.25])


def test_weights_are_heeded_and_told(systems):
    combine("m0", "m1", out="all", weights=(3.0, 1.0))
    found = np.exp(ArchiveReader("all/posteriors.scp")["s1-u1"])
    first, second = (dict(posteriors(seed))["s1-u1"] for seed in range(2))
    wanted = 0.75 * np.exp(first) + 0.25 * np.exp(second)
    assert found == pytest.approx(wanted, abs=1e-6)
    made = load("all/posteriors.yaml", StoredLayer).made
    assert made == "mean of 0.75 exp/m0, 0.25 exp/m1"


def put_hyp(name, line, utt="s1-u1", sure=0.9):
    store(name, posteriors(0))
    decode(name, "test", f"{name}/decode", lang="lang")
    with open(f"{name}/decode/ctm", "w", encoding="utf-8") as file:
        for k, phone in enumerate(line.split()):
            file.write(f"{utt} 1 {k / 10:.2f} 0.10 {phone} {sure}\n")
    with open(f"{name}/decode/hyp", "w", encoding="utf-8") as file:
        file.write(f"{utt} {line}\n")


def test_hypotheses_vote(systems, capsys):
    for name, line in (
        ("x", "sil a b sil"),
        ("y", "sil b sil"),
        ("z", "sil a b b sil"),
    ):
        put_hyp(name, line)
    places = [f"{name}/decode" for name in "xyz"]
    combine(*places, out="voted", how="rover")
    assert read_table("voted/hyp") == {"s1-u1": "sil a b sil"}
    marks = read_ctm("voted/ctm")["s1-u1"]
    assert marks[1].confidence == pytest.approx(2 / 3, abs=1e-3)
    settings = load("voted/settings.yaml", DecodeSettings)
    assert settings.describe() == (
        "ROVER of x/decode, y/decode, z/decode, vote_weight 1, null_confidence 0; "
        "its systems given, not tuned"
    )
    assert settings.decoded == "test"
    for name in "xyz":
        save(
            f"{name}/decode/settings.yaml",
            DecodeSettings(tuned_on="test", decoded="test"),
        )
    combine(*places, out="again", how="rover")
    assert load("again/settings.yaml", DecodeSettings).tuned_on_itself
    combine(*places, out="again", how="rover")
    assert "up to date" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("tuned_on", "told", "itself"),
    [
        (
            ("dev", "test"),
            "x/decode (tuned on dev), y/decode (tuned on test), vote_weight",
            True,
        ),
        (
            (None, "test"),
            "x/decode (given, not tuned), y/decode (tuned on test), vote_weight",
            True,
        ),
        (
            (None, "dev"),
            "x/decode (given, not tuned), y/decode (tuned on dev), vote_weight",
            False,
        ),
        (
            ("dev", "dev"),
            "x/decode, y/decode, vote_weight 1, null_confidence 0; its systems tuned on dev",
            False,
        ),
    ],
)
def test_votes_tell_where_each_system_was_tuned(systems, tuned_on, told, itself):
    for name, place in zip("xy", tuned_on, strict=True):
        put_hyp(name, "sil a b sil")
        settings = DecodeSettings(tuned_on=place, decoded="test")
        save(f"{name}/decode/settings.yaml", settings)
    combine("x/decode", "y/decode", out="voted", how="rover")
    settings = load("voted/settings.yaml", DecodeSettings)
    assert f"ROVER of {told}" in settings.describe()
    assert settings.tuned_on_itself == itself


def test_systems_that_contradict_themselves_are_refused(systems, tmp_path):
    for name in "xy":
        put_hyp(name, "sil a b sil")
    (tmp_path / "y/decode/settings.yaml").write_text("")
    with pytest.raises(ConfigError, match="y/decode/settings.yaml: no acoustic_scale"):
        combine("x/decode", "y/decode", out="voted", how="rover")
    (tmp_path / "x/decode/ctm").write_text("")
    with pytest.raises(DataError, match="x/decode: hyp and ctm say different phones"):
        combine("x/decode", "y/decode", out="voted", how="rover")
    assert not (tmp_path / "voted").exists()


def put_nbest(name, *scored):
    put_hyp(name, scored[0][1])
    several = [
        {
            "score": score,
            "phones": line.split(),
            "spans": [[k / 10, (k + 1) / 10] for k in range(len(line.split()))],
        }
        for score, line in scored
    ]
    with open(f"{name}/decode/nbest.jsonl", "w", encoding="utf-8") as file:
        file.write(json.dumps({"utterance": "s1-u1", "nbest": several}) + "\n")


@pytest.mark.parametrize(
    "scale, weights, wanted",
    [
        # Nearly the best for both: it has almost half of the votes everywhere.
        (1.0, (1.0, 1.0), "a sil"),
        (100.0, (3.0, 1.0), "a b"),
        (100.0, (1.0, 3.0), "b sil"),
    ],
)
def test_all_sequences_of_nbest_lists_vote(systems, scale, weights, wanted):
    put_nbest("x", (0.0, "a b"), (-0.1, "a sil"))
    put_nbest("y", (0.0, "b sil"), (-0.1, "a sil"))
    places = ("x/decode", "y/decode")
    combine(*places, out="voted", how="rover", weights=weights, nbest_scale=scale)
    assert read_table("voted/hyp") == {"s1-u1": wanted}


def test_a_damaged_nbest_list_is_named(systems, tmp_path):
    for name in "xy":
        put_nbest(name, (0.0, "a b"))
    (tmp_path / "x/decode/nbest.jsonl").write_text('{"utterance": "s1-u1"}\n')
    with pytest.raises(DataError, match="x/decode/nbest.jsonl:1: not a line of n-best"):
        combine("x/decode", "y/decode", out="voted", how="rover", nbest_scale=1.0)


@pytest.mark.parametrize(
    "name, value",
    [("states", 2), ("skip", 3), ("objective", "ctc"), ("phones", ["a", "b", "pau"])],
)
def test_outputs_of_another_meaning_are_refused(systems, name, value):
    store("other", posteriors(0), **{name: value})
    with pytest.raises(
        DataError, match=f"other/posteriors.yaml: {name} is not that of m0"
    ):
        combine("m0", "other", out="all")


def test_other_utterances_are_named(systems):
    store("other", list(posteriors(0))[:1])
    with pytest.raises(DataError, match="other: lacks 1 utterance .*: s2-u1"):
        combine("m0", "other", out="all")


def test_other_frames_are_named(systems, tmp_path):
    store("other", ((utt, matrix[1:]) for utt, matrix in posteriors(0)))
    with pytest.raises(DataError, match=r"m0 \[40, 3\], other \[39, 3\]"):
        combine("m0", "other", out="all")
    assert not (tmp_path / "all/posteriors.scp").exists()


@pytest.mark.parametrize(
    "places, options, message",
    [
        (("m0",), {}, "two decode dirs or more, got 1"),
        (("m0", "m0"), {}, "different folders"),
        (("m0", "m1"), {"out": "m1"}, "different folders"),
        (("m0", "m1"), {"weights": (1.0,)}, "expected 2 weights.*got 1"),
        (("m0", "m1"), {"weights": (float("inf"), 1.0)}, "not all 0, got inf 1"),
        (("m0", "m1"), {"weights": (1.0, -1.0)}, "none negative and.*got 1 -1"),
        (("m0", "m1"), {"vote_weight": 2.0}, "--vote-weight: expected 0 to 1, got 2"),
        (("m0", "m1"), {"nbest_scale": 1.0}, "--nbest-scale: .*--how rover"),
        (("m0", "no"), {}, "no/posteriors.yaml: no such file.*decode --posteriors"),
        (("m0", "m1"), {"how": "rover"}, "m0/hyp: no such file.*run keraldi decode"),
    ],
)
def test_wrong_orders_are_named(systems, places, options, message):
    with pytest.raises((ConfigError, DataError), match=message):
        combine(*places, **{"out": "all", **options})


@pytest.mark.parametrize(
    "row, how, message",
    [
        ([np.nan, 0.0, 0.0], "mean", "bad/posteriors.scp: utterance 's1-u1'.*hold NaN"),
        ([0.7, 0.2, 0.1], "mean", "bad/posteriors.scp: .*at most 0, got 0.7"),
        ([-np.inf] * 3, "product", "'s1-u1': a frame has no output"),
    ],
)
def test_damaged_posteriors_are_not_combined(systems, tmp_path, row, how, message):
    damaged = dict(posteriors(1))
    damaged["s1-u1"][5] = row
    store("bad", damaged.items())
    with pytest.raises(DataError, match=message):
        combine("m0", "bad", out="all", how=how)
    assert not (tmp_path / "all/posteriors.scp").exists()
