"""Upscaling and in-graph peaks against NumPy, in Keras and in TFLite."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from edgeio import UnknownName
from edgepose.upsampling import upsampling_matrix

CELLS, STEPS, K = (6, 9), 3, 4  # height and width differ, so that a swap of x and y shows
SIZE = (CELLS[0] * 2**STEPS, CELLS[1] * 2**STEPS)


def _smooth_maps(count, cells=CELLS, keypoints=K, seed=0):
    noise = np.random.default_rng(seed).normal(size=(count, *cells, keypoints))
    return gaussian_filter(noise, (0, 1.0, 1.0, 0)).astype(np.float32)


def _upscaled(maps):
    """(B, h, w, K) -> (B, H, W, K) by the matrix."""
    planes = np.moveaxis(maps, 3, 1)
    rows, columns = (upsampling_matrix(n, STEPS) for n in maps.shape[1:3])
    return np.moveaxis(rows @ planes @ columns.T, 1, 3)


def _argmax(upscaled):
    """(B, H, W, K) -> (B, K, 3) x, y, value: NumPy's argmax, at pixel centres."""
    planes = np.moveaxis(upscaled, 3, 1)
    flat = planes.reshape(*planes.shape[:2], -1)
    y, x = np.divmod(flat.argmax(2), planes.shape[3])
    return np.stack([x + 0.5, y + 0.5, flat.max(2)], 2)


def _maps_model(namespace, cells=CELLS, steps=STEPS, keypoints=K):
    """A substitute for a network, whose maps are its input's every 2**steps-th pixel."""
    images = namespace.Input((cells[0] << steps, cells[1] << steps, keypoints), name="images")
    maps = namespace.layers.MaxPooling2D(1, strides=2**steps, name="maps")(images)
    return namespace.Model(images, maps, name="substitute")


def _spread(maps, steps=STEPS):
    images = np.zeros(
        (maps.shape[0], maps.shape[1] << steps, maps.shape[2] << steps, maps.shape[3]), np.float32
    )
    images[:, :: 2**steps, :: 2**steps] = maps
    return images


@pytest.fixture(params=["keras", "tf_keras"])
def namespace(request):
    from edgepose import frameworks

    return getattr(frameworks, request.param)()


def test_upscaling_layers_are_the_matrix(namespace):
    from edgepose.models.outputs import with_output

    maps = _smooth_maps(3)
    model = with_output(_maps_model(namespace), "upscaled", namespace)
    assert model.output_shape == (None, *SIZE, K)
    np.testing.assert_allclose(model(_spread(maps), training=False), _upscaled(maps), atol=1e-6)


def test_keypoints_are_the_upscaled_maps_peaks(namespace):
    from edgepose.models.outputs import with_output

    maps = _smooth_maps(200)
    model = with_output(_maps_model(namespace), "keypoints", namespace)
    assert model.output_shape == (None, K, 3)
    found = np.asarray(model(_spread(maps), training=False))
    expected = _argmax(_upscaled(maps))
    np.testing.assert_array_equal(found[..., :2], expected[..., :2])
    np.testing.assert_allclose(found[..., 2], expected[..., 2], atol=1e-6)
    layers = _argmax(np.asarray(with_output(_maps_model(namespace), "upscaled", namespace)(_spread(maps))))
    np.testing.assert_array_equal(found[..., :2], layers[..., :2])


def test_peaks_at_corners_and_ties(namespace):
    from edgepose.models.outputs import with_output

    maps = np.zeros((1, *CELLS, K), np.float32)
    maps[0, 0, 0, 0] = maps[0, -1, -1, 1] = 1.0
    maps[0, 1, 7, 2] = maps[0, 4, 2, 2] = 1.0  # equal peaks: neither (x of one, y of the other)
    # Map 3 stays flat: everything ties, and the first pixel wins, as in NumPy.
    model = with_output(_maps_model(namespace), "keypoints", namespace)
    found = np.asarray(model(_spread(maps), training=False))
    np.testing.assert_allclose(found, _argmax(_upscaled(maps)))
    assert found[0, 2, 1] < SIZE[0] / 2 < found[0, 2, 0] + SIZE[0] / 2
    np.testing.assert_allclose(found[0, 3], [0.5, 0.5, 0.0])


def test_unknown_output(namespace):
    from edgepose.models.outputs import with_output

    with pytest.raises(UnknownName, match="known: training, maps, upscaled, keypoints"):
        with_output(_maps_model(namespace), "heatmap", namespace)


@pytest.mark.parametrize("recipe", ["fp32", "fp16", "dynamic"])
def test_keypoints_are_exact_in_tflite(recipe, tmp_path):
    """The large matrices must survive every float recipe: `dynamic` would round a fully connected layer."""
    from edgepose.frameworks import keras
    from edgepose.models.outputs import with_output
    from export.convert import convert
    from export.inspect import inspect
    from export.recipe import RECIPES
    from export.runtime import Session

    # As large as a real network's: the converter rounds constants of 1024 elements and more only.
    cells, keypoints = (28, 28), 3
    maps = _smooth_maps(40, cells, keypoints)
    model = with_output(_maps_model(keras(), cells, STEPS, keypoints), "keypoints")
    path = tmp_path / "peaks.tflite"
    convert(model, RECIPES[recipe], path, (), None, {})
    session = Session(path)
    found = np.concatenate([session.run_float(_spread(one[None]))[0] for one in maps])
    expected = _argmax(_upscaled(maps))
    np.testing.assert_array_equal(found[..., :2], expected[..., :2])
    np.testing.assert_allclose(found[..., 2], expected[..., 2], atol=1e-6)
    ops = inspect(path).ops
    assert "FULLY_CONNECTED" not in ops and "TRANSPOSE_CONV" not in ops
    assert not any(name.startswith("Flex") for name in ops)
