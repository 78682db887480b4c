"""Integer products and means that are rounded alike on every processor, and the operators that are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.tools import flatbuffer_utils
from int8_products import E_SWISH, mean, product, products
from tiny_tflite import tiny_tflite

from export.convert import to_bytes
from export.errors import ExportError
from export.recipe import RECIPES
from export.rounding import processor_dependent, without_halves
from export.runtime import Session


def test_a_factor_of_e_swish_lies_at_halves_and_is_nudged_off_them() -> None:
    data = product(E_SWISH, constant=127)
    (found,) = processor_dependent(data)
    assert (found.op, found.tensor) == ("MUL", "product") and "lie at a half" in found.why
    nudged = without_halves(data)
    assert not processor_dependent(nudged)
    scales = [
        [
            t.quantization.scale[0]
            for t in flatbuffer_utils.convert_bytearray_to_object(d).subgraphs[0].tensors
        ]
        for d in (data, nudged)
    ]
    assert scales[0][:2] + scales[0][3:] == scales[1][:2] + scales[1][3:]  # only the constant's
    assert 0 < abs(scales[1][2] / scales[0][2] - 1) < 4e-6


def test_a_half_goes_up_after_the_nudge_and_to_the_even_one_before(tmp_path: Path) -> None:
    """Our model of the rounding, against this machine's runtime: x86 rounds to even, Arm up."""
    data = product(E_SWISH, constant=127)
    (tmp_path / "a.tflite").write_bytes(data)
    (tmp_path / "b.tflite").write_bytes(without_halves(data))
    stored = np.full((1, 4, 4, 3), -124, np.int8)  # 0.1 + 0.1 = 2 steps, times 1.25: 2.5 steps
    before, after = (Session(tmp_path / name).run(stored)[0] for name in ("a.tflite", "b.tflite"))
    assert set(before.flat) <= {-123, -122} and set(after.flat) == {-122}


def test_a_common_scale_has_no_half_and_stays_as_it_is() -> None:
    data = product((0.32574, -12, 1 / 256, -128, 0.13897, -94))
    assert processor_dependent(data) == () and without_halves(data) is data


def test_where_scales_must_stay_equal_the_halves_stay() -> None:
    """A reshape before the product, whose operands and output are the graph's own."""
    data = product((1.0, 0, 1 / 256, -128, 1.0, 0), before="RESHAPE")
    assert processor_dependent(data) and without_halves(data) == data


def test_a_nudge_brings_no_neighbour_to_its_halves() -> None:
    """By hand: the second product is multiplied by exactly 0.5, the first by 0.5 and a little more. The first
    longer scale between them takes that little away; the next one clears both."""
    short = 1 - 2.0**-22
    data = products([(0.5, 0), (2.0**-8 * short, 0), (2.0**-15 * short, 0)], [(2.0**-8, 0)] * 2)
    assert len(processor_dependent(data)) == 1
    assert processor_dependent(without_halves(data)) == ()


def test_means_at_halves_are_counted() -> None:
    """By hand: of 4 integers in steps of 2 the mean is half their sum, so that every odd sum lies at a half;
    those from -255 to 253 make no clipped output."""
    (found,) = processor_dependent(mean((2.0, 0), (1.0, 0), side=2))
    assert (found.op, found.tensor) == ("MEAN", "mean") and found.why.startswith("255 sums ")


def test_a_mean_that_is_an_odd_part_of_its_sum_lies_at_none() -> None:
    assert processor_dependent(mean((1.0, -100), (1.0, 0), side=3)) == ()  # ninths


def test_the_mean_of_an_output_stays_where_it_is() -> None:
    data = mean((2.0, 0), (1.0, 0), side=2)
    assert without_halves(data) == data


@pytest.mark.parametrize(
    ("source", "result", "side"),
    [
        ((0.1557456, -126), (0.06385309, -124), 112),
        ((0.20983857, -127), (0.00440422, -71), 28),
        ((0.08197949, -124), (0.06774956, -124), 112),
    ],
    ids=["the first of RT", "the last of RT", "by a shorter scale"],
)
def test_a_mean_is_moved_off_the_halves_with_the_bias_behind_it(
    source: tuple[float, int], result: tuple[float, int], side: int, tmp_path: Path
) -> None:
    """Two convolutions share a bias of 7: both get it in the new steps."""
    data = mean(source, result, side, biases=(7.0, 7.0))
    assert [each.op for each in processor_dependent(data)] == ["MEAN"]
    changed = without_halves(data)
    assert processor_dependent(changed) == ()
    (tmp_path / "a.tflite").write_bytes(data)
    (tmp_path / "b.tflite").write_bytes(changed)
    stored = np.full((1, side, side, 3), result[1] // 2, np.int8)
    before, after = (Session(tmp_path / name).run(stored) for name in ("a.tflite", "b.tflite"))
    clipped = (127 - result[1]) * result[0]
    expected = round(min((result[1] // 2 - source[1]) * source[0], clipped)) + 7
    for value in (*before, *after):
        assert np.abs(value.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("axes", [(1, 99), (-9, -9)])
def test_axes_that_a_tensor_lacks_are_passed_over(axes: tuple[int, int]) -> None:
    model = flatbuffer_utils.convert_bytearray_to_object(mean((2.0, 0), (1.0, 0), side=2))
    model.buffers[1].data = np.array(axes, np.int32).view(np.uint8)
    processor_dependent(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))


@pytest.mark.parametrize("cut", [0, 40, 300])
def test_a_damaged_file_is_refused(cut: int) -> None:
    with pytest.raises(ExportError):
        processor_dependent(product(E_SWISH, constant=127)[:cut])


def test_only_dynamic_rounds_its_input_as_it_runs() -> None:
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(64, 3, activation="relu")(image)
    model = keras.Model(image, keras.layers.Conv2D(48, 3)(x))
    for key in ("fp32", "weights-int8"):
        assert processor_dependent(to_bytes(model, RECIPES[key])) == ()
    found = processor_dependent(to_bytes(model, RECIPES["dynamic"]))
    assert {each.op for each in found} == {"CONV_2D"} and "as it runs" in found[0].why
    assert processor_dependent(tiny_tflite()) == ()
