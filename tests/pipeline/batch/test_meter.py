from pipeline.batch import meter
from pipeline.batch.meter import Heard, Meter


def test_parts_of_a_recording_count_once(capsys):
    made = Meter("x", total=2, size=400)
    made.hear(Heard("long", 0.25, 10.0), size=300)
    made.hear(Heard("long", 0.5, 20.0), size=300)
    assert made.audio_seconds == 30.0
    assert "0 of 2" in made.line()
    made.add("short", size=100, seconds=5.0, failed=False)
    made.add("long", size=300, seconds=40.0, failed=False)
    assert made.audio_seconds == 45.0
    assert "2 of 2, 0 failed" in made.line() and "0:00:00 left" in made.line()


def test_what_a_second_worker_hears_again_does_not_count():
    made = Meter("x", total=1, size=300)
    for share in (0.1, 0.2, 0.7, 0.1, 0.2):
        made.hear(Heard("long", share, 100 * share), size=300)
    assert round(made.audio_seconds, 6) == 100.0
    assert "0:00:00 left" in made.line()


def test_what_was_heard_of_a_recording_that_fails_does_not_count():
    made = Meter("x", total=1, size=300)
    made.hear(Heard("long", 0.5, 20.0), size=300)
    made.add("long", size=300, seconds=0.0, failed=True)
    assert made.audio_seconds == 0.0
    assert "1 of 1, 1 failed" in made.line() and "0:00:00 left" in made.line()


def test_a_log_shows_how_far_a_long_recording_is(monkeypatch, capsys):
    monkeypatch.setattr(meter, "_PLAIN_S", 0.0)
    made = Meter("x", total=1, size=100)
    made.hear(Heard("long", 0.5, 20.0), size=100)
    assert "x: 0 of 1, 0 failed" in capsys.readouterr().err
