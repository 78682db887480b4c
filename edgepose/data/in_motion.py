"""In-Motion Poses (Groos et al. 2021), in its authors' raw and processed layouts.

Points are fractions of the image's width and height: x_px = x * W with no shift, which is this
project's own convention. A point (0, 0) was not annotated. Points further than half an image outside
are a corrupt annotation, and leave their image out. Frames are named VIDEO_FRAME.

Beside either layout a `videos.csv` may lie, in the top folder, which says more of the videos: one column
is called `video`, and every other one is text about that video (setup, site, age, ...), kept as it stands
in its images' `columns`. An empty cell says nothing. Videos without a row, and rows without images, are fine.

The authors split their frames, not their videos, at random; in the processed layout that split is kept
as it stands, and `edgepose data info` tells how many videos it cuts through.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeio.text import csv_rows, one_spelling
from edgepose.data.collect import Collector, Skip, floats, numbers_of, point_rows, require
from edgepose.data.files import files_below, files_in
from edgepose.data.images import image_size
from edgepose.data.records import SPLITS, Dataset, PoseRecord
from edgepose.data.splits import split_by_hash, video_of
from edgepose.errors import BadDataset, BadImage
from edgepose.keypoints import IN_MOTION_19

PROCESSED, RAW = "in-motion", "in-motion-raw"
_CSV = Path("raw", "annotations", "annotations.csv")
_VIDEOS, _VIDEO = "videos.csv", "video"
_FIRST_POINT = 2  # column of the first keypoint
_COLUMNS = _FIRST_POINT + len(IN_MOTION_19)
_OUTSIDE = 0.5
_IMAGES = (".jpg", ".jpeg", ".png")
# The authors' framework has other names for the same places.
_ALIASES = {
    "thorax": "upper_chest",
    "pelvis": "mid_pelvis",
    "right_hip": "right_pelvis",
    "left_hip": "left_pelvis",
}
Columns = Mapping[str, Mapping[str, str]]  # what is said of each video


def detect_processed(root: Path) -> bool:
    return any((root / "processed" / split / "points").is_dir() for split in SPLITS)


def detect_raw(root: Path) -> bool:
    return (root / _CSV).is_file()


def read_processed(root: Path) -> Dataset:
    """Read `processed/{train,val,test}/images_1024x1024/*.jpg` with `points/NAME.txt`.

    Of several `images_NxN` folders the largest is read. Splits are the folders.

    Raises:
        BadDataset: not this layout, a `videos.csv` that cannot be used, or nothing usable in it.
    """
    require(root / "processed", PROCESSED)
    columns = read_columns(root)
    collector = Collector(PROCESSED, root, IN_MOTION_19)
    for split in SPLITS:
        folder = root / "processed" / split
        if folder.is_dir():
            _read_split(collector, folder, split, columns)
    return collector.dataset()


def _read_split(collector: Collector, folder: Path, split: str, columns: Columns) -> None:
    images = _by_stem(files_in(_largest(folder), _IMAGES))
    points = _by_stem(files_in(folder / "points", (".txt",)))
    for stem in sorted(images.keys() | points.keys()):
        with collector.listing(f"{split}/{stem}"):
            image = _only(images.get(stem, []), "the image file is missing")
            rows = point_rows(_only(points.get(stem, []), "not annotated"), 2)
            name = f"{split}/{one_spelling(image.name)}"
            collector.add(_record(name, image, _points(rows), split, columns))


def _by_stem(paths: list[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(one_spelling(path.stem), []).append(path)
    return found


def _only(paths: list[Path], missing: str) -> Path:
    if len(paths) > 1:
        raise Skip(f"several files of one name: {', '.join(p.name for p in paths)}")
    if not paths:
        raise Skip(missing)
    return paths[0]


def _largest(folder: Path) -> Path:
    """The folder of images of the highest resolution."""
    named = ((re.fullmatch(r"images_(\d{1,6})x\1", p.name), p) for p in folder.glob("images_*"))
    sizes = {int(match[1]): p for match, p in named if match}
    if not sizes:
        raise BadDataset(f"{folder} has no folder images_1024x1024", "give the processed layout's top folder")
    return sizes[max(sizes)]


def read_raw(root: Path) -> Dataset:
    """Read `raw/annotations/annotations.csv` with `raw/images/`.

    The CSV has a header, the image's path in column 2 and, from column 3 on, a cell "(x, y)" for each
    of the 19 keypoints in order; a row whose first point is empty is not annotated. An image is found in
    `raw/images` by as much of its path's end as is there; by its name alone only where one row and one
    image have that name. Splits are by hash of the video.

    Raises:
        BadDataset: not this layout, wrong columns, a `videos.csv` that cannot be used, or nothing usable
            in it.
    """
    path = require(root / _CSV, RAW)
    folder = require(root / "raw" / "images", RAW)
    columns = read_columns(root)
    collector = Collector(RAW, root, IN_MOTION_19)
    header, *rows = _rows(path)
    _check_header(path, header[1])
    named = [_parts(row) for _, row in rows]
    pictures = _Pictures(folder, named)
    for (number, row), parts in zip(rows, named, strict=True):
        with collector.listing(pictures.name_of(parts) or f"line {number}"):
            if len(row) != _COLUMNS:
                raise Skip(f"wrong number of cells: line {number} has {len(row)}, not {_COLUMNS}")
            if not row[_FIRST_POINT].strip():
                raise Skip("not annotated")
            points = _points([_cell(text) for text in row[_FIRST_POINT:]])
            image = pictures.find(parts)
            name = one_spelling(image.relative_to(folder).as_posix())
            split = split_by_hash(video_of(Path(name).stem))
            collector.add(_record(name, image, points, split, columns))
    return collector.dataset()


def _parts(row: list[str]) -> tuple[str, ...]:
    """The folders and the name of a row's image."""
    text = one_spelling(row[1]) if len(row) > 1 else ""
    return tuple(part for part in re.split(r"[\\/]", text.strip()) if part not in ("", "."))


class _Pictures:
    """Images by every end of their path: a/b/c.jpg, b/c.jpg and c.jpg."""

    def __init__(self, folder: Path, named: Sequence[tuple[str, ...]]) -> None:
        self._found: dict[tuple[str, ...], list[Path]] = {}
        for path in files_below(folder, _IMAGES):
            parts = tuple(one_spelling(part) for part in path.relative_to(folder).parts)
            for start in range(len(parts)):
                self._found.setdefault(parts[start:], []).append(path)
        self._folder = folder
        self._rows_of = Counter(parts[-1:] for parts in set(named))

    def name_of(self, parts: tuple[str, ...]) -> str:
        """The name of a row's image, with its folders where other rows have the same name."""
        return "/".join(parts[-1:] if self._rows_of[parts[-1:]] == 1 else parts)

    def find(self, parts: tuple[str, ...]) -> Path:
        """The image of a row; raises Skip where it is missing, or could be several."""
        for start in range(len(parts)):
            end = parts[start:]
            paths = self._found.get(end, [])
            if len(paths) > 1:
                paths = [p for p in paths if len(p.relative_to(self._folder).parts) == len(end)] or paths
            if len(paths) > 1:
                raise Skip(f"several images of one name: {len(paths)} end in {'/'.join(end)}")
            if paths and (len(end) > 1 or len(parts) == 1 or self._rows_of[end] == 1):
                return paths[0]
        raise Skip("the image file is missing")


def read_columns(root: Path) -> Columns:
    """What `videos.csv` in the top folder says of each video, by column; empty where there is no such file.

    Raises:
        BadDataset: no `video` column, a column without a name or with another's, and the line of a row
            with too few or too many cells, without a video, with control characters, or of a video that
            came before.
    """
    path = root / _VIDEOS
    if not path.is_file():
        return {}
    (_, header), *rows = _rows(path)
    names = [name.strip() for name in header]
    if _VIDEO not in names or "" in names or len(set(names)) < len(names):
        raise BadDataset(
            f"{path} has the columns {', '.join(names)}",
            f"name each column once, one of them '{_VIDEO}'; or remove the file",
        )
    found: dict[str, dict[str, str]] = {}
    for number, row in rows:
        said = dict(zip(names, (cell.strip() for cell in row), strict=False))
        video = one_spelling(said.pop(_VIDEO, ""))
        wrong = _wrong_row(row, names, video, found)
        if wrong:
            raise BadDataset(f"{path}, line {number}: {wrong}", "give each video one row; or remove the file")
        found[video] = {name: text for name, text in said.items() if text}
    return found


def _wrong_row(row: list[str], names: list[str], video: str, before: Columns) -> str | None:
    if len(row) != len(names):
        return f"{len(row)} cells where the header has {len(names)}"
    if not all(cell.strip().isprintable() for cell in row):
        return "control characters"
    if not video:
        return "no video"
    return f"video {video} comes a second time" if video in before else None


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """(line number, cells) of the header and the data rows; one at least."""
    try:
        rows = csv_rows(path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadDataset(f"{path} is not a CSV file ({error})", "save it as CSV in UTF-8") from None
    if not rows:
        raise BadDataset(f"{path} is empty", "copy it again")
    return rows


def _check_header(path: Path, header: list[str]) -> None:
    """Right number of columns; and where the header names keypoints, each stands in its place."""
    wanted = f"give one column, the image path, and then: {', '.join(IN_MOTION_19.names)}"
    if len(header) != _COLUMNS:
        found = ", ".join(header)
        raise BadDataset(f"{path} has {len(header)} columns, not {_COLUMNS} (found: {found})", wanted)
    for name, cell in zip(IN_MOTION_19.names, header[_FIRST_POINT:], strict=True):
        found = re.sub(r"[\s-]+", "_", cell.strip().lower())
        found = _ALIASES.get(found, found)
        if found != name and found in IN_MOTION_19.names:
            raise BadDataset(f"{path} has column '{cell}' where '{name}' belongs", wanted)


def _cell(text: str) -> list[str]:
    """The two numbers of "(x, y)", as text."""
    bare = text.strip().removeprefix("(").removesuffix(")")
    return numbers_of(bare, 2) if "," in bare or ";" in bare else [bare]


def _points(rows: list[list[str]]) -> np.ndarray:
    """(19, 2) fractions of width and height, NaN where not annotated."""
    names = IN_MOTION_19.names
    if len(rows) != len(names):
        raise Skip(f"wrong number of points: {len(rows)}, not {len(names)}")
    points = np.full((len(names), 2), np.nan)
    for i, (name, row) in enumerate(zip(names, rows, strict=True)):
        if len(row) != 2:
            raise Skip(f"not a point: {name} has {' '.join(row)[:40]!r}")
        x, y = floats(row, name)
        if not (-_OUTSIDE <= x <= 1 + _OUTSIDE and -_OUTSIDE <= y <= 1 + _OUTSIDE):
            raise Skip(f"a point far outside the image: {name} at ({x:g}, {y:g})")
        if (x, y) != (0.0, 0.0):
            points[i] = x, y
    return points


def _record(name: str, image: Path, points: np.ndarray, split: str, columns: Columns) -> PoseRecord:
    try:
        height, width = image_size(image)
    except BadImage as error:
        raise Skip(f"the image cannot be read: {error}") from None
    video = video_of(one_spelling(image.stem))
    return PoseRecord(name, image, points * (width, height), video, split, columns=columns.get(video, {}))
