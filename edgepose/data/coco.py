"""COCO keypoints (Lin et al. 2014), and SyRIP's infants (Huang et al. 2021), which use the same JSON.

Keypoints are pixel numbers from 0, which mark pixel centres. So x_px = x + 0.5 in this project's
convention; v = 0 means not labelled. An image may show several persons: each annotated one is a record
of its own, IMAGE#ANNOTATION, and is to be cropped to (`crop.person_box`). Crowds are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import read_json
from edgepose.data.collect import Collector, Skip, file_inside, require
from edgepose.data.images import image_size
from edgepose.data.records import Dataset, PoseRecord
from edgepose.data.splits import train_or_val
from edgepose.errors import BadDataset, BadImage
from edgepose.keypoints import COCO_17

KEY = "coco"
_K = len(COCO_17)
_PATTERN = "person_keypoints_*.json"
_HINT = "give COCO's keypoint annotations, or SyRIP's"


def detect(root: Path) -> bool:
    return bool(_files(root))


def read(root: Path) -> Dataset:
    """Read `annotations/person_keypoints_NAME.json` with `NAME/` or `images/NAME/`.

    Files named train..., val... and test... are the splits. Where there is none named test..., those named
    val... are the test split, and 10 % of the training images, by hash, validate. An image's `source`, which
    SyRIP has, is its video. Columns: `bbox` is the person's box as x,y,width,height in the file's pixels,
    `area` its area,
    `persons` the number of annotated persons in the image, `posture` what SyRIP says of it.

    Raises:
        BadDataset: not this layout, or nothing usable in it.
    """
    files = _files(root) or [require(root / "annotations" / "person_keypoints_train2017.json", KEY)]
    collector = Collector(KEY, root, COCO_17)
    names = [path.stem.removeprefix("person_keypoints_") for path in files]
    has_test = any(name.startswith("test") for name in names)
    for path, name in zip(files, names, strict=True):
        _read_file(collector, path, name, has_test)
    return collector.dataset()


def _files(root: Path) -> list[Path]:
    found = sorted((root / "annotations").glob(_PATTERN))
    return [p for p in found if re.match("train|val|test", p.stem.removeprefix("person_keypoints_"))]


def _read_file(collector: Collector, path: Path, name: str, has_test: bool) -> None:
    images, annotations = _contents(path)
    folder = next((p for p in (collector.root / "images" / name, collector.root / name) if p.is_dir()), None)
    if folder is None:
        raise BadDataset(
            f"{collector.root} has no folder images/{name} or {name}", f"put {path.name}'s images there"
        )
    persons = Counter(_hashable(a.get("image_id")) for a in annotations if not a.get("iscrowd"))
    checked: dict[str, str | None] = {}
    for index, annotation in enumerate(annotations):
        key = f"{path.name} annotation {annotation.get('id', index)}"
        with collector.listing(key):
            if annotation.get("iscrowd"):
                raise Skip("a crowd")
            image_id = _hashable(annotation.get("image_id"))
            if image_id not in images:
                raise Skip("an annotation of an unknown image")
            record = _record(folder, name, images[image_id], annotation, persons[image_id], checked)
            collector.add(replace(record, split=_split(name, record.image.stem, has_test)))


def _contents(path: Path) -> tuple[dict[Any, dict[str, Any]], list[dict[str, Any]]]:
    """Images by id, and annotations; with the file's own keypoint names checked."""
    value = read_json(path, _HINT, BadDataset)
    lists = [value.get(k) if isinstance(value, dict) else None for k in ("images", "annotations")]
    if not all(isinstance(x, list) and all(isinstance(e, dict) for e in x) for x in lists):
        raise BadDataset(f"{path} has no lists 'images' and 'annotations'", _HINT)
    for category in value.get("categories") or []:
        names = category.get("keypoints") if isinstance(category, dict) else None
        if names and tuple(re.sub(r"[\s-]+", "_", str(n).lower()) for n in names) != COCO_17.names:
            raise BadDataset(f"{path} has other keypoints: {', '.join(map(str, names))}", _HINT)
    images, annotations = lists
    return {_hashable(i.get("id")): i for i in images or []}, annotations or []


def _hashable(value: Any) -> Any:
    return value if isinstance(value, int | str) else None


def _split(name: str, stem: str, has_test: bool) -> str:
    if name.startswith("train"):
        return "train" if has_test else train_or_val(stem)
    return "val" if name.startswith("val") and has_test else "test"


def _record(
    folder: Path,
    name: str,
    image: dict[str, Any],
    annotation: dict[str, Any],
    persons: int,
    checked: dict[str, str | None],
) -> PoseRecord:
    file_name = str(image.get("file_name", ""))
    path = file_inside(folder, file_name)
    points = _points(annotation)
    if file_name not in checked:
        checked[file_name] = _size_problem(path, image)
    if problem := checked[file_name]:
        raise Skip(problem)
    source = image.get("source")
    video = f"{name}/{path.stem}" if source is None else f"source {source}"
    columns = {"persons": str(persons)}
    if isinstance(area := annotation.get("area"), int | float) and area > 0:
        columns["area"] = str(area)
    if isinstance(posture := image.get("posture"), str):
        columns["posture"] = posture
    if isinstance(box := annotation.get("bbox"), list):
        columns["bbox"] = ",".join(map(str, box))
    return PoseRecord(
        f"{name}/{file_name}#{annotation.get('id')}", path, points, video, "test", None, columns
    )


def _points(annotation: dict[str, Any]) -> np.ndarray:
    """(17, 2) in this project's pixels, NaN where not labelled."""
    try:
        values = np.array(annotation.get("keypoints"), dtype=float)
    except (TypeError, ValueError) as error:
        raise Skip(f"unreadable keypoints: {error}") from None
    if values.shape != (3 * _K,):
        raise Skip(f"unreadable keypoints: shape {values.shape}, not ({3 * _K},)")
    rows = values.reshape(_K, 3)
    labelled = rows[:, 2] > 0
    if not np.isfinite(rows[labelled]).all():
        raise Skip("NaN or infinite: a labelled keypoint")
    return np.where(labelled[:, None], rows[:, :2] + 0.5, np.nan)


def _size_problem(path: Path, image: dict[str, Any]) -> str | None:
    """Why an image's points cannot be trusted: it is not of the size, or the rotation, they were made on."""
    try:
        size = image_size(path)
    except BadImage as error:
        return f"the image cannot be read: {error}" if path.is_file() else "the image file is missing"
    stated = (image.get("height", size[0]), image.get("width", size[1]))
    return None if size == stated else f"not the annotated image: {size} pixels high and wide, not {stated}"
