import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scoring.policies import POLICIES

SILENCE = frozenset({"sil", "sp"})
sequences = st.lists(st.sampled_from(["a", "b", "sil", "sp"]), max_size=12)


@pytest.mark.parametrize(
    "policy, wanted",
    [
        ("strict", "sil sil a a sp sil b sil"),
        ("sil-forgiven", "a a b"),
        ("sil-collapsed", "sil a a sp b sil"),
    ],
)
def test_what_a_policy_leaves(policy, wanted):
    phones = "sil sil a a sp sil b sil".split()
    assert POLICIES[policy](phones, SILENCE) == wanted.split()


@given(sequences)
def test_collapsing_leaves_one_silence_of_each_stretch(phones):
    groups = itertools.groupby(phones, key=lambda p: p in SILENCE)
    wanted = [
        phone
        for quiet, group in groups
        for phone in (list(group)[:1] if quiet else group)
    ]
    assert POLICIES["sil-collapsed"](phones, SILENCE) == wanted


@pytest.mark.parametrize("policy", POLICIES)
@given(sequences)
def test_a_second_time_changes_nothing(policy, phones):
    once = POLICIES[policy](phones, SILENCE)
    assert POLICIES[policy](once, SILENCE) == once
