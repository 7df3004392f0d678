"""Tables, phones, lexicon and lang dir: written and read, faults told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import DataError
from pipeline.datadir.lang import Lang, read_lang, write_lang
from pipeline.datadir.lexicon import Lexicon, read_lexicon
from pipeline.datadir.phones import Fold, PhoneTable, read_fold, read_phones
from pipeline.datadir.tables import read_lines, read_table, write_table

KEYS = st.text(
    st.characters(categories=["L", "N"], include_characters="-_"),
    min_size=1,
    max_size=8,
)


@given(st.dictionaries(KEYS, st.sampled_from(["", "a b", "x"]), max_size=6))
def test_tables_come_back_sorted(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("t") / "table"
    write_table(path, table)
    assert read_table(path) == table
    assert list(read_table(path)) == sorted(table, key=str.encode)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a 1\n\nb 2\n", "table:2: empty line"),
        (b"a 1\na 2\n", "table:2: key 'a' comes twice"),
        (b"a 1\nb \xff\n", "table:2: not UTF-8"),
        (
            b"a 1\nb\x1b[31m 2\n",
            r"table:2: key 'b\\x1b\[31m' holds a control character",
        ),
    ],
)
def test_wrong_tables_are_told(content, message, tmp_path):
    (tmp_path / "table").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "table")


def test_lines_end_at_newlines_alone(tmp_path):
    (tmp_path / "table").write_bytes("a x\u2028y\x0cz\r\nb\r\n".encode())
    assert read_lines(tmp_path / "table") == ["a x\u2028y\x0cz", "b"]
    (tmp_path / "table").write_bytes(b"")
    assert read_lines(tmp_path / "table") == []


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("wav.scp", "write it yourself, lines of the form `RECORDING PATH`, or let keraldi"),
        ("utt2spk", "write it yourself, lines of the form `UTTERANCE SPEAKER`, or let"),
        ("words.ctm", "check the path, or run the stage that makes it"),
    ],
)  # fmt: skip
def test_who_makes_an_absent_file_is_told(name, mend, tmp_path):
    with pytest.raises(DataError, match=f"{name}: no such file; {mend}"):
        read_table(tmp_path / name)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(DataError, match="table: a folder; give a file's name"):
        (tmp_path / "table").mkdir()
        read_lines(tmp_path / "table")


def test_a_lang_dir_that_lacks_files_names_the_stage(tmp_path):
    with pytest.raises(DataError, match="absent: no such folder; run keraldi prepare"):
        read_lang(tmp_path / "absent")
    (tmp_path / "phones.txt").write_text("sil 0\n")
    with pytest.raises(DataError) as caught:
        read_lang(tmp_path)
    names = [
        line.split(": no such file; run keraldi prepare")[0]
        for line in str(caught.value).splitlines()
    ]
    assert names == [f"{tmp_path}/fold.map", f"{tmp_path}/silence.txt"]


def test_phone_tables_count_from_zero(tmp_path):
    table = PhoneTable(("sil", "a", "b"))
    table.write(tmp_path / "phones.txt")
    assert (tmp_path / "phones.txt").read_text() == "sil 0\na 1\nb 2\n"
    assert read_phones(tmp_path / "phones.txt") == table
    assert table.indices(("b", "sil")) == (2, 0)
    assert table.symbols_of([1, 1]) == ("a", "a")
    with pytest.raises(DataError, match="phone 'z' is not in the phone table"):
        table.index("z")
    (tmp_path / "phones.txt").write_text("sil 1\n")
    with pytest.raises(
        DataError, match="phones.txt:1: expected a phone and the index 0"
    ):
        read_phones(tmp_path / "phones.txt")
    with pytest.raises(DataError, match="symbols come twice: a"):
        PhoneTable(("a", "a"))


def test_folds_map_and_delete(tmp_path):
    fold = Fold({"ix": "ih", "ih": "ih", "q": None})
    fold.write(tmp_path / "fold.map")
    assert read_fold(tmp_path / "fold.map") == fold
    assert fold.fold(("ix", "q", "ih")) == ("ih", "ih")
    with pytest.raises(DataError, match="no entry for zz"):
        fold.fold(("zz",))


LEXICON = "THE DH AH\nTHE DH IY\nCAT K AE T\n"


@pytest.fixture
def lexicon(tmp_path) -> Lexicon:
    (tmp_path / "lexicon.txt").write_text(LEXICON)
    return read_lexicon(tmp_path / "lexicon.txt")


def test_words_have_variants(lexicon):
    assert lexicon.variants("THE") == (("DH", "AH"), ("DH", "IY"))
    assert lexicon.variants("THE(2)") == (("DH", "IY"),)
    assert lexicon.phones(["THE(2)", "CAT"]) == ("DH", "IY", "K", "AE", "T")
    for word in ("DOG", "THE(3)", "CAT(2)"):
        assert lexicon.find(word) == ()
        with pytest.raises(DataError, match="has no pronunciation"):
            lexicon.variants(word)


def test_all_unknown_words_are_told_with_counts(lexicon):
    symbols = ("sil", "DH", "AH", "IY", "K", "AE", "T")
    lang = Lang(PhoneTable(symbols), Fold({s: s for s in symbols}), lexicon, ("sil",))
    texts = {"u1": ["DOG", "CAT", "DOG"], "u2": ["OWL"], "u3": ["DOG"]}
    with pytest.raises(DataError) as caught:
        lang.check_oov(texts, source="text")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("text: unknown 'DOG', 3 times, first in utterance 'u1'")
    assert lines[1].startswith("text: unknown 'OWL', 1 time")
    assert len(lines) == 2


def test_lang_dirs_come_back_and_are_checked(lexicon, tmp_path):
    symbols = ("sil", "DH", "AH", "IY", "K", "AE", "T")
    lang = Lang(PhoneTable(symbols), Fold({s: s for s in symbols}), lexicon, ("sil",))
    write_lang(lang, tmp_path / "lang")
    assert read_lang(tmp_path / "lang") == lang
    assert lang.phone_ids(["CAT"]) == (4, 5, 6)
    (tmp_path / "lang" / "lexicon.txt").write_text("OWL AW L\n")
    (tmp_path / "lang" / "silence.txt").write_text("SP\n")
    with pytest.raises(DataError) as caught:
        read_lang(tmp_path / "lang")
    assert [m in str(caught.value) for m in ("'AW'", "'L'", "'SP'")] == [True] * 3


def test_without_a_lexicon_words_are_phones():
    lang = Lang(
        PhoneTable(("sil", "a")), Fold({"sil": "sil", "a": None}), None, ("sil",)
    )
    assert lang.phones_of(["a", "sil"]) == ("a", "sil")
    assert lang.scoring_silence == {"sil"}
    with pytest.raises(DataError, match="unknown 'b'"):
        lang.check_oov({"u": ["b"]}, source="text")
