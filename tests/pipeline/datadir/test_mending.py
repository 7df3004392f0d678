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
    ],
    ids=["carriage returns", "thrice", "the table twice", "blanks", "both"],
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


def test_nothing_to_mend_is_told(tmp_path):
    with pytest.raises(DataError, match="absent: no such folder; run keraldi prepare"):
        fix(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
