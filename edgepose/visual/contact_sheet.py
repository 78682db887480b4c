"""A page of a data set's images with their skeletons, to see at a glance whether it was read rightly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from edgeio import replacing
from edgepose.data.images import decode_parallel
from edgepose.data.records import SPLITS, Dataset, PoseRecord
from edgepose.errors import BadDataset, BadImage, UsageError
from edgepose.geometry import letterbox
from edgepose.keypoints import KeypointSet
from edgepose.visual.drawing import SIDE_COLOURS, draw_skeleton
from edgepose.visual.glyphs import in_sheet, sheet_font

CELL = 240
_CAPTION = 18
_GAP = 8
_TITLE = 30
_MAX_CELLS = 2000
_GROUND, _EMPTY, INK, _WARNING = (24, 24, 27), (45, 45, 50), (220, 220, 225), (255, 120, 100)


@dataclass(frozen=True)
class Sheet:
    """What a contact sheet shows.

    Attributes:
        shown: ids drawn, in the data set's order.
        unreadable: those of them whose image could not be decoded, and are shown as empty cells.
        available: images that there were to choose from.
    """

    shown: tuple[str, ...]
    unreadable: tuple[str, ...]
    available: int


def contact_sheet(
    dataset: Dataset, out_png: Path, columns: int = 6, rows: int = 4, seed: int = 0, split: str = "all"
) -> Sheet:
    """Draw a seeded sample of records, each with its skeleton and id, into one PNG.

    Args:
        dataset: what to look at.
        out_png: written whole or not at all; replaced where it exists.
        columns, rows: of the page; fewer images than cells make a smaller page.
        seed: of the sample.
        split: as for `Dataset.split`.

    Raises:
        UsageError: no cells, or more than 2000 of them, or a name that is not *.png.
        BadDataset: the split has no image.
    """
    _check(out_png, columns, rows)
    records = dataset.split(split)
    if not records:
        have = ", ".join(f"{s}: {len(dataset.split(s))}" for s in SPLITS)
        raise BadDataset(f"{dataset.name} has no image in split '{split}'", f"choose another ({have})")
    count = min(columns * rows, len(records))
    chosen = np.sort(np.random.default_rng(seed).choice(len(records), count, replace=False))
    sample = [records[i] for i in chosen]
    legend = f"{split} split, {count} of {len(records)} images, seed {seed}"
    page = empty_page(f"{dataset.format}:{dataset.root.name}, {legend}", count, columns)
    unreadable = []
    for index, (record, (_, image)) in enumerate(
        zip(sample, decode_parallel(r.image for r in sample), strict=True)
    ):
        if isinstance(image, BadImage):
            unreadable.append(record.id)
        _draw_cell(page, corner_of(index, columns), record, image, dataset.keypoints)
    with replacing(out_png) as temporary:
        page.save(temporary, format="PNG")
    return Sheet(tuple(r.id for r in sample), tuple(unreadable), len(records))


def _check(out_png: Path, columns: int, rows: int) -> None:
    if columns < 1 or rows < 1 or columns * rows > _MAX_CELLS:
        raise UsageError(f"{columns} x {rows} images make no page", f"give 1 to {_MAX_CELLS} cells")
    if out_png.suffix.lower() != ".png":
        raise UsageError(f"{out_png} is not a PNG's name", "let the name end in .png")


def corner_of(index: int, columns: int) -> tuple[int, int]:
    """Left and top of a cell."""
    row, column = divmod(index, columns)
    return _GAP + column * (CELL + _GAP), _TITLE + row * (CELL + _CAPTION + _GAP)


def empty_page(title: str, count: int, columns: int) -> Image.Image:
    """An empty page for `count` cells, with its title and the meaning of the colours."""
    across, down = min(count, columns), -(-count // columns)
    page = Image.new("RGB", corner_of(down * columns, columns), _GROUND)
    page = page.resize((_GAP + across * (CELL + _GAP), page.height))
    draw = ImageDraw.Draw(page)
    x = page.width - _GAP
    for name, colour in reversed(SIDE_COLOURS.items()):
        x -= round(draw.textlength(name, font=sheet_font())) + 10
        draw.text((x + 4, 8), name, fill=colour, font=sheet_font())
    draw.text((_GAP, 8), fitting(draw, title, x - _GAP), fill=INK, font=sheet_font())
    return page


def _draw_cell(
    page: Image.Image,
    corner: tuple[int, int],
    record: PoseRecord,
    image: np.ndarray | BadImage,
    keypoints: KeypointSet,
) -> None:
    draw = ImageDraw.Draw(page)
    left, top = corner
    if isinstance(image, BadImage):
        draw.rectangle([left, top, left + CELL - 1, top + CELL - 1], fill=_EMPTY)
        draw.text((left + 8, top + 8), "cannot be read", fill=_WARNING, font=sheet_font())
    else:
        placed = letterbox(image.shape[:2], (CELL, CELL))
        points = placed.to_canvas.apply(record.keypoints_px)
        page.paste(Image.fromarray(draw_skeleton(placed.draw(image), points, keypoints)), corner)
    caption = f"{record.id} ({record.split})"
    draw.text((left, top + CELL + 2), fitting(draw, caption, CELL), fill=INK, font=sheet_font())


def fitting(draw: ImageDraw.ImageDraw, text: str, width: float) -> str:
    """`text`, shortened from the left, where paths say least, to `width` pixels."""
    shown = text = in_sheet(text)
    while draw.textlength(shown, font=sheet_font()) > width and len(text) > 1:
        text = text[1:]
        shown = "..." + text
    return shown
