"""The grammar of the embedded corpus."""

import re

import pytest

from features.errors import ConfigError
from pipeline.corpora.mini_grammar import RULES, Grammar, draw_sentences, words_of


def slots(rule: str) -> set[str]:
    return {name for text in RULES[rule] for name in re.findall(r"<(\w+)>", text)}


def test_every_slot_has_a_rule_and_every_rule_is_reached() -> None:
    reached, waiting = set(), {"sentence"}
    while waiting:
        rule = waiting.pop()
        reached.add(rule)
        waiting |= slots(rule) - reached
    assert reached == set(RULES)


def test_no_alternative_is_empty() -> None:
    assert all(
        text.strip() == text and text for texts in RULES.values() for text in texts
    )


def test_thousands_of_sentences_differ() -> None:
    sentences = draw_sentences(5000, seed=1)
    assert len({words_of(sentence) for sentence in sentences}) == 5000


def test_the_seed_decides() -> None:
    assert draw_sentences(50, seed=3) == draw_sentences(50, seed=3)
    assert draw_sentences(50, seed=3) != draw_sentences(50, seed=4)


def test_sentences_are_written_as_one_writes_them() -> None:
    for sentence in draw_sentences(500, seed=2):
        assert re.fullmatch(r"[A-Z][A-Za-z ,]*[.?]", sentence), sentence


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        ("orange", "See an orange."),
        ("uniform", "See a uniform."),
        ("usual day", "See a usual day."),
        ("unusual day", "See an unusual day."),
        ("hour", "See an hour."),
        ("book", "See a book."),
    ],
)
def test_articles_follow_the_sound(noun: str, expected: str) -> None:
    rules = {"sentence": ("see a <noun>.",), "noun": (noun,)}
    assert Grammar(1, rules).sentence() == expected


def test_alternatives_come_up_evenly() -> None:
    grammar = Grammar(1, {"sentence": tuple("abcde")})
    drawn = [grammar.expand("sentence") for _ in range(50)]
    assert {letter: drawn.count(letter) for letter in "abcde"} == dict.fromkeys(
        "abcde", 10
    )


def test_an_exhausted_grammar_is_an_error() -> None:
    with pytest.raises(
        ConfigError, match="only 2 different sentences, 3 were asked for"
    ):
        draw_sentences(3, seed=1, rules={"sentence": ("one.", "two.")})


def test_words_have_no_punctuation() -> None:
    assert words_of("Thank you, Roy.") == ("thank", "you", "roy")
