"""Smaller files of the same graph, and biases that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_tflite import tiny_tflite

from export.convert import to_bytes
from export.inspect import inspect, saturated_biases
from export.recipe import RECIPES
from export.rewrite import compact, per_channel_int8, with_int8_weights
from export.runtime import Session

SHAPE = (1, 16, 16, 3)


@pytest.fixture(scope="module")
def original() -> bytes:
    """An int8 model as the converter writes it."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE[1:])
    x = keras.layers.Conv2D(64, 3, padding="same", activation="relu", bias_initializer="normal")(image)
    x = keras.layers.Conv2D(64, 3, bias_initializer="normal")(x)
    model = keras.Model(image, keras.layers.Conv2D(48, 1, bias_initializer="normal")(x))
    rng = np.random.default_rng(0)
    function = tf.function(model, input_signature=[tf.TensorSpec(SHAPE)]).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([rng.normal(size=SHAPE).astype(np.float32)] for _ in range(4))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def outputs(data: bytes, path: Path) -> list[np.ndarray]:
    path.write_bytes(data)
    return Session(path).run_float(np.random.default_rng(1).normal(size=SHAPE).astype(np.float32))


def test_a_compact_model_computes_the_same_to_the_bit(original: bytes, tmp_path: Path) -> None:
    small = compact(original)
    before, after = inspect(original), inspect(small)
    overhead = [info.size_bytes - info.weight_bytes for info in (before, after)]
    assert overhead[1] < 0.7 * overhead[0]
    assert (after.ops, after.dtypes, after.weight_bytes) == (before.ops, before.dtypes, before.weight_bytes)
    for mine, theirs in zip(outputs(small, tmp_path / "a"), outputs(original, tmp_path / "b"), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    a, b = Session(tmp_path / "a"), Session(tmp_path / "b")
    assert (a.inputs, a.outputs) == (b.inputs, b.outputs)


def test_constants_stay_aligned_and_quantized(original: bytes) -> None:
    from ai_edge_litert import schema_py_generated as schema

    def taken_apart(data: bytes) -> tuple[Any, list[int]]:
        model = schema.Model.GetRootAs(data, 0)
        buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
        starts = [
            data.find(b.DataAsNumpy().tobytes()) for b in buffers if b.DataLength() > 64
        ]  # long enough to be found only once
        return schema.ModelT.InitFromObj(model).subgraphs[0], starts

    small = compact(original)
    before, _ = taken_apart(original)
    after, starts = taken_apart(small)
    assert starts and all(start % 16 == 0 for start in starts)
    for mine, theirs in zip(after.tensors, before.tensors, strict=True):
        for field in ("scale", "zeroPoint", "quantizedDimension"):
            np.testing.assert_array_equal(
                getattr(mine.quantization, field), getattr(theirs.quantization, field)
            )
    names = [after.tensors[i].name for i in (*after.inputs, *after.outputs)]
    assert names == [before.tensors[i].name for i in (*before.inputs, *before.outputs)]


def test_a_bias_at_the_end_of_its_bits_is_found(original: bytes) -> None:
    from ai_edge_litert import schema_py_generated as schema

    assert saturated_biases(original) == ()
    model = schema.Model.GetRootAs(original, 0)
    graph = model.Subgraphs(0)
    bias = next(
        graph.Tensors(int(graph.Operators(i).Inputs(2)))
        for i in range(graph.OperatorsLength())
        if graph.Operators(i).InputsLength() > 2
    )
    held = model.Buffers(bias.Buffer()).DataAsNumpy().tobytes()
    for end in (2**31 - 1, -(2**31)):
        full = np.frombuffer(held, "<i4").copy()
        full[3] = end
        assert len(saturated_biases(original.replace(held, full.tobytes()))) == 1
    assert saturated_biases(to_bytes_of_floats()) == ()


def to_bytes_of_floats() -> bytes:
    import keras

    image = keras.Input(SHAPE[1:])
    return to_bytes(keras.Model(image, keras.layers.Conv2D(4, 1)(image)), RECIPES["fp32"])


def test_weights_in_8_bits_compute_as_the_floats_that_they_stand_for(tmp_path: Path) -> None:
    from ai_edge_litert.tools import flatbuffer_utils

    original = tiny_tflite()
    small = with_int8_weights(original)
    before, after = inspect(original), inspect(small)
    assert after.ops == {"DEQUANTIZE": 1, "CONV_2D": 1} and not after.is_integer
    assert after.dtypes["int8"] == before.dtypes["float32"] // 4 - 19  # all but the bias
    assert len(small) < 0.4 * len(original)
    rounded = flatbuffer_utils.convert_bytearray_to_object(original)
    weights = np.frombuffer(bytes(rounded.buffers[1].data), "<f4").reshape(19, 8, 8, 3)
    scales, steps = per_channel_int8(weights, 0)
    values = (scales[:, None, None, None] * steps).astype(np.float32)
    assert np.abs(values - weights).max() <= 0.5001 * scales.max() and np.abs(steps).max() == 127
    rounded.buffers[1].data = np.frombuffer(values.tobytes(), np.uint8)
    image = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype(np.float32)
    found = []
    for name, data in (("a", small), ("b", flatbuffer_utils.convert_object_to_bytearray(rounded))):
        (tmp_path / name).write_bytes(bytes(data))
        found.append(Session(tmp_path / name).run_float(image)[0])
    np.testing.assert_array_equal(*found)


def test_a_channel_of_zeros_stays_zero() -> None:
    scales, steps = per_channel_int8(np.zeros((2, 3), np.float32), 0)
    assert (scales > 0).all() and not steps.any()
