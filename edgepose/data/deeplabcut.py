"""DeepLabCut projects of one animal (Mathis et al. 2018): what was labelled, as a data set.

Coordinates are those of its labelling tools, where (0, 0) is the centre of the first pixel. So x_px = x + 0.5
in this project's convention; an empty cell is not labelled. A folder of `labeled-data` is a video; its images
are found beside its labels, wherever the project was when they were written. Splits are by hash of the video:
DeepLabCut's own cut through videos.

Source: DeepLabCut's user guide for single animal projects.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from edgeio import lookup
from edgeio.text import csv_rows, read_text
from edgepose.data.collect import Collector, Skip, file_inside, floats, require
from edgepose.data.records import SPLITS, Dataset, PoseRecord
from edgepose.data.splits import split_by_hash
from edgepose.errors import BadDataset, UsageError
from edgepose.keypoint_file import BadKeypoints, order_in, same_names, set_of_names, snake
from edgepose.keypoints import KeypointSet

KEY = "deeplabcut"
LABELS, CONFIG = "CollectedData_", "config.yaml"
SHIFT = 0.5
_HEADER = ("scorer", "bodyparts", "coords")
_HINT = "give a DeepLabCut project with config.yaml and labeled-data"
_EXTRA = "install edgepose[deeplabcut]"
Row = tuple[str, list[str]]  # an image's path as it stands there, and the cells of its points


def detect(root: Path) -> bool:
    return (root / CONFIG).is_file() and (root / "labeled-data").is_dir()


def read(root: Path, split: str | None = None, keypoints: KeypointSet | None = None) -> Dataset:
    """Read `labeled-data/VIDEO/CollectedData_SCORER.csv`, or the .h5 where there is no .csv.

    Args:
        split: the split of every record, instead of their videos' hash.
        keypoints: the set to read by, where the project has its names in any order.

    Raises:
        BadDataset: not this layout, a project of several animals, labels of different body parts, or nothing
            usable in it.
        UsageError: a package that it takes is not installed; no such split.
    """
    if split is not None:
        lookup(dict.fromkeys(SPLITS), "split", split)
    config = _config(require(root / CONFIG, KEY))
    files = [f for d in sorted(require(root / "labeled-data", KEY).iterdir()) if (f := _labels(d, config))]
    if not files:
        raise BadDataset(f"{root / 'labeled-data'} holds no {LABELS}*.csv or .h5", _HINT)
    tables = [(path, *_table(path)) for path in files]
    points = _keypoints(root, tables[0][0], tables[0][1], config, keypoints)
    collector = Collector(KEY, root, points)
    for path, names, rows in tables:
        if not same_names(points, names):
            raise BadDataset(f"{path} has other body parts than {tables[0][0]}", "label the same everywhere")
        order = list(order_in(points, names))
        for image, cells in rows:
            name = PurePosixPath(image.replace("\\", "/")).name
            with collector.listing(f"{path.parent.name}/{name}"):
                found = _points(cells, f"{path.name}, {name}")[order]
                where = file_inside(path.parent, name)
                video = path.parent.name
                chosen = split or split_by_hash(video)
                collector.add(PoseRecord(f"{video}/{name}", where, found, video, chosen))
    return collector.dataset()


def _config(path: Path) -> dict[str, Any]:
    """A project's settings; raises BadDataset for one of several animals."""
    try:
        import yaml
    except ImportError:
        raise UsageError(f"reading {path} takes PyYAML, which is not installed", _EXTRA) from None
    try:
        value = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadDataset(f"{path} is no YAML ({error})", _HINT) from None
    if not isinstance(value, dict):
        raise BadDataset(f"{path} holds no settings", _HINT)
    if value.get("multianimalproject") is True:
        raise _several(path)
    return value


def _several(path: Path) -> BadDataset:
    return BadDataset(
        f"{path} is of a multi-animal project, of which no animal is the infant",
        "export one individual as a single animal project",
    )


def _labels(folder: Path, config: dict[str, Any]) -> Path | None:
    """The labels of one video: those of the project's scorer, or the only ones; a .csv before an .h5."""
    if not folder.is_dir() or folder.name.startswith("."):
        return None
    found = [p for p in sorted(folder.glob(f"{LABELS}*")) if p.suffix in (".csv", ".h5")]
    scorers = {p.stem for p in found}
    if len(scorers) > 1:
        own = f"{LABELS}{config.get('scorer')}"
        if own not in scorers:
            raise BadDataset(
                f"{folder} was labelled by several: {', '.join(sorted(scorers))}",
                f"name one as scorer in {CONFIG}",
            )
        found = [p for p in found if p.stem == own]
    return found[0] if found else None  # .csv sorts before .h5


def _table(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    """Body parts and rows of a file of labels; raises BadDataset."""
    rows = _h5_rows(path) if path.suffix == ".h5" else _csv_rows(path)
    header = [cells for cells in rows[:4] if cells and cells[0] in (*_HEADER, "individuals")]
    if any(cells[0] == "individuals" for cells in header):
        raise _several(path)
    if [cells[0] for cells in header] != list(_HEADER):
        raise BadDataset(f"{path} does not begin with the rows {', '.join(_HEADER)}", _HINT)
    first = next((i for i, cell in enumerate(header[2]) if i and cell), len(header[2]))
    parts, coords = header[1][first:], header[2][first:]
    names = tuple(parts[::2])
    if not names or tuple(parts[1::2]) != names or coords != ["x", "y"] * len(names):
        raise BadDataset(f"{path} does not have x and y of each body part in turn", _HINT)
    return names, [("/".join(c for c in cells[:first] if c), cells[first:]) for cells in rows[3:]]


def _csv_rows(path: Path) -> list[list[str]]:
    try:
        return [[cell.strip() for cell in cells] for _, cells in csv_rows(path)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadDataset(f"{path} is no CSV ({error})", _HINT) from None


def _h5_rows(path: Path) -> list[list[str]]:
    """An .h5 of pandas as the rows of the .csv that DeepLabCut writes beside it.

    It is read as plain arrays: pandas itself would unpickle what stands in it, which can run code.
    """
    try:
        import h5py
    except ImportError:
        raise UsageError(f"reading {path} takes h5py, which is not installed", _EXTRA) from None
    try:
        with h5py.File(path, "r") as file:
            group = next(iter(file.values()))
            columns = _levels(group, "block0_items")
            index = _levels(group, "axis1") or [[_text(value) for value in group["axis1"][:]]]
            values = np.asarray(group["block0_values"][:], dtype=np.float64)
    except (OSError, KeyError, ValueError, TypeError, StopIteration, AttributeError, IndexError):
        raise BadDataset(
            f"{path} is no table of labels as DeepLabCut writes it now",
            "save it as .csv beside it, as DeepLabCut does",
        ) from None
    names = _HEADER if len(columns) == len(_HEADER) else (_HEADER[0], "individuals", *_HEADER[1:])
    empty = [""] * (len(index) - 1)
    header = [[name, *empty, *row] for name, row in zip(names, columns, strict=False)]
    cells = [["" if v != v else repr(v) for v in row] for row in values.tolist()]
    keys = zip(*index, strict=True)
    return [*header, *([*key, *row] for key, row in zip(keys, cells, strict=True))]


def _levels(group: Any, axis: str) -> list[list[str]]:
    """The levels of a MultiIndex, each with an entry a row or column; none of a plain index."""
    found: list[list[str]] = []
    while f"{axis}_level{len(found)}" in group:
        names = [_text(value) for value in group[f"{axis}_level{len(found)}"][:]]
        found.append([names[index] for index in group[f"{axis}_label{len(found)}"][:].tolist()])
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _keypoints(
    root: Path, path: Path, names: Sequence[str], config: dict[str, Any], wanted: KeypointSet | None
) -> KeypointSet:
    if wanted is not None and same_names(wanted, names):
        return wanted
    at = {snake(name): i for i, name in enumerate(names)}
    skeleton = config.get("skeleton")
    pairs = [p for p in skeleton if isinstance(p, list) and len(p) == 2] if isinstance(skeleton, list) else []
    named = [(snake(str(a)), snake(str(b))) for a, b in pairs]
    known = [(at[a], at[b]) for a, b in named if {a, b} <= at.keys()]
    try:
        return set_of_names(names, known, str(config.get("Task") or root.name), str(path))
    except BadKeypoints as error:
        raise BadDataset(error.what, error.hint) from None


def _points(cells: list[str], where: str) -> np.ndarray:
    """(K, 2) in this project's pixels, NaN where a cell is empty."""
    known = [cell != "" and cell.lower() != "nan" for cell in cells]
    if known[::2] != known[1::2]:
        raise Skip(f"one coordinate without the other: {where}")
    values = np.full(len(cells), np.nan)
    values[known] = floats([cell for cell, there in zip(cells, known, strict=True) if there], where)
    return values.reshape(-1, 2) + SHIFT
