"""Times, values and names, written the same everywhere."""

import pytest

from doctune.words import clock, did_you_mean, duration, nearest, short


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (125, "2 min 05 s"),
        (599.6, "10 min"),
        (661, "11 min"),
        (3570, "1 h"),
        (3900, "1 h 05 min"),
        (90_000, "25 h"),
    ],
)
def test_durations(seconds: float, written: str) -> None:
    assert duration(seconds) == written


def test_a_clock_keeps_its_width() -> None:
    assert [clock(seconds) for seconds in (5, 65, 3665)] == ["0:05", "1:05", "1:01:05"]


def test_the_nearest_names_whatever_their_case() -> None:
    assert nearest("imageid", ["ImageId", "Label"]) == ["ImageId"]
    assert nearest("resnet5", ["resnet50", "vit", "resnet18"], most=2) == ["resnet50", "resnet18"]
    assert nearest("id", ["Id2"], alike=0.9) == []
    assert did_you_mean("lr", ["optimizer.lr", "seed"]) == "; did you mean optimizer.lr?"
    assert did_you_mean("xyz", ["a", "b"]) == "; known are a, b"


def test_a_parameter_in_a_table() -> None:
    assert short("optimizer.lr") == "lr"
    assert short("optimizer.lr[a.b]") == "lr[a.b]"
