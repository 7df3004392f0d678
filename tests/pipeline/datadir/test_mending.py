"""What validate --fix does, and what it leaves to the user."""

import pytest

from features.errors import DataError
from pipeline.datadir.datadir import read_datadir
from pipeline.datadir.mending import fix
from pipeline.datadir.tables import read_table
from pipeline.datadir.validation import check_datadir


def rewrite(path, change) -> None:
    path.write_bytes(change(path.read_bytes()))


def test_fix_sorts_drops_and_keeps_a_backup(data):
    rewrite(data.path / "text", lambda t: t.replace(b"ann-1 a b\n", b""))
    rewrite(data.path / "wav.scp", lambda t: t.replace(b"ann-2.wav", b"gone.wav"))
    (data.path / "spk2utt").unlink()
    lines = (data.path / "utt2spk").read_text().splitlines()
    (data.path / "utt2spk").write_text("".join(f"{x}\n" for x in reversed(lines)))
    mended = fix(data.path)
    assert mended.dropped == {"text": ["ann-1"], "wav.scp": ["ann-2"]}
    assert mended.tidied == {}
    assert check_datadir(data.path) == []
    assert len(read_datadir(data.path).utterances) == 7
    assert (data.path / ".backup" / "utt2spk").read_text().startswith("eve-2")


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (lambda t: t.replace(b"\n", b"\r\n"), 9),
        (lambda t: t.replace(b"ann-1 a b\n", b"ann-1 a b\n" * 3), 2),
        (lambda t: t + t, 9),
        (lambda t: t.replace(b"ann-1 a b\n", b"\n  ann-1 a b \n\n"), 3),
        (lambda t: t.replace(b"\n", b"\r\n") + b"ann-0 a b\n", 9),
        (lambda t: b"\xef\xbb\xbf" + t, 1),
    ],
    ids=["carriage returns", "thrice", "the table twice", "blanks", "both", "mark"],
)
def test_fix_tidies_lines(data, change, lines):
    before = (data.path / "text").read_bytes()
    rewrite(data.path / "text", change)
    with pytest.raises(DataError, match="validate --fix does"):
        check_datadir(data.path)
    assert fix(data.path).tidied == {"text": lines}
    assert (data.path / "text").read_bytes() == before
    assert check_datadir(data.path) == []


def test_a_key_with_two_values_is_left_to_the_user(data):
    rewrite(data.path / "text", lambda t: t + b"ann-1 b b\n")
    with pytest.raises(DataError, match="text:10: key 'ann-1' comes twice"):
        fix(data.path)


def test_utterances_without_a_length_go_as_promised(data):
    rewrite(data.path / "utt2dur", lambda t: t.replace(b"bob-1 0.5000\n", b""))
    with pytest.raises(DataError, match="'bob-1' is absent from utt2dur.*--fix"):
        check_datadir(data.path)
    assert fix(data.path).dropped == {"utt2dur": ["bob-1"]}
    assert "bob-1" not in read_table(data.path / "text")


@pytest.mark.parametrize("name", ["spk2gender", "spk2warp"])
def test_speakers_without_a_value_go_as_promised(data, name):
    value = {"spk2gender": "f", "spk2warp": "1.1"}[name]
    (data.path / name).write_text(f"ann {value}\neve {value}\nzoe {value}\n")
    with pytest.raises(DataError, match=f"'bob' is absent from {name}.*--fix"):
        check_datadir(data.path)
    assert fix(data.path).dropped == {name: ["bob-0", "bob-1", "bob-2"]}
    assert check_datadir(data.path) == []
    assert set(read_table(data.path / name)) == {"ann", "eve"}
    assert set(read_table(data.path / "spk2age")) == {"ann", "eve"}


def test_further_tables_are_sorted_and_cut_down(data):
    lines = [f"{utt} en\n" for utt in (*data.utterances[1:], "zoe-0")]
    (data.path / "utt2lang").write_text("".join(reversed(lines)))
    assert fix(data.path).dropped == {"utt2lang": ["ann-0"]}
    assert check_datadir(data.path) == []


def test_an_empty_table_is_named(data):
    (data.path / "text").write_text("")
    with pytest.raises(DataError, match="absent from one of text; make that anew"):
        fix(data.path)


def test_nothing_to_mend_is_told(tmp_path):
    with pytest.raises(DataError, match="absent: no such folder; run keraldi prepare"):
        fix(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
