"""From image files to results.json, with a model that finds painted dots: every pixel step is in the loop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_up_models import maps_spec
from PIL import Image

from edgeio.jobs import OtherJob
from edgepose.codec import Codec
from edgepose.errors import BadDataset, BadImage, BadModel
from edgepose.evaluation import evaluate as module
from edgepose.evaluation.evaluate import evaluate
from edgepose.evaluation.speed import SpeedMeasurement
from edgepose.evaluation.subject import Request
from edgepose.inference import predictor as predict_module
from edgepose.keypoints import IN_MOTION_19
from edgepose.results.predictions import load_predictions
from edgepose.results.results import read_results

K = len(IN_MOTION_19)
# One channel full in each, so that a dot's edge, mixed with black, never looks like another dot.
COLOURS = np.array([np.roll([250, 80 * (k // 3 % 3), 80 * (k // 9)], k % 3) for k in range(K)])
SIZES = [(300, 400), (400, 300), (256, 256), (640, 480), (333, 501), (500, 230)]


class DotFinder:
    """Puts each keypoint's peak at the centre of the dot of its colour."""

    detector = None

    def __init__(self, path: Path, threads: int = 1, counted: bool = False) -> None:
        self.calls = 0
        self.spec = maps_spec(path, "fp32", "dots")

    def run(self, inputs: np.ndarray) -> np.ndarray:
        self.calls += 1
        canvas = (inputs[0] - self.spec.normalisation.offset) / self.spec.normalisation.scale
        points = np.zeros((1, K, 2))
        for k, colour in enumerate(COLOURS):
            rows, columns = np.nonzero(np.abs(canvas - colour).max(-1) < 16)
            points[0, k] = columns.mean() + 0.5, rows.mean() + 0.5
        return Codec((224, 224), (28, 28)).encode(points)[0]


def write_infants(root: Path, seed: int = 0) -> None:
    """Six frames of three videos in In-Motion's processed layout, with a dot at every keypoint."""
    rng = np.random.default_rng(seed)
    images, points = root / "processed/test/images_1024x1024", root / "processed/test/points"
    images.mkdir(parents=True)
    points.mkdir()
    for number, (height, width) in enumerate(SIZES):
        cells = rng.permutation(25)[:K]
        side = min(height, width) / 5.5
        xy = np.stack([cells % 5, cells // 5], -1) * side + side * 0.75 + rng.uniform(-3, 3, (K, 2))
        pixels = np.zeros((height, width, 3), np.uint8)
        ys, xs = np.mgrid[:height, :width] + 0.5
        for k in range(K):
            pixels[np.hypot(xs - xy[k, 0], ys - xy[k, 1]) < 0.36 * side] = COLOURS[k]
        name = f"video{number // 2}_{number:03d}"
        Image.fromarray(pixels).save(images / f"{name}.png")
        lines = "\n".join(f"{x / width:.8f} {y / height:.8f}" for x, y in xy)
        (points / f"{name}.txt").write_text(lines)


@pytest.fixture
def infants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_infants(tmp_path / "infants")
    monkeypatch.setattr(module, "open_runner", DotFinder)
    return tmp_path / "infants"


def request(data: Path, **changes) -> Request:
    return Request(**{"data": f"in-motion:{data}", "speed": False, **changes})


@pytest.mark.parametrize("crop", ["none", "person"])
@pytest.mark.parametrize("decode", ["taylor", "soft-argmax", "upsampled-argmax"])
def test_a_perfect_model_scores_perfectly(infants, tmp_path, crop, decode):
    """Half a pixel of the network's input is what is left of all roundings, whatever the image's size."""
    results, path = evaluate(
        tmp_path / "dots.tflite", request(infants, crop=crop, decode=decode), tmp_path / "out"
    )
    predictions = load_predictions(path, read_results(path))
    scale = np.array([max(SIZES[int(i[-7:-4])]) for i in predictions.ids]) / 224
    error = np.linalg.norm(predictions.predicted_px - predictions.annotated_px, axis=-1) / scale[:, None]
    limit = 0.6 if decode != "upsampled-argmax" else 1.6
    assert error.max() < limit
    assert np.abs((predictions.predicted_px - predictions.annotated_px).mean((0, 1))).max() < 0.35, "a bias"
    scores = results.metrics.overall.scores
    assert scores["pckh@0.1"] == 100 and scores["me"] < 0.02 and scores["pckh@human"] == 100
    assert (results.data.n_images, results.data.n_videos, results.data.n_keypoints) == (6, 3, 6 * K)


def test_results_say_what_they_depend_on(infants, tmp_path):
    results, path = evaluate(tmp_path / "dots.tflite", request(infants), tmp_path / "out")
    assert path == tmp_path / "out/dots/results.json" and read_results(path) == results
    assert results.name == "dots" and results.decode == "taylor" and results.data.split == "test"
    assert not (path.parent / ".parts").exists()
    renamed, _ = evaluate(tmp_path / "dots.tflite", request(infants, decode="argmax"), tmp_path / "out")
    assert renamed.name == "dots-argmax" and renamed.data.sha256 == results.data.sha256
    next((infants / "processed/test/points").glob("*.txt")).write_text("0.5 0.5\n" * K)
    other, _ = evaluate(tmp_path / "dots.tflite", request(infants), tmp_path / "elsewhere")
    assert other.data.sha256 != results.data.sha256


def test_bad_frames_are_listed_and_the_rest_is_scored(infants, tmp_path):
    images = sorted((infants / "processed/test/images_1024x1024").iterdir())
    images[0].write_bytes(images[0].read_bytes()[:200])
    images[1].write_bytes(b"no image")
    results, _ = evaluate(tmp_path / "dots.tflite", request(infants), tmp_path / "out")
    assert results.data.n_images == 4
    assert {e.id for e in results.data.excluded} == {f"test/{images[0].name}", f"test/{images[1].stem}"}
    assert all(str(tmp_path) not in e.reason for e in results.data.excluded), "results travel"
    with pytest.raises((BadImage, BadDataset), match=images[1].stem):
        evaluate(tmp_path / "dots.tflite", request(infants, strict=True), tmp_path / "strict")
    for image in images:
        image.write_bytes(b"no image")
    with pytest.raises(BadDataset, match="no usable image"):
        evaluate(tmp_path / "dots.tflite", request(infants), tmp_path / "none")


def test_a_killed_run_resumes_and_ends_the_same(infants, tmp_path, monkeypatch):
    monkeypatch.setattr(predict_module, "PART", 2)
    whole, _ = evaluate(tmp_path / "dots.tflite", request(infants), tmp_path / "whole")
    runner = DotFinder(tmp_path / "dots.tflite")
    monkeypatch.setattr(module, "open_runner", lambda path, threads, counted: runner)
    original = runner.run

    def killed_at_the_fourth(inputs):
        if runner.calls == 3:
            raise KeyboardInterrupt
        return original(inputs)

    runner.run = killed_at_the_fourth
    with pytest.raises(KeyboardInterrupt):
        evaluate(tmp_path / "dots.tflite", request(infants), tmp_path / "out")
    assert not (tmp_path / "out/dots/results.json").exists()
    runner.run, runner.calls = original, 0
    resumed, path = evaluate(tmp_path / "dots.tflite", request(infants), tmp_path / "out")
    assert runner.calls == 4, "the first part was not kept"
    assert resumed.metrics == whole.metrics
    evaluate(tmp_path / "dots.tflite", request(infants), tmp_path / "out")
    assert runner.calls == 4, "a finished run was run again"
    with pytest.raises(OtherJob, match=r"crop: was 'none', now 'person'; .*--overwrite"):
        evaluate(tmp_path / "dots.tflite", request(infants, crop="person"), tmp_path / "out")
    evaluate(tmp_path / "dots.tflite", request(infants, crop="person"), tmp_path / "out", overwrite=True)
    assert json.loads(path.read_text())["data"]["crop"] == "person"


def test_speed_alone_can_be_measured_again(infants, tmp_path, monkeypatch):
    first, path = evaluate(tmp_path / "dots.tflite", request(infants), tmp_path / "out")
    cost = SpeedMeasurement(2.0, 3.0, 0.5, 0.25, 1000, 30, 5, 1, "a quiet one")
    monkeypatch.setattr(module, "measure", lambda model, decode, threads, flip: cost)
    again, _ = evaluate(tmp_path / "dots.tflite", request(infants), tmp_path / "out", retime=True)
    assert again.speed.latency_ms.median == 2.0 and again == read_results(path)
    assert (again.metrics, again.created) == (first.metrics, first.created)


def test_a_damaged_part_is_made_again(infants, tmp_path, monkeypatch):
    monkeypatch.setattr(predict_module, "discard_parts", lambda folder: None)
    monkeypatch.setattr(module, "discard_parts", lambda folder: None)
    first, path = evaluate(tmp_path / "dots.tflite", request(infants), tmp_path / "out")
    path.unlink()
    next((path.parent / ".parts").glob("part-*.npz")).write_bytes(b"half")
    again, _ = evaluate(tmp_path / "dots.tflite", request(infants), tmp_path / "out")
    assert again.metrics == first.metrics


def test_a_model_that_gives_nan_is_refused(infants, tmp_path, monkeypatch):
    monkeypatch.setattr(DotFinder, "run", lambda self, x: np.full((1, 28, 28, K), np.nan, np.float32))
    with pytest.raises(BadModel, match="gives NaN"):
        evaluate(tmp_path / "dots.tflite", request(infants), tmp_path / "out")


def test_wrong_usage(infants, tmp_path):
    for changes, error in [
        ({"split": "tset"}, "known: train, val, test, all"),
        ({"crop": "box"}, "none, person"),
    ]:
        with pytest.raises(Exception, match=error) as caught:
            evaluate(tmp_path / "dots.tflite", request(infants, **changes), tmp_path / "out")
        assert caught.value.exit_code == 2
    with pytest.raises(BadDataset, match="no image in split 'val'"):
        evaluate(tmp_path / "dots.tflite", request(infants, split="val"), tmp_path / "out")


def test_columns_of_the_data_set_reach_the_predictions_and_the_job(infants, tmp_path):
    (infants / "videos.csv").write_text("video,setup,fps\nvideo0,home,25\nvideo2,clinic,\n")
    out = tmp_path / "out"
    results, path = evaluate(tmp_path / "dots.tflite", request(infants), out)
    columns = load_predictions(path, results).columns
    assert columns["setup"].tolist() == ["home", "home", "", "", "clinic", "clinic"]
    assert columns["fps"].tolist() == ["25", "25", "", "", "", ""]
    (infants / "videos.csv").write_text("video,setup\nvideo0,ward\n")
    with pytest.raises(OtherJob, match="columns: was"):  # and not the old columns in silence
        evaluate(tmp_path / "dots.tflite", request(infants), out)
