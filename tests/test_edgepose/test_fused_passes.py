"""A network in fewer passes over memory trains as the one that was built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from edgepose.frameworks import keras, tensorflow
from edgepose.models.layers import Kit
from edgepose.training import fused_passes, steppers
from edgepose.training.devices import adam
from edgepose.training.fused_passes import in_fewer_passes, means, swish
from edgepose.training.steppers import StepperSetup, make_stepper

IMAGES = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype(np.float32)


def network() -> Any:
    """What the networks are made of: both swishes, squeeze and excitation, drop connect, two outputs."""
    kit = Kit(keras())
    keras().utils.set_random_seed(1)
    images = kit.keras.Input((16, 16, 3), name="images")
    x = kit.activation(kit.norm(kit.conv(images, 8, 3, "stem", strides=2), "stem_bn"), "swish", "stem_act")
    y = kit.activation(kit.norm(kit.depthwise(x, 5, "deep"), "deep_bn"), "e-swish", "deep_act")
    y = kit.squeeze_excite(y, 4, "e-swish", "se")
    x = kit.add([kit.drop_connect(kit.norm(kit.conv(y, 8, 1, "last"), "last_bn"), 0.2, "drop"), x], "added")
    return kit.keras.Model(images, [kit.conv(y, 2, 1, "pafs", bias=True), kit.conv(x, 3, 1, "confs")])


def trained(steps: int, make: Callable[[Any], Any], patch: pytest.MonkeyPatch) -> tuple[Any, list[float]]:
    """The network and its losses after steps of the training form that `make` makes."""
    patch.setattr(steppers, "in_fewer_passes", make)
    ops, model = keras().ops, network()
    stepper = make_stepper(
        StepperSetup(
            model,
            adam("float32", 1),
            dict,
            lambda outputs, sample, scalars: {"loss": sum(ops.mean((o - 1.0) ** 2) for o in outputs)},
            lambda images: images,
        )
    )
    parts: list[Any] = [{"inputs": IMAGES}]
    return model, [float(stepper.step(parts, {}, 1e-2)[0]["loss"]) for _ in range(steps)]


def test_training_is_the_same_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, expected = trained(12, lambda model: model, monkeypatch)
    fused, losses = trained(12, in_fewer_passes, monkeypatch)
    assert expected[-1] < expected[0] / 2
    assert losses == pytest.approx(expected, rel=1e-4)
    for a, b in zip(plain.variables, fused.variables, strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-3, atol=2e-3, err_msg=a.path)


def test_every_normalisation_and_swish_is_replaced() -> None:
    model = network()
    layers = Counter(type(layer).__name__ for layer in in_fewer_passes(model).layers)
    assert (layers["Normalisation"], layers["Swish"], layers["Means"]) == (3, 3, 1)
    assert (layers["BatchNormalization"], layers["Rescaling"], layers["Activation"]) == (0, 0, 1)


def test_the_model_itself_stays_as_it_was() -> None:
    model = network()
    names, before = [layer.name for layer in model.layers], model(IMAGES, training=False)
    in_fewer_passes(model)
    assert [layer.name for layer in model.layers] == names
    for a, b in zip(before, model(IMAGES, training=False), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_frozen_normalisation_keeps_its_statistics() -> None:
    model = network()
    norm = model.get_layer("stem_bn")
    norm.trainable = False
    kept = [np.array(variable) for variable in norm.variables]
    moved = np.array(model.get_layer("deep_bn").moving_mean)
    in_fewer_passes(model)(IMAGES, training=True)
    assert all(np.array_equal(a, b) for a, b in zip(kept, norm.variables, strict=True))
    assert not np.array_equal(moved, model.get_layer("deep_bn").moving_mean)


@pytest.mark.parametrize("limit", [0, 1 << 30], ids=["compiled", "not compiled"])
@pytest.mark.parametrize("scale", [1.0, 1.25])
def test_gradients_are_those_of_float64(monkeypatch: pytest.MonkeyPatch, limit: int, scale: float) -> None:
    monkeypatch.setattr(fused_passes, "_COMPILED_FROM", limit)
    tf, rng = tensorflow(), np.random.default_rng(0)
    x, change = (rng.normal(scale=4, size=(2, 4, 6, 3)) for _ in range(2))
    gate = 1 / (1 + np.exp(-x))
    _agrees(partial(swish, scale=scale), x, change, change * scale * gate * (1 + x * (1 - gate)), tf)
    expected = np.broadcast_to(change[:, :1, :1] / 24, x.shape)
    _agrees(means, x, change[:, :1, :1], expected, tf)


def _agrees(call: Callable[[Any], Any], x: Any, change: Any, expected: Any, tf: Any) -> None:
    x, change = (tf.constant(value, "float32") for value in (x, change))
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = call(x)
    np.testing.assert_allclose(tape.gradient(value, x, change), expected, rtol=1e-5, atol=1e-5)
