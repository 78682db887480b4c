"""The networks themselves, at the smallest input that they take: folded exactly, in integers throughout.

Every EfficientPose and Lite variant and the hourglass was converted so by hand; here are those that differ in
what they are made of, since the larger ones are more of the same and take the converter minutes: `i-lite` and
`ii-lite` are `rt-lite` with more blocks, `ii`, `iii` and `iv` are `i` with more blocks. What `rt` is made of
is converted in test_compression, and so is what only the hourglass has.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from small_network import seeded

from edgepose.compression.calibration import calibrated
from edgepose.compression.convert import check_integer
from edgepose.compression.fake_quantized import FakeQuantizedModel, deployed
from edgepose.compression.graph import fold_batch_norms
from edgepose.compression.network import build_fake_quantized, build_float
from edgepose.compression.ptq import input_range
from edgepose.compression.qat import _any_ranges
from edgepose.frameworks import tensorflow, tf_keras
from edgepose.models.checkpoint import CheckpointInfo, build
from edgepose.models.variants import NORMALISATIONS, variant
from export.convert import to_bytes
from export.inspect import inspect
from export.recipe import SIMULATED_RECIPES

SIZE = 32


@cache
def network(key: str) -> Any:
    info = CheckpointInfo(key, "in-motion-19", None, SIZE, "noise")
    return seeded(build(info, "training", tf_keras()), gain=0.65)


def images(key: str) -> tuple[list[np.ndarray], Any]:
    pixels, rng = input_range(NORMALISATIONS[variant(key).normalisation]), np.random.default_rng(0)
    shape = (1, SIZE, SIZE, 3)
    return [rng.uniform(pixels.low, pixels.high, shape).astype(np.float32) for _ in range(2)], pixels


def outputs(model: Any, pictures: np.ndarray) -> list[np.ndarray]:
    found = model(pictures, training=False)
    return [np.asarray(each) for each in (found if isinstance(found, list) else [found])]


@pytest.mark.parametrize(
    "key", ["rt-lite", *(pytest.param(key, marks=pytest.mark.long) for key in ("rt", "i", "b4"))]
)
def test_the_bn_folded_model_gives_what_the_network_gives(key: str) -> None:
    model, pictures = network(key), np.concatenate(images(key)[0])
    found = outputs(build_float(fold_batch_norms(model)).model, pictures)
    for mine, theirs in zip(found, outputs(model, pictures), strict=True):
        assert np.abs(theirs[0] - theirs[1]).max() > 0.01 * theirs.std()  # images have a say
        np.testing.assert_allclose(mine, theirs, atol=1e-4 * theirs.std())


def test_a_lite_network_is_integers_throughout_and_can_be_trained() -> None:
    whole, (pictures, pixels) = fold_batch_norms(network("rt-lite")), images("rt-lite")
    folded = deployed(whole)
    fake_quantized = build_fake_quantized(folded, calibrated(folded, pictures, pixels, "minmax"))
    data = to_bytes(fake_quantized.model, SIMULATED_RECIPES["int8-ptq"])
    check_integer(data)
    assert set(inspect(data).ops) == {"CONV_2D", "DEPTHWISE_CONV_2D", "CONCATENATION", "ADD", "QUANTIZE"}
    model, tf = (
        FakeQuantizedModel(build_fake_quantized(whole, _any_ranges(whole, pixels), learned=True)),
        tensorflow(),
    )
    with tf.GradientTape() as tape:
        total = tf.add_n([tf.reduce_mean(each**2) for each in model(pictures[0], training=True)])
    for gradient in tape.gradient(total, model.trainable_variables):
        assert np.isfinite(gradient).all()
