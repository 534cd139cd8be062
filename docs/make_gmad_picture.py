"""Makes docs/pictures/gmad.jpg: two heads of one model attack each other on two sample photos.

python docs/make_gmad_picture.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_sample_images

PICTURE = Path(__file__).with_name("pictures") / "gmad.jpg"
MODELS = ("default", "default", "--head-b", "clive")
SHEET = "a-attacks-b.png"
WIDTH = 860


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for photo in load_sample_images().filenames:
            shutil.copy(photo, folder)
        options = ("--photos", ".", "--levels", "3", "--same-photo", "--out", "gmad")
        shamisa = [sys.executable, "-m", "shamisa_cli", "gmad"]
        subprocess.run([*shamisa, *MODELS, *options], cwd=folder, check=True)
        with Image.open(Path(folder, "gmad", SHEET)) as sheet:
            small = sheet.resize((WIDTH, round(sheet.height * WIDTH / sheet.width)))
    small.save(PICTURE, quality=80, optimize=True)
    print(PICTURE)


if __name__ == "__main__":
    main()
