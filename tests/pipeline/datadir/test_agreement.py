"""Transcripts held against marked phones."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import DataError
from pipeline.datadir.agreement import Agreement
from pipeline.datadir.lang import Lang
from pipeline.datadir.lexicon import Lexicon
from pipeline.datadir.phones import Fold, PhoneTable
from pipeline.datadir.validation import check_datadir

LEXICON = Lexicon(
    {
        "ab": (("a", "b"),),
        "the": (("a",), ("a", "a", "b")),
        "pause": (("sil",),),
        "b": (("b",), ("b", "a")),
    }
)
PHONES = PhoneTable(("sil", "a", "b"))
WORDS = Lang(PHONES, Fold({}), LEXICON, ("sil",))
LETTERS = Lang(PHONES, Fold({}), Lexicon({x: ((x,),) for x in "ab"}), ("sil",))
BARE = Lang(PHONES, Fold({}), None, ("sil",))


@pytest.mark.parametrize(
    ("lang", "words", "marked"),
    [
        (WORDS, "the ab", "sil a a sil b sil"),
        (WORDS, "the ab", "a a b a b"),  # a longer variant of the first word
        (WORDS, "b ab", "b a b"),  # what is taken first must not decide
        (WORDS, "the(2) pause b", "a a b b"),
        (BARE, "sil a b sil", "sil a b sil"),
        (BARE, "a b", "sil a sil b"),
        (BARE, "sil a sil b", "a b"),
    ],
)
def test_words_agree_with_any_of_their_pronunciations(lang, words, marked):
    assert Agreement(lang).fault(words.split(), marked.split()) is None


@pytest.mark.parametrize(
    ("lang", "words", "marked", "told"),
    [
        (WORDS, "ab the", "a b sil b", "word 2, 'the', is a or a a b, but the marks say b"),
        (WORDS, "ab ab", "a b", "word 2, 'ab', is a b, but the marks say no more"),
        (WORDS, "the(1) b", "a a b b", "word 2, 'b', is b or b a, but the marks say a b"),
        (BARE, "sil a b", "sil a a", "word 3, 'b', but the marks say a"),
        (BARE, "a", "a sil b", "the words end, but the marks go on with b"),
    ],
)  # fmt: skip
def test_the_place_where_they_part_is_told(lang, words, marked, told):
    assert Agreement(lang).fault(words.split(), marked.split()) == told


def pattern(words: list[str]) -> str:
    """All that words may be as one regular expression: the oracle."""
    said = ["|".join("".join(v) for v in LEXICON.variants(w)) for w in words]
    return "".join(f"(?:{variants})" for variants in said).replace("sil", "")


@given(
    st.lists(st.sampled_from(["ab", "the", "the(2)", "b", "pause"]), max_size=5),
    st.lists(st.sampled_from(["a", "b", "sil"]), max_size=8),
)
def test_agreement_is_a_match_of_all_pronunciations(words, marked):
    spoken = "".join(phone for phone in marked if phone != "sil")
    agrees = re.fullmatch(pattern(words), spoken) is not None
    assert (Agreement(WORDS).fault(words, marked) is None) == agrees


def test_a_data_dir_whose_marks_say_other_words_is_told(data):
    marks = "{0} 1 0.00 0.02 a\n{0} 1 0.02 0.04 sil\n{0} 1 0.06 0.04 b\n"
    lines = "".join(map(marks.format, data.utterances))
    (data.path / "phones.ctm").write_text(lines)
    assert check_datadir(data.path, lang=BARE) == []
    (data.path / "phones.ctm").write_text(lines.replace("bob-1 1 0.06 0.04 b\n", ""))
    with pytest.raises(DataError) as caught:
        check_datadir(data.path, lang=BARE)
    assert str(caught.value) == (
        f"{data.path}/text:5: 'bob-1' is not what phones.ctm marks: word 2, 'b', but the marks "
        "say no more; correct the text or the marks"
    )
    with pytest.raises(DataError, match="or add the pronunciation to lexicon.txt"):
        check_datadir(data.path, lang=LETTERS)
    assert check_datadir(data.path) == []  # without a lang dir words say nothing
