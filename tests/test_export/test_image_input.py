"""Models of others: what they take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_tflite import tiny_tflite

from edgepose.deploy.export import import_tflite
from edgepose.errors import BadModel
from edgepose.inference.tflite import TFLiteRunner
from edgepose.keypoints import IN_MOTION_19
from export.errors import ExportError
from export.inspect import inspect
from export.sidecar import read_sidecar


def imported(folder: Path, data: bytes, size: tuple[int, int] | None = None) -> Path:
    source = folder / "theirs.tflite"
    source.write_bytes(data)
    return import_tflite(source, "rt-lite", IN_MOTION_19.key, "maps", -1, folder / "in", True, size)


def test_a_model_of_no_fixed_size_gets_one(tmp_path: Path) -> None:
    """It saw one pixel, whatever it was given."""
    with pytest.raises(ExportError, match=r"no fixed height and width \(1 x \? x \? x 3\); give its size"):
        imported(tmp_path, tiny_tflite(is_open=True))
    path = imported(tmp_path, tiny_tflite(is_open=True), (64, 64))
    info = inspect(path)
    assert info.inputs[0].shape == (1, 64, 64, 3) and info.outputs[0].shape == (1, 8, 8, 19)
    assert not info.inputs[0].dynamic and read_sidecar(path).input.shape == (1, 64, 64, 3)
    runner = TFLiteRunner(path)
    assert runner.spec.input_size == (64, 64) and runner.spec.output_shape == (8, 8, 19)
    image = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    fixed = TFLiteRunner(imported(tmp_path / "in", tiny_tflite(size=64)))
    np.testing.assert_allclose(runner.run(image), fixed.run(image), atol=1e-5)


def test_a_fixed_size_is_not_changed(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="takes 64 x 64 pixels only"):
        imported(tmp_path, tiny_tflite(), (96, 96))
    path = imported(tmp_path, tiny_tflite(), (64, 64))
    assert path.read_bytes() == tiny_tflite()


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ((1, 3, 64, 64), r"channels first \(1 x 3 x 64 x 64\); convert it to height, width, channels"),
        ((1, 64, 64, 1), "no image of three colours"),
        ((4, 64, 64, 3), "takes 4 images at a time"),
        ((64, 64, 3), "give a model of one image"),
    ],
)
def test_what_is_no_image_is_refused_at_import(tmp_path: Path, image: tuple[int, ...], says: str) -> None:
    with pytest.raises(ExportError, match=says):
        imported(tmp_path, tiny_tflite(image=image))
    assert not (tmp_path / "in").exists()


def test_an_open_size_is_refused_where_it_is_run(tmp_path: Path) -> None:
    path = imported(tmp_path, tiny_tflite())
    path.write_bytes(tiny_tflite(is_open=True))
    with pytest.raises(BadModel, match="no fixed height and width"):
        TFLiteRunner(path)
