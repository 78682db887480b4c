"""Layers that stay float: what follows them, what the file then holds, and which are worth it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_network import folded_small, photos, small_ranges
from tiny_tflite import tiny_tflite

from edgeio import UnknownName
from edgepose.compression.convert import CannotKeep, check_integer, node_of
from edgepose.compression.graph import CONVOLUTIONS, CannotQuantize, Graph, Node, fold_batch_norms
from edgepose.compression.mixed_precision import KEPT_AS, check_type, float_operators, mixed_precision
from edgepose.compression.network import (
    FULL_INTEGER,
    MixedPrecision,
    Network,
    build_fake_quantized,
    build_float,
    fixed_ranges,
    range_owners,
)
from edgepose.compression.ranges import Range
from edgepose.compression.sensitivity import layer_costs
from edgepose.compression.suggest import suggest
from edgepose.errors import UsageError
from edgepose.frameworks import tf_keras
from export.convert import to_bytes
from export.inspect import inspect
from export.recipe import SIMULATED_RECIPES
from export.rewrite import without_barriers
from export.runtime import Session

MIXED = SIMULATED_RECIPES["int8-mixed"]


def node(name: str, kind: str, *inputs: str) -> Node:
    return Node(name, kind, inputs, ("", {}), 4)


# A convolution and its ReLU, read by a depthwise one and, with that, by a concatenation.
GRAPH = Graph(
    (
        node("images", "input"),
        node("stem", "conv", "images"),
        node("stem_relu", "relu", "stem"),
        node("deep", "depthwise", "stem_relu"),
        node("dense", "concat", "deep", "stem_relu"),
        node("maps", "conv", "dense"),
    ),
    ("maps",),
)


def test_readers_follow_what_is_kept() -> None:
    assert mixed_precision(GRAPH, []) == FULL_INTEGER
    assert mixed_precision(GRAPH, ["deep"]) == MixedPrecision(
        ("deep",), frozenset({"deep", "dense"}), frozenset({"deep"})
    )
    # The maps are the file's output: rounded whatever computes them.
    assert mixed_precision(GRAPH, ["maps"]) == MixedPrecision(("maps",), frozenset({"maps"}), frozenset())
    relu = mixed_precision(GRAPH, ["stem_relu"])
    assert relu.computed == {"stem", "stem_relu", "deep", "dense"} and relu.float_outputs == {"stem_relu"}
    both = mixed_precision(GRAPH, ["m?ps", "d*"])
    assert both.named == ("deep", "dense", "maps") and both.float_outputs == {"deep", "dense"}


def test_a_file_is_told_what_float_to_hold() -> None:
    none = float_operators(GRAPH, FULL_INTEGER)
    assert (none.operators, none.conversions) == (frozenset(), 0)
    deep = float_operators(GRAPH, mixed_precision(GRAPH, ["deep"]))
    assert deep.operators == {"deep", "dense"}
    assert deep.conversions == 2  # the ReLU's output into float, the concatenation's back
    relu = float_operators(GRAPH, mixed_precision(GRAPH, ["stem_relu"]))
    assert relu.operators == {"stem_relu", "deep", "dense"}  # the stem is one operator with its ReLU
    assert node_of("quant_stem/BiasAdd;quant_stem/Conv2D", relu) == "stem_relu"
    assert node_of("network/quant_maps/FakeQuant;network/x", relu) == "maps"


def test_names_that_cannot_be_kept_are_refused() -> None:
    with pytest.raises(UsageError, match=r"no layer matches 'dep'.*nearest names are deep.*writes all 5"):
        mixed_precision(GRAPH, ["maps", "dep"])
    with pytest.raises(UsageError, match="no layer matches 'images'"):
        mixed_precision(GRAPH, ["images"])  # bytes already
    with pytest.raises(UsageError, match="no convolution in integers"):
        mixed_precision(GRAPH, ["*"])
    check_type("float32")
    with pytest.raises(UsageError, match=r"in int16: .*runtime refuses.*--recipe int16x8"):
        check_type("int16")
    with pytest.raises(UnknownName, match=", ".join(KEPT_AS)):
        check_type("float16")


def test_files_without_barriers_stay_as_they_are() -> None:
    data = tiny_tflite()
    assert without_barriers(data) is data
    with pytest.raises(CannotQuantize, match="the whole graph"):
        check_integer(data)


def run(network: Network, images: np.ndarray) -> np.ndarray:
    return np.asarray(network.model(images, training=False))


def file_against_simulation(
    folded: Any, ranges: Any, mixed: MixedPrecision, images: np.ndarray, path: Path
) -> tuple[bytes, float]:
    """A mixed file, and how far it is from its simulation in steps of its output."""
    data = to_bytes(build_fake_quantized(folded, ranges, mixed=mixed, barriers=True).model, MIXED)
    path.write_bytes(data)
    session = Session(path)
    found, simulated = (
        session.run_float(images)[0],
        run(build_fake_quantized(folded, ranges, mixed=mixed), images),
    )
    return data, float(np.sqrt(np.mean((found - simulated) ** 2))) / session.outputs[0].scale


def test_exactly_the_kept_layers_are_float(tmp_path: Path) -> None:
    folded, ranges = folded_small(), small_ranges()
    # What the converter would round by itself: parts of a concatenation, a mean, the head before the maps.
    names = ["one_b_swish", "one_conv2", "two_dense", "pass3*"]
    mixed = mixed_precision(folded.graph, names)
    images = np.concatenate(photos())
    data, steps = file_against_simulation(folded, ranges, mixed, images, tmp_path / "mixed.tflite")
    assert steps < 1.5  # as in a file of integers alone
    info = inspect(data)
    assert "SIN" not in info.ops and info.is_integer
    convolutions = [n for n in mixed.computed if folded.graph[n].kind in CONVOLUTIONS]
    kernels = sum(folded.weights[f"{name}/kernel"].size for name in convolutions)
    assert info.dtypes["float32"] >= 4 * kernels > 0
    check_integer(data, float_operators(folded.graph, mixed))
    with pytest.raises(CannotQuantize, match=r"one_b_swish.*left it in float"):
        check_integer(data)
    fewer = float_operators(folded.graph, mixed_precision(folded.graph, names[:-1]))
    with pytest.raises(CannotQuantize, match=r"layer quant_pass3_detection2_confs/BiasAdd .CONV_2D. cannot"):
        check_integer(data, fewer)
    more = float_operators(folded.graph, mixed_precision(folded.graph, [*names, "three_b_swish"]))
    with pytest.raises(CannotKeep, match=r"the converter rounds three_b_swish, .*leave it out of --keep"):
        check_integer(data, more)
    expected = float_operators(folded.graph, mixed)
    with pytest.raises(CannotQuantize, match="DEQUANTIZE"):  # a change of type too many
        check_integer(data, replace(expected, conversions=expected.conversions - 1))


def test_joined_pooled_and_transposed_layers_can_be_kept(tmp_path: Path) -> None:
    kr = tf_keras()
    kr.utils.set_random_seed(0)
    images = x = kr.Input((8, 8, 3), name="images")
    x = kr.layers.ReLU(6.0, name="relu")(kr.layers.Conv2D(4, 3, padding="same", name="conv")(x))
    x = kr.layers.AveragePooling2D(2, name="pool")(x)
    x = kr.layers.Conv2DTranspose(4, 4, strides=2, padding="same", name="double")(x)
    folded = fold_batch_norms(kr.Model(images, kr.layers.Conv2D(2, 1, name="maps")(x)))
    owners = set(range_owners(folded.graph).values())
    ranges = dict.fromkeys(owners, Range(-3.0, 3.0)) | fixed_ranges(folded.graph, Range(-1.0, 1.0))
    ranges["relu"] = Range(0.0, 6.0)
    mixed = mixed_precision(folded.graph, ["relu", "pool"])
    assert mixed.computed == {"conv", "relu", "pool", "double"}
    noise = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)
    data, steps = file_against_simulation(folded, ranges, mixed, noise, tmp_path / "joined.tflite")
    check_integer(data, float_operators(folded.graph, mixed))
    assert steps < 1.0


def test_the_layer_that_spoils_most_is_suggested_first() -> None:
    folded = folded_small()
    poor = small_ranges() | {"two_b_swish": Range(-400.0, 400.0)}
    costs = layer_costs(folded, poor, photos(2))
    found = suggest(folded, poor, costs, photos(2))
    assert found[0].layer == "two_b_swish" and found[0].saved > 0.8 and 0 < found[0].work < 0.5
    after = mixed_precision(folded.graph, ["two_b_swish"])
    images = np.concatenate(photos(2))
    exact = run(build_float(folded), images)
    noise = run(build_fake_quantized(folded, poor, mixed=after), images) - exact
    snr = 10 * np.log10(np.sum(exact**2) / np.sum(noise**2))
    assert found[0].snr_db == pytest.approx(snr, abs=0.1)  # as the network computes that is converted
    rest = layer_costs(folded, poor, photos(2), mixed=after)
    assert {c.part for c in rest if c.layer == "two_b_swish"} == set()
    assert {c.part for c in rest if c.layer == "two_se_excite"} == {"output"}
    again = suggest(folded, poor, rest, photos(2), after)
    assert again and "two_b_swish" not in [each.layer for each in again]
    assert all(each.saved >= 0.02 and each.saved > each.work for each in again)
