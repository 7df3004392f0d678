import gzip
import itertools
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import DataError
from pipeline.decoding.arpa import read_arpa, write_arpa
from pipeline.decoding.ngram import END, START
from pipeline.decoding.smoothing import train_ngram

SEVEN_DECIMALS = 3e-7 * math.log(10.0)  # three rounded values in a back-off chain

# As SRILM's manual page `ngram-format` lays a file out: text before \data\, spaces or tabs,
# histories without a back-off weight, <unk>.
SRILM = """\
made by hand

\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-0.5\t</s>
-99\t<s>\t-0.25
-0.75 a -0.125
-1.0\t<unk>

\\2-grams:
-0.1\t<s> a
-0.2 a </s>

\\end\\
"""


def test_a_file_of_another_tool_is_read(tmp_path):
    (tmp_path / "lm.arpa").write_text(SRILM)
    model = read_arpa(tmp_path / "lm.arpa")
    assert model.order == 2
    log10 = {
        ((START,), "a"): -0.1,
        (("a",), END): -0.2,
        (("a",), "a"): -0.125 - 0.75,  # backs off
        ((START,), END): -0.25 - 0.5,
        (("<unk>",), "a"): -0.75,  # no back-off weight: 1
        ((START, "a"), END): -0.2,  # longer histories are cut
    }
    for (history, symbol), wanted in log10.items():
        found = model.log_prob(history, symbol)
        assert found == pytest.approx(wanted * math.log(10.0))


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    sentences=st.lists(
        st.lists(st.sampled_from("abc"), max_size=5), min_size=1, max_size=5
    ),
    order=st.integers(1, 4),
)
def test_writing_and_reading_keep_the_model(tmp_path, sentences, order):
    model = train_ngram(sentences, order=order, symbols="abc")
    write_arpa(tmp_path / "lm.arpa", model)
    again = read_arpa(tmp_path / "lm.arpa")
    assert again.order == order
    assert set(again.log10_probs) == set(model.log10_probs)
    assert set(again.log10_backoffs) == set(model.log10_backoffs)
    for history in itertools.product("abc", repeat=2):
        for symbol in ("a", "b", "c", END):
            assert again.log_prob(history, symbol) == pytest.approx(
                model.log_prob(history, symbol), abs=SEVEN_DECIMALS
            )


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("ngram 2=2", "ngram 2=3", "2 2-grams where the header promises 3"),
        ("ngram 2=2\n", "", "2 2-grams where the header promises 0"),
        ("\\end\\\n", "", "cut short"),
        ("ngram 1=4\nngram 2=2\n", "", "no counts"),
        ("\\data\\\n", "", r"no counts of n-grams below a line \\data\\: no ARPA file"),
        ("-0.75 a -0.125", "-0.75 a b -0.125", r":10: expected a log10 probability"),
        ("-0.75 a -0.125", "0.75 a -0.125", r":10: expected a log10 probability"),
        ("-0.75 a -0.125", "nan a -0.125", r":10: expected a log10 probability"),
        ("-0.75 a -0.125", "a", r":10: expected a log10 probability"),
        ("-1.0\t<unk>", "-1.0\ta", r":11: 'a' comes twice"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, old, new, message):
    assert old in SRILM
    (tmp_path / "lm.arpa").write_text(SRILM.replace(old, new))
    with pytest.raises(DataError, match=message):
        read_arpa(tmp_path / "lm.arpa")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("-0.75 a -0.125", "-0.75 a", "1 history without a back-off weight: a; make"),
        ("-0.75 a -0.125", "-0.75 a inf", "expected a log10 probability up to 0"),
        ("-0.2 a </s>", "-0.2 b </s>", "symbols that are no 1-grams: b; make"),
    ],
)
def test_a_model_that_cannot_back_off_or_has_strange_symbols_is_refused(
    tmp_path, old, new, message
):
    (tmp_path / "lm.arpa").write_text(SRILM.replace(old, new))
    with pytest.raises(DataError, match=f"lm.arpa:.*{message}"):
        read_arpa(tmp_path / "lm.arpa")


def test_a_compressed_file_is_known_as_such(tmp_path):
    (tmp_path / "lm.arpa.gz").write_bytes(gzip.compress(SRILM.encode()))
    with pytest.raises(DataError, match="lm.arpa.gz: compressed; unpack it first"):
        read_arpa(tmp_path / "lm.arpa.gz")
