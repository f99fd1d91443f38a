"""A picture of the built-in data: `python -m src.data.documents.contact_sheet FILE.jpg`."""

import sys

from PIL import Image, ImageDraw

from src.data.documents.generate import KINDS, draw_page
from src.data.documents.page import load_font

TILE, LABEL, PER_CLASS = 150, 20, 4


def contact_sheet(seed: int = 0) -> Image.Image:
    """Return a sheet with some pages of every class, two classes a row."""
    rows = (len(KINDS) + 1) // 2
    sheet = Image.new("RGB", (2 * PER_CLASS * TILE, rows * (TILE + LABEL)), "white")
    pen = ImageDraw.Draw(sheet)
    for i, name in enumerate(KINDS):
        left, top = (i % 2) * PER_CLASS * TILE, (i // 2) * (TILE + LABEL)
        pen.text((left + 4, top + 3), name, fill="black", font=load_font(14))
        for number in range(PER_CLASS):
            tile = Image.fromarray(draw_page(name, number, TILE - 4, seed))
            sheet.paste(tile, (left + number * TILE, top + LABEL))
    return sheet


if __name__ == "__main__":
    contact_sheet().save(sys.argv[1], quality=82)
