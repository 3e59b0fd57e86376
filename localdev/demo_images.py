"""Real, small, varied JPEG files: a gradient of random colours with the image's name on it."""

from __future__ import annotations

import colorsys
import io
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw, ImageOps

if TYPE_CHECKING:
    import random

SIZES: Final = ((320, 240), (240, 320), (400, 300), (256, 256))
QUALITY: Final = 80


def jpeg(text: str, rng: random.Random) -> bytes:
    """Return a JPEG file of a few kilobytes that shows `text`."""
    width, height = rng.choice(SIZES)
    hue = rng.random()
    ramp = Image.linear_gradient("L").rotate(rng.choice((0, 90, 180, 270))).resize((width, height))
    picture = ImageOps.colorize(ramp, _colour(hue, 0.35), _colour(hue + 0.2, 0.95))
    draw = ImageDraw.Draw(picture)
    left, top = rng.randrange(width // 2), rng.randrange(height // 2)
    draw.ellipse((left, top, left + width // 3, top + height // 3), outline="white", width=3)
    draw.text((12, height - 28), text, fill="white", font_size=16)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _colour(hue: float, brightness: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, 0.6, brightness)
    return int(red * 255), int(green * 255), int(blue * 255)
