"""Skeletons land on their joints in their side's colour, and pages are whole, seeded and complete."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from edgepose.cli import data as data_command
from edgepose.data.records import Dataset, PoseRecord
from edgepose.errors import BadDataset, UsageError
from edgepose.keypoints import KEYPOINT_SETS, LSP_14, KeypointSet
from edgepose.visual.contact_sheet import contact_sheet
from edgepose.visual.drawing import SIDE_COLOURS, draw_skeleton

GREY = np.full((300, 400, 3), 120, np.uint8)


def pose(keypoints: KeypointSet = LSP_14) -> np.ndarray:
    """(K, 2), every joint far from every other's segments' middles."""
    return np.random.default_rng(3).uniform(30, 270, (len(keypoints), 2))


def one_joint(name: str, xy: tuple[float, float]) -> np.ndarray:
    points = np.full((14, 2), np.nan)
    points[LSP_14.index(name)] = xy
    return points


def make_dataset(root: Path, n: int = 7) -> Dataset:
    records = []
    for i in range(n):
        image = root / f"im{i:02d}.png"
        Image.new("RGB", (80 + 10 * i, 100), (60, 60, 60)).save(image)
        points = np.random.default_rng(i).uniform(0, 80, (14, 2))
        records.append(PoseRecord(image.name, image, points, image.stem, "test" if i > 4 else "train"))
    return Dataset(f"lsp:{root}", "lsp", root, LSP_14, tuple(records))


@pytest.mark.parametrize("name", ["left_knee", "right_wrist", "head_top"])
def test_a_joint_is_a_disc_of_its_sides_colour_about_its_place(name: str) -> None:
    drawn = draw_skeleton(GREY, one_joint(name, (200.5, 100.5)), LSP_14)
    assert tuple(drawn[100, 200]) == SIDE_COLOURS[LSP_14.side(name)]
    y, x = np.nonzero((drawn != GREY).any(axis=-1))
    assert (x.mean() + 0.5, y.mean() + 0.5) == pytest.approx((200.5, 100.5), abs=0.05)


@pytest.mark.parametrize("keypoints", KEYPOINT_SETS.values(), ids=KEYPOINT_SETS)
def test_every_set_is_drawn_with_both_sides(keypoints: KeypointSet) -> None:
    drawn = draw_skeleton(GREY, pose(keypoints), keypoints).reshape(-1, 3)
    for colour in SIDE_COLOURS.values():
        assert (drawn == colour).all(axis=1).sum() > 20
    assert (GREY == 120).all()


def test_a_segment_needs_both_its_ends() -> None:
    points = one_joint("left_knee", (100, 100))
    points[LSP_14.index("left_ankle")] = (200, 100)
    middle = (slice(97, 103), slice(140, 160))
    assert (draw_skeleton(GREY, points, LSP_14)[middle] != 120).any()
    points[LSP_14.index("left_ankle"), 1] = np.nan
    assert (draw_skeleton(GREY, points, LSP_14)[middle] == 120).all()


def test_unlabelled_pose_leaves_the_image_as_it_is() -> None:
    np.testing.assert_array_equal(draw_skeleton(GREY, np.full((14, 2), np.nan), LSP_14), GREY)


def test_joints_outside_are_harmless() -> None:
    points = pose()
    points[0], points[1], points[2] = (-60, 500), (1e12, -1e12), (np.inf, 4)
    drawn = draw_skeleton(GREY, points, LSP_14)
    assert drawn.shape == GREY.shape and (drawn != GREY).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (3000, 20)])
def test_odd_image_sizes(shape: tuple[int, int]) -> None:
    assert draw_skeleton(np.zeros((*shape, 3), np.uint8), pose(), LSP_14).shape == (*shape, 3)


def test_edges_are_antialiased() -> None:
    drawn = draw_skeleton(GREY, one_joint("left_knee", (200.3, 100.7)), LSP_14)
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 8


def test_the_reference_is_told_apart_from_the_pose() -> None:
    solid = draw_skeleton(GREY, pose(), LSP_14)
    dashed = draw_skeleton(GREY, np.full((14, 2), np.nan), LSP_14, reference_px=pose())
    assert 0.1 < (dashed != GREY).any(axis=-1).sum() / (solid != GREY).any(axis=-1).sum() < 0.8
    hollow = draw_skeleton(
        GREY, np.full((14, 2), np.nan), LSP_14, reference_px=one_joint("left_knee", (200.5, 100.5))
    )
    assert tuple(hollow[100, 200]) == (120, 120, 120) and (hollow != GREY).any()
    over = draw_skeleton(GREY, pose(), LSP_14, reference_px=pose() + 9)
    np.testing.assert_array_equal(over[(solid == SIDE_COLOURS["left"]).all(-1)][0], SIDE_COLOURS["left"])


def test_a_misshapen_pose_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(13, 2\) for .*lsp-14"):
        draw_skeleton(GREY, np.zeros((13, 2)), LSP_14)


def test_sheet_is_seeded_and_reports_what_it_shows(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    sheets = [tmp_path / f"{name}.png" for name in "abc"]
    first = contact_sheet(dataset, sheets[0], columns=2, rows=2, seed=1)
    again = contact_sheet(dataset, sheets[1], columns=2, rows=2, seed=1)
    other = contact_sheet(dataset, sheets[2], columns=2, rows=2, seed=2)
    assert first == again and first.shown != other.shown
    assert sheets[0].read_bytes() == sheets[1].read_bytes() != sheets[2].read_bytes()
    assert len(set(first.shown)) == 4 and first.available == 7
    assert list(first.shown) == sorted(first.shown)


def test_sheet_of_a_split_that_is_smaller_than_the_page(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    sheet = contact_sheet(dataset, tmp_path / "a.png", split="test")
    assert sheet.shown == ("im05.png", "im06.png")
    with Image.open(tmp_path / "a.png") as page:
        assert page.width < 600 and page.height < 350


def test_unreadable_image_is_an_empty_cell(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    dataset.records[2].image.write_bytes(b"bad")
    assert contact_sheet(dataset, tmp_path / "a.png").unreadable == ("im02.png",)


def test_unlabelled_images_are_shown(tmp_path: Path) -> None:
    image = tmp_path / "a_very_long_name_that_does_not_fit_below_its_own_small_picture.png"
    Image.new("RGB", (9, 9)).save(image)
    record = PoseRecord(image.name, image, np.full((14, 2), np.nan), "a", "train")
    contact_sheet(Dataset("images:x", "images", tmp_path, LSP_14, (record,)), tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as page:
        assert page.size == (256, 296)


def test_bad_sheets(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path)
    with pytest.raises(BadDataset, match=r"no image in split 'val'.*train: 5, val: 0, test: 2"):
        contact_sheet(dataset, tmp_path / "a.png", split="val")
    with pytest.raises(UsageError, match=r"a\.jpg is not a PNG"):
        contact_sheet(dataset, tmp_path / "a.jpg")
    for columns, rows in ((0, 3), (3, 0), (1000, 1000)):
        with pytest.raises(UsageError, match="make no page"):
            contact_sheet(dataset, tmp_path / "a.png", columns, rows)
    assert not list(tmp_path.glob("a.*"))


def run(*arguments: str) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(data_command.app, arguments)
    return result.output, None if isinstance(result.exception, SystemExit) else result.exception


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "frames"
    root.mkdir()
    for i in range(3):
        Image.new("RGB", (30, 20), (i, 50, 90)).save(root / f"v_{i}.png")
    return root


def test_info_as_json_and_as_text(folder: Path) -> None:
    output, error = run("info", f"images:{folder}", "--json")
    assert error is None
    assert json.loads(output)["images"] == 3
    output, error = run("info", f"images:{folder}")
    assert error is None
    for text in ("in-motion-19", "upper_neck", "20-20 high, 30-30 wide (3 of 3 read)", "left out: 0"):
        assert text in output


def test_show_does_not_overwrite_unasked(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "sheet.png"
    output, error = run("show", f"images:{folder}", "--out", str(out))
    assert error is None and "3 of 3 images" in output
    before = out.read_bytes()
    _, error = run("show", f"images:{folder}", "--out", str(out), "--seed", "4", "--columns", "1")
    assert isinstance(error, UsageError) and "--overwrite" in str(error)
    assert out.read_bytes() == before
    _, error = run("show", f"images:{folder}", "--out", str(out), "--columns", "1", "--overwrite")
    assert error is None and out.read_bytes() != before


def test_show_of_an_unknown_split(folder: Path, tmp_path: Path) -> None:
    _, error = run("show", f"images:{folder}", "--out", str(tmp_path / "a.png"), "--split", "tset")
    assert "did you mean 'test'" in str(error)


def test_real_photographs(shared: Path, tmp_path: Path) -> None:
    out = tmp_path / "lspet.png"
    output, error = run("show", str(shared / "data" / "lspet"), "--out", str(out), "--split", "test")
    assert error is None and "24 of 400 images" in output
    with Image.open(out) as page:
        assert page.size == (1496, 1094)
