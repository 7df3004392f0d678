import pytest

from features.errors import ConfigError
from pipeline.config import check, load, save
from pipeline.decoding.settings import DecodeSettings


def test_writing_and_reading_keep_the_settings(tmp_path):
    settings = DecodeSettings(
        lm_weight=2.5,
        insertion_penalty=-0.5,
        search="viterbi",
        grammar="data/lang/lm.arpa",
        tuned_on="data/dev",
        decoded="data/test",
    )
    save(tmp_path / "settings.yaml", settings)
    assert load(tmp_path / "settings.yaml", DecodeSettings) == settings


@pytest.mark.parametrize(
    "values, message",
    [
        ({"lm_wieght": 1.0}, "did you mean 'lm_weight'"),
        ({"lm_weight": -1.0}, "lm_weight: .*got -1.0"),
        ({"acoustic_scale": 0.0}, "acoustic_scale: .*got 0.0"),
        ({"min_frames": 0}, "min_frames: .*got 0"),
        ({"beam": 0.0}, "beam: .*got 0.0"),
        ({"prefixes": 0}, "prefixes: .*got 0"),
    ],
)
def test_wrong_settings_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        check(values, DecodeSettings, source="options")


@pytest.mark.parametrize(
    "tuned_on, decoded, itself",
    [
        ("data/dev", "data/dev", True),
        ("data/dev", "data/../data/dev/", True),
        ("data/dev", "data/test", False),
        (None, "data/dev", False),
    ],
)
def test_a_set_that_was_tuned_on_is_known(tuned_on, decoded, itself):
    settings = DecodeSettings(tuned_on=tuned_on, decoded=decoded)
    assert settings.tuned_on_itself is itself


@pytest.mark.parametrize(
    "settings, wanted",
    [
        (
            DecodeSettings(search="greedy"),
            "best output of every frame, nothing to tune",
        ),
        (
            DecodeSettings(search="viterbi", lm_weight=2.0, beam=None),
            "Viterbi, no language model, lm_weight 2, insertion_penalty 0, "
            "acoustic_scale 1, prior_scale 1, min_frames 1, exact; given, not tuned",
        ),
        (
            DecodeSettings(search="viterbi", grammar="lm.arpa", tuned_on="data/dev"),
            "Viterbi, lm.arpa, lm_weight 1, insertion_penalty 0, acoustic_scale 1, "
            "prior_scale 1, min_frames 1, beam 15; tuned on data/dev",
        ),
        (
            DecodeSettings(search="prefix beam", grammar="lm.arpa", prefixes=8),
            "CTC beam of 8, lm.arpa, lm_weight 1, insertion_penalty 0, acoustic_scale 1; "
            "given, not tuned",
        ),
    ],
)
def test_the_protocol_line(settings, wanted):
    assert settings.describe() == wanted


@pytest.mark.parametrize(
    "greedy, ctc, wanted",
    [
        (False, False, "viterbi"),
        (False, True, "prefix beam"),
        (True, False, "greedy"),
        (True, True, "greedy"),
    ],
)
def test_how_phones_are_found(greedy, ctc, wanted):
    assert DecodeSettings(greedy=greedy).search_of(ctc=ctc) == wanted


@pytest.mark.parametrize(
    "weight, penalty, beam, wanted",
    [(1.0, 0.0, 12.0, 12.0), (3.0, 2.0, 12.0, 26.0), (0.0, -4.0, 12.0, 6.0)],
)
def test_the_beam_grows_with_what_a_phone_costs(weight, penalty, beam, wanted):
    settings = DecodeSettings(lm_weight=weight, insertion_penalty=penalty, beam=beam)
    assert settings.width == wanted
    assert DecodeSettings(beam=None).width == float("inf")
