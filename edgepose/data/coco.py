"""COCO keypoints (Lin et al. 2014), and SyRIP's infants (Huang et al. 2021), which use the same JSON.

Keypoints are pixel numbers from 0, which mark pixel centres. So x_px = x + 0.5 in this project's
convention; v = 0 means not labelled. An image may show several persons: each annotated one is a record
of its own, IMAGE#ANNOTATION, and is to be cropped to (`crop.person_box`). Crowds and other categories are
left out. Programs write ids as 1, 1.0 and "1": they are the same. What cannot be told apart by its id is left
out, and never paired with another's picture.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from edgeio import read_json
from edgeio.text import one_spelling
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
_Id = int | str | None


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
    contents = _contents(path)
    folder = next((p for p in (collector.root / "images" / name, collector.root / name) if p.is_dir()), None)
    if folder is None:
        raise BadDataset(
            f"{collector.root} has no folder images/{name} or {name}", f"put {path.name}'s images there"
        )
    images = _images_by_id(collector, path.name, contents.images)
    taken = [_problem(contents, images, annotation) for annotation in contents.annotations]
    persons = Counter(
        _number(a["image_id"]) for a, problem in zip(contents.annotations, taken, strict=True) if not problem
    )
    checked: dict[str, str | None] = {}
    for index, (annotation, problem) in enumerate(zip(contents.annotations, taken, strict=True)):
        number = _number(annotation.get("id"))
        with collector.listing(f"{path.name} annotation {f'at {index}' if number is None else number}"):
            if problem:
                raise Skip(problem)
            image_id = _number(annotation["image_id"])
            record = _record(folder, name, images[image_id], annotation, persons[image_id], checked)
            stem = PurePosixPath(record.id.removeprefix(f"{name}/").rpartition("#")[0]).with_suffix("")
            collector.add(replace(record, split=_split(name, stem.as_posix(), has_test)))


@dataclass(frozen=True)
class _Contents:
    """What a file holds; `persons` are the ids of the categories with our keypoints, None for any."""

    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    persons: frozenset[int | str] | None


def _contents(path: Path) -> _Contents:
    value = read_json(path, _HINT, BadDataset)
    lists = [value.get(k) if isinstance(value, dict) else None for k in ("images", "annotations")]
    if not all(isinstance(x, list) and all(isinstance(e, dict) for e in x) for x in lists):
        raise BadDataset(f"{path} has no lists 'images' and 'annotations'", _HINT)
    images, annotations = lists
    return _Contents(images or [], annotations or [], _persons(path, value.get("categories")))


def _persons(path: Path, categories: Any) -> frozenset[int | str] | None:
    """Categories whose keypoints are ours; where none names keypoints, those that say nothing else."""
    listed = [c for c in categories if isinstance(c, dict)] if isinstance(categories, list) else []
    if not listed:
        return None
    ours, silent, others = [], [], []
    for category in listed:
        names = category.get("keypoints")
        if not isinstance(names, list) or not names:
            silent.append(category)
        elif tuple(re.sub(r"[\s-]+", "_", str(n).lower()) for n in names) == COCO_17.names:
            ours.append(category)
        else:
            others.append(names)
    if not ours and others:
        raise BadDataset(f"{path} has other keypoints: {', '.join(map(str, others[0]))}", _HINT)
    ids = (_number(category.get("id")) for category in ours or silent)
    return frozenset(number for number in ids if number is not None)


def _images_by_id(
    collector: Collector, file: str, images: list[dict[str, Any]]
) -> dict[_Id, dict[str, Any] | None]:
    """Images by id, None where several share it; they, and those without one, are listed as left out."""
    found: dict[_Id, dict[str, Any] | None] = {}
    for index, image in enumerate(images):
        number = _number(image.get("id"))
        name = f"{file} image {str(image.get('file_name', f'at {index}'))[:200]}"
        if number is None:
            collector.leave_out(name, "an image without an id")
        elif number in found:
            first = found[number]
            if first is not None and first.get("file_name") == image.get("file_name"):
                collector.leave_out(name, "an image listed twice, the first entry counts")
                continue
            collector.leave_out(name, f"an image id that several share: {number}")
            if first is not None:
                collector.leave_out(
                    f"{file} image {str(first.get('file_name'))[:200]}",
                    f"an image id that several share: {number}",
                )
            found[number] = None
        else:
            found[number] = image
    return found


def _problem(
    contents: _Contents, images: Mapping[_Id, dict[str, Any] | None], annotation: dict[str, Any]
) -> str | None:
    """Why an annotation is not taken, before its keypoints are looked at."""
    if _number(annotation.get("iscrowd")) not in (None, 0):
        return "a crowd"
    category = _number(annotation.get("category_id"))
    if contents.persons is not None and category not in contents.persons:
        return f"of another category: {category}" if category is not None else "an annotation of no category"
    image_id = _number(annotation.get("image_id"))
    if image_id is None or image_id not in images:
        return "an annotation of an unknown image"
    if images[image_id] is None:
        return f"an image id that several share: {image_id}"
    return "an annotation without an id" if _number(annotation.get("id")) is None else None


def _number(value: Any) -> _Id:
    """An id as programs write it: 1, 1.0, "1" and true ids of text; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        text = value.strip()
        return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text or None
    return value if isinstance(value, int) else None


def _split(name: str, stem: str, has_test: bool) -> str:
    if name.startswith("train"):
        return "train" if has_test else train_or_val(stem)
    return "val" if name.startswith("val") and has_test else "test"


def _record(
    folder: Path,
    name: str,
    image: dict[str, Any] | None,
    annotation: dict[str, Any],
    persons: int,
    checked: dict[str, str | None],
) -> PoseRecord:
    image = image or {}
    path = file_inside(folder, str(image.get("file_name") or ""))
    points = _points(annotation)
    key = one_spelling(path.relative_to(folder).as_posix())
    if key not in checked:
        checked[key] = _size_problem(path, image)
    if problem := checked[key]:
        raise Skip(problem)
    stem = PurePosixPath(key).with_suffix("").as_posix()  # the same name in two folders is two pictures
    source = image.get("source")
    video = f"{name}/{stem}" if source is None else f"source {source}"
    columns = {"persons": str(persons)}
    if isinstance(area := annotation.get("area"), int | float) and area > 0:
        columns["area"] = str(area)
    if isinstance(posture := image.get("posture"), str):
        columns["posture"] = posture
    if isinstance(box := annotation.get("bbox"), list):
        columns["bbox"] = ",".join(map(str, box))
    number = _number(annotation["id"])
    return PoseRecord(f"{name}/{key}#{number}", path, points, video, "test", None, columns)


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
    # Not said, null or 0: there is nothing to hold the file against.
    stated = (_number(image.get("height")) or size[0], _number(image.get("width")) or size[1])
    return None if size == stated else f"not the annotated image: {size} pixels high and wide, not {stated}"
