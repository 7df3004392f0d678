import base64
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from features.errors import ConfigError, DataError
from features.files import write_text
from pipeline.config import save
from pipeline.datadir.datadir import DataDir, write_datadir
from pipeline.datadir.times import PhoneInterval, write_ctm
from pipeline.decoding.settings import DecodeSettings
from pipeline.report import report
from pipeline.score import score


@pytest.fixture
def corpus(scored_corpus, tmp_path, monkeypatch):
    """The scored corpus, to be changed at will."""
    shutil.copytree(scored_corpus, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(path):
    """What the page shows, as JSON."""
    text = path.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found is not None
    return json.loads(found[1])


def drawn(page, number=0):
    """Sound and pictures of a set's utterances."""
    found = page["sets"][number]
    media = page["media"].get(str(found["media"]), {})
    ids = [utt for utt in (row["id"] for row in found["utterances"])]
    pictures = {
        utt: {"posteriors": picture} for utt, picture in found["posteriors"].items()
    }
    both = {utt: media.get(utt, {}) | pictures.get(utt, {}) for utt in ids}
    return {utt: item for utt, item in both.items() if item}


def write_scored_model(name, sets, spoken, rng):
    """`data/test`, and decode dirs of which a third of the phones is wrong, with times."""
    data = Path("data/test")
    speakers = {utt: utt.partition("-")[0] for utt in spoken}
    wav = {utt: f"{utt}.wav" for utt in spoken}
    text = {utt: tuple(row) for utt, row in spoken.items()}
    write_datadir(DataDir(data, wav, speakers, text=text), data)
    symbols = sorted({phone for row in spoken.values() for phone in row})
    for one in sets:
        decoded = Path("exp") / name / f"decode_{one}"
        heard = {
            utt: [rng.choice(symbols) if rng.random() < 0.3 else p for p in row]
            for utt, row in spoken.items()
        }
        rows = [" ".join([utt, *row]) for utt, row in heard.items()]
        write_text(decoded / "hyp", "\n".join(rows) + "\n")
        marks = {
            utt: [
                PhoneInterval(p, 0.12 * i, 0.12 * (i + 1), rng.random())
                for i, p in enumerate(row)
            ]
            for utt, row in heard.items()
        }
        write_ctm(decoded / "ctm", marks)
        save(
            decoded / "settings.yaml",
            DecodeSettings(search="viterbi", decoded=str(data)),
        )
        score(str(data), str(decoded))


def made(*models, **options):
    """The contents of a page that is made now."""
    report(list(models), lang="lang", **options)
    return contents(Path(models[0]) / "report.html")


def test_rates_and_protocol_are_those_of_scoring(corpus):
    page = made("exp/net")
    [found] = page["sets"]
    record = json.loads(
        Path("exp/net/decode_test/scoring/scores.json").read_text(encoding="utf-8")
    )
    assert found["policies"] == record["policies"]
    assert found["policies"]["strict"]["errors"] == 3
    assert found["policies"]["strict"]["tokens"] == 15
    assert found["protocol"]["decoding"].endswith("tuned on data/dev")
    assert list(found["groups"]) == ["sex"]
    lengths = found["by_length"].values()
    assert sum(row["errors"] for row in lengths) == 3
    assert sum(row["tokens"] for row in lengths) == 15


def test_phones_stand_in_time_beside_their_alignment(corpus):
    found = made("exp/net")["sets"][0]
    by_id = {row["id"]: row for row in found["utterances"]}
    row = by_id["s1-<b>"]
    symbols = [*found["symbols"], None]
    pairs = [symbols[i] for i in row["pairs"]]
    assert pairs == ["sil", "sil", "a", "a", "b", "a", "sil", "sil"]
    # phone, pause, duration, confidence in percent, pairs further; `q` is deleted by the fold
    marks = [row["ref"][i : i + 5] for i in range(0, len(row["ref"]), 5)]
    assert [symbols[m[0]] for m in marks] == ["sil", "a", "q", "b", "sil"]
    assert [m[1:3] for m in marks] == [[0, 160]] * 5
    assert [m[4] for m in marks] == [1, 1, 0, 1, 1]
    heard = [row["hyp"][i : i + 5] for i in range(0, len(row["hyp"]), 5)]
    assert [symbols[m[0]] for m in heard] == ["sil", "ax", "a", "sil"]
    assert [m[3] for m in heard] == [50, 60, 70, 80]
    assert not [line for line in found["notes"] if "--lang" in line]


def test_without_the_fold_marks_are_shown_and_the_lang_dir_is_asked_for(corpus):
    report(["exp/net"])
    found = contents(corpus / "exp/net/report.html")["sets"][0]
    assert [line for line in found["notes"] if "give --lang" in line]
    row = next(r for r in found["utterances"] if r["id"] == "s1-<b>")
    assert row["hyp"][4::5] == [0] * 4


def test_the_worst_and_the_median_are_drawn(corpus):
    page = made("exp/net", examples=1, show=["s2-</script>"])
    found, pictures = page["sets"][0], drawn(page)
    # rates: 33.3, 25, 25 and 0 percent
    assert found["chosen"]["worst"] == ['s2-"x"\'']
    assert len(found["chosen"]["median"]) == 1
    assert found["chosen"]["asked"] == ["s2-</script>"]
    for utt in ('s2-"x"\'', "s2-</script>"):
        assert pictures[utt]["seconds"] == pytest.approx(0.8)
        assert pictures[utt]["spectrogram"].startswith("data:image/webp;base64,")
        assert pictures[utt]["audio"].startswith("data:audio/mpeg;base64,")
        picture = pictures[utt]["posteriors"]
        assert picture["image"].startswith("data:image/png;base64,")
        # 40 frames of 2 x 10 ms; the first is centred on 10 + 12.5 ms
        assert picture["start"] == pytest.approx(0.0125)
        assert picture["end"] == pytest.approx(0.8125)
    # two more: a deleted, and a for b, are frequent errors that the first does not hold
    assert set(pictures) == {'s2-"x"\'', "s2-</script>", "s1-&amp;", "s1-<b>"}


def test_names_cannot_break_out_of_the_page(corpus):
    made("exp/net")
    text = (corpus / "exp/net/report.html").read_text(encoding="utf-8")
    assert text.count("</script>") == 2  # of the data and of the code
    assert "s1-<b>" not in text
    assert "s1-&amp;" not in text
    names = [
        row["id"]
        for row in contents(corpus / "exp/net/report.html")["sets"][0]["utterances"]
    ]
    assert "s2-</script>" in names


def test_models_stand_beside_each_other_with_paired_tests(corpus):
    page = made("exp/net", "exp/other")
    assert [model["name"] for model in page["models"]] == ["net", "other"]
    assert "tests" not in page["models"][0]["sets"]["test"]
    tests = page["models"][1]["sets"]["test"]["tests"]
    # the other says "sil b sil" of everything: 4 errors of 15 against 3
    assert tests["utterances"]["difference"] == pytest.approx(100 * (4 - 3) / 15)
    assert 0 < tests["mapsswe"]["p"] <= 1


def test_systems_that_were_scored_otherwise_are_not_tested(corpus):
    path = Path("exp/other/decode_test/scoring/scores.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    record["protocol"]["fold"] = "another"
    path.write_text(json.dumps(record))
    tests = made("exp/net", "exp/other")["models"][1]["sets"]["test"]["tests"]
    assert "fold is" in tests["why_not"]


def test_the_same_work_is_not_done_again(corpus, capsys):
    made("exp/net")
    made("exp/net")
    assert "is up to date" in capsys.readouterr().err
    Path("exp/net/history.csv").unlink()
    assert made("exp/net")["models"][0]["history"] is None
    assert "is up to date" not in capsys.readouterr().err


def test_missing_numbers_are_null(corpus):
    history = made("exp/net")["models"][0]["history"]
    assert history["loss"] == [2.0, None, 1.0]


def test_what_is_gone_is_noted_and_the_page_still_made(corpus):
    shutil.rmtree("data/test/audio")
    Path("exp/net/decode_test/posteriors.scp").unlink()
    Path("exp/net/decode_test/ctm").unlink()
    notes = "\n".join(made("exp/net")["sets"][0]["notes"])
    assert "data/test/audio/0.wav: no such file" in notes
    assert "no posteriors.scp and no features; decode with --posteriors" in notes
    assert "decode_test/ctm: no such file" in notes


def test_votes_have_no_posteriorgrams_and_that_is_noted(corpus):
    """Features are there, but neither a model nor stored posteriors."""
    Path("exp/net/decode_test/posteriors.scp").unlink()
    utterances = Path("data/test/utt2spk").read_text().split()[::2]
    rows = [f"{utt} feats.ark:9\n" for utt in utterances]
    Path("data/test/feats.scp").write_text("".join(rows))
    notes = "\n".join(made("exp/net")["sets"][0]["notes"])
    assert "no posteriors.scp, and no model in exp/net; decode with" in notes


def test_a_data_dir_that_is_gone_is_noted(corpus):
    shutil.rmtree("data")
    page = made("exp/net")
    assert "data/test: no data dir from here" in "\n".join(page["sets"][0]["notes"])


def test_a_command_as_audio_is_run_only_when_allowed(corpus):
    path = Path("data/test/wav.scp")
    path.write_text(re.sub(r" (data/\S+)", r" cat \1 |", path.read_text()))
    notes = "\n".join(made("exp/net")["sets"][0]["notes"])
    assert "--allow-pipes lets it run" in notes
    found = drawn(made("exp/net", allow_pipes=True))
    assert found
    assert all("audio" in item for item in found.values())


def test_sets_of_the_same_data_share_sound_and_spectrograms(corpus):
    shutil.copytree(DECODED, "exp/net/decode_test_again")
    page = made("exp/net")
    assert [found["media"] for found in page["sets"]] == [0, 0]
    assert list(page["media"]) == ["0"]
    assert drawn(page, 0) == drawn(page, 1)
    assert all("audio" in item for item in drawn(page, 1).values())


# as measured on speechocean762: 3.5 s a sentence, coded as base64
SPECTROGRAM, SOUND, POSTERIORS = 23500, 15300, 1500
UTTERANCES, PHONES_OF_EACH, SETS = 600, 30, 4  # each set twice


def test_eight_sets_of_600_utterances_are_below_5_megabytes(
    tmp_path, monkeypatch, capsys
):
    rng = np.random.default_rng(4)
    monkeypatch.chdir(tmp_path)
    phones = [f"p{number}" for number in range(40)]
    ids = [f"speaker{i % 20:02}-utterance{i:04}" for i in range(UTTERANCES)]
    refs = rng.choice(phones, (UTTERANCES, PHONES_OF_EACH))
    spoken = dict(zip(ids, map(list, refs), strict=True))
    write_scored_model("net", [f"test_{i}" for i in range(SETS)], spoken, rng)

    def sound(data, utt, *, allow_pipes):
        noise = base64.b64encode(rng.bytes(SPECTROGRAM + SOUND)).decode()
        spectrogram = noise[: SPECTROGRAM + POSTERIORS]
        return {"spectrogram": spectrogram, "audio": noise[:SOUND], "seconds": 3.5}

    monkeypatch.setattr("pipeline.report.draw_sound", sound)
    for number in range(SETS):
        found = Path(f"exp/net/decode_test_{number}")
        shutil.copytree(found, f"{found}_again")
    report(["exp/net"], posteriors=False, examples=12)
    page = contents(Path("exp/net/report.html"))
    assert Path("exp/net/report.html").stat().st_size < 5e6
    assert len(page["sets"]) == 2 * SETS
    worst = [found["chosen"]["worst"] for found in page["sets"]]
    assert len({utt for row in worst for utt in row}) > 20  # not all the same
    assert all(set(row[:6]) <= set(page["media"]["0"]) for row in worst)
    assert "left out of" in capsys.readouterr().err


DECODED = "exp/net/decode_test"


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("exp/net", None, "exp/net: no such folder; give a model dir"),
        (DECODED, None, r"found no decode_\*; run keraldi decode"),
        (f"{DECODED}/scoring", None, "found decode_test; run keraldi score"),
        (f"{DECODED}/scoring/scores.json", "{", "not JSON .*; run keraldi score"),
        ("exp/net/history.csv", "epoch,loss\n1,x\n", "csv:2: loss: .* got 'x'"),
        ("exp/net/history.csv", "epoch,loss\n1\n", "csv:2: expected 2 values, got 1"),
    ],
)
def test_what_is_wrong_is_said_and_an_old_page_stays(corpus, path, content, message):
    Path("page.html").write_text("old")
    if content is None:
        shutil.rmtree(path)
    else:
        Path(path).write_text(content)
    with pytest.raises(DataError, match=message):
        report(["exp/net"], out="page.html")
    assert Path("page.html").read_text() == "old"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"megabytes": 0}, "--megabytes: expected more than 0, got 0"),
        ({"examples": -1}, "--examples: expected at least 0, got -1"),
        ({"show": ["nobody"]}, "--show: no scored utterance nobody"),
    ],
)
def test_wrong_options_are_said(corpus, options, message):
    with pytest.raises(ConfigError, match=message):
        report(["exp/net"], **options)


def test_a_model_beside_itself_is_refused(corpus):
    with pytest.raises(DataError, match="comes twice; give every model dir once"):
        report(["exp/net", "exp/../exp/net"])


def test_the_network_is_run_where_nothing_was_stored(corpus, random_model, monkeypatch):
    """An utterance's posteriors are those of the model, made from features on disk."""
    from features.spectral import FeatureOptions
    from pipeline.config import save
    from pipeline.datadir.phones import PhoneTable
    from pipeline.extract import extract

    Path("exp/net/decode_test/posteriors.scp").unlink()
    shutil.copy(random_model / "final.keras", "exp/net/final.keras")
    PhoneTable(("sil", "a", "b", "c", "d")).write("exp/net/phones.txt")
    save("features.yaml", FeatureOptions(num_mels=12))
    extract("data/test", config="features.yaml")
    page = made("exp/net", examples=1)
    assert drawn(page)
    assert all("posteriors" in item for item in drawn(page).values())
    assert not [line for line in page["sets"][0]["notes"] if "posteriorgram" in line]
