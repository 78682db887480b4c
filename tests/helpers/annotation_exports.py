"""What annotation programs export, made small: CVAT, Roboflow and Label Studio, in COCO's form.

Layouts: docs.cvat.ai "COCO Keypoints", roboflow.com/formats/coco-keypoint, and Label Studio's converter.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgepose.keypoints import IN_MOTION_19

HEIGHT, WIDTH = 60, 80
TOES = ("left_toe", "right_toe")
NAMES = (*IN_MOTION_19.names, *TOES)
SEGMENTS = (*IN_MOTION_19.segment_indices, (NAMES.index("left_ankle"), 19), (NAMES.index("right_ankle"), 20))
TOML = f"""
name = "toes-21"
keypoints = {json.dumps(NAMES)}
segments = {json.dumps([[NAMES[a], NAMES[b]] for a, b in SEGMENTS])}

[head]
segment = ["head_top", "upper_neck"]

[near]
left_toe = "left_toes"
right_toe = "right_toes"

[h95]
left_toe = 0.15
nose = 0.08
"""


def places(number: int, count: int = len(NAMES)) -> np.ndarray:
    """(K, 2) px from the picture's corner."""
    return np.random.default_rng(number).uniform(5, 55, (count, 2)).round(2)


def category(number: int = 1, names: Sequence[str] = NAMES) -> dict[str, Any]:
    skeleton = [[a + 1, b + 1] for a, b in SEGMENTS if max(a, b) < len(names)]
    said = {"id": number, "name": "infant", "supercategory": ""}
    return {**said, "keypoints": list(names), "skeleton": skeleton}


def annotation(number: int, image: int, points: np.ndarray, category_id: int = 1) -> dict[str, Any]:
    """The last keypoint is not labelled, the first is occluded."""
    rows = np.column_stack([points, np.full(len(points), 2)])
    rows[0, 2], rows[-1] = 1, 0
    return {
        "id": number,
        "image_id": image,
        "category_id": category_id,
        "keypoints": rows.ravel().tolist(),
        "num_keypoints": len(points) - 1,
        "bbox": [5.0, 5.0, 50.0, 50.0],
        "area": 2500.0,
        "iscrowd": 0,
    }


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def images(names: Sequence[str], first: int = 1) -> list[dict[str, Any]]:
    return [
        {"id": first + i, "file_name": name, "height": HEIGHT, "width": WIDTH} for i, name in enumerate(names)
    ]


def make_cvat(root: Path, subsets: dict[str, int] | None = None, names: Sequence[str] = NAMES) -> Path:
    """`images/SUBSET/` and `annotations/person_keypoints_SUBSET.json`; frames of one video each."""
    for subset, count in (subsets or {"Train": 6, "Validation": 3, "Test": 3}).items():
        files = [f"{subset}{i}/frame_{i:06d}.PNG" for i in range(count)]
        people = []
        for i, name in enumerate(files):
            picture(root / "images" / subset / name, i)
            told = annotation(i + 1, i + 1, places(i, len(names)))
            people.append(told | {"segmentation": [], "attributes": {"occluded": False, "keyframe": False}})
        value = {
            "licenses": [{"name": "", "id": 0, "url": ""}],
            "info": dict.fromkeys(("contributor", "date_created", "url", "version", "year"), ""),
            "categories": [category(names=names)],
            "images": images(files),
            "annotations": people,
        }
        path = root / "annotations" / f"person_keypoints_{subset}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
    return root


def make_roboflow(root: Path) -> Path:
    """`SPLIT/_annotations.coco.json` beside its images; ids from 0; a first category without keypoints."""
    for split in ("train", "valid", "test"):
        files = [f"clip_mp4-{i}_jpg.rf.{'0' * 31}{i}.jpg" for i in range(2)]
        for i, name in enumerate(files):
            picture(root / split / name, i)
        value = {
            "categories": [{"id": 0, "name": "infants", "supercategory": "none"}, category(1)],
            "images": images(files, 0),
            "annotations": [annotation(i, i, places(i)) for i in range(2)],
        }
        (root / split / "_annotations.coco.json").write_text(json.dumps(value))
    return root


def make_label_studio(root: Path) -> Path:
    """`result.json` with file names below it, and one merged category."""
    files = [f"images/{i:08x}-baby {i}.png" for i in range(12)]
    for i, name in enumerate(files):
        picture(root / name, i)
    merged = category(0) | {"name": "default", "supercategory": "default", "skeleton": []}
    people = [annotation(i, i, places(i).round(), 0) for i in range(12)]
    value = {"images": images(files, 0), "categories": [merged], "annotations": people, "info": {}}
    (root / "result.json").write_text(json.dumps(value))
    return root


def make_deeplabcut(
    root: Path, names: Sequence[str] = NAMES, videos: Sequence[str] = ("a", "b", "c"), wide: bool = True
) -> Path:
    """A project with `labeled-data/VIDEO/CollectedData_me.csv`, whose last keypoint is not labelled.

    Args:
        wide: the image's path in three columns, as version 2.2 and later write it; else in one.
    """
    pairs = [[names[a], names[b]] for a, b in SEGMENTS if max(a, b) < len(names)]
    config = {"Task": "infants", "scorer": "me", "multianimalproject": False, "skeleton": pairs}
    root.mkdir(parents=True, exist_ok=True)
    (root / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
    for video in videos:
        lead = [""] * (2 if wide else 0)
        lines = [
            ["scorer", *lead, *["me"] * 2 * len(names)],
            ["bodyparts", *lead, *(name for name in names for _ in "xy")],
            ["coords", *lead, *["x", "y"] * len(names)],
        ]
        for i in range(2):
            picture(root / "labeled-data" / video / f"img{i:03d}.png", i)
            where = ["labeled-data", video, f"img{i:03d}.png"]
            cells = [str(value) for value in places(i, len(names))[:-1].ravel()]
            lines.append([*(where if wide else ["/".join(where)]), *cells, "", ""])
        text = "".join(",".join(line) + "\n" for line in lines)
        (root / "labeled-data" / video / "CollectedData_me.csv").write_text(text)
    return root
