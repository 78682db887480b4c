"""Every reader on a tiny data set of its own format, whole and spoilt."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotation_exports import make_deeplabcut
from PIL import Image
from scipy.io import savemat

from edgeio import UnknownName
from edgepose.data import splits
from edgepose.data.framing import person_box
from edgepose.data.records import Dataset
from edgepose.data.registry import FORMATS, open_dataset
from edgepose.data.summary import summarise
from edgepose.errors import BadDataset, UsageError
from edgepose.keypoints import COCO_17, IN_MOTION_19, LSP_14, MINI_RGBD_25, MPII_16

WIDTH, HEIGHT = 60, 40
MPII_FILE_NAMES = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax"),
    *("upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder"),
    *("left_shoulder", "left_elbow", "left_wrist"),
)


def picture(path: Path, width: int = WIDTH, height: int = HEIGHT) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (90, 120, 40)).save(path)


def fractions(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 0.9, (19, 2)).round(6)


def make_processed(root: Path) -> None:
    for split, names in {"train": ["a_0", "a_1", "b_0"], "val": ["c_0"], "test": ["d_e_7", "d_e_8"]}.items():
        for i, name in enumerate(names):
            folder = root / "processed" / split
            picture(folder / "images_1024x1024" / f"{name}.jpg", 50, 50)
            picture(folder / "images_224x224" / f"{name}.jpg", 10, 10)
            (folder / "points").mkdir(exist_ok=True)
            np.savetxt(folder / "points" / f"{name}.txt", fractions(i), fmt="%.6f")


CSV_NAMES = [f"vid{v}_{f}.jpg" for v in range(5) for f in range(2)]


def make_raw(root: Path) -> None:
    lines = ["id,image," + ",".join(IN_MOTION_19.names)]
    for i, name in enumerate(CSV_NAMES):
        picture(root / "raw" / "images" / name)
        slash = "\\" if i % 2 else "/"
        lines.append(f"{i},images{slash}{name}," + ",".join(f'"({x}, {y})"' for x, y in fractions(i)))
    (root / "raw" / "annotations").mkdir()
    (root / "raw" / "annotations" / "annotations.csv").write_text("\n".join(lines) + "\n")


def leeds_points(n: int) -> np.ndarray:
    """(N, 14, 2) in MATLAB pixels, some of them outside the image."""
    return np.random.default_rng(n).uniform(-5, WIDTH + 5, (n, 14, 2))


def make_lsp(root: Path, n: int = 6) -> None:
    flags = np.zeros((n, 14, 1))
    flags[:, 3] = 1  # occluded, and labelled all the same
    root.mkdir(exist_ok=True)
    savemat(
        root / "joints.mat", {"joints": np.concatenate([leeds_points(n), flags], axis=2).transpose(2, 1, 0)}
    )
    for i in range(n):
        picture(root / "images" / f"im{i + 1:04d}.jpg")


def make_lspet(root: Path, n: int = 6) -> None:
    flags = np.ones((n, 14, 1))
    flags[:, 3] = 0  # not labelled
    root.mkdir(exist_ok=True)
    savemat(
        root / "joints.mat", {"joints": np.concatenate([leeds_points(n), flags], axis=2).transpose(1, 2, 0)}
    )
    for i in range(n):
        picture(root / "images" / f"im{i + 1:05d}.jpg")


def mpii_points(seed: int) -> np.ndarray:
    """(16, 2) whole MATLAB pixels, in the file's order."""
    return np.random.default_rng(seed).integers(1, HEIGHT, (16, 2)).astype(float)


def struct_array(entries: list[dict[str, Any]]) -> np.ndarray:
    """MATLAB's struct array: (1, N) with a field for each key."""
    array = np.empty((1, len(entries)), dtype=[(key, object) for key in entries[0]])
    for i, entry in enumerate(entries):
        array[0, i] = tuple(entry.values())
    return array


def mpii_person(seed: int, left_out: int | None = None) -> dict[str, Any]:
    points = [
        {"x": x, "y": y, "id": float(i), "is_visible": "0"}
        for i, (x, y) in enumerate(mpii_points(seed))
        if i != left_out
    ]
    box = {"x1": 10.0, "y1": 20.0, "x2": 13.0, "y2": 24.0}
    return {
        **box,
        "annopoints": {"point": struct_array(points)},
        "scale": 1.5,
        "objpos": {"x": 3.0, "y": 4.0},
    }


def make_mpii(root: Path) -> None:
    images, training, single = [], [], []
    for i in range(12):
        persons = [mpii_person(i)] if i % 3 else [mpii_person(i), mpii_person(100 + i, left_out=5)]
        if i == 4:
            persons = [{**persons[0], "annopoints": np.zeros((0, 0))}]
        name = f"{i:09d}.jpg"
        picture(root / "images" / name)
        images.append(
            {"image": {"name": name}, "annorect": struct_array(persons), "vididx": float(i // 2 + 1)}
        )
        training.append(0 if i == 11 else 1)
        single.append(np.array([[1.0]]) if i % 3 else np.array([[2.0]]))
    release = {
        "annolist": struct_array(images),
        "img_train": np.array([training], dtype=np.uint8),
        "single_person": np.array([[*single]], dtype=object).reshape(-1, 1),
    }
    savemat(root / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": release})


def mpii_entry(name: str, seed: int) -> dict[str, Any]:
    points = mpii_points(seed)
    visible = [1] * 16
    visible[5], points[5] = 0, -1
    return {"image": name, "joints": points.tolist(), "joints_vis": visible, "center": [9, 9], "scale": 1.25}


def make_mpii_json(root: Path) -> None:
    (root / "annot").mkdir()
    for name, numbers in {"train": [0, 1, 1], "valid": [2]}.items():
        entries = [mpii_entry(f"{n:03d}.jpg", 10 * n) for n in numbers]
        (root / "annot" / f"{name}.json").write_text(json.dumps(entries))
        for n in numbers:
            picture(root / "images" / f"{n:03d}.jpg")


def coco_annotation(number: int, image: int) -> dict[str, Any]:
    values = np.random.default_rng(number).integers(0, HEIGHT, (17, 3))
    values[:, 2] = 2
    values[0] = 0
    values[1, 2] = 1
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "num_keypoints": 16,
        "bbox": [1.0, 2.5, 10, 20],
        "keypoints": values.ravel().tolist(),
    }


def make_coco(root: Path, train: str = "train2017", val: str = "val2017", folder: str = "") -> None:
    (root / "annotations").mkdir()
    for name, count in ((train, 4), (val, 2)):
        images = [
            {"id": i, "file_name": f"{i:012d}.jpg", "height": HEIGHT, "width": WIDTH} for i in range(count)
        ]
        persons = [coco_annotation(100 + i, i) for i in range(count)] + [coco_annotation(500, 0)]
        value = {
            "images": images,
            "annotations": persons,
            "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_17.names)}],
        }
        (root / "annotations" / f"person_keypoints_{name}.json").write_text(json.dumps(value))
        for image in images:
            picture(root / folder / name / image["file_name"])


def make_syrip(root: Path) -> None:
    make_coco(root, "train_infant", "validate_infant", "images")


def make_mini_rgbd(root: Path) -> None:
    for video in ("01", "02", "05"):
        for frame in range(3):
            picture(root / video / "rgb" / f"syn_{frame:05d}.png")
            rows = [f"{10 + i}.25 {20 + i} {1.5} {i}" for i in range(25)]
            path = root / video / "joints_2Ddep" / f"syn_joints_2Ddep_{frame:05d}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text("\n".join(rows) + "\n")


def make_images(root: Path) -> None:
    picture(root / "a_1.jpg")
    picture(root / "sub" / "b.png")
    (root / "notes.txt").write_text("no image")


BUILDERS: dict[str, Callable[[Path], None]] = {
    "in-motion": make_processed,
    "in-motion-raw": make_raw,
    "lsp": make_lsp,
    "lspet": make_lspet,
    "mpii": make_mpii,
    "mpii-json": make_mpii_json,
    "coco": make_coco,
    "deeplabcut": partial(make_deeplabcut, names=COCO_17.names),
    "mini-rgbd": make_mini_rgbd,
    "images": make_images,
}
COUNTS = {
    "in-motion": 6,
    "in-motion-raw": 10,
    "lsp": 6,
    "lspet": 6,
    "mpii": 14,
    "mpii-json": 4,
    "coco": 8,
    "deeplabcut": 6,
    "mini-rgbd": 9,
    "images": 2,
}


@pytest.fixture
def build(tmp_path: Path) -> Callable[[str], Path]:
    def make(key: str) -> Path:
        root = tmp_path / key
        root.mkdir()
        BUILDERS[key](root)
        return root

    return make


def by_id(dataset: Dataset) -> dict[str, Any]:
    return {record.id: record for record in dataset.records}


def reasons(dataset: Dataset) -> dict[str, str]:
    return {entry.name: entry.reason for entry in dataset.left_out}


def test_every_format_has_a_builder() -> None:
    assert BUILDERS.keys() == FORMATS.keys() == COUNTS.keys()


# Every format


@pytest.mark.parametrize("key", FORMATS)
def test_reads_its_layout(build: Callable[[str], Path], key: str) -> None:
    root = build(key)
    dataset = open_dataset(f"{key}:{root}")
    assert (dataset.name, dataset.format, dataset.root) == (f"{key}:{root}", key, root)
    assert dataset.keypoints is FORMATS[key].keypoints
    assert len(dataset.records) == COUNTS[key]
    assert len(by_id(dataset)) == COUNTS[key]
    for record in dataset.records:
        assert record.keypoints_px.shape == (len(dataset.keypoints), 2)
        assert record.keypoints_px.dtype == np.float64
        assert record.split in ("train", "val", "test") and record.image.is_file()
        assert str(root) not in record.id and str(root) not in record.video


@pytest.mark.parametrize("key", [k for k in FORMATS if k != "images"])
def test_layout_is_recognised(build: Callable[[str], Path], key: str) -> None:
    root = build(key)
    assert open_dataset(str(root)).name == f"{key}:{root}"


@pytest.mark.parametrize("key", FORMATS)
def test_splits_follow_from_names_alone(build: Callable[[str], Path], tmp_path: Path, key: str) -> None:
    first = open_dataset(f"{key}:{build(key)}")
    moved = tmp_path / "elsewhere" / "copy"
    shutil.copytree(tmp_path / key, moved)
    second = open_dataset(f"{key}:{moved}")
    assert [(r.id, r.split, r.video) for r in first.records] == [
        (r.id, r.split, r.video) for r in second.records
    ]


@pytest.mark.parametrize("key", FORMATS)
def test_a_video_is_kept_together(build: Callable[[str], Path], key: str) -> None:
    dataset = open_dataset(f"{key}:{build(key)}")
    assert summarise(dataset)["videos_across_splits"] == []


@pytest.mark.parametrize("key", [k for k in FORMATS if k != "images"])
def test_a_missing_image_is_listed_and_the_rest_is_read(build: Callable[[str], Path], key: str) -> None:
    root = build(key)
    lost = open_dataset(f"{key}:{root}").records[0]
    lost.image.unlink()
    dataset = open_dataset(f"{key}:{root}")
    assert lost.id not in by_id(dataset) and 0 < len(dataset.records) < COUNTS[key]
    missing = [e for e in dataset.left_out if e.reason == "the image file is missing"]
    assert len(missing) + len(dataset.records) == COUNTS[key]


@pytest.mark.parametrize("key", FORMATS)
def test_no_usable_image_is_an_error(build: Callable[[str], Path], key: str) -> None:
    root = build(key)
    for record in open_dataset(f"{key}:{root}").records:
        record.image.unlink(missing_ok=True)
    with pytest.raises(BadDataset, match="no usable image"):
        open_dataset(f"{key}:{root}")


@pytest.mark.parametrize("key", [k for k in FORMATS if k != "images"])
def test_another_formats_folder_is_refused(build: Callable[[str], Path], tmp_path: Path, key: str) -> None:
    make_images(tmp_path / "pictures")
    with pytest.raises(BadDataset, match=r"; .+") as caught:
        open_dataset(f"{key}:{tmp_path / 'pictures'}")
    assert "\n" not in str(caught.value) and "pictures" in str(caught.value)


# Pixels


def test_in_motion_points_are_fractions_without_a_shift(build: Callable[[str], Path]) -> None:
    processed = by_id(open_dataset(f"in-motion:{build('in-motion')}"))
    np.testing.assert_allclose(processed["test/d_e_8.jpg"].keypoints_px, fractions(1) * 50)
    assert processed["test/d_e_8.jpg"].video == "d_e"
    assert processed["test/d_e_8.jpg"].image.parent.name == "images_1024x1024"
    raw = by_id(open_dataset(f"in-motion-raw:{build('in-motion-raw')}"))
    np.testing.assert_allclose(raw["vid2_1.jpg"].keypoints_px, fractions(5) * (WIDTH, HEIGHT))


def test_lsp_counts_pixels_from_one_and_lspet_does_not(build: Callable[[str], Path]) -> None:
    lsp = open_dataset(f"lsp:{build('lsp')}")
    np.testing.assert_allclose([r.keypoints_px for r in lsp.records], leeds_points(6) - 0.5)
    lspet = open_dataset(f"lspet:{build('lspet')}")
    expected = leeds_points(6)
    expected[:, 3] = np.nan
    np.testing.assert_allclose([r.keypoints_px for r in lspet.records], expected)
    assert np.nanmin(expected) < 0 and np.nanmax(expected) > WIDTH  # outside the image, and kept


def test_mpii_is_reordered_by_name_and_counts_from_one(build: Callable[[str], Path]) -> None:
    record = by_id(open_dataset(f"mpii:{build('mpii')}"))["000000003.jpg#1"]
    expected = dict(zip(MPII_FILE_NAMES, mpii_points(103) - 0.5, strict=True))
    expected["left_ankle"] = np.array([np.nan, np.nan])
    for name, point in zip(MPII_16.names, record.keypoints_px, strict=True):
        np.testing.assert_array_equal(point, expected[name], err_msg=name)
    assert record.head_length_px == pytest.approx(0.6 * 5)
    assert record.video == "video00002"
    assert record.columns == {"separated": "yes", "scale": "1.5"}


def test_mpii_left_out(build: Callable[[str], Path]) -> None:
    dataset = open_dataset(f"mpii:{build('mpii')}")
    assert reasons(dataset) == {
        "000000004.jpg#0": "a person without keypoints",
        "000000011.jpg": "a test image, whose labels are not published",
    }
    assert {r.split for r in dataset.records} <= {"train", "val"}


def test_mpii_json(build: Callable[[str], Path]) -> None:
    dataset = open_dataset(f"mpii-json:{build('mpii-json')}")
    records = by_id(dataset)
    assert list(records) == ["000.jpg#0", "001.jpg#0", "001.jpg#1", "002.jpg#0"]
    record = records["002.jpg#0"]
    expected = dict(zip(MPII_FILE_NAMES, mpii_points(20) - 0.5, strict=True))
    expected["left_ankle"] = np.array([np.nan, np.nan])
    np.testing.assert_array_equal(record.keypoints_px, [expected[name] for name in MPII_16.names])
    assert (record.split, record.head_length_px, record.columns) == ("val", None, {"scale": "1.25"})


def test_coco_pixels_count_from_zero_and_v_0_is_missing(build: Callable[[str], Path]) -> None:
    record = by_id(open_dataset(f"coco:{build('coco')}"))["val2017/000000000001.jpg#101"]
    stored = np.array(coco_annotation(101, 1)["keypoints"], float).reshape(17, 3)[:, :2]
    np.testing.assert_array_equal(record.keypoints_px[1:], stored[1:] + 0.5)
    assert np.isnan(record.keypoints_px[0]).all()
    assert record.columns == {"persons": "1", "bbox": "1.0,2.5,10,20"}
    assert record.split == "test"


def test_two_persons_in_an_image_share_its_split(build: Callable[[str], Path]) -> None:
    records = by_id(open_dataset(f"coco:{build('coco')}"))
    first, second = (records[f"train2017/000000000000.jpg#{n}"] for n in (100, 500))
    assert first.video == second.video and first.split == second.split
    assert first.columns["persons"] == "2"


def test_syrip_is_coco(tmp_path: Path) -> None:
    make_syrip(tmp_path)
    dataset = open_dataset(str(tmp_path))
    assert dataset.format == "coco" and len(dataset.records) == 8
    assert len(dataset.split("test")) == 3


def test_mini_rgbd_counts_from_zero_and_its_neck_can_be_chosen(build: Callable[[str], Path]) -> None:
    root = build("mini-rgbd")
    record = open_dataset(f"mini-rgbd:{root}").records[4]
    assert (record.id, record.video) == ("02/rgb/syn_00001.png", "02")
    expected = np.stack([np.arange(25) + 10.75, np.arange(25) + 20.5], axis=1)
    np.testing.assert_allclose(record.keypoints_px, expected)
    chosen = open_dataset(f"mini-rgbd,upper_neck=15:{root}")
    assert chosen.name == f"mini-rgbd,upper_neck=15:{root}"
    expected[MINI_RGBD_25.index("upper_neck")] = expected[15]
    np.testing.assert_allclose(chosen.records[4].keypoints_px, expected)


def test_images_have_no_keypoints(build: Callable[[str], Path]) -> None:
    records = open_dataset(f"images:{build('images')}").records
    assert [(r.id, r.video, r.split) for r in records] == [
        ("a_1.jpg", "a", "train"),
        ("sub/b.png", "sub/b", "train"),
    ]
    assert all(np.isnan(r.keypoints_px).all() for r in records)


# Splits


def test_hash_splits_keep_their_proportions_and_never_change() -> None:
    names = [f"video{i}" for i in range(20_000)]
    found = [splits.split_by_hash(name) for name in names]
    for split, share in {"train": 0.72, "val": 0.08, "test": 0.20}.items():
        assert found.count(split) / len(names) == pytest.approx(share, abs=0.01)
    assert [splits.train_or_val(n) for n in names].count("val") / len(names) == pytest.approx(0.1, abs=0.01)
    mini_rgbd = [splits.split_by_hash(f"{i:02d}") for i in range(1, 13)]
    assert [i for i, split in enumerate(mini_rgbd, start=1) if split == "test"] == [4, 5, 8]
    assert [i for i, split in enumerate(mini_rgbd, start=1) if split == "val"] == [12]


@pytest.mark.parametrize("stem, video", [("a_1", "a"), ("a_b_003", "a_b"), ("a", "a"), ("_1", "_1")])
def test_video_of(stem: str, video: str) -> None:
    assert splits.video_of(stem) == video


def test_lsp_has_its_own_test_half(tmp_path: Path) -> None:
    make_lsp(tmp_path, 2000)
    dataset = open_dataset(str(tmp_path))
    assert [r.split for r in dataset.records] == ["train"] * 900 + ["val"] * 100 + ["test"] * 1000


def test_lspet_of_another_size_has_no_test_split(tmp_path: Path) -> None:
    make_lspet(tmp_path, 40)
    assert {r.split for r in open_dataset(str(tmp_path)).records} == {"train", "val"}


def test_one_image(tmp_path: Path) -> None:
    make_lspet(tmp_path, 1)  # MATLAB drops a last axis of length 1
    (record,) = open_dataset(str(tmp_path)).records
    np.testing.assert_allclose(record.keypoints_px[:3], leeds_points(1)[0, :3])


def test_real_lspet(shared: Path) -> None:
    dataset = open_dataset(str(shared / "data" / "lspet"))
    assert (dataset.format, len(dataset.records), dataset.left_out) == ("lspet", 2100, ())
    assert [r.split for r in dataset.records] == ["train"] * 1530 + ["val"] * 170 + ["test"] * 400
    assert dataset.records[1700].id == "im01701.jpg"
    summary = summarise(dataset)
    assert summary["labelled"]["upper_neck"] == summary["labelled"]["head_top"] == 2100
    assert summary["head_length_px"]["missing"] == 0
    # Feet below heads: the axes are not exchanged, the photographs being of upright persons.
    down = [
        r.keypoints_px[LSP_14.index("right_hip"), 1] > r.keypoints_px[LSP_14.index("head_top"), 1]
        for r in dataset.records
    ]
    assert np.mean(down) > 0.99


# Bad input


def broken_raw(root: Path, change: Callable[[list[str]], list[str]]) -> Path:
    path = root / "raw" / "annotations" / "annotations.csv"
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    return root


@pytest.mark.parametrize(
    "header, text",
    [
        ("id,image,head_top,nose", "has 4 columns, not 21"),
        (
            "id,image," + ",".join(reversed(IN_MOTION_19.names)),
            "column 'left_ankle' where 'head_top' belongs",
        ),
        ("id,image," + ",".join(IN_MOTION_19.names) + ",more", "has 22 columns"),
    ],
)
def test_csv_with_wrong_columns(build: Callable[[str], Path], header: str, text: str) -> None:
    root = broken_raw(build("in-motion-raw"), lambda lines: [header, *lines[1:]])
    with pytest.raises(BadDataset, match=text) as caught:
        open_dataset(str(root))
    assert "annotations.csv" in str(caught.value) and "upper_neck" in str(caught.value)


def test_csv_with_the_authors_own_names_is_fine(build: Callable[[str], Path]) -> None:
    theirs = {
        "upper_chest": "thorax",
        "mid_pelvis": "Pelvis",
        "right_pelvis": "right hip",
        "left_pelvis": "left-hip",
    }
    header = "id,image," + ",".join(theirs.get(n, n) for n in IN_MOTION_19.names)
    root = broken_raw(build("in-motion-raw"), lambda lines: [header, *lines[1:]])
    assert len(open_dataset(str(root)).records) == 10


@pytest.mark.parametrize(
    "cell, reason",
    [
        ('"(nan, 0.5)"', "NaN or infinite: nose has 'nan'"),
        ('"(inf, 0.5)"', "NaN or infinite"),
        ('"(1.51, 0.5)"', "a point far outside the image: nose at (1.51, 0.5)"),
        ('"(0.5, -0.6)"', "a point far outside the image"),
        ('"(0.5 0.6)"', "not a point: nose"),
        ('"(x, 0.6)"', "not a number: nose has 'x'"),
        ("", "not a point: nose"),
        ("0.1,0.2", "wrong number of cells: line 4 has 22, not 21"),
    ],
)
def test_bad_csv_cell_leaves_its_image_out(build: Callable[[str], Path], cell: str, reason: str) -> None:
    def spoil(lines: list[str]) -> list[str]:
        parts = lines[3].split(',"')
        assert parts[2].startswith("(")
        parts[2] = "\0"
        lines[3] = ',"'.join(parts).replace(',"\0', "," + cell)
        return lines

    dataset = open_dataset(str(broken_raw(build("in-motion-raw"), spoil)))
    assert len(dataset.records) == 9
    assert reasons(dataset)[CSV_NAMES[2]].startswith(reason)


def test_points_a_little_outside_are_kept(build: Callable[[str], Path]) -> None:
    root = build("in-motion")
    path = root / "processed" / "val" / "points" / "c_0.txt"
    points = fractions(0)
    points[0], points[1], points[2] = (1.5, -0.5), (0, 0), (0, 0.5)
    np.savetxt(path, points, fmt="%.6f")
    record = by_id(open_dataset(str(root)))["val/c_0.jpg"]
    assert record.keypoints_px[0].tolist() == [75, -25]
    assert np.isnan(record.keypoints_px[1]).all()  # (0, 0) is the set's own sign for missing
    assert record.keypoints_px[2].tolist() == [0, 25]


def test_csv_rows_that_are_not_annotated_or_come_twice(build: Callable[[str], Path]) -> None:
    def spoil(lines: list[str]) -> list[str]:
        return [*lines, "10,images/none_1.jpg" + "," * 19, lines[1]]

    found = reasons(open_dataset(str(broken_raw(build("in-motion-raw"), spoil))))
    assert found == {
        "none_1.jpg": "not annotated",
        CSV_NAMES[0]: "annotated twice, the first annotation counts",
    }


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00bad", b"a,b\x00\n" + b'"' + b"x" * 200_000 + b'"'])
def test_csv_that_is_none(build: Callable[[str], Path], content: bytes) -> None:
    root = build("in-motion-raw")
    (root / "raw" / "annotations" / "annotations.csv").write_bytes(content)
    with pytest.raises(BadDataset, match=r"annotations\.csv"):
        open_dataset(str(root))


@pytest.mark.parametrize("key", ["in-motion", "in-motion-raw"])
def test_columns_come_from_the_list_of_videos(build: Callable[[str], Path], key: str) -> None:
    root = build(key)
    assert all(record.columns == {} for record in open_dataset(str(root)).records)
    lines = ["setup,video,Site", "home phone,a,Oslo", '"a, b", d_e ,', "phone,vid1,Bergen", "none,elsewhere,"]
    (root / "videos.csv").write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    said = {record.video: record.columns for record in open_dataset(str(root)).records}
    expected: dict[str, Any] = {video: {} for video in said}  # a video without a row has no columns
    known = {"a": {"setup": "home phone", "Site": "Oslo"}, "d_e": {"setup": "a, b"}}
    known |= {"vid1": {"setup": "phone", "Site": "Bergen"}}
    assert said == expected | {video: columns for video, columns in known.items() if video in said}
    assert sum(bool(columns) for columns in said.values()) == {"in-motion": 2, "in-motion-raw": 1}[key]


@pytest.mark.parametrize(
    "content, text",
    [
        ("", "is empty"),
        ("name,setup\na,phone\n", "has the columns name, setup; name each column once, one of them 'video'"),
        ("a,phone\nb,phone\n", "one of them 'video'"),
        ("video,setup,setup\na,x,y\n", "name each column once"),
        ("video,,setup\na,x,y\n", "name each column once"),
        ("video,setup\na,x\nb,y\na,x\n", "line 4: video a comes a second time; give each video one row"),
        ("video,setup\na\n", "line 2: 1 cells where the header has 2"),
        ("video,setup\na,x,y\n", "line 2: 3 cells where the header has 2"),
        ("video,setup\n\n ,x\n", "line 3: no video"),
        ("video,setup\na,\x1b[31mred\n", "line 2: control characters"),
        ('video,setup\na,"' + "x" * 200_000 + '"\n', "is not a CSV file"),
    ],
)
def test_a_bad_list_of_videos_is_refused(build: Callable[[str], Path], content: str, text: str) -> None:
    root = build("in-motion")
    (root / "videos.csv").write_text(content, encoding="utf-8")
    with pytest.raises(BadDataset, match=re.escape(text)) as caught:
        open_dataset(str(root))
    assert "videos.csv" in str(caught.value)


def test_a_list_of_videos_in_another_encoding_is_refused(build: Callable[[str], Path]) -> None:
    root = build("in-motion")
    (root / "videos.csv").write_bytes("video,site\na,Tromsø\n".encode("latin-1"))
    with pytest.raises(BadDataset, match=r"videos\.csv is not a CSV file .* save it as CSV in UTF-8"):
        open_dataset(str(root))


def test_processed_points_without_image_and_image_without_points(build: Callable[[str], Path]) -> None:
    root = build("in-motion")
    folder = root / "processed" / "train"
    (folder / "points" / "a_0.txt").unlink()
    (folder / "images_1024x1024" / "a_1.jpg").write_text("no image")
    (folder / "points" / "b_0.txt").write_text("0.1 0.2\n")
    found = reasons(open_dataset(str(root)))
    assert found["train/a_0"] == "not annotated"
    assert found["train/a_1"].startswith("the image cannot be read: ")
    assert found["train/b_0"] == "wrong number of points: 1, not 19"


@pytest.mark.parametrize(
    "joints, text",
    [
        (np.zeros((16, 3, 5)), r"joints of shape \(16, 3, 5\), not \(14, 3, N\)"),
        (np.zeros((3, 14, 5)), r"joints of shape \(3, 14, 5\).*write lsp:"),
        (np.zeros((14, 2, 5)), "joints of shape"),
        (np.zeros((14, 3, 5, 2)), "joints of shape"),
        (np.full((14, 3, 5), 1j), "not numbers"),
    ],
)
def test_joints_mat_of_another_shape(tmp_path: Path, joints: np.ndarray, text: str) -> None:
    make_lspet(tmp_path)
    savemat(tmp_path / "joints.mat", {"joints": joints})
    with pytest.raises(BadDataset, match=text):
        open_dataset(f"lspet:{tmp_path}")


@pytest.mark.parametrize("keep", [0, 3, 100, 150, 400])
def test_damaged_mat_file(tmp_path: Path, keep: int) -> None:
    make_lspet(tmp_path)
    path = tmp_path / "joints.mat"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadDataset, match=r"joints\.mat"):
        open_dataset(f"lspet:{tmp_path}")


def test_mat_file_of_random_bytes_never_escapes(tmp_path: Path) -> None:
    make_lspet(tmp_path)
    path = tmp_path / "joints.mat"
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        bad = np.frombuffer(good, np.uint8).copy()
        at = rng.integers(100, 260, 6)
        bad[at] = rng.integers(0, 256, 6)
        path.write_bytes(bad.tobytes())
        try:
            open_dataset(f"lspet:{tmp_path}")
        except BadDataset as error:
            assert "\n" not in str(error)


def test_joints_mat_with_nan_and_too_many_images(tmp_path: Path) -> None:
    make_lspet(tmp_path)
    joints = np.ones((14, 3, 4))
    joints[:, 2, 0] = 0
    joints[2, 0, 1] = np.inf
    joints[3, :2, 2] = np.nan
    joints[3, 2, 2] = 0
    joints[4, 0, 3] = np.nan
    savemat(tmp_path / "joints.mat", {"joints": joints})
    dataset = open_dataset(str(tmp_path))
    assert [r.id for r in dataset.records] == ["im00003.jpg"]
    assert reasons(dataset) == {
        "im00001": "no labelled keypoint",
        "im00002": "NaN or infinite: a labelled joint",
        "im00004": "NaN or infinite: a labelled joint",
        "im00005.jpg": "not in joints.mat",
        "im00006.jpg": "not in joints.mat",
    }


def test_mpii_mat_of_something_else(tmp_path: Path) -> None:
    savemat(tmp_path / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": {"version": 1.0}})
    with pytest.raises(BadDataset, match="not MPII's annotation"):
        open_dataset(f"mpii:{tmp_path}")
    savemat(tmp_path / "mpii_human_pose_v1_u12_1.mat", {"other": 1.0})
    with pytest.raises(BadDataset, match=r"no variable 'RELEASE' \(found: other\)"):
        open_dataset(f"mpii:{tmp_path}")


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"joints": [[1, 2]]}, "unreadable joints: shape"),
        ({"joints": "x"}, "unreadable joints"),
        ({"joints": [[float("nan"), 2]] * 16}, "NaN or infinite"),
        ({"joints_vis": [0] * 16}, "no labelled keypoint"),
        ({"image": "../../secret.jpg"}, "the image path leaves the data set"),
        ({"image": "/etc/passwd"}, "the image path leaves the data set"),
        ({"image": None}, "an entry without an image name"),
    ],
)
def test_bad_mpii_entry_is_left_out(
    build: Callable[[str], Path], change: dict[str, Any], reason: str
) -> None:
    root = build("mpii-json")
    path = root / "annot" / "train.json"
    entries = json.loads(path.read_text())
    entries[0] |= change
    path.write_text(json.dumps(entries))
    dataset = open_dataset(str(root))
    assert len(dataset.records) == 3
    assert dataset.left_out[0].reason.startswith(reason)


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"iscrowd": 1}, "a crowd"),
        ({"keypoints": [0] * 51}, "no labelled keypoint"),
        ({"keypoints": [0] * 50}, "unreadable keypoints"),
        ({"keypoints": None}, "unreadable keypoints"),
        ({"keypoints": [float("nan"), 1, 2] * 17}, "NaN or infinite"),
        ({"image_id": 77}, "an annotation of an unknown image"),
        ({"image_id": [1]}, "an annotation of an unknown image"),
    ],
)
def test_bad_coco_annotation_is_left_out(
    build: Callable[[str], Path], change: dict[str, Any], reason: str
) -> None:
    root = build("coco")
    path = root / "annotations" / "person_keypoints_val2017.json"
    value = json.loads(path.read_text())
    value["annotations"][0] |= change
    path.write_text(json.dumps(value))
    dataset = open_dataset(str(root))
    assert len(dataset.records) == 7
    (entry,) = dataset.left_out
    assert entry.name == "person_keypoints_val2017.json annotation 100" and entry.reason.startswith(reason)


def changed_coco(root: Path, change: Callable[[dict[str, Any]], None]) -> Dataset:
    """The data set with a change in the JSON of val2017: two images, three persons."""
    path = root / "annotations" / "person_keypoints_val2017.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    return open_dataset(str(root))


@pytest.mark.parametrize("kinds", [(float, str), (str, float), (str, int), (int, float)])
def test_coco_ids_are_the_same_however_written(
    build: Callable[[str], Path], kinds: tuple[Callable[[Any], Any], ...]
) -> None:
    def change(value: dict[str, Any]) -> None:
        for image in value["images"]:
            image["id"] = kinds[0](image["id"])
        for person in value["annotations"]:
            person |= {"image_id": kinds[1](person["image_id"]), "category_id": kinds[1](1)}
            person["id"] = kinds[0](person["id"])
        value["categories"][0]["id"] = kinds[0](1)

    root = build("coco")
    whole = open_dataset(str(root))
    dataset = changed_coco(root, change)
    assert [r.id for r in dataset.records] == [r.id for r in whole.records] and not dataset.left_out


@pytest.mark.parametrize("number", [None, "", [1], True, 0.5])
def test_coco_images_without_an_id_are_never_paired(build: Callable[[str], Path], number: Any) -> None:
    """Missing ids were all one id, so any annotation without one had the last such picture."""

    def change(value: dict[str, Any]) -> None:
        value["images"][1]["id"] = number
        value["annotations"][1]["image_id"] = number

    dataset = changed_coco(build("coco"), change)
    assert len(dataset.records) == 7
    assert [e.reason for e in dataset.left_out] == [
        "an image without an id",
        "an annotation of an unknown image",
    ]


def test_coco_images_that_share_an_id_are_left_out(build: Callable[[str], Path]) -> None:
    dataset = changed_coco(build("coco"), lambda value: value["images"][1].update(id=0))
    assert not dataset.split("test")
    reasons = [e.reason for e in dataset.left_out]
    assert reasons.count("an image id that several share: 0") == 4 and len(reasons) == 5


def test_a_coco_image_listed_twice_is_one(build: Callable[[str], Path]) -> None:
    dataset = changed_coco(build("coco"), lambda value: value["images"].append(value["images"][0]))
    assert len(dataset.records) == 8
    assert [e.reason for e in dataset.left_out] == ["an image listed twice, the first entry counts"]


def test_coco_annotations_without_an_id_or_with_a_doubled_one(build: Callable[[str], Path]) -> None:
    def change(value: dict[str, Any]) -> None:
        value["annotations"][1].pop("id")
        value["annotations"][2]["id"] = value["annotations"][0]["id"]

    dataset = changed_coco(build("coco"), change)
    assert len(dataset.records) == 6
    reasons = [e.reason for e in dataset.left_out]
    assert reasons == ["an annotation without an id", "annotated twice, the first annotation counts"]


def test_the_same_coco_name_in_two_folders_is_two_videos(build: Callable[[str], Path]) -> None:
    root = build("coco")
    for folder in ("a", "b"):
        picture(root / "val2017" / folder / "x.jpg")

    def change(value: dict[str, Any]) -> None:
        value["images"][0]["file_name"] = "a/x.jpg"
        value["images"][1]["file_name"] = "b\\x.jpg"

    dataset = changed_coco(root, change)
    found = {r.id: r.video for r in dataset.split("test")}
    assert found == {
        "val2017/a/x.jpg#100": "val2017/a/x",
        "val2017/b/x.jpg#101": "val2017/b/x",
        "val2017/a/x.jpg#500": "val2017/a/x",
    }


def test_other_coco_categories_stop_nothing(build: Callable[[str], Path]) -> None:
    def change(value: dict[str, Any]) -> None:
        value["categories"] += [
            {"id": 2, "name": "dog", "keypoints": ["nose", "tail"]},
            {"id": 3, "name": "toy"},
        ]
        value["annotations"][0] |= {"category_id": 2, "keypoints": [1, 2, 2] * 2}
        value["annotations"][1]["category_id"] = 3
        value["annotations"][2].pop("category_id")

    dataset = changed_coco(build("coco"), change)
    assert len(dataset.records) == 5
    reasons = [e.reason for e in dataset.left_out]
    assert reasons == ["of another category: 2", "of another category: 3", "an annotation of no category"]


@pytest.mark.parametrize("size", [None, 0, "absent"])
def test_a_coco_size_that_is_not_said(build: Callable[[str], Path], size: Any) -> None:
    def change(value: dict[str, Any]) -> None:
        for image in value["images"]:
            image["height"], image["width"] = size, float(WIDTH)
            if size == "absent":
                del image["height"]

    dataset = changed_coco(build("coco"), change)
    assert len(dataset.records) == 8 and not dataset.left_out


def test_coco_image_of_another_size_is_left_out(build: Callable[[str], Path]) -> None:
    root = build("coco")
    picture(root / "val2017" / "000000000001.jpg", HEIGHT, WIDTH)  # turned, perhaps by an EXIF tag
    (entry,) = open_dataset(str(root)).left_out
    assert entry.reason.startswith("not the annotated image: (60, 40) pixels")


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"images": 1}', '{"images": [], "annotations": [3]}'])
def test_coco_file_that_is_none(build: Callable[[str], Path], content: str) -> None:
    root = build("coco")
    (root / "annotations" / "person_keypoints_val2017.json").write_text(content)
    with pytest.raises(BadDataset, match=r"person_keypoints_val2017\.json"):
        open_dataset(str(root))


def test_coco_in_another_order_is_read_by_its_names(build: Callable[[str], Path]) -> None:
    root = build("coco")
    before = by_id(open_dataset(str(root)))
    path = root / "annotations" / "person_keypoints_val2017.json"
    value = json.loads(path.read_text())
    value["categories"][0]["keypoints"].reverse()
    for annotation in value["annotations"]:
        annotation["keypoints"] = np.reshape(annotation["keypoints"], (17, 3))[::-1].ravel().tolist()
    path.write_text(json.dumps(value))
    found = by_id(open_dataset(str(root)))
    assert found.keys() == before.keys()
    for name, record in found.items():
        np.testing.assert_array_equal(record.keypoints_px, before[name].keypoints_px)


@pytest.mark.parametrize(
    "lines, reason",
    [
        (["1 2 3 0"] * 25, "joints out of order"),
        (["1 2 3 0"] * 24, "wrong shape"),
        (["1 2"] * 25, "wrong shape"),
        ([f"nan 2 3 {i}" for i in range(25)], "NaN or infinite"),
    ],
)
def test_bad_mini_rgbd_frame_is_left_out(build: Callable[[str], Path], lines: list[str], reason: str) -> None:
    root = build("mini-rgbd")
    (root / "01" / "joints_2Ddep" / "syn_joints_2Ddep_00001.txt").write_text("\n".join(lines))
    dataset = open_dataset(str(root))
    assert len(dataset.records) == 8
    assert reasons(dataset)["01/rgb/syn_00001.png"].startswith(reason)


# Names


def test_unknown_format_lists_the_known() -> None:
    with pytest.raises(UnknownName, match=r"unknown data set format 'lsptt'.*in-motion.*lspet.*images"):
        open_dataset("lsptt:somewhere")


@pytest.mark.parametrize("spec", ["", " ", "lspet:", "lspet: "])
def test_empty_path(spec: str) -> None:
    with pytest.raises(BadDataset, match="path is empty"):
        open_dataset(spec)


@pytest.mark.parametrize("prefix", ["", "lspet:"])
def test_missing_file_and_empty_folder(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(BadDataset, match="nowhere does not exist"):
        open_dataset(f"{prefix}{tmp_path / 'nowhere'}")
    (tmp_path / "file").touch()
    with pytest.raises(BadDataset, match="file is not a folder"):
        open_dataset(f"{prefix}{tmp_path / 'file'}")
    (tmp_path / "void").mkdir()
    with pytest.raises(BadDataset, match="void is empty"):
        open_dataset(f"{prefix}{tmp_path / 'void'}")


def test_unknown_layout_says_what_was_looked_for(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    with pytest.raises(
        BadDataset, match=r"joints\.mat.*annotations\.csv|annotations\.csv.*joints\.mat.*images:"
    ):
        open_dataset(str(tmp_path))


def test_two_layouts_in_one_folder(tmp_path: Path) -> None:
    make_raw(tmp_path)
    make_processed(tmp_path)
    with pytest.raises(BadDataset, match=r"several formats; say which: in-motion:.* or in-motion-raw:"):
        open_dataset(str(tmp_path))
    assert len(open_dataset(f"in-motion-raw:{tmp_path}").records) == 10


@pytest.mark.parametrize(
    "option, error, text",
    [
        ("neck=3", UnknownName, "unknown mini-rgbd option 'neck'; .*upper_neck"),
        ("upper_neck=x", UsageError, "upper_neck cannot be 'x'"),
        ("upper_neck=25", UsageError, "upper_neck=25 is no row"),
    ],
)
def test_options(build: Callable[[str], Path], option: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        open_dataset(f"mini-rgbd,{option}:{build('mini-rgbd')}")


def test_a_path_with_a_colon(tmp_path: Path) -> None:
    root = tmp_path / "set:1"
    make_lspet(root)
    assert open_dataset(str(root)).name == f"lspet:{root}"
    assert len(open_dataset(f"lspet:{root}").records) == 6


# Person boxes


def test_person_box_has_a_margin_of_its_own_size() -> None:
    points = np.array([[10.0, 20.0], [30.0, 60.0], [np.nan, np.nan], [20.0, np.nan]])
    assert person_box(points) == (6.0, 12.0, 34.0, 68.0)
    assert person_box(points, margin=0) == (10.0, 20.0, 30.0, 60.0)


def test_person_box_of_one_point_and_of_none() -> None:
    assert person_box(np.array([[5.0, 7.0]]), margin=0) == (4.5, 6.5, 5.5, 7.5)
    x0, y0, x1, y1 = person_box(np.array([[0.0, 7.0], [10.0, 7.0]]), margin=0.1)
    assert (x0, x1) == (-1.0, 11.0) and y1 - y0 == pytest.approx(1.2)
    with pytest.raises(ValueError, match="no labelled keypoint"):
        person_box(np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match="margin"):
        person_box(np.zeros((1, 2)), margin=-0.1)


# Summary


def test_summary(build: Callable[[str], Path]) -> None:
    root = build("lspet")
    (root / "images" / "im00002.jpg").unlink()
    (root / "images" / "im00003.jpg").write_text("no image")
    picture(root / "images" / "im00009.jpg")
    summary = summarise(open_dataset(str(root)))
    json.dumps(summary, allow_nan=False)
    assert (summary["images"], summary["videos"], summary["keypoints"]) == (5, 5, 5 * 13)
    assert sum(s["images"] for s in summary["splits"].values()) == 5
    assert summary["labelled"]["left_hip"] == 0 and summary["labelled"]["left_knee"] == 5
    head = np.linalg.norm(np.diff(leeds_points(6)[[0, 2, 3, 4, 5], 12:], axis=1), axis=-1)
    assert summary["head_length_px"]["n"] == 5
    assert summary["head_length_px"]["median"] == pytest.approx(np.median(head), abs=0.01)
    assert summary["image_size_px"] == {
        "read": 5,
        "of": 5,
        "unreadable": ["im00003.jpg"],
        "height": [HEIGHT, HEIGHT],
        "width": [WIDTH, WIDTH],
    }
    assert summary["left_out"]["count"] == 2
    assert [r["reason"] for r in summary["left_out"]["reasons"]] == [
        "the image file is missing",
        "not in joints.mat",
    ]


def test_summary_counts_images_per_value(build: Callable[[str], Path]) -> None:
    root = build("in-motion-raw")
    assert summarise(open_dataset(str(root)))["columns"] == {}
    rows = [f"vid{i},{'phone' if i else ''},{i}" for i in range(4)]
    (root / "videos.csv").write_text("\n".join(["video,setup,age", *rows]) + "\n")
    columns = summarise(open_dataset(str(root)))["columns"]
    assert columns == {
        "setup": {"values": 1, "images": {"phone": 6}, "others": 0, "without": 4},
        "age": {"values": 4, "images": {"0": 2, "1": 2, "2": 2, "3": 2}, "others": 0, "without": 2},
    }


def test_summary_lists_the_most_frequent_values_only(build: Callable[[str], Path]) -> None:
    dataset = open_dataset(str(build("in-motion-raw")))
    ages = ["7", "7", "7", "1", "2", "3", "4", "5", "6", "8"]
    records = tuple(replace(r, columns={"age": a}) for r, a in zip(dataset.records, ages, strict=True))
    column = summarise(replace(dataset, records=records))["columns"]["age"]
    assert list(column["images"].items()) == [("7", 3), *((str(i), 1) for i in range(1, 6))]
    assert (column["values"], column["others"], column["without"]) == (8, 2, 0)


def test_info_shows_the_columns(build: Callable[[str], Path]) -> None:
    from typer.testing import CliRunner

    from edgepose.cli.data import app

    root = build("in-motion")
    assert "images per value" not in CliRunner().invoke(app, ["info", str(root)]).stdout
    (root / "videos.csv").write_text("video,setup\na,[red]phone\nc,phone\n")
    done = CliRunner().invoke(app, ["info", str(root)])
    assert done.exit_code == 0
    assert "[red]phone: 2, phone: 1, none: 3" in done.stdout
    as_json = json.loads(CliRunner().invoke(app, ["info", str(root), "--json"]).stdout)
    assert as_json["columns"]["setup"]["images"] == {"[red]phone": 2, "phone": 1}


def test_summary_tells_of_videos_cut_by_the_splits(build: Callable[[str], Path]) -> None:
    root = build("in-motion")
    for name in ("images_1024x1024/a_9.jpg", "points/a_9.txt"):
        source = root / "processed" / "train" / name.replace("a_9", "a_1")
        shutil.copy(source, root / "processed" / "test" / name)
    assert summarise(open_dataset(str(root)))["videos_across_splits"] == ["a"]


def test_summary_without_a_head(build: Callable[[str], Path]) -> None:
    assert summarise(open_dataset(f"coco:{build('coco')}"))["head_length_px"] is None
    assert summarise(open_dataset(f"images:{build('images')}"))["head_length_px"] is None
    assert summarise(open_dataset(f"mpii:{build('mpii')}"))["head_length_px"]["max"] == 3.0


# Files as systems and spreadsheets leave them.


def spreadsheet(path: Path, encoding: str, first: str = "") -> None:
    """Semicolons, decimal commas, CRLF, empty columns at the end."""
    text = path.read_text()
    cells = re.sub(r'"\(([\d.]+), ([\d.]+)\)"', lambda m: f"({m[1]}|{m[2]})", text)
    lines = cells.replace(",", ";").replace(".", ",").replace("|", "; ").replace(",jpg", ".jpg").splitlines()
    quoted = [re.sub(r"\(([^)]*)\)", r'"(\1)"', line) for line in lines]
    path.write_bytes((first + "\r\n".join(f"{line};;" for line in quoted) + "\r\n").encode(encoding))


@pytest.mark.parametrize(
    ("encoding", "first"), [("utf-8", ""), ("utf-8-sig", ""), ("utf-16", ""), ("utf-8-sig", "sep=;\r\n")]
)
def test_annotations_out_of_a_european_spreadsheet(
    build: Callable[[str], Path], encoding: str, first: str
) -> None:
    root = build("in-motion-raw")
    (root / "videos.csv").write_text("video,age\nvid0,3.5\n")
    whole = open_dataset(str(root))
    spreadsheet(root / "raw" / "annotations" / "annotations.csv", encoding, first)
    (root / "videos.csv").write_bytes((first + "video;age;\r\nvid0;3,5;\r\n").encode(encoding))
    dataset = open_dataset(str(root))
    assert [r.id for r in dataset.records] == [r.id for r in whole.records]
    for a, b in zip(dataset.records, whole.records, strict=True):
        np.testing.assert_array_equal(a.keypoints_px, b.keypoints_px)
    assert by_id(dataset)[whole.records[0].id].columns == {"age": "3,5"}


@pytest.mark.parametrize("form", ["{x},{y}", "{x} {y}", "{x}, {y}", "{x};{y}", "{x}\t{y}"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("comma", [False, True])
def test_points_however_they_are_written(
    build: Callable[[str], Path], form: str, encoding: str, comma: bool
) -> None:
    root = build("in-motion")
    whole = open_dataset(str(root))
    for path in root.rglob("points/*.txt"):
        pairs = [line.split() for line in path.read_text().splitlines()]
        lines = [
            form.format(**dict(zip("xy", (t.replace(".", ",") if comma else t for t in p), strict=True)))
            for p in pairs
        ]
        path.write_bytes("\r\n".join(lines).encode(encoding))
    dataset = open_dataset(str(root))
    assert not dataset.left_out or len(dataset.left_out) == len(whole.left_out)
    for a, b in zip(dataset.records, whole.records, strict=True):
        np.testing.assert_array_equal(a.keypoints_px, b.keypoints_px)


def raw_set(root: Path, images: list[str], rows: list[str]) -> Dataset:
    """A raw data set whose row i has the points `fractions(i)`."""
    for name in images:
        picture(root / "raw" / "images" / name)
    lines = ["id,image," + ",".join(IN_MOTION_19.names)]
    for i, name in enumerate(rows):
        lines.append(f"{i},{name}," + ",".join(f'"({x}, {y})"' for x, y in fractions(i)))
    (root / "raw" / "annotations").mkdir(parents=True)
    (root / "raw" / "annotations" / "annotations.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return open_dataset(str(root))


def first_points(dataset: Dataset) -> dict[str, float]:
    return {r.id: float(r.keypoints_px[0, 0]) for r in dataset.records}


def wanted_point(i: int) -> float:
    return float(next(iter(fractions(i)))[0]) * WIDTH


def test_annotations_of_one_name_in_two_folders(tmp_path: Path) -> None:
    """By name alone, both rows were of one picture, and the second was called a repetition."""
    dataset = raw_set(
        tmp_path, ["siteA/v_1.jpg", "siteB/v_1.jpg"], ["raw/images/siteB/v_1.jpg", "images\\siteA\\v_1.jpg"]
    )
    assert first_points(dataset) == {"siteB/v_1.jpg": wanted_point(0), "siteA/v_1.jpg": wanted_point(1)}
    assert not dataset.left_out


@pytest.mark.parametrize(
    ("images", "rows", "taken", "reasons"),
    [
        (["train/v_1.jpg"], ["images/v_1.jpg"], {"train/v_1.jpg"}, []),  # moved by a split: one of each
        (["a/v_1.jpg", "w_1.jpg"], ["a/v_1.jpg", "b/v_1.jpg"], {"a/v_1.jpg"}, ["the image file is missing"]),
        (["a/v_1.jpg", "b/v_1.jpg", "w_1.jpg"], ["v_1.jpg", "w_1.jpg"], {"w_1.jpg"}, ["several images"]),
        (["v_1.jpg", "a/v_1.jpg"], ["v_1.jpg", "a/v_1.jpg"], {"v_1.jpg", "a/v_1.jpg"}, []),
        (["._v_1.jpg", "v_1.jpg", ".old/w_1.jpg"], ["v_1.jpg", "w_1.jpg"], {"v_1.jpg"}, ["the image file"]),
    ],
)
def test_which_picture_a_row_is_of(
    tmp_path: Path, images: list[str], rows: list[str], taken: set[str], reasons: list[str]
) -> None:
    dataset = raw_set(tmp_path, images, rows)
    assert {r.id for r in dataset.records} == taken
    assert len(dataset.left_out) == len(reasons)
    for entry, reason in zip(dataset.left_out, reasons, strict=True):
        assert entry.reason.startswith(reason)


NFC, NFD = "z\u00fcri", "zu\u0308ri"


@pytest.mark.parametrize(("disk", "said"), [(NFC, NFD), (NFD, NFC)])
def test_both_spellings_of_accents_are_one_name(
    build: Callable[[str], Path], tmp_path: Path, disk: str, said: str
) -> None:
    dataset = raw_set(tmp_path / "raw1", [f"{disk}_1.jpg"], [f"images/{said}_1.jpg"])
    assert [r.id for r in dataset.records] == [f"{NFC}_1.jpg"] and dataset.records[0].video == NFC
    coco_root = build("coco")
    picture(coco_root / "val2017" / disk / f"{disk}.jpg")
    dataset = changed_coco(coco_root, lambda v: v["images"][1].update(file_name=f"{said}/{said}.jpg"))
    assert f"val2017/{NFC}/{NFC}.jpg#101" in by_id(dataset) and not dataset.left_out
    processed = build("in-motion")
    image = next((processed / "processed" / "train").glob("images_1024x1024/*.jpg"))
    points = processed / "processed" / "train" / "points" / f"{image.stem}.txt"
    image.rename(image.with_name(f"{disk}_1.jpg"))
    points.rename(points.with_name(f"{said}_1.txt"))
    (processed / "videos.csv").write_text(f"video,site\n{said},Z\n", "utf-8")
    found = by_id(open_dataset(str(processed)))
    assert found[f"train/{NFC}_1.jpg"].columns == {"site": "Z"}


@pytest.mark.parametrize("key", sorted(BUILDERS))
def test_hidden_files_are_no_data(build: Callable[[str], Path], key: str) -> None:
    """macOS leaves a `._` file beside each on foreign disks."""
    root = build(key)
    whole = open_dataset(f"{key}:{root}")
    for path in [p for p in root.rglob("*") if p.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7" + bytes(50))
    shutil.copytree(root, root / ".Trash")
    dataset = open_dataset(f"{key}:{root}")
    assert [r.id for r in dataset.records] == [r.id for r in whole.records]
    assert dataset.left_out == whole.left_out


def test_linked_folders_are_searched_once_and_never_in_a_circle(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "data", tmp_path / "disk2"
    picture(root / "own" / "a_1.jpg")
    picture(elsewhere / "b_1.jpg")
    (root / "far").symlink_to(elsewhere)
    (root / "far2").symlink_to(elsewhere)
    (root / "again").symlink_to(root / "own")
    (root / "own" / "up").symlink_to(root)
    (elsewhere / "self").symlink_to(elsewhere)
    (root / "gone").symlink_to(tmp_path / "nowhere")
    dataset = open_dataset(f"images:{root}")
    ids = [r.id for r in dataset.records]
    assert ids[-1] == "own/a_1.jpg" and len(ids) == 2
    assert ids[0] in ("far/b_1.jpg", "far2/b_1.jpg")
    from edgepose.tracking.sources import find_sources

    (source,) = find_sources([root]).found
    assert [p.name for p in source.paths] == ["b_1.jpg", "a_1.jpg"]
