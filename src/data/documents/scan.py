"""The troubles of real scans and photographs, drawn for every page anew."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Pixels = npt.NDArray[np.uint8]


def scan(page: Image.Image, size: int, rng: np.random.Generator) -> Pixels:
    """Put a page on a desk and photograph it.

    Turned by any small angle and sometimes by a quarter or half turn, mirrored now and then,
    cropped, out of focus, noisy, in the shadow, with little contrast.

    Args:
        page: the drawn page.
        size: side of the square picture in pixels.
        rng: the page's own random generator.

    Returns:
        uint8 [size, size, 3].
    """
    picture = _place(page, size, rng)
    if rng.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.4) * size / 192))
    light: npt.NDArray[np.floating] = np.asarray(picture, dtype=np.float32)
    light = light * _shadow(size, rng)
    contrast = rng.uniform(0.4, 1.0)
    light = 255 * rng.uniform(0.35, 0.75) * (1 - contrast) + light * contrast
    light = light + rng.normal(0, rng.uniform(0, 14), light.shape[:2])[..., None]
    return np.clip(light, 0, 255).astype(np.uint8)


def _place(page: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    """Turn, scale and shift the page onto a square desk, in one resampling."""
    turn = rng.choice([0, 90, 180, 270], p=[0.76, 0.08, 0.08, 0.08])
    angle = math.radians(rng.normal(0, 6) + turn)
    mirror = -1 if rng.random() < 0.06 else 1
    longest = max(page.size)
    # Above 1 the page is cut off at the edges of the picture.
    scale = size / longest * rng.uniform(0.8, 1.2)
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    shift_x, shift_y = rng.normal(0, 0.07, 2) * size
    centre_x, centre_y = page.size[0] / 2, page.size[1] / 2
    half_x, half_y = size / 2 + shift_x, size / 2 + shift_y
    matrix = (
        mirror * cos,
        mirror * sin,
        centre_x - mirror * (cos * half_x + sin * half_y),
        -sin,
        cos,
        centre_y + sin * half_x - cos * half_y,
    )
    desk = int(rng.integers(30, 235))
    return page.transform(
        (size, size),
        Image.Transform.AFFINE,
        matrix,
        Image.Resampling.BILINEAR,
        fillcolor=(desk, desk - int(rng.integers(0, 20)), desk - int(rng.integers(0, 30))),
    )


def _shadow(size: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return a smooth change of light over the picture, [size, size, 1]."""
    darkest = rng.uniform(0.35, 1.0)
    angle = rng.uniform(0, 2 * np.pi)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    slope = axis[:, None] * np.sin(angle) + axis[None, :] * np.cos(angle)
    width = rng.uniform(0.15, 1.2)
    step = 1 / (1 + np.exp(-(slope - rng.uniform(-0.8, 0.8)) / width))
    shadow: npt.NDArray[np.float32] = (darkest + (1 - darkest) * step)[..., None].astype(np.float32)
    return shadow
