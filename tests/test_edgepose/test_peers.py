"""Others' pose networks: read as their authors mean them, BlazePose behind its own detector."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from peer_models import ANCHOR, detector, landmarks, movenet, write
from PIL import Image
from tiny_tflite import tiny_tflite

from edgeio import write_json
from edgeio.records import to_plain
from edgepose.cli import main
from edgepose.comparison.compare import compare, read_comparison, read_entries
from edgepose.data.framing import person_box
from edgepose.errors import BadModel, UsageError
from edgepose.geometry import RotatedSquare, letterbox
from edgepose.inference.estimator import Clock, Estimator
from edgepose.inference.peers import PEERS
from edgepose.inference.person_detector import alignment_points, anchors, region
from edgepose.inference.runners import open_runner
from edgepose.keypoints import BLAZEPOSE_33, COCO_17, IN_MOTION_19, mapping
from edgepose.reporting.document import render_markdown
from edgepose.reporting.sections import build_document

SIZE = (240, 320)  # height and width of the drawn pictures
WHOLE = (0.0, 0.0, 320.0, 240.0)
POINTS = np.array([[130.0, 112.0], [200.0, 112.0], [0.0, 0.0], [0.0, 0.0]])  # the body lies to the right


def told(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`edgepose` in this process."""
    words = list(map(str, arguments))
    with (
        mock.patch.object(sys, "argv", ["edgepose", *words]),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
        pytest.raises(SystemExit) as done,
    ):
        main()
    assert isinstance(done.value.code, int)
    return subprocess.CompletedProcess(words, done.value.code, out.getvalue(), err.getvalue())


def refused(result: subprocess.CompletedProcess[str], *mentions: str, code: int = 1) -> None:
    """One line on stderr that mentions what it must, and the right exit code."""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert result.returncode == code and len(lines) == 1 and lines[0].startswith("error: "), result.stderr
    for mention in mentions:
        assert mention in lines[0], lines[0]


def disc(x: float, y: float, radius: float = 20.0) -> np.ndarray:
    """A white disc on black."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    inside = np.hypot(columns - x, rows - y) <= radius
    return np.repeat((255 * inside).astype(np.uint8)[..., None], 3, -1)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MoveNet, a BlazePose and its detector, of a few operators each."""
    folder = tmp_path_factory.mktemp("files")
    for name, data in (("move", movenet()), ("blaze", landmarks()), ("find", detector(POINTS))):
        write(folder / f"{name}.tflite", data)
    return folder


@pytest.fixture(scope="module")
def models(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, imported; BlazePose with its detector and without."""
    out = tmp_path_factory.mktemp("models")
    for words in (
        ("move.tflite", "--output", "movenet"),
        ("blaze.tflite", "--output", "blazepose", "--detector", files / "find.tflite"),
        ("blaze.tflite", "--output", "blazepose", "--detector", "none"),
    ):
        done = told("import-tflite", files / words[0], *words[1:], "--out", out)
        assert done.returncode == 0, done.stderr
    write(out / "own.tflite", tiny_tflite())
    options = ("--model", "rt-lite", "--keypoints", "in-motion-19", "--output", "maps", "--overwrite")
    assert told("import-tflite", out / "own.tflite", *options, "--out", out / "ours").returncode == 0
    return out


@pytest.fixture(scope="module")
def infants(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames of three videos, with the labels where the disc is; the last video is black."""
    root = tmp_path_factory.mktemp("data") / "discs"
    images, points = (root / "processed" / "test" / name for name in ("images_1024x1024", "points"))
    images.mkdir(parents=True)
    points.mkdir()
    rng = np.random.default_rng(0)
    for i in range(6):
        x, y = rng.uniform(100, 150, 2)
        picture = disc(x, y) if i < 4 else np.zeros((*SIZE, 3), np.uint8)
        Image.fromarray(picture).save(images / f"v{i // 2}_{i:03d}.png")
        rows = np.array([[x, y]] * len(IN_MOTION_19)) / SIZE[::-1]
        rows[0, 1] -= 0.4  # a head of some length
        (points / f"v{i // 2}_{i:03d}.txt").write_text("\n".join(f"{a:.6f} {b:.6f}" for a, b in rows))
    return root


# Keypoints


def test_blazepose_names_the_places_of_the_other_sets() -> None:
    assert mapping(BLAZEPOSE_33, COCO_17).absent == ()
    found = mapping(BLAZEPOSE_33, IN_MOTION_19, near=True)
    assert found.absent == ("head_top", "upper_neck", "upper_chest", "mid_pelvis")
    assert found.near == ("right_pelvis", "left_pelvis")
    assert [BLAZEPOSE_33.index(n) for n in ("left_ear", "left_hip", "right_ankle")] == [7, 23, 28]
    assert sorted(BLAZEPOSE_33.swaps) == list(range(33))


# The rotated square


@pytest.mark.parametrize(("degrees", "up"), [(0, (0, -1)), (90, (1, 0)), (180, (0, 1)), (-90, (-1, 0))])
def test_the_direction_of_the_square_is_up_on_the_canvas(degrees: float, up: tuple[int, int]) -> None:
    square = RotatedSquare((100.0, 80.0), 50.0, degrees, (200, 200), WHOLE)
    ahead = np.array([100.0, 80.0]) + 10 * np.array(up)
    np.testing.assert_allclose(
        square.to_canvas.apply(np.array([[100.0, 80.0], ahead])), [[100, 100], [100, 60]]
    )
    np.testing.assert_allclose(square.to_image.apply(square.to_canvas.apply(ahead)), ahead)


@pytest.mark.parametrize("side", [40.0, 90.0, 230.0])
def test_a_square_is_drawn_where_it_says(side: float) -> None:
    """A slope of grey: every canvas pixel has the value of the place that it maps to."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    image = np.stack([columns * 0.7, rows * 0.9, columns * 0], -1).round().astype(np.uint8)
    square = RotatedSquare((160.0, 120.0), side, 33.0, (60, 60), WHOLE)
    y, x = np.mgrid[:60, :60] + 0.5
    place = square.to_image.apply(np.stack([x, y], -1)) - 0.5
    inside = ((place > 6) & (place < np.array(SIZE[::-1]) - 7)).all(-1)
    drawn = square.draw(image)[..., :2]
    assert inside.mean() > 0.6
    assert np.abs(drawn - place * (0.7, 0.9))[inside].max() < 1.6
    assert np.abs((drawn - place * (0.7, 0.9))[inside].mean(0)).max() < 0.1


def test_beyond_what_may_be_seen_the_edge_goes_on() -> None:
    image = np.zeros((*SIZE, 3), np.uint8)
    image[:, 100:] = 255
    seen = RotatedSquare((90.0, 120.0), 60.0, 0.0, (60, 60), (50.0, 0.0, 100.0, 240.0))
    assert not seen.draw(image).any()  # the white part lies outside the box
    whole = RotatedSquare((315.0, 120.0), 60.0, 0.0, (60, 60), WHOLE)
    assert (whole.draw(image) == 255).all()
    away = RotatedSquare((900.0, 900.0), 60.0, 0.0, (60, 60), (800.0, 800.0, 1000.0, 1000.0))
    assert (away.draw(image) == 255).all()


# Decoding


def test_movenet_gives_y_before_x_as_shares() -> None:
    output = np.zeros((2, 17, 3), np.float32)
    output[1, 3] = 0.25, 0.5, 0.9
    points, confidence = PEERS["movenet"].decode(output.reshape(2, -1), (192, 256))
    np.testing.assert_allclose(points[1, 3], [128.0, 48.0])
    assert points.shape == (2, 17, 2) and confidence[1, 3] == np.float32(0.9)


def blazepose_output(points: np.ndarray, logit: float, maps: np.ndarray | None = None) -> np.ndarray:
    rows = np.zeros((39, 5), np.float32)
    rows[: len(points), :2], rows[:, 3] = points, logit
    return np.concatenate([rows.ravel(), (np.full((64, 64, 39), -9.0) if maps is None else maps).ravel()])[
        None
    ]


def test_blazeposes_visibility_is_a_logit() -> None:
    points = np.random.default_rng(0).uniform(0, 256, (33, 2)).astype(np.float32)
    for logit, share in ((0.0, 0.5), (2.0, 0.8807971), (-800.0, 0.0), (800.0, 1.0)):
        found, confidence = PEERS["blazepose"].decode(blazepose_output(points, logit), (256, 256))
        np.testing.assert_allclose(found[0], points, atol=1e-9)
        np.testing.assert_allclose(confidence[0], share, atol=1e-6)


def test_blazeposes_maps_refine_where_they_are_sure() -> None:
    points, maps = np.full((4, 2), 100.0), np.full((64, 64, 39), -99.0)
    maps[26, 27, 0] = 9.0  # near: cells 25, 25
    maps[26, 27, 1] = -0.1  # not sure
    maps[26, 29, 2] = 9.0  # beyond the three cells that are looked at
    maps[24, 25, 3] = maps[24, 27, 3] = 9.0
    found, _ = PEERS["blazepose"].decode(blazepose_output(points, 0.0, maps), (256, 256))
    np.testing.assert_allclose(found[0, :4], [[108, 104], [100, 100], [100, 100], [104, 96]], atol=1e-6)
    outside = np.array([[-5.0, 100.0], [256.0, 255.9], [3.0, 255.9], [0.0, 0.0]])
    found, _ = PEERS["blazepose"].decode(blazepose_output(outside, 0.0, np.zeros((64, 64, 39))), (256, 256))
    np.testing.assert_allclose(found[0, :2], outside[:2])
    np.testing.assert_allclose(found[0, 2:4], [[6, 246], [6, 6]])  # centroids of what lies inside


# The detector


def test_the_anchors_are_mediapipes() -> None:
    places = anchors()
    assert places.shape == (2254, 2)
    np.testing.assert_array_equal(places[[0, 1, 2, 56]], [[4, 4], [4, 4], [12, 4], [4, 12]])
    np.testing.assert_array_equal(places[[1568, 1960, 1965, 1966]], [[8, 8], [16, 16], [16, 16], [48, 16]])


def detections(*found: tuple[int, float, tuple[float, float], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and logits with some (anchor, logit, middle, points) in canvas pixels, all 40 px wide."""
    boxes, logits = np.zeros((2254, 12), np.float32), np.full(2254, -20.0, np.float32)
    for anchor, logit, middle, points in found:
        at = anchors()[anchor]
        boxes[anchor] = [*(np.array(middle) - at), 40, 40, *(points - at).ravel()]
        logits[anchor] = logit
    return boxes, logits


def test_boxes_of_one_person_are_averaged_by_their_scores() -> None:
    one, other, third = (POINTS + shift for shift in (0, 8, 50))
    near, far = (100.0, 100.0), (180.0, 100.0)
    boxes, logits = detections((ANCHOR, 0.0, near, one), (3, 0.0, near, other), (900, -0.01, far, third))
    found = alignment_points(boxes, logits)
    assert found is not None
    np.testing.assert_allclose(found, POINTS + 4, atol=1e-4)
    assert alignment_points(*detections((5, -0.01, near, one))) is None
    assert alignment_points(boxes, np.full(2254, -1000.0, np.float32)) is None


def test_the_region_is_1_25_times_the_circle_and_turned() -> None:
    square = region(np.array([[100.0, 90.0], [140.0, 90.0], [0, 0], [0, 0]]), (256, 256), WHOLE)
    assert square is not None and (square.centre, square.side) == ((100.0, 90.0), 100.0)
    assert square.degrees == pytest.approx(90.0)
    assert region(np.full((4, 2), 7.0), (256, 256), WHOLE) is None


# Importing


def test_an_unknown_kind_is_told_the_known_ones(files: Path, tmp_path: Path) -> None:
    done = told("import-tflite", files / "move.tflite", "--output", "movnet", "--out", tmp_path / "o")
    refused(done, "did you mean 'movenet'", "maps, upscaled, keypoints, movenet, blazepose", code=2)


@pytest.mark.parametrize(
    ("name", "words", "mentions", "code"),
    [
        (
            "blaze",
            "--output movenet",
            ("blaze.tflite maps float32 (1, 256, 256, 3)", "MoveNet maps uint8"),
            1,
        ),
        ("move", "--output blazepose --detector none", ("move.tflite", "BlazePose maps"), 1),
        ("find", "--output blazepose --detector none", ("find.tflite",), 1),
        ("blaze", "--output blazepose --detector {move}", ("move.tflite", "BlazePose's detector maps"), 1),
        ("blaze", "--output blazepose --detector nowhere.tflite", ("nowhere.tflite does not exist",), 1),
        ("blaze", "--output blazepose", ("needs --detector", "or none"), 2),
        ("move", "--output movenet --detector none", ("--detector has no effect",), 2),
        ("move", "--output movenet --model rt", ("--model has no effect",), 2),
        (
            "move",
            "--output movenet --keypoints coco-17 --output-index 0",
            ("--keypoints, --output-index",),
            2,
        ),
        ("move", "--output maps --model rt --detector none", ("--detector has no effect",), 2),
        ("move", "--output maps", ("needs --model",), 2),
    ],
)
def test_what_is_not_of_the_kind_is_refused(
    files: Path, tmp_path: Path, name: str, words: str, mentions: tuple[str, ...], code: int
) -> None:
    out = tmp_path / "out"
    options = words.format(move=files / "move.tflite").split()
    refused(told("import-tflite", files / f"{name}.tflite", *options, "--out", out), *mentions, code=code)
    assert not list(out.rglob("*.tflite")) and not list(out.rglob("*.json"))


def test_another_detector_of_the_same_name_is_not_overwritten(files: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "find.tflite", detector(POINTS + 1))
    options = ("--output", "blazepose", "--out", tmp_path / "out")
    first = told("import-tflite", files / "blaze.tflite", *options, "--detector", files / "find.tflite")
    assert first.returncode == 0, first.stderr
    again = (*options, "--detector", other, "--overwrite")
    refused(told("import-tflite", files / "blaze.tflite", *again), "another detector", code=2)


def changed(models: Path, into: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A copy of the models, with a change in BlazePose's sidecar; the path of its file."""
    shutil.copytree(models, into)
    path = into / "blaze-detected.json"
    plain = json.loads(path.read_text())
    change(plain["metadata"])
    path.write_text(json.dumps(plain))
    return path.with_suffix(".tflite")


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(detector="find.tflite"),
        lambda m: m.update(detector={"name": "find.tflite"}),
        lambda m: m.update(network="rt"),
        lambda m: m.update(output="movenet"),
        lambda m: m.update(keypoints="coco-17"),
        lambda m: m.update(output=["blazepose"]),
    ],
)
def test_a_sidecar_that_does_not_hold_together_is_refused(
    models: Path, tmp_path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    with pytest.raises(BadModel):
        open_runner(changed(models, tmp_path / "m", change))


def test_a_detector_that_is_gone_or_another_is_refused(models: Path, tmp_path: Path) -> None:
    path = changed(models, tmp_path / "m", lambda m: None)
    found = path.parent / "detectors" / "find.tflite"
    found.write_bytes(found.read_bytes() + b"\0")
    with pytest.raises(BadModel, match=r"find.tflite.* is another file"):
        open_runner(path)
    found.unlink()
    with pytest.raises(BadModel, match=r"find.tflite.* is missing"):
        open_runner(path)


def test_a_detector_lies_beside_the_model_whatever_the_sidecar_says(models: Path, tmp_path: Path) -> None:
    path = changed(models, tmp_path / "m", lambda m: m["detector"].update(name="../../find.tflite"))
    assert open_runner(path).spec.files[0].parent == path.parent / "detectors"


# Running


def test_movenet_takes_pixels_as_they_are(models: Path) -> None:
    runner = open_runner(models / "move.tflite")
    assert runner.spec.network is None and runner.spec.keypoints is COCO_17
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 48] = 200
    clock = Clock()
    estimator = Estimator(runner)
    pose = estimator.pose(estimator.place(image, None, clock), True, clock)
    np.testing.assert_allclose(pose.points_px[5], [48.0, 16.0])
    assert pose.peaks[5] == pytest.approx(200 / 255) and np.isnan(pose.doubles)


@pytest.mark.parametrize("box", [None, (40.0, 20.0, 300.0, 230.0)])
def test_both_stages_find_the_disc_in_the_pixels_of_the_image(
    models: Path, box: tuple[float, float, float, float] | None
) -> None:
    """Whatever the detector says of place and turn: the landmarks are where the disc is."""
    runner, clock = open_runner(models / "blaze-detected.tflite"), Clock()
    estimator = Estimator(runner)
    assert runner.spec.input_size == (256, 256) and len(runner.spec.files) == 2
    placed = estimator.place(disc(170.0, 100.0), box, clock)
    assert isinstance(placed.where, RotatedSquare) and placed.where.degrees == pytest.approx(90)
    pose = estimator.pose(placed, box is None, clock)
    np.testing.assert_allclose(pose.points_px, np.tile([170.0, 100.0], (33, 1)), atol=0.1)
    np.testing.assert_allclose(pose.peaks, 0.8807971, atol=1e-6)
    assert set(clock.seconds) >= {"detection", "letterbox", "inference", "maps"}


def test_where_nobody_is_found_there_is_no_pose(models: Path) -> None:
    clock = Clock()
    estimator = Estimator(open_runner(models / "blaze-detected.tflite"))
    pose = estimator.pose(estimator.place(np.zeros((*SIZE, 3), np.uint8), None, clock), True, clock)
    assert np.isnan(pose.points_px).all() and not pose.peaks.any() and "inference" not in clock.seconds
    alone = Estimator(open_runner(models / "blaze.tflite"))
    assert np.isfinite(alone.pose(alone.place(disc(9, 9), None, clock), True, clock).points_px).all()


def test_another_decoder_has_no_effect_and_is_refused(models: Path) -> None:
    with pytest.raises(UsageError, match="leave --decode out"):
        Estimator(open_runner(models / "move.tflite"), "argmax")


# Scoring, comparing, predicting


@pytest.fixture(scope="module")
def scored(models: Path, infants: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scored")
    paths = [
        *(models / f"{n}.tflite" for n in ("move", "blaze", "blaze-detected")),
        models / "ours/own.tflite",
    ]
    done = told("evaluate", *paths, "--data", infants, "--no-speed", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "its detector finds nobody in 2 images" in done.stdout
    return out


def results(folder: Path, name: str) -> Any:
    return json.loads((folder / name / "results.json").read_text())


def test_nobody_found_counts_as_missed_and_is_said(scored: Path) -> None:
    found = results(scored, "blaze-detected")
    assert found["detector"]["path_name"] == "find.tflite"
    assert found["detector"]["nobody_found"] == ["test/v2_004.png", "test/v2_005.png"]
    assert found["data"]["n_images"] == 6 and not found["data"]["excluded"]
    scores = found["metrics"]["overall"]["scores"]
    assert scores["pckh@0.1"] == pytest.approx(100 * 4 / 6) and scores["me"] is None
    assert found["metrics"]["taxonomy"]["miss"] == pytest.approx(100 * 2 / 6)
    assert results(scored, "blaze")["detector"] is None


def test_both_stages_bytes_are_counted(scored: Path, files: Path) -> None:
    own, find = ((files / f"{n}.tflite").stat().st_size for n in ("blaze", "find"))
    both = results(scored, "blaze-detected")["model"]
    assert both["size_bytes"] == own + find and both["network"] is None
    assert both["network_name"] == "BlazePose"
    assert both["deflated_bytes"] > results(scored, "blaze")["model"]["deflated_bytes"]
    assert results(scored, "blaze")["model"]["size_bytes"] == own


def test_both_stages_are_timed(models: Path) -> None:
    from edgepose.evaluation.speed import _steps

    frame = np.zeros((*SIZE, 3), np.uint8)
    runner = open_runner(models / "blaze-detected.tflite")
    calls: list[str] = []
    for stage, other in (("detector", runner.detector), ("landmarks", runner)):
        assert other is not None
        run = other.run
        other.run = lambda x, run=run, stage=stage: (calls.append(stage), run(x))[1]  # type: ignore
    steps = _steps(runner, "blazepose", frame)
    calls.clear()
    steps.infer()
    assert calls == ["detector", "landmarks"]
    steps.prepare()
    steps.decode()


def test_the_same_landmarks_behind_a_detector_are_another_job(
    models: Path, infants: Path, tmp_path: Path
) -> None:
    score = ("--data", infants, "--no-speed", "--out", tmp_path / "runs")
    assert told("evaluate", models / "blaze-detected.tflite", *score).returncode == 0
    alone = tmp_path / "blaze-detected.tflite"
    shutil.copy(models / "blaze.tflite", alone)
    shutil.copy(models / "blaze.json", alone.with_suffix(".json"))
    refused(told("evaluate", alone, *score), "detector", "--overwrite", code=2)


def test_networks_of_different_keypoints_are_compared_on_common_ones(scored: Path, tmp_path: Path) -> None:
    refused(told("compare", scored, "--out", tmp_path / "r"), "scored_keypoints", "--common")
    entries = read_entries([scored], common=True)
    compared = compare(entries, "T", "0", "none", "own")
    write_json(tmp_path / "compare.json", to_plain(compared))
    assert read_comparison(tmp_path / "compare.json") == compared
    kept = {r.data.scored_keypoints for r in compared.results}
    assert len(kept) == 1 and len(next(iter(kept))) == 13
    before = {n: results(scored, n)["metrics"] for n in ("move", "own")}
    after = {r.name: to_plain(r.metrics) for r in compared.results}
    assert after["move"] == before["move"]  # it has no others
    nose = before["own"]["per_keypoint"]["nose"]
    assert (
        after["own"]["per_keypoint"]["nose"] == nose and after["own"]["overall"] != before["own"]["overall"]
    )
    report = render_markdown(build_document(compared, []))
    assert "finds nobody in 2 of 6 images" in report and "Not scored, as some model has no such" in report
    again = told("compare", tmp_path / "compare.json", "--common", "--out", tmp_path / "s")
    assert again.returncode == 2 and "--common" in again.stderr


@pytest.mark.parametrize("crop", ["none", "auto"])
def test_predict_leaves_a_frame_empty_in_which_nobody_is_found(
    models: Path, tmp_path: Path, crop: str
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(disc(170.0, 100.0)).save(photos / "a.png")
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(photos / "b.png")
    options = ("--model", models / "blaze-detected.tflite", "--crop", crop, "--overlay", "--format", "coco")
    done = told("predict", photos, *options, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "detector finds nobody in 1 frame" in done.stdout
    summary = json.loads((tmp_path / "out/photos.json").read_text())
    assert summary["frames"]["nobody_found"] == 1 and summary["model"]["detector"] == "find.tflite"
    one, none = json.loads((tmp_path / "out/photos.coco.json").read_text())["annotations"]
    assert one["num_keypoints"] == 33 and one["keypoints"][:2] == pytest.approx([169.5, 99.5], abs=0.2)
    assert none["num_keypoints"] == 0 and none["keypoints_raw"] == [None] * 66 and none["score"] == 0


def test_a_peer_goes_into_no_bundle_and_is_no_network_of_ours(
    models: Path, scored: Path, tmp_path: Path
) -> None:
    from edgepose.training.teacher import open_teacher

    bundled = ("bundle", models / "move.tflite", "--report", scored, "--out", tmp_path / "app.zip")
    refused(told(*bundled), "movenet", "edgepose export", code=2)
    with pytest.raises(UsageError, match="is of network movenet, not rt"):
        open_teacher(models / "move.tflite", "rt")


# The real ones


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, out = shared / "reference" / "peers", tmp_path_factory.mktemp("real")
    if not source.is_dir():
        pytest.skip("the peers' files (../shared/reference/peers) are not beside this checkout")
    found = ("--detector", source / "pose_detection.tflite")
    for name, words in (
        ("movenet_singlepose_lightning_int8_4", ("--output", "movenet")),
        ("pose_landmark_lite", ("--output", "blazepose", *found)),
    ):
        done = told("import-tflite", source / f"{name}.tflite", *words, "--out", out)
        assert done.returncode == 0, done.stderr
    return out


def photographs(shared: Path, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images and labels (17, 2) of infants on their back, who lie head up as photographed."""
    folder = shared / "data" / "syrip"
    path = folder / "annotations" / "person_keypoints_val.json"
    if not path.is_file():
        pytest.skip("SyRIP (../shared/data/syrip) is not beside this checkout")
    plain = json.loads(path.read_text())
    names = {i["id"]: i["file_name"] for i in plain["images"] if i["posture"] == "Supine"}
    found = []
    for annotation in plain["annotations"]:
        points = np.array(annotation["keypoints"], float).reshape(17, 3)
        (x, y) = points[0, :2] - points[[11, 12], :2].mean(0)
        if annotation["image_id"] in names and (points[:, 2] > 0).all() and -y > 2 * abs(x):
            file = folder / "images" / "val" / names[annotation["image_id"]]
            found.append((np.asarray(Image.open(file).convert("RGB")), points[:, :2] + 0.5))
    return found[:count]


@pytest.mark.parametrize("name", ["movenet_singlepose_lightning_int8_4", "pose_landmark_lite-detected"])
def test_the_real_peers_find_real_infants(shared: Path, real: Path, name: str) -> None:
    """Half of the limbs within a fifth of the trunk's length; their measured share is 80 % and more."""
    estimator, clock = Estimator(open_runner(real / f"{name}.tflite")), Clock()
    pairs = mapping(estimator.spec.keypoints, COCO_17).pairs
    limbs = [
        (s, t) for s, t in pairs if COCO_17.names[t].endswith(("shoulder", "elbow", "wrist", "knee", "ankle"))
    ]
    errors = []
    for image, labels in photographs(shared, 4):
        pose = estimator.pose(estimator.place(image, person_box(labels, 0.2), clock), False, clock)
        trunk = np.hypot(*(labels[[5, 6]].mean(0) - labels[[11, 12]].mean(0)))
        errors += [np.hypot(*(pose.points_px[s] - labels[t])) / trunk for s, t in limbs]
    assert np.quantile(errors, 0.5) < 0.2


def test_the_real_detector_finds_the_turn(shared: Path, real: Path) -> None:
    """The same photograph upside down: the same body."""
    estimator, clock = Estimator(open_runner(real / "pose_landmark_lite-detected.tflite")), Clock()
    image, labels = photographs(shared, 1)[0]
    height, width = image.shape[:2]
    one, other = (
        estimator.pose(estimator.place(np.ascontiguousarray(each), None, clock), True, clock)
        for each in (image, image[::-1, ::-1])
    )
    trunk = np.hypot(*(labels[[5, 6]].mean(0) - labels[[11, 12]].mean(0)))
    apart = np.hypot(*(np.array([width, height]) - other.points_px - one.points_px).T) / trunk
    assert np.median(apart) < 0.1
    blank = estimator.place(np.full((*SIZE, 3), 128, np.uint8), None, clock)
    assert blank.where is None


def test_a_letterbox_and_a_square_agree_where_both_show_the_whole() -> None:
    """A square about the middle, as wide as a square image, is the letterbox of it."""
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    square = RotatedSquare((32.0, 32.0), 64.0, 0.0, (64, 64), (0.0, 0.0, 64.0, 64.0))
    np.testing.assert_array_equal(square.draw(image), letterbox((64, 64), (64, 64)).draw(image))
