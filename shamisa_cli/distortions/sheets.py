"""Contact sheets of distorted photos: each photo whole and small, a part of it at 1:1."""

from __future__ import annotations

from pathlib import PurePath

from PIL import Image

from shamisa_cli.distortions.copies import COMPOSITION, Plan, Variant, distorted_copy
from shamisa_cli.distortions.registry import ENTRIES
from shamisa_cli.distortions.severity import native_text
from shamisa_cli.imaging.closeup import marked, telling_box
from shamisa_cli.imaging.sheet import Row, contact_sheet

CROP = (320, 240)
"""Width and height in px of the part of a photo that a sheet shows at 1:1."""
COLUMNS = 6


class SheetRows:
    """Gathers the rows of a contact sheet: parts of photos as they are, and distorted.

    A part is distorted by itself, as crops are in pre-training: what is counted in a picture, such
    as color blocks, lies on the part.
    """

    def __init__(self, plan: Plan, seed: int) -> None:
        self.plan = plan
        self.seed = seed
        self.rows: list[Row] = []
        self._photos = 0

    def add(self, image: Image.Image, photo: PurePath) -> None:
        """Add the rows of one photo (8-bit RGB), unless the sheet is full."""
        if self._photos == self.plan.photos_per_sheet:
            return
        self._photos += 1
        box = telling_box(image, CROP)
        part = image.crop(box)
        left, top = box[:2]
        pictures = [marked(image, box, CROP), part]
        captions = [
            f"whole photo, {image.width} × {image.height} px",
            f"the mark at ({left}, {top}), {part.width} × {part.height} px, 1:1",
        ]
        rows = self.plan.rows(photo)
        if self.plan.photos_per_sheet > 1:
            (row,) = rows
            pictures += [self._distorted(part, photo, variant) for variant in row]
            captions += [f"{variant.number}\n{functions_text(variant)}" for variant in row]
        self.rows.append(Row(photo.as_posix(), pictures, captions))
        if self.plan.photos_per_sheet == 1:
            self.rows += [self._ladder(part, photo, row) for row in rows]

    def draw(self) -> Image.Image:
        """The sheet."""
        return contact_sheet(self.rows, COLUMNS)

    def _ladder(self, part: Image.Image, photo: PurePath, row: list[Variant]) -> Row:
        pictures = [part, *(self._distorted(part, photo, variant) for variant in row)]
        captions = ["as it is", *map(functions_text, row)]
        return Row(row[0].row, pictures, captions)

    def _distorted(self, part: Image.Image, photo: PurePath, variant: Variant) -> Image.Image:
        return distorted_copy(part, photo, variant, self.seed)


def functions_text(variant: Variant) -> str:
    """What was done, a line a function; of a single one, its parameter and severity."""
    steps = [(ENTRIES[function], severity) for function, severity in variant.composition.steps]
    if variant.row != COMPOSITION:
        ((entry, severity),) = steps
        return f"{native_text(entry, severity)}, severity {round(severity, 2):g}"
    return "\n".join(f"{e.distortion.name}, {native_text(e, severity)}" for e, severity in steps)
