#!/usr/bin/env bash
# Pillow 13.0.0: an uncompressed TIFF in one strip that says to be turned by a quarter (orientation
# 5 to 8) is scrambled when it is opened by its name, and right when the same file is opened first.
#
# Scanners and ImageMagick write landscape pages so. Opened by name, Pillow maps the strip into
# memory, and does so with the width and height that the turned picture will have, so that every
# row begins at a wrong place.
# Expected: the same picture, however the file is opened.
# Seen, with a grey picture of 7 x 4: for orientations 5 to 8 the pixels differ, and the picture that
# says it is 4 x 7 is 7 x 4 once it is loaded; for 1 to 4 all is equal.
# Fails when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet pillow==13.0.0 tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
env/bin/python - <<'PY'
import numpy as np
import tifffile
from PIL import Image

picture = np.arange(28, dtype=np.uint8).reshape(4, 7) * 9
seen = {}
for orientation in range(1, 9):
    name = f"turned-{orientation}.tif"
    # Tag 274 is the orientation, a short.
    tifffile.imwrite(
        name, picture, photometric="minisblack", extratags=[(274, 3, 1, orientation, True)]
    )
    by_name = np.asarray(Image.open(name))
    with open(name, "rb") as file:
        by_file = np.asarray(Image.open(file))
    # What is turned is held against numpy as well.
    sides = (4, 7) if orientation < 5 else (7, 4)
    assert by_file.shape == sides, by_file.shape
    seen[orientation] = by_name.shape == by_file.shape and bool((by_name == by_file).all())
    print(f"orientation {orientation}: {'equal' if seen[orientation] else 'scrambled by its name'}")
right = {6: np.rot90(picture, -1), 8: np.rot90(picture)}
for orientation, wanted in right.items():
    with open(f"turned-{orientation}.tif", "rb") as file:
        assert (np.asarray(Image.open(file)) == wanted).all()
assert seen == {number: number < 5 for number in range(1, 9)}, seen
PY
