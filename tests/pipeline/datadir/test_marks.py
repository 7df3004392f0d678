"""Marks of a user's own brought into a data dir."""

import pytest

from features.errors import ConfigError, DataError
from pipeline.data import marks, perturb
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.lang import Lang
from pipeline.datadir.marks import lengths
from pipeline.datadir.phones import Fold, PhoneTable
from pipeline.datadir.textgrid import write_textgrid
from pipeline.datadir.times import PhoneInterval, read_ctm
from pipeline.datadir.validation import check_datadir

LANG = Lang(PhoneTable(("sil", "a", "b")), Fold({}), None, ("sil",))
MARKS = [PhoneInterval("a", 0.02, 0.05), PhoneInterval("b", 0.07, 0.1)]


@pytest.fixture
def marked(data, tmp_path):
    """Marks of the three speakers, each in another form."""
    folder = tmp_path / "marks"
    (folder / "deep").mkdir(parents=True)
    for n in range(3):
        write_textgrid(folder / f"ann-{n}.TextGrid", MARKS, duration=0.12)
        (folder / "deep" / f"bob-{n}.PHN").write_text("320 800 a\n1120 1600 b\n")
    eve = "eve-{0} 1 .02 .03 a\neve-{0} 1 7e-2 .03 b\n"
    (folder / "eve.ctm").write_text("".join(map(eve.format, range(3))))
    return folder


def test_marks_of_every_form_are_brought_in(data, marked, capsys):
    marks(str(data.path), str(marked))
    found = read_ctm(data.path / "phones.ctm")
    assert list(found) == list(data.utterances)
    for row in found.values():
        assert [mark.phone for mark in row] == ["a", "b"]
        times = [t for mark in row for t in (mark.start, mark.end)]
        assert times == pytest.approx([0.02, 0.05, 0.07, 0.1])
    assert "phones.ctm: 18 phones in 9 utterances" in capsys.readouterr().err
    assert check_datadir(data.path, lang=LANG) == []


def test_silence_is_marked_where_nothing_is(data, marked):
    marks(str(data.path), str(marked), silence="sil")
    row = read_ctm(data.path / "phones.ctm")["bob-0"]  # 0.4 s long
    assert [mark.phone for mark in row] == ["sil", "a", "sil", "b", "sil"]
    times = [(mark.start, mark.end) for mark in row]
    wanted = [(0.0, 0.02), (0.02, 0.05), (0.05, 0.07), (0.07, 0.1), (0.1, 0.4)]
    assert times == [pytest.approx(pair) for pair in wanted]


def test_results_of_transcribe_are_marks(data, marked):
    for table in ("utt2spk", "spk2utt", "text", "wav.scp", "segments"):
        if (path := data.path / table).exists():
            path.write_text(path.read_text().replace("ann-0", "ann%20=0"))
    (marked / "ann-0.TextGrid").rename(marked / "ann%2520=0.TextGrid")
    marks(str(data.path), str(marked))
    assert len(read_ctm(data.path / "phones.ctm")["ann%20=0"]) == 2


def test_files_may_be_named_one_by_one(data, marked, tmp_path):
    (data.path / "phones.ctm").write_text("old\n")
    files = sorted(str(path) for path in marked.rglob("*.*"))
    marks(str(data.path), *files)
    assert len(read_ctm(data.path / "phones.ctm")) == 9


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("zoe-0.PHN", "0 99 a\n", "zoe-0.PHN: utterance 'zoe-0' is absent from .*utt2spk"),
        ("ann-0.phn", "0 99 a\n", "utterance 'ann-0' has marks in .*ann-0.TextGrid too"),
        ("deep/bob-1.PHN", "0 9999 a\n", "'bob-1' end at 0.625 s, but it is 0.500 s long"),
        ("deep/bob-1.PHN", "", "bob-1.PHN: no phone is marked"),
        ("deep/bob-1.PHN", "0 800 a\n0 800 b\n", "'bob-1': 'b' begins at 0.000 s, before"),
        ("eve.ctm", "eve-0 1 0 .1 a\n", "data: no marks of eve-1, eve-2; give them too"),
        ("ann-2.TextGrid", "x", "ann-2.TextGrid: not a Praat TextGrid"),
    ],
)  # fmt: skip
def test_marks_that_do_not_fit_are_told_and_nothing_is_written(
    data, marked, name, content, message
):
    (marked / name).write_text(content)
    with pytest.raises(DataError, match=message):
        marks(str(data.path), str(marked))
    assert not (data.path / "phones.ctm").exists()


@pytest.mark.parametrize(
    ("files", "options", "error", "message"),
    [
        ([], {}, ConfigError, "expected files of marks behind the data dir, got none"),
        (["a.lab"], {}, ConfigError, "a.lab: expected a file that ends in .TextGrid"),
        (["EMPTY"], {}, DataError, "empty: no .TextGrid, .PHN or .ctm in it"),
        (["gone.phn"], {}, DataError, "gone.phn: no such file"),
        (["MARKS"], {"tier": "x"}, DataError, "no interval tier 'x'; it has phones"),
    ],
)
def test_other_files_are_refused(
    data, marked, tmp_path, files, options, error, message
):
    (tmp_path / "empty").mkdir()
    places = {"EMPTY": str(tmp_path / "empty"), "MARKS": str(marked)}
    with pytest.raises(error, match=message):
        marks(str(data.path), *(places.get(name, name) for name in files), **options)


def test_lengths_come_from_the_audio_where_no_table_has_them(data, tmp_path):
    (data.path / "utt2dur").unlink()
    perturb(str(data.path), str(tmp_path / "fast"), speeds=(2.0,))
    assert lengths(read_datadir(data.path))["eve-2"] == pytest.approx(0.9)
    assert lengths(read_datadir(tmp_path / "fast"))["sp2-eve-2"] == pytest.approx(0.45)
    (data.path / "segments").write_text(
        "".join(f"{u} {u} 0.02 {'-1' if u == 'ann-0' else '0.06'}\n" for u in data.wav)
    )
    found = lengths(read_datadir(data.path))
    assert found["ann-0"] == pytest.approx(0.08)
    assert found["bob-0"] == pytest.approx(0.04)
    (data.path / "wav.scp").write_text("".join(f"{u} cat x |\n" for u in data.wav))
    assert "ann-0" not in lengths(read_datadir(data.path))
