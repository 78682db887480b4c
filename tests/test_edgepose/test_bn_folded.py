"""Weights out of a .tflite: batch normalisations that were folded away come back; nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgepose.errors import BadCheckpoint, UsageError
from edgepose.frameworks import keras
from edgepose.models.bn_folded import read_folded_layers, restore_norms, with_plain_norms
from export.errors import ExportError

SIZE = 16


def small() -> Any:
    """Two convolutions with a normalisation each, and one with a bias of its own."""
    layers = keras().layers
    images = keras().Input((SIZE, SIZE, 3))
    x = layers.Conv2D(4, 3, use_bias=False, name="first")(images)
    x = layers.ReLU()(layers.BatchNormalization(name="first_bn")(x))
    x = layers.DepthwiseConv2D(3, use_bias=False, name="second")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="second_bn")(x))
    return keras().Model(images, layers.Conv2D(2, 1, name="maps")(x))


def folded() -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    return {
        "first": {"kernel": drawn(3, 3, 3, 4), "bias": drawn(4)},
        "second": {"kernel": drawn(3, 3, 4, 1), "bias": drawn(4)},
        "maps": {"kernel": drawn(1, 1, 4, 2), "bias": drawn(2)},
    }


def loaded(layers: dict[str, dict[str, np.ndarray]]) -> Any:
    model = small()
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([layers[layer.name][weight.name] for weight in layer.weights])
    return model


def images(count: int = 6) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(2.0, 3.0, (1, SIZE, SIZE, 3)).astype(np.float32) for _ in range(count)]


def reference(layers: dict[str, dict[str, np.ndarray]], x: np.ndarray) -> np.ndarray:
    """The folded network by its definition, without any normalisation."""
    ops = keras().ops
    x = ops.relu(ops.conv(x, layers["first"]["kernel"]) + layers["first"]["bias"])
    x = ops.relu(ops.depthwise_conv(x, layers["second"]["kernel"]) + layers["second"]["bias"])
    return np.asarray(ops.conv(x, layers["maps"]["kernel"]) + layers["maps"]["bias"])


def test_normalisations_come_back_and_the_maps_stay() -> None:
    model, x = loaded(with_plain_norms(folded(), small(), str)), np.concatenate(images())
    expected = reference(folded(), x)
    np.testing.assert_allclose(model(x, training=False), expected, rtol=1e-4, atol=1e-4)
    restore_norms(model, images())
    np.testing.assert_allclose(model(x, training=False), expected, rtol=1e-4, atol=1e-4)
    # Of these very images the batch's own spread is the one restored: training now computes the same.
    np.testing.assert_allclose(model(x, training=True), expected, rtol=1e-3, atol=1e-3)


def test_without_images_training_would_not_compute_the_same() -> None:
    x = np.concatenate(images())
    model = loaded(with_plain_norms(folded(), small(), str))
    assert np.abs(model(x, training=True) - reference(folded(), x)).max() > 0.5


def test_a_missing_bias_is_named() -> None:
    layers = folded()
    del layers["second"]["bias"]
    with pytest.raises(BadCheckpoint, match="bias of second"):
        with_plain_norms(layers, small(), str)


def test_a_tflite_needs_images_and_must_be_whole(tmp_path: Path) -> None:
    from edgepose.models.author_weights import import_weights

    file = tmp_path / "a.tflite"
    file.write_bytes(b"\x00" * 64)
    with pytest.raises(UsageError, match="give --data"):
        import_weights(file, "ii", tmp_path / "a.safetensors")
    with pytest.raises(ExportError, match=r"a\.tflite"):
        import_weights(file, "ii", tmp_path / "a.safetensors", images=images())
    assert not (tmp_path / "a.safetensors").exists()


def test_another_network_is_named(shared: Path, tmp_path: Path) -> None:
    from edgepose.models.author_weights import import_weights

    file = shared / "reference" / "efficientpose" / "EfficientPoseI.tflite"
    with pytest.raises(BadCheckpoint, match="use --model i"):
        import_weights(file, "ii", tmp_path / "a.safetensors", images=images())


def test_a_damaged_one_is_refused(shared: Path, tmp_path: Path) -> None:
    whole = (shared / "reference" / "efficientpose" / "EfficientPoseII.tflite").read_bytes()
    (tmp_path / "cut.tflite").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ExportError, match=r"cut\.tflite is damaged"):
        read_folded_layers(tmp_path / "cut.tflite")


def test_the_released_second_network(shared: Path, tmp_path: Path) -> None:
    """EfficientPose II exists as a .tflite only: its maps from our checkpoint against its own."""
    from edgepose.models.author_weights import import_weights
    from edgepose.models.checkpoint import load_model
    from edgepose.models.variants import NORMALISATIONS, variant
    from export.runtime import Session

    folder, size = shared / "reference" / "efficientpose", variant("ii").resolution
    with Image.open(folder / "MPII.jpg") as photo:
        square = np.asarray(photo.convert("RGB").resize((size, size)))
    x = NORMALISATIONS["imagenet"].apply(square[None])
    report = import_weights(
        folder / "EfficientPoseII.tflite", "ii", tmp_path / "ii.safetensors", images=[x, x[:, ::-1]]
    )
    assert report.new == () and report.unused == ()
    ours = np.asarray(load_model(tmp_path / "ii.safetensors", "upscaled")(x, training=False))
    expected = Session(folder / "EfficientPoseII.tflite").run_float(x)[-1]
    assert expected.max() > 0.5
    np.testing.assert_allclose(ours, expected, atol=1e-3)
