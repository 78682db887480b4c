"""Several human raters' annotations of the same images, and how far they spread."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from edgeio import UnknownName
from edgeio.text import csv_rows, decimal, one_spelling
from edgepose.data.head_length import head_lengths
from edgepose.data.human_spread import HumanSpread, read_human
from edgepose.errors import BadDataset
from edgepose.keypoints import KeypointSet

COLUMNS = ("image", "rater", "keypoint", "x", "y")
# Half a head is no imprecision but a slip: a wrong side, or a wrong limb.
OUTLIER_HEAD_LENGTHS = 0.5


@dataclass(frozen=True)
class RaterSet:
    """R raters' points on S images.

    Attributes:
        raters, images: in the order in which the file first names them.
        keypoints: the set of the K keypoints.
        points_px: (R, S, K, 2) x, y in pixels; NaN where a rater did not mark the keypoint.
        source: the file's name.
    """

    raters: tuple[str, ...]
    images: tuple[str, ...]
    keypoints: KeypointSet
    points_px: np.ndarray
    source: str


@dataclass(frozen=True)
class Outlier:
    """A rater's point far from the others'; `distance` from the median point, in head lengths."""

    image: str
    rater: str
    keypoint: str
    distance: float


@dataclass(frozen=True)
class RaterReport:
    """How far raters spread, and what a reader should know before trusting it.

    Attributes:
        human: H_b and H_b^0.95 of the keypoints that two raters or more marked on some image.
        distance: (R, S, K) of each point from the raters' mean point, in head lengths; NaN where it does not
            count.
        bias: (R, K, 2) each rater's mean offset x, y from the raters' mean point, in head lengths; NaN
            where the rater has none.
        outliers: points over `OUTLIER_HEAD_LENGTHS`, farthest first. They count in `human` all the same.
        images_left_out: images without a head length.
        points_alone: marked points that no other rater marked; they tell nothing of spread.
    """

    human: HumanSpread
    distance: np.ndarray
    bias: np.ndarray
    outliers: tuple[Outlier, ...]
    images_left_out: tuple[str, ...]
    points_alone: int

    @property
    def n(self) -> np.ndarray:
        """(K,) distances behind each keypoint's figures."""
        return (~np.isnan(self.distance)).sum(axis=(0, 1))


@dataclass(frozen=True)
class _Row:
    line: int
    image: str
    rater: str
    keypoint: int
    point: tuple[float, float]


def read_raters(path: str | os.PathLike[str], keypoints: KeypointSet) -> RaterSet:
    """Read a raters' file: CSV with the columns image, rater, keypoint, x, y, in any order; pixels.

    A keypoint that a rater did not mark has no row.

    Raises:
        BadDataset: no such file, other columns, an empty or non-numeric cell, two rows for the same
            point, or a single rater; names the file and the line.
        UnknownName: a keypoint that the set does not have.
    """
    rows = list(_rows(Path(path), keypoints))
    raters = tuple(dict.fromkeys(row.rater for row in rows))
    images = tuple(dict.fromkeys(row.image for row in rows))
    if len(raters) < 2:
        raise BadDataset(f"{path} has {len(raters)} rater(s)", "spread needs two or more raters")
    rater_index = {name: i for i, name in enumerate(raters)}
    image_index = {name: i for i, name in enumerate(images)}
    points = np.full((len(raters), len(images), len(keypoints), 2), np.nan)
    for row in rows:
        cell = points[rater_index[row.rater], image_index[row.image], row.keypoint]
        if not np.isnan(cell[0]):
            name = keypoints.names[row.keypoint]
            raise BadDataset(
                f"{path} line {row.line}: {row.rater} marks {name} of {row.image} a second time",
                "keep one row for each image, rater and keypoint",
            )
        cell[:] = row.point
    return RaterSet(raters, images, keypoints, points, Path(path).name)


def human_spread(path: Path, keypoints: KeypointSet) -> HumanSpread:
    """The spread that a user names: a raters' file, or the human.json that `edgepose raters` made of one.

    Raises:
        BadDataset: neither; says what is wrong with it.
        UnknownName: a keypoint that the set does not have.
    """
    if path.suffix.lower() == ".json":
        return read_human(path, keypoints)
    return spread(read_raters(path, keypoints))


def spread(raters: RaterSet) -> HumanSpread:
    """Inter-rater spread; see `rater_report`, which also says who deviates and what was left out."""
    return rater_report(raters).human


def rater_report(raters: RaterSet) -> RaterReport:
    """Inter-rater spread H_b and H_b^0.95: mean and 95th percentile (linear interpolation) of the distances
    |rater's point - raters' mean point| / l over raters and images, l from the raters' mean annotation.

    With R raters the mean point leans towards each of them, so H understates the distance from the truth by
    about sqrt(1 - 1/R); the definition is the paper's and is kept.

    Raises:
        BadDataset: no image has a head length, or no point was marked by two raters.

    Source: Groos et al. 2021, Table 2.
    """
    points = raters.points_px
    marked = ~np.isnan(points[..., 0])
    marks = marked.sum(axis=0)
    mean = _mean_points(points, marked)
    length = head_lengths(mean, raters.keypoints).px
    usable = marked & (marks >= 2) & ~np.isnan(length)[:, None]
    offset = (points - mean) / length[:, None, None]
    offset = np.where(usable[..., None], offset, np.nan)
    distance = np.hypot(offset[..., 0], offset[..., 1])
    return RaterReport(
        human=_human(raters, distance, int(np.isnan(length).sum())),
        distance=distance,
        bias=_bias(offset),
        outliers=_outliers(raters, usable, length),
        images_left_out=tuple(np.array(raters.images, dtype=object)[np.isnan(length)]),
        points_alone=int((marks == 1).sum()),
    )


def _human(raters: RaterSet, distance: np.ndarray, left_out: int) -> HumanSpread:
    """H and H^0.95 from (R, S, K) distances, NaN where a point does not count."""
    pooled = distance.reshape(-1, distance.shape[-1]).T
    columns = zip(raters.keypoints.names, (column[~np.isnan(column)] for column in pooled), strict=True)
    measured = {name: column for name, column in columns if column.size}
    if not measured:
        raise BadDataset(
            f"{raters.source}: no keypoint of an image with a head length was marked by two raters",
            "let two or more raters mark the same keypoints of the same images",
        )
    n = len(raters.images) - left_out
    images = f"{n} image{'' if n == 1 else 's'}"
    images += f" ({left_out} left out for want of a head length)" if left_out else ""
    return HumanSpread(
        names=tuple(measured),
        h=tuple(float(column.mean()) for column in measured.values()),
        h95=tuple(float(np.quantile(column, 0.95)) for column in measured.values()),
        source=f"{raters.source}: {len(raters.raters)} raters, {images}",
    )


def _mean_points(points: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """(S, K, 2) mean over the raters who marked the point; NaN where none did."""
    total = np.where(marked[..., None], points, 0.0).sum(axis=0)
    count = marked.sum(axis=0)[..., None]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _bias(offset: np.ndarray) -> np.ndarray:
    """(R, K, 2) mean over images of (R, S, K, 2) offsets."""
    return _mean_points(offset.swapaxes(0, 1), ~np.isnan(offset[..., 0]).swapaxes(0, 1))


def _outliers(raters: RaterSet, usable: np.ndarray, length: np.ndarray) -> tuple[Outlier, ...]:
    """Against the median point: one slip drags the mean so far that the other raters look wrong too."""
    found = []
    for s, k in np.argwhere(usable.any(axis=0)):
        who = np.flatnonzero(usable[:, s, k])
        points = raters.points_px[who, s, k]
        offset = (points - np.median(points, axis=0)) / length[s]
        for r, distance in zip(who, np.hypot(offset[:, 0], offset[:, 1]), strict=True):
            if distance > OUTLIER_HEAD_LENGTHS:
                names = raters.images[s], raters.raters[r], raters.keypoints.names[k]
                found.append(Outlier(*names, float(distance)))
    return tuple(sorted(found, key=lambda outlier: -outlier.distance))


def _rows(path: Path, keypoints: KeypointSet) -> Iterator[_Row]:
    hint = f"give a CSV file with the columns {','.join(COLUMNS)}"
    try:
        rows = csv_rows(path, strict=True)
    except FileNotFoundError:
        raise BadDataset(f"{path} does not exist", hint) from None
    except IsADirectoryError:
        raise BadDataset(f"{path} is a folder", hint) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadDataset(f"{path} is not CSV text in UTF-8 ({error})", hint) from None
    header = [name.strip() for name in rows[0][1]] if rows else []
    if sorted(header) != sorted(COLUMNS):
        raise BadDataset(f"{path} has the columns {','.join(header) or 'none'}", hint)
    for line, cells in rows[1:]:
        yield _row(path, line, dict(zip_longest(header, cells)), keypoints)


def _row(path: Path, line: int, cells: dict[str | None, str | None], keypoints: KeypointSet) -> _Row:
    # Surplus cells stand under the key None, and cells that the line lacks are None.
    texts = {name: (cells[name] or "").strip() for name in COLUMNS}
    empty = [name for name, text in texts.items() if not text]
    if empty or len(cells) != len(COLUMNS):
        what = f"no {' and no '.join(empty)}" if empty else "more cells than columns"
        raise BadDataset(f"{path} line {line} has {what}", f"give {', '.join(COLUMNS)} in every row")
    try:
        index = keypoints.index(texts["keypoint"])
    except UnknownName as error:
        raise UnknownName(f"keypoint in {path} line {line}", error.name, error.known) from None
    image, rater = one_spelling(texts["image"]), one_spelling(texts["rater"])
    return _Row(line, image, rater, index, _point(path, line, texts))


def _point(path: Path, line: int, texts: dict[str, str]) -> tuple[float, float]:
    values = []
    for axis in ("x", "y"):
        try:
            value = decimal(texts[axis])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise BadDataset(
                f"{path} line {line}: {axis} is '{texts[axis]}', not a number",
                "give pixels, and leave the row out where the rater did not mark the keypoint",
            )
        values.append(value)
    return values[0], values[1]
