"""COCO keypoints (Lin et al. 2014), SyRIP's infants (Huang et al. 2021), and what annotation programs export
as COCO: CVAT, Roboflow and Label Studio, with keypoints of any names.

Keypoints are pixel numbers from 0, which mark pixel centres. So x_px = x + 0.5 in this project's
convention; those three programs measure from the picture's corner instead, and nothing is added. v = 0 means
not labelled. An image may show several persons: each annotated one is a record
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

from edgeio import lookup, read_json
from edgeio.text import one_spelling
from edgepose.data.collect import Collector, Skip, file_inside, require
from edgepose.data.images import image_size
from edgepose.data.records import SPLITS, Dataset, PoseRecord
from edgepose.data.splits import split_by_hash, train_or_val
from edgepose.errors import BadDataset, BadImage, UsageError
from edgepose.keypoint_file import BadKeypoints, order_in, same_names, set_of_names, snake
from edgepose.keypoints import COCO_17, KeypointSet

KEY = "coco"
_PATTERN = "person_keypoints_*.json"
_ROBOFLOW = "_annotations.coco.json"
_LABEL_STUDIO = "result.json"
_HINT = "give keypoint annotations in COCO's form, each category with its list of keypoints"
_CENTRE, _CORNER = 0.5, 0.0
# A frame of a video, as programs name it: clip_frame_000012, clip_mp4-12, and Roboflow's copies of a picture.
_FRAME = re.compile(r"(.*?)[_-]*(?:frame[_-]?\d+|_(?:mp4|mov|avi|mkv|webm)-\d+)(?:_(?:jpe?g|png))?", re.I)
_Id = int | str | None


def detect(root: Path) -> bool:
    return bool(_files(root))


def read(
    root: Path,
    shift: float | None = None,
    split: str | None = None,
    keypoints: KeypointSet | None = None,
) -> Dataset:
    """Read `annotations/person_keypoints_NAME.json` with `NAME/`, `images/NAME/` or `images/`, as COCO, SyRIP
    and CVAT have them; Roboflow's `NAME/_annotations.coco.json`; or Label Studio's `result.json`.

    Files named train..., val... and test... are the splits; those of other names are split by their videos'
    hash. Where there are train... and val... and none named test..., those named val... are the test split,
    and 10 % of the training images, by hash, validate. An image's `source`, which SyRIP has, is its video;
    programs' names for frames tell theirs. Columns: `bbox` is the person's box as x,y,width,height in the
    file's pixels, `area` its area, `persons` the number of annotated persons in the image, `posture` what
    SyRIP says of it.

    Args:
        shift: what is added to coordinates, px; None for the program's own convention.
        split: the split of every record, instead of the files' names.
        keypoints: the set to read by, where the files have its names in any order.

    Raises:
        BadDataset: not this layout, other keypoints in two files, or nothing usable in it.
        UsageError: a shift or a split that is none.
    """
    if split is not None:
        lookup(dict.fromkeys(SPLITS), "split", split)
    if shift is not None and not abs(shift) <= 1:
        raise UsageError(f"coco option shift cannot be {shift}", "write shift=0 or shift=0.5")
    files = _files(root)
    if not files:
        require(root / "annotations" / "person_keypoints_train2017.json", KEY)
    loaded = [(file, _contents(file.path)) for file in files]
    points = _keypoints(loaded, keypoints)
    collector = Collector(KEY, root, points)
    names = [file.name for file in files]
    has_test = any(re.match("test", name, re.I) for name in names) or any(
        not re.match("train|val", name, re.I) for name in names
    )
    for file, contents in loaded:
        added = shift if shift is not None else _CORNER if contents.corner or file.corner else _CENTRE
        order = order_in(points, contents.names or points.names)
        _read_file(collector, file, contents, _Rules(order, added, split, has_test))
    return collector.dataset()


@dataclass(frozen=True)
class _File:
    """One file of annotations; `root` is the data set's folder."""

    path: Path
    root: Path

    @property
    def name(self) -> str:
        """Of its split, as the program says."""
        if self.path.name == _ROBOFLOW:
            return self.path.parent.name
        return self.path.stem.removeprefix("person_keypoints_")

    @property
    def corner(self) -> bool:
        """Of a program that measures from the picture's corner."""
        return self.path.name in (_ROBOFLOW, _LABEL_STUDIO)

    @property
    def folder(self) -> Path:
        """Where its images are; raises BadDataset where there is none."""
        if self.path.name == _ROBOFLOW:
            return self.path.parent
        if self.path.name == _LABEL_STUDIO:
            return self.root
        tried = (self.root / "images" / self.name, self.root / self.name, self.root / "images")
        found = next((p for p in tried if p.is_dir()), None)
        if found is None:
            raise BadDataset(
                f"{self.root} has no folder images/{self.name} or {self.name}",
                f"put {self.path.name}'s images there",
            )
        return found


@dataclass(frozen=True)
class _Rules:
    """How a file's annotations are read.

    Attributes:
        order: where each keypoint of the set stands in the file.
        shift: px, added to coordinates.
        split: of every record, or None.
        has_test: whether a file is the test split, or splits itself.
    """

    order: tuple[int, ...]
    shift: float
    split: str | None
    has_test: bool


def _files(root: Path) -> list[_File]:
    paths = sorted((root / "annotations").glob(_PATTERN)) or sorted(root.glob(f"*/{_ROBOFLOW}"))
    if not paths and (root / _LABEL_STUDIO).is_file() and (root / "images").is_dir():
        paths = [root / _LABEL_STUDIO]
    return [_File(path, root) for path in paths if not path.name.startswith("._")]


def _keypoints(loaded: list[tuple[_File, _Contents]], wanted: KeypointSet | None) -> KeypointSet:
    """The set of all files, which may have its names in different orders; raises BadDataset."""
    named = [(file, found) for file, found in loaded if found.names]
    if not named:
        return COCO_17
    file, first = named[0]
    chosen = wanted if wanted is not None and same_names(wanted, first.names) else None
    try:
        chosen = chosen or set_of_names(first.names, first.skeleton, first.label, str(file.path))
    except BadKeypoints as error:
        raise BadDataset(error.what, error.hint) from None
    other = next((f for f, found in named if not same_names(chosen, found.names)), None)
    if other is not None:
        raise BadDataset(f"{file.path} and {other.path} have different keypoints", "read them one by one")
    return chosen


def _read_file(collector: Collector, file: _File, contents: _Contents, rules: _Rules) -> None:
    path, name, folder = file.path, file.name, file.folder
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
            points = _points(annotation, rules)
            record = _record(folder, name, images[image_id], annotation, persons[image_id], checked, points)
            stem = PurePosixPath(record.id.removeprefix(f"{name}/").rpartition("#")[0]).with_suffix("")
            chosen = rules.split or _split(name, stem.as_posix(), record.video, rules.has_test)
            collector.add(replace(record, split=chosen))


@dataclass(frozen=True)
class _Contents:
    """What a file holds.

    Attributes:
        persons: ids of the categories that are taken, None for any.
        names, skeleton, label: the keypoints, pairs of their indices, and the category's name; empty where
            no category says them.
        corner: CVAT wrote it, which measures from the picture's corner.
    """

    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    persons: frozenset[int | str] | None
    names: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()
    label: str = ""
    corner: bool = False


def _contents(path: Path) -> _Contents:
    value = read_json(path, _HINT, BadDataset)
    lists = [value.get(k) if isinstance(value, dict) else None for k in ("images", "annotations")]
    if not all(isinstance(x, list) and all(isinstance(e, dict) for e in x) for x in lists):
        raise BadDataset(f"{path} has no lists 'images' and 'annotations'", _HINT)
    images, annotations = ([*(x or ())] for x in lists)
    persons, category = _persons(path, value.get("categories"), annotations)
    # CVAT, by Datumaro, says of each annotation whether it is occluded.
    corner = any(isinstance(a.get("attributes"), dict) and "occluded" in a["attributes"] for a in annotations)
    return _Contents(
        images,
        annotations,
        persons,
        tuple(map(str, category.get("keypoints") or ())),
        _skeleton(category.get("skeleton")),
        str(category.get("name") or ""),
        corner,
    )


def _skeleton(value: Any) -> tuple[tuple[int, int], ...]:
    """Pairs of indices from 0, of COCO's from 1; what is no pair is left out."""
    pairs = value if isinstance(value, list) else []
    return tuple(
        (p[0] - 1, p[1] - 1)
        for p in pairs
        if isinstance(p, list) and len(p) == 2 and all(type(index) is int for index in p)
    )


def _persons(
    path: Path, categories: Any, annotations: list[dict[str, Any]]
) -> tuple[frozenset[int | str] | None, dict[str, Any]]:
    """Ids of the categories that are taken, and one of them: those with COCO's own keypoints, or else those
    with the keypoints of most annotations; where none names keypoints, those that say nothing else."""
    listed = [c for c in categories if isinstance(c, dict)] if isinstance(categories, list) else []
    if not listed:
        return None, {}
    kinds: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for category in listed:
        names = category.get("keypoints")
        kinds.setdefault(tuple(map(str, names)) if isinstance(names, list) else (), []).append(category)
    silent = kinds.pop((), [])
    marked = Counter(_number(a.get("category_id")) for a in annotations if a.get("keypoints"))
    counts = {k: sum(marked[_number(c.get("id"))] for c in found) for k, found in kinds.items()}
    ours = next((k for k in kinds if tuple(map(snake, k)) == COCO_17.names), None)
    if ours is None and kinds:
        ours = max(kinds, key=lambda k: counts[k])
        if sum(count == counts[ours] for count in counts.values()) > 1:
            both = " and ".join(str(found[0].get("name")) for found in kinds.values())
            raise BadDataset(
                f"{path} has categories of different keypoints: {both}", "keep one of them in it"
            )
    chosen = silent if ours is None else kinds[ours]
    ids = (_number(category.get("id")) for category in chosen)
    return frozenset(number for number in ids if number is not None), {} if ours is None else chosen[0]


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


def _split(name: str, stem: str, video: str, has_test: bool) -> str:
    kind = next((k for k in SPLITS if re.match(k, name, re.I)), None)
    if kind is None:
        return split_by_hash(video)
    if kind == "train":
        return "train" if has_test else train_or_val(stem)
    return "val" if kind == "val" and has_test else "test"


def _video(name: str, stem: str) -> str:
    """What a picture is a frame of, by its name; its own where that does not tell."""
    original = stem.partition(".rf.")[0]  # Roboflow's varied copies of one picture stay together
    frame = _FRAME.fullmatch(original)
    return f"{name}/{frame[1].rstrip('/') or 'frames'}" if frame else f"{name}/{original}"


def _record(
    folder: Path,
    name: str,
    image: dict[str, Any] | None,
    annotation: dict[str, Any],
    persons: int,
    checked: dict[str, str | None],
    points: np.ndarray,
) -> PoseRecord:
    image = image or {}
    path = file_inside(folder, str(image.get("file_name") or ""))
    key = one_spelling(path.relative_to(folder).as_posix())
    if key not in checked:
        checked[key] = _size_problem(path, image)
    if problem := checked[key]:
        raise Skip(problem)
    stem = PurePosixPath(key).with_suffix("").as_posix()  # the same name in two folders is two pictures
    source = image.get("source")
    video = _video(name, stem) if source is None else f"source {source}"
    columns = {"persons": str(persons)}
    if isinstance(area := annotation.get("area"), int | float) and area > 0:
        columns["area"] = str(area)
    if isinstance(posture := image.get("posture"), str):
        columns["posture"] = posture
    if isinstance(box := annotation.get("bbox"), list):
        columns["bbox"] = ",".join(map(str, box))
    number = _number(annotation["id"])
    return PoseRecord(f"{name}/{key}#{number}", path, points, video, "test", None, columns)


def _points(annotation: dict[str, Any], rules: _Rules) -> np.ndarray:
    """(K, 2) in this project's pixels and the set's order, NaN where not labelled."""
    k = len(rules.order)
    try:
        values = np.array(annotation.get("keypoints"), dtype=float)
    except (TypeError, ValueError) as error:
        raise Skip(f"unreadable keypoints: {error}") from None
    if values.shape != (3 * k,):
        raise Skip(f"unreadable keypoints: shape {values.shape}, not ({3 * k},)")
    rows = values.reshape(k, 3)[list(rules.order)]
    labelled = rows[:, 2] > 0
    if not np.isfinite(rows[labelled]).all():
        raise Skip("NaN or infinite: a labelled keypoint")
    return np.where(labelled[:, None], rows[:, :2] + rules.shift, np.nan)


def _size_problem(path: Path, image: dict[str, Any]) -> str | None:
    """Why an image's points cannot be trusted: it is not of the size, or the rotation, they were made on."""
    try:
        size = image_size(path)
    except BadImage as error:
        return f"the image cannot be read: {error}" if path.is_file() else "the image file is missing"
    # Not said, null or 0: there is nothing to hold the file against.
    stated = (_number(image.get("height")) or size[0], _number(image.get("width")) or size[1])
    return None if size == stated else f"not the annotated image: {size} pixels high and wide, not {stated}"
