"""A data set in another layout: COCO's, In-Motion's processed one, or a DeepLabCut project.

What comes out is read back by edgepose to the same points, and videos stay whole. What a layout has no room
for is said: In-Motion's has 19 keypoints and no more, DeepLabCut's no splits.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from edgeio import Progress, lookup
from edgepose.data import deeplabcut
from edgepose.data.images import image_size, read_image
from edgepose.data.records import SPLITS, Dataset, PoseRecord
from edgepose.errors import UsageError
from edgepose.keypoint_file import to_toml
from edgepose.keypoints import IN_MOTION_19, is_own, mapping

KEYPOINT_FILE = "keypoints.toml"
_COCO_SHIFT = 0.5
_SCORER = "edgepose"
Write = Callable[[Dataset, Path, Progress, bool], list[str]]  # gives what is to be said


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        images: how many records.
        notes: what the layout has no room for.
    """

    folder: Path
    images: int
    notes: tuple[str, ...]


def convert(
    dataset: Dataset, to: str, out: Path, near: bool = False, progress: Progress = lambda done, total: None
) -> Converted:
    """Write a data set in another layout, whole or not at all; images are copied.

    Args:
        to: a key of `TARGETS`.
        out: a folder that is not there, or empty.
        near: also take keypoints that In-Motion's set defines slightly differently (hip for pelvis).

    Raises:
        UnknownName: no such layout.
        UsageError: `out` holds something; no keypoint in common with the layout.
        BadImage: an image cannot be read.
    """
    write = lookup(TARGETS, "layout", to)
    if near and to != "in-motion":
        raise UsageError(f"--near has no effect with --to {to}, which keeps every keypoint", "leave it out")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is no empty folder", "choose another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        temporary.mkdir()
        notes = write(dataset, temporary, progress, near)
        if is_own(dataset.keypoints.key) and to != "in-motion":
            (temporary / KEYPOINT_FILE).write_text(to_toml(dataset.keypoints), encoding="utf-8")
        if out.exists():
            out.rmdir()
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Converted(out, len(dataset.records), tuple(notes))


def _coco(dataset: Dataset, out: Path, progress: Progress, near: bool) -> list[str]:
    points, done = dataset.keypoints, 0
    category = {
        "id": 1,
        "name": "infant",
        "supercategory": "person",
        "keypoints": list(points.names),
        "skeleton": [[a + 1, b + 1] for a, b in points.segment_indices],
    }
    for split in SPLITS:  # empty ones too: without a test file, the validation's would be the test split
        images: dict[Path, dict[str, Any]] = {}
        annotations: list[dict[str, Any]] = []
        (out / "images" / split).mkdir(parents=True)
        for record in dataset.split(split):
            if record.image not in images:
                height, width = image_size(record.image)
                name = _relative(record)
                _copy(record.image, out / "images" / split / name)
                images[record.image] = {
                    "id": len(images) + 1,
                    "file_name": name.as_posix(),
                    "width": width,
                    "height": height,
                    "source": record.video,
                }
            annotations.append(_annotation(record, len(annotations) + 1, images[record.image]["id"]))
            done += 1
            progress(done, len(dataset.records))
        value = {
            "info": {"description": f"{dataset.label}, by edgepose data convert"},
            "images": list(images.values()),
            "annotations": annotations,
            "categories": [category],
        }
        path = out / "annotations" / f"person_keypoints_{split}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(value, allow_nan=False) + "\n", encoding="utf-8")
    own = any(record.head_length_px is not None for record in dataset.records)
    return ["head lengths that the data set brings itself are not kept"] if own else []


def _relative(record: PoseRecord) -> Path:
    """A place for a record's image, as its id has it."""
    path = PurePosixPath(record.id.partition("#")[0])
    if path.suffix.lower() != record.image.suffix.lower():
        path = path.with_name(path.name + record.image.suffix)
    return Path(*(part for part in path.parts if part not in ("..", "/")))


def _annotation(record: PoseRecord, number: int, image: int) -> dict[str, Any]:
    known = np.isfinite(record.keypoints_px).all(-1)
    xy = np.where(known[:, None], record.keypoints_px - _COCO_SHIFT, 0.0)
    low, high = record.keypoints_px[known].min(0), record.keypoints_px[known].max(0)
    box = [*low.tolist(), *(high - low).tolist()]
    if "bbox" in record.columns:
        box = [float(side) for side in record.columns["bbox"].split(",")]
    flat = [v for (x, y), there in zip(xy.tolist(), known, strict=True) for v in (x, y, 2 if there else 0)]
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "keypoints": flat,
        "num_keypoints": int(known.sum()),
        "bbox": box,
        "area": float(record.columns.get("area", box[2] * box[3])),
        "iscrowd": 0,
    }


def _in_motion(dataset: Dataset, out: Path, progress: Progress, near: bool) -> list[str]:
    found = mapping(dataset.keypoints, IN_MOTION_19, near)
    names = _by_video(dataset.records)
    side = max(max(image_size(record.image)) for record in dataset.records)
    for done, (record, (video, number)) in enumerate(zip(dataset.records, names, strict=True)):
        folder = out / "processed" / record.split
        stem, (height, width) = f"{video}_{number}", image_size(record.image)
        _copy(record.image, folder / f"images_{side}x{side}" / stem, (".jpg", ".jpeg", ".png"))
        points = np.zeros((len(IN_MOTION_19), 2))
        for source, target in found.pairs:
            points[target] = np.nan_to_num(record.keypoints_px[source] / (width, height))
        path = folder / "points" / f"{stem}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{x!r} {y!r}\n" for x, y in points.tolist()), encoding="utf-8")
        progress(done + 1, len(dataset.records))
    mine = {source for source, _ in found.pairs}
    lost = [name for k, name in enumerate(dataset.keypoints.names) if k not in mine]
    notes = [f"keypoints that In-Motion's 19 do not have are left out: {', '.join(lost)}"] if lost else []
    if found.absent:
        notes.append(f"keypoints of In-Motion's 19 without labels: {', '.join(found.absent)}")
    return notes


def _deeplabcut(dataset: Dataset, out: Path, progress: Progress, near: bool) -> list[str]:
    names = _by_video(dataset.records)
    rows: dict[str, list[tuple[str, np.ndarray]]] = {}
    for done, (record, (video, number)) in enumerate(zip(dataset.records, names, strict=True)):
        folder = out / "labeled-data" / video
        # Its tools look for PNG alone.
        _copy(record.image, folder / f"img{number}", (".png",))
        rows.setdefault(video, []).append((f"img{number}.png", record.keypoints_px - deeplabcut.SHIFT))
        progress(done + 1, len(dataset.records))
    tabled = [_labels(dataset, out / "labeled-data" / video, labels) for video, labels in rows.items()]
    (out / deeplabcut.CONFIG).write_text(_config(dataset), encoding="utf-8")
    notes = ["DeepLabCut has no splits of videos: read back, they follow from the videos' names"]
    if not all(tabled):
        notes.append("pandas and tables are not installed: run deeplabcut.convertcsv2h5 on the project")
    return notes


def _labels(dataset: Dataset, folder: Path, labels: Sequence[tuple[str, np.ndarray]]) -> bool:
    """A video's CollectedData as .csv and, where pandas is there for it, as .h5; whether it was."""
    stem, parts = f"{deeplabcut.LABELS}{_SCORER}", dataset.keypoints.names
    k = len(parts)
    header = {
        "scorer": [_SCORER] * 2 * k,
        "bodyparts": [n for n in parts for _ in "xy"],
        "coords": ["x", "y"] * k,
    }
    with (folder / f"{stem}.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerows([name, "", "", *row] for name, row in header.items())
        for image, points in labels:
            cells = ["" if v != v else repr(v) for v in points.ravel().tolist()]
            writer.writerow(["labeled-data", folder.name, image, *cells])
    try:
        import pandas
        import tables  # noqa: F401 - pandas writes with it
    except ImportError:
        return False
    columns = pandas.MultiIndex.from_product([[_SCORER], parts, ["x", "y"]], names=[*header])
    index = pandas.MultiIndex.from_tuples([("labeled-data", folder.name, image) for image, _ in labels])
    values = np.stack([points.ravel() for _, points in labels])
    frame = pandas.DataFrame(values, columns=columns, index=index)
    frame.to_hdf(folder / f"{stem}.h5", key="df_with_missing", mode="w")
    return True


def _config(dataset: Dataset) -> str:
    """Settings of a project, each value as JSON, which is YAML too; the rest DeepLabCut fills in."""
    points = dataset.keypoints
    settings = {
        "Task": re.sub(r"\W+", "-", dataset.root.resolve().name),
        "scorer": _SCORER,
        "date": date.today().strftime("%b%d"),
        "multianimalproject": False,
        "identity": None,
        "project_path": "",
        "video_sets": {},
        "bodyparts": list(points.names),
        "start": 0,
        "stop": 1,
        "numframes2pick": 20,
        "skeleton": [list(pair) for pair in points.segments],
        "skeleton_color": "black",
        "pcutoff": 0.6,
        "dotsize": 8,
        "alphavalue": 0.7,
        "colormap": "rainbow",
        "TrainingFraction": [0.95],
        "iteration": 0,
        "default_net_type": "resnet_50",
        "default_augmenter": "default",
        "snapshotindex": -1,
        "batch_size": 8,
    }
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in settings.items())


def _by_video(records: Sequence[PoseRecord]) -> list[tuple[str, str]]:
    """Each record's video as a folder's name of its own, and its number in it."""
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    found = []
    for record in records:
        if record.video not in names:
            word = re.sub(r"[^\w-]+", "-", record.video).strip("-_") or "video"
            names[record.video] = word if word not in names.values() else f"{word}-{len(names)}"
        video = names[record.video]
        found.append((video, f"{counts[video]:06d}"))
        counts[video] += 1
    return found


def _copy(image: Path, to: Path, suffixes: tuple[str, ...] = ()) -> None:
    """Copy an image; where only some suffixes will do, to `to` with its own, or else as a PNG."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if not suffixes:
        shutil.copyfile(image, to)
    elif image.suffix.lower() in suffixes:
        shutil.copyfile(image, to.with_name(to.name + image.suffix.lower()))
    else:
        Image.fromarray(read_image(image)).save(to.with_name(f"{to.name}.png"))


TARGETS: dict[str, Write] = {"coco": _coco, "in-motion": _in_motion, "deeplabcut": _deeplabcut}
