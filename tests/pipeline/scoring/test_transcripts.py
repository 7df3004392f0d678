import pytest

from features.errors import DataError
from pipeline.scoring.transcripts import read_transcripts

WANTED = {"u1": ("a", "b"), "u2": ("c",)}
TEXT = "u1 a b\nu2 c\n"
TRN = "a b (u1)\nc (u2)\n"
CTM = ";; made by hand\nu1 1 0.5 0.1 b\nu1 1 0.0 0.5 a\nu2 A 0.0 0.1 c 0.9\n"


@pytest.mark.parametrize(
    "name, content",
    [
        ("x", TEXT),
        ("x.trn", TRN),
        ("x", TRN),
        ("x.ctm", CTM),
        ("x.txt", CTM),
        ("x.txt", CTM.replace(" 0.1", " .1").replace(" 0.5", " 5e-1")),
        ("x.ctm", CTM.replace(" 0.1", " .1").replace(" 0.5", " 5e-1")),
    ],
)
def test_formats_are_recognised(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    assert read_transcripts(tmp_path / name) == WANTED


def test_the_format_that_is_said_is_taken(tmp_path):
    (tmp_path / "x.ctm").write_text("u1 1 0.5 0.1 b\n")
    assert read_transcripts(tmp_path / "x.ctm", form="text") == {
        "u1": ("1", "0.5", "0.1", "b")
    }


def test_an_empty_trn_line_is_an_empty_hypothesis(tmp_path):
    (tmp_path / "x.trn").write_text("(u1)\n")
    assert read_transcripts(tmp_path / "x.trn") == {"u1": ()}


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("x.trn", "a b\n", "x.trn:1: expected `phones"),
        ("x.trn", "a (u)\nb (u)\n", "x.trn:2: key 'u' comes twice"),
        ("x.trn", "{ a / b } c (u)\n", "x.trn:1: alternatives"),
        ("x.ctm", "u 1 zero 0.1 a\n", "x.ctm:1: start 'zero': expected a number"),
        ("x.ctm", "u 1 0.1 a\n", "x.ctm:1: expected utt channel"),
        ("x.ctm", "u A 0 1 a\nu B 0 1 b\n", "x.ctm:2: 'u' has channels A and B"),
    ],
)
def test_other_lines_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_transcripts(tmp_path / name)


def test_a_byte_order_mark_is_no_part_of_the_first_word(tmp_path):
    (tmp_path / "x.trn").write_text("a (u1)\n", encoding="utf-8-sig")
    assert read_transcripts(tmp_path / "x.trn") == {"u1": ("a",)}
