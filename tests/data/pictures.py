"""Folders and tables of small pictures, as users have them."""

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from src.data.splits import Splits

CLASSES = ("letter", "invoice", "note")


def page(number: int) -> Image.Image:
    """Return a picture that looks like no other."""
    coarse = np.random.default_rng(number).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((120, 150), Image.Resampling.BICUBIC)


def write(root: Path, per_class: int = 10, splits: tuple[str, ...] = ("",)) -> Path:
    """Write a folder of images, `per_class` of each class and split."""
    number = 0
    for split in splits:
        for name in CLASSES:
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(per_class):
                page(number).save(folder / f"{i:02}.{'jpg' if i % 2 else 'png'}")
                number += 1
    return root


def competition(root: Path, per_class: int = 10, meta: bool = True) -> Path:
    """Write train.csv, train/ and meta.csv."""
    (root / "train").mkdir(parents=True)
    rows = ["ID,target"]
    # Targets 0, 2 and 10: neither without gaps nor in the order of the alphabet.
    for i in range(3 * per_class):
        page(i).save(root / "train" / f"{i:03}.jpg")
        rows.append(f"{i:03}.jpg,{(0, 2, 10)[i % 3]}")
    (root / "train.csv").write_text("\n".join(rows) + "\n")
    if meta:
        table = ["target,class_name", "10,note", "2,invoice", "0,letter"]
        (root / "meta.csv").write_text("\n".join(table) + "\n")
    return root


def png_of(
    size: tuple[int, int], bits: int, colours: int, rows: Iterable[bytes], interlaced: bool = False
) -> bytes:
    """Write a PNG of a kind that Pillow does not write.

    Args:
        size: width and height.
        bits: of a sample.
        colours: their kind, 0 for grey, 2 for RGB.
        rows: each with the byte before it that says how it is stored.
        interlaced: the rows are those of the seven passes.
    """
    head = struct.pack(">IIBBBBB", *size, bits, colours, 0, 0, interlaced)
    packer = zlib.compressobj(1)
    packed = b"".join([*map(packer.compress, rows), packer.flush()])
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", head), (b"IDAT", packed), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + kind + body
        data += struct.pack(">I", zlib.crc32(kind + body))
    return data


def names(splits: Splits) -> list[set[str]]:
    return [set(part.names) for part in (splits.train, splits.val, splits.test)]
