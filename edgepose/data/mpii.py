"""MPII Human Pose (Andriluka et al. 2014): the authors' .mat file, and the widespread JSON form.

Pixels are MATLAB's: pixel 1 is the first, and its centre is 1. So x_px = x - 0.5 in this project's
convention. An image may show several persons: each annotated one is a record of its own, IMAGE#PERSON
with persons counted from 0 in the file's order, and is to be cropped to (`crop.person_box`). MPII's own
head length is 0.6 x the diagonal of the head box, which only the .mat has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import read_json
from edgepose.data.collect import Collector, Skip, file_inside, require
from edgepose.data.matfile import load_variable
from edgepose.data.records import Dataset, PoseRecord
from edgepose.data.splits import train_or_val
from edgepose.errors import BadDataset
from edgepose.keypoints import MPII_16

MAT, JSON = "mpii", "mpii-json"
_MAT_FILE = "mpii_human_pose_v1_u12_1.mat"
_JSON_FILES = {"train.json": "train", "valid.json": "val", "test.json": "test"}
_FOLDERS = ("", "annot", "annotations", "mpii_human_pose_v1_u12_2")
_HEAD_BOX_TO_LENGTH = 0.6

# The order of MPII's own files.
_FILE_ORDER = (
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "pelvis",
    "thorax",
    "upper_neck",
    "head_top",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
)
_FROM_FILE = [_FILE_ORDER.index(name) for name in MPII_16.names]


def detect_mat(root: Path) -> bool:
    return _mat_file(root) is not None


def detect_json(root: Path) -> bool:
    return bool(_json_files(root))


def read_mat(root: Path) -> Dataset:
    """Read `mpii_human_pose_v1_u12_1.mat` with `images/`.

    Occluded joints are labels. MPII's training images train, 10 % of the videos, by hash, validate; the
    labels of its test images are not published. Columns: `separated` says whether MPII counts the person
    as sufficiently apart from others, `scale` is the person's height / 200 px.

    Raises:
        BadDataset: not this layout, or nothing usable in it.
    """
    path = _mat_file(root)
    release = load_variable(path or require(root / _MAT_FILE, MAT), "RELEASE", squeeze=True)
    try:
        images = np.atleast_1d(release.annolist)
        training = np.atleast_1d(release.img_train)
        single = np.atleast_1d(release.single_person)
    except AttributeError as error:
        raise BadDataset(f"{path} is not MPII's annotation ({error})", f"give its own {_MAT_FILE}") from None
    if not len(images) == len(training) == len(single):
        raise BadDataset(f"{path} is not MPII's annotation (lists differ in length)", "download it again")
    collector = Collector(MAT, root, MPII_16)
    for index, (entry, train) in enumerate(zip(images, training, strict=True)):
        with collector.listing(f"image {index}"):
            _read_entry(collector, entry, bool(train), single[index])
    return collector.dataset()


def _read_entry(collector: Collector, entry: Any, train: bool, single: Any) -> None:
    """Every person of one image."""
    try:
        name = str(entry.image.name)
        persons = np.atleast_1d(entry.annorect)
    except AttributeError as error:
        raise Skip(f"an unreadable entry: {error}") from None
    if not train:
        collector.leave_out(name, "a test image, whose labels are not published")
        return
    if len(persons) == 0:
        collector.leave_out(name, "an image without persons")
    video = _video(entry, name)
    separated = {int(i) - 1 for i in np.atleast_1d(single).ravel()}
    for index, person in enumerate(persons):
        with collector.listing(f"{name}#{index}"):
            columns = {"separated": "yes" if index in separated else "no", **_scale(person)}
            collector.add(
                PoseRecord(
                    f"{name}#{index}",
                    file_inside(collector.root / "images", name),
                    _annotated(person)[_FROM_FILE] - 0.5,
                    video,
                    train_or_val(video),
                    _head_length(person),
                    columns,
                )
            )


def _video(entry: Any, name: str) -> str:
    """MPII's images are frames of videos; without the video's number an image is its own."""
    index = getattr(entry, "vididx", None)
    if isinstance(index, int | float | np.number) and np.isfinite(index):
        return f"video{int(index):05d}"
    return Path(name).stem


def _annotated(person: Any) -> np.ndarray:
    """(16, 2) in the file's order and pixels, NaN where there is no label."""
    points = np.full((len(_FILE_ORDER), 2), np.nan)
    found = getattr(getattr(person, "annopoints", None), "point", None)
    if found is None:
        raise Skip("a person without keypoints")
    for point in np.atleast_1d(found):
        try:
            index, x, y = int(point.id), float(point.x), float(point.y)
        except (AttributeError, TypeError, ValueError) as error:
            raise Skip(f"an unreadable joint: {error}") from None
        if not 0 <= index < len(points) or not np.isfinite((x, y)).all():
            raise Skip(f"an impossible joint: number {index} at ({x:g}, {y:g})")
        points[index] = x, y
    return points


def _head_length(person: Any) -> float | None:
    try:
        x1, y1, x2, y2 = (float(getattr(person, side)) for side in ("x1", "y1", "x2", "y2"))
    except (AttributeError, TypeError, ValueError):
        return None
    length = _HEAD_BOX_TO_LENGTH * float(np.hypot(x2 - x1, y2 - y1))
    return length if np.isfinite(length) and length > 0 else None


def _scale(person: Any) -> dict[str, str]:
    scale = getattr(person, "scale", None)
    return {"scale": f"{float(scale):.6g}"} if isinstance(scale, int | float | np.number) else {}


def read_json_form(root: Path) -> Dataset:
    """Read `annot/train.json` and `annot/valid.json` with `images/`.

    Each file is a list of persons: image, joints (16 pairs), joints_vis (16 flags, 0 = not labelled),
    center, scale (x 200 px). The files' names are the splits; there are no test labels and no head
    boxes, so the head length is that of the head segment.

    Raises:
        BadDataset: not this layout, or nothing usable in it.
    """
    files = _json_files(root) or [require(root / "annot" / "train.json", JSON)]
    collector = Collector(JSON, root, MPII_16)
    seen: dict[str, int] = {}
    for path in files:
        for name, person in _persons(path, collector):
            seen[name] = seen.get(name, -1) + 1
            key = f"{name}#{seen[name]}"
            with collector.listing(key):
                points = _joints(person)[_FROM_FILE] - 0.5
                image = file_inside(root / "images", name)
                split = _JSON_FILES[path.name]
                collector.add(PoseRecord(key, image, points, image.stem, split, None, _number_scale(person)))
    return collector.dataset()


def _persons(path: Path, collector: Collector) -> Iterator[tuple[str, dict[str, Any]]]:
    persons = read_json(path, "download it again", BadDataset)
    if not isinstance(persons, list):
        raise BadDataset(f"{path} is not a list of persons", "give MPII's widespread JSON form")
    for index, person in enumerate(persons):
        with collector.listing(f"{path.name} entry {index}"):
            if not isinstance(person, dict) or not isinstance(person.get("image"), str):
                raise Skip("an entry without an image name")
            if _JSON_FILES[path.name] == "test" and "joints" not in person:
                raise Skip("a test image, whose labels are not published")
            yield person["image"], person


def _joints(person: dict[str, Any]) -> np.ndarray:
    """(16, 2) in the file's order and pixels, NaN where there is no label."""
    try:
        points = np.array(person["joints"], dtype=float)
        labelled = np.array(person["joints_vis"], dtype=float) > 0
    except (KeyError, TypeError, ValueError) as error:
        raise Skip(f"unreadable joints: {error}") from None
    if points.shape != (len(_FILE_ORDER), 2) or labelled.shape != (len(_FILE_ORDER),):
        raise Skip(f"unreadable joints: shape {points.shape}, flags {labelled.shape}")
    if not np.isfinite(points[labelled]).all():
        raise Skip("NaN or infinite: a labelled joint")
    return np.where(labelled[:, None], points, np.nan)


def _number_scale(person: dict[str, Any]) -> dict[str, str]:
    scale = person.get("scale")
    return {"scale": f"{scale:.6g}"} if isinstance(scale, int | float) else {}


def _mat_file(root: Path) -> Path | None:
    return next((p for folder in _FOLDERS if (p := root / folder / _MAT_FILE).is_file()), None)


def _json_files(root: Path) -> list[Path]:
    for folder in _FOLDERS:
        found = [root / folder / name for name in _JSON_FILES if (root / folder / name).is_file()]
        if any(re.fullmatch("(train|valid).json", p.name) for p in found):
            return found
    return []
