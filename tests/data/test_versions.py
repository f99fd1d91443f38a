"""What caches and indices are keyed by stands beside what they hold: both change together."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.data import decoded, inspection, same_images
from src.data.decode import DECODING_VERSION, decode
from src.data.reading import read_pages
from tests.data.forms import write_text

# Of a page of text as it is decoded at 16 px the mean of each row; of what is seen of it the first
# of its hash and spectrum.
PIXELS = {
    6: (
        *(253.6, 236.1, 235.8, 237.0, 235.6, 234.1, 235.8, 236.8),
        *(235.4, 234.0, 235.7, 236.8, 235.4, 234.4, 249.2, 255.0),
    )
}
SEEN = {
    8: (
        (191, 164, 7, 255, 63, 146, 146, 218, 192, 91, 250, 2, 61, 164, 37, 182),
        (-51, -34, 15, 35, -8, -70, 44, -28, -32, -88, -14, -12, 19, -5, 16, -21),
    )
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    lines = [f"{'lorem ipsum dolor ' * 4} {number}" for number in range(50)]
    return write_text(tmp_path / "a.pdf", [lines])


def test_other_pixels_have_another_version(path: Path) -> None:
    """Raise DECODING_VERSION where this fails, and write its pixels here."""
    rows = decode(path, 16)[..., 0].mean(1)
    np.testing.assert_allclose(rows, PIXELS[DECODING_VERSION], atol=0.15)


def test_another_look_has_another_version(path: Path) -> None:
    """Raise `inspection.VERSION` where this fails, and write its look here."""
    look, waves = SEEN[inspection.VERSION]
    seen = read_pages(path, [0])[0].seen
    assert seen is not None
    assert np.bitwise_count(seen["look"][:16] ^ np.array(look, np.uint8)).sum() <= 4
    np.testing.assert_allclose(seen["waves"][:16], waves, atol=2)


def test_what_is_kept_is_found_under_its_version_alone(
    path: Path, data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def names() -> tuple[str, str, str]:
        cfg, cache = data(), str(path.parent / "cache")
        same_images.equal_images(["one"], cache)
        (same,) = (file.name for file in Path(cache).glob("same-*.npy"))
        Path(cache, same).unlink()
        index = inspection.seen_file(path.parent, cache)._path.name
        return decoded.decoded_name(cfg, ["one"]), same, index

    before = names()
    monkeypatch.setattr(decoded, "DECODING_VERSION", 0)
    monkeypatch.setattr(same_images, "DECODING_VERSION", 0)
    monkeypatch.setattr(inspection, "VERSION", 0)
    assert all(one != other for one, other in zip(names(), before, strict=True))
