"""One way from image to pose: the same figures in any batch and on any Keras backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgepose.codec import Codec
from edgepose.errors import BadModel, UsageError
from edgepose.geometry import letterbox
from edgepose.inference.decode import IN_GRAPH, PoseDecoder, output_decoder
from edgepose.inference.keras_runner import BATCH, KerasRunner
from edgepose.keypoints import IN_MOTION_19
from edgepose.models.pretrained import checkpoint_path

K = len(IN_MOTION_19)


@pytest.fixture(scope="module")
def runner() -> KerasRunner:
    return KerasRunner(Path(checkpoint_path("default:rt-lite")))


def test_a_stream_gives_what_one_at_a_time_does(runner: KerasRunner) -> None:
    """More than a batch, and not a multiple of one."""
    inputs = (
        np.random.default_rng(0).normal(size=(BATCH + 3, 1, *runner.spec.input_size, 3)).astype(np.float32)
    )
    streamed = list(runner.stream(iter(inputs)))
    assert len(streamed) == len(inputs) and streamed[0].shape == (1, *runner.spec.output_shape)
    for each, output in zip(inputs, streamed, strict=True):
        np.testing.assert_allclose(output, runner.run(each), atol=2e-6)


def test_an_output_does_not_depend_on_the_rest_of_its_batch(runner: KerasRunner) -> None:
    """So an interrupted run that resumes elsewhere in the data ends with the same bits."""
    inputs = np.random.default_rng(1).normal(size=(BATCH, *runner.spec.input_size, 3)).astype(np.float32)
    np.testing.assert_array_equal(runner.run_filled(inputs[:2]), runner.run_filled(inputs)[:2])


def test_keypoints_come_back_in_the_pixels_of_the_image(runner: KerasRunner) -> None:
    decoder, placed = PoseDecoder(runner.spec), letterbox((300, 500), runner.spec.input_size)
    points = np.random.default_rng(2).uniform(60, 240, (K, 2))
    size = runner.spec.output_shape
    maps = Codec(runner.spec.input_size, size[:2]).encode(placed.to_canvas.apply(points)[None])[0]
    found, confidence = decoder.in_image(maps, placed)
    assert np.abs(found - points).max() < 0.1 and confidence.shape == (K,)


def test_an_output_that_is_no_number_names_model_and_image(runner: KerasRunner) -> None:
    maps = np.zeros((1, *runner.spec.output_shape), np.float32)
    maps[0, 3, 4, 5] = np.nan
    with pytest.raises(BadModel, match=r"rt-lite.safetensors gives NaN or infinity on frame.png"):
        PoseDecoder(runner.spec).in_image(maps, letterbox((300, 500), runner.spec.input_size), "frame.png")


def test_what_the_graph_decoded_is_taken_as_it_is() -> None:
    outputs = np.arange(2 * 5 * 3, dtype=np.float32).reshape(2, 5, 3)
    points, confidence = output_decoder((224, 224), (5, 3), IN_GRAPH)(outputs)
    np.testing.assert_array_equal(points, outputs[..., :2])
    np.testing.assert_array_equal(confidence, outputs[..., 2])


def test_maps_are_not_decoded_in_the_graph(runner: KerasRunner) -> None:
    from edgeio import UnknownName

    with pytest.raises(UnknownName, match="decoder"):
        PoseDecoder(runner.spec, IN_GRAPH)
    assert issubclass(UnknownName, Exception) and issubclass(UsageError, Exception)


@pytest.mark.long
def test_jax_gives_the_figures_of_tensorflow(tmp_path: Path) -> None:
    """`evaluate` and `predict` of the same weights, in processes of their own: a backend is for life."""
    edgepose = [sys.executable, "-m", "edgepose"]
    data, pictures = tmp_path / "infants", tmp_path / "pictures"
    drawn = ["data", "synth", "--out", data, "--videos", "3", "--frames", "2", "--size", "160x120"]
    subprocess.run([*edgepose, *map(str, drawn)], check=True, capture_output=True)
    pictures.mkdir()
    for picture in sorted(data.glob("processed/*/images_*/*.jpg"))[:2]:
        (pictures / picture.name).write_bytes(picture.read_bytes())
    scores, poses = [], []
    model = checkpoint_path("default:rt-lite")
    for backend in ("tensorflow", "jax"):
        out = tmp_path / backend
        commands = [
            ["evaluate", model, "--data", data, "--split", "all", "--no-speed", "--out", out],
            ["predict", pictures, "--model", model, "--out", out / "poses"],
        ]
        for words in commands:
            environment = os.environ | {"KERAS_BACKEND": backend}
            done = subprocess.run(
                [*edgepose, *map(str, words)], env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        found = json.loads((out / "rt-lite/results.json").read_text(encoding="utf-8"))
        assert found["runtime"]["name"] == f"keras on {backend}"
        scores.append(found["metrics"]["overall"]["scores"])
        table = (out / "poses/pictures.csv").read_text(encoding="utf-8").splitlines()
        x = table[0].split(",").index("x_raw")
        poses.append([[float(value) for value in row.split(",")[x : x + 2]] for row in table[1:]])
    assert scores[0].keys() == scores[1].keys() and len(poses[0]) == 2 * K
    for name, value in scores[0].items():
        assert scores[1][name] == pytest.approx(value, abs=1e-4), name
    np.testing.assert_allclose(poses[0], poses[1], atol=1e-2)  # px of a 160 px picture
