"""Full int8 after training: folding, ranges, evened channels, corrected biases, and what comes out."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_network import SIZE, folded_small, photos, seeded, small, small_ranges, whole_small
from tiny_runs import make_data
from typer.testing import CliRunner

from edgeio import UnknownName
from edgeio.jobs import OtherJob
from edgepose.compression import convert as deploy
from edgepose.compression.bias_correction import corrected
from edgepose.compression.calibration import calibrated, histograms
from edgepose.compression.convert import check_integer
from edgepose.compression.equalization import channel_groups, equalized
from edgepose.compression.fake_quant import quantized_kernel
from edgepose.compression.graph import CannotQuantize, Folded, fold, weights_back
from edgepose.compression.network import Ranges, build_float, build_rounded, effects, range_owners
from edgepose.compression.ptq import input_range
from edgepose.compression.ranges import BINS, SIGMOID, Histogram, Range, choose
from edgepose.compression.sensitivity import layer_costs
from edgepose.errors import BadDataset, UsageError
from edgepose.frameworks import keras, tensorflow, tf_keras
from edgepose.models import checkpoint as checkpoint_module
from edgepose.models.checkpoint import CheckpointInfo, load_weights, save_checkpoint, weights_of
from edgepose.models.variants import NORMALISATIONS
from export.convert import to_bytes
from export.errors import ExportError
from export.recipe import SIMULATED_RECIPES
from export.runtime import Session


@pytest.fixture(scope="module")
def whole() -> Folded:
    return whole_small()


@pytest.fixture(scope="module")
def folded() -> Folded:
    """Of the maps alone."""
    return folded_small()


@pytest.fixture(scope="module")
def ranges() -> Ranges:
    return small_ranges()


@pytest.fixture(scope="module")
def exact(folded: Folded) -> np.ndarray:
    return run(build_float(folded), np.concatenate(photos()))


def run(network: Any, images: np.ndarray) -> np.ndarray:
    found = network.model(images, training=False)
    return np.asarray(found[-1] if isinstance(found, list) else found)


def noise(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found - wanted) ** 2)))


def test_folding_changes_nothing_and_can_be_undone(whole: Folded) -> None:
    model = seeded(small(namespace=tf_keras()))
    images = np.concatenate(photos(2))
    wanted = [np.asarray(each) for each in model(images, training=False)]
    found = build_float(whole).model(images, training=False)
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-5)
    kinds = {node.kind for node in whole.graph.nodes}
    assert kinds == {"input", "conv", "depthwise", "sigmoid", "multiply", "mean", "concat", "add"}
    again = seeded(small(namespace=tf_keras()), 5)
    load_weights(again, weights_back(whole))
    for mine, theirs in zip(again(images, training=False), wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-5)


def test_a_factor_that_is_still_to_be_applied_is_never_lost() -> None:
    kr = tf_keras()
    images = kr.Input((8, 8, 3), name="images")
    doubled = kr.layers.Rescaling(2.0, name="double")(images)
    x = kr.layers.Conv2D(4, 1, name="conv")(doubled)
    x = kr.layers.BatchNormalization(name="conv_bn")(x)
    x = kr.layers.Rescaling(1.25, name="more")(kr.layers.Dropout(0.2, name="drop")(x))
    gate = kr.layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    x = kr.layers.AveragePooling2D(2, name="pool")(kr.layers.Multiply(name="product")([x, gate]))
    x = kr.layers.BatchNormalization(name="deep_bn")(kr.layers.DepthwiseConv2D(3, name="deep")(x))
    model = seeded(kr.Model(images, kr.layers.Conv2DTranspose(2, 2, name="maps")(x)))
    pixels = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    folded = fold(model)
    assert [folded.graph[name].factor for name in ("conv", "deep", "maps")] == [2.0, 1.25**2, 1.0]
    wanted = np.asarray(model(pixels, training=False))
    np.testing.assert_allclose(run(build_float(folded), pixels), wanted, rtol=1e-5, atol=1e-5)
    again = seeded(kr.models.clone_model(model), 5)
    load_weights(again, weights_back(folded))
    np.testing.assert_allclose(again(pixels, training=False), wanted, rtol=1e-5, atol=1e-5)


def test_a_normalisation_is_only_folded_into_the_convolution_that_it_reads() -> None:
    kr = tf_keras()
    images = kr.Input((8, 8, 3), name="images")
    conv = kr.layers.Conv2D(4, 1, name="conv")(images)
    doubled = kr.layers.Rescaling(2.0, name="double")(conv)
    dropped = kr.layers.Dropout(0.2, name="drop")(conv)  # the sum below reads it too
    for before in (doubled, dropped):
        late = kr.layers.BatchNormalization(name="late_bn")(before)
        with pytest.raises(CannotQuantize, match=r"layer late_bn .*does not follow a convolution"):
            fold(kr.Model(images, kr.layers.Add(name="sum")([late, before])))
    active = kr.layers.Conv2D(4, 1, activation="relu", name="active")(images)
    with pytest.raises(CannotQuantize, match=r"layer active .*an activation of its own"):
        fold(kr.Model(images, kr.layers.BatchNormalization(name="late_bn")(active)))


def test_layers_without_an_integer_form_are_named() -> None:
    kr = tf_keras()
    images = kr.Input((8, 8, 3), name="images")
    conv = kr.layers.Conv2D(4, 1, name="conv")(images)
    for layer, why in [
        (kr.layers.PReLU(shared_axes=[1, 2], name="slope"), "layer slope cannot be quantized .it is a PReLU"),
        (kr.layers.BatchNormalization(name="late_bn"), "layer late_bn .*does not follow a convolution"),
        (kr.layers.Rescaling(2.0, offset=1.0, name="shift"), "layer shift .*shifts its input"),
    ]:
        before = kr.layers.ReLU(name="relu")(conv) if layer.name == "late_bn" else conv
        with pytest.raises(CannotQuantize, match=why) as caught:
            fold(kr.Model(images, layer(before)))
        assert "edgepose export" in caught.value.hint
    scaled = kr.layers.Rescaling(2.0, name="double")(conv)
    with pytest.raises(CannotQuantize, match=r"layer gate .*cannot move"):
        fold(kr.Model(images, kr.layers.Activation("sigmoid", name="gate")(scaled)))
    with pytest.raises(CannotQuantize, match="output would have to be scaled"):
        fold(kr.Model(images, scaled))


def test_a_range_rounds_as_tensorflow_does() -> None:
    import tensorflow as tf

    values = np.random.default_rng(0).normal(0, 3, 2000).astype(np.float32)
    for found in (Range(-0.3, 7.9), Range(0.0, 1.0), Range(-4.0, 4.1), SIGMOID):
        theirs = tf.quantization.fake_quant_with_min_max_args(values, found.low, found.high)
        near = np.abs(found.rounded(values) - np.asarray(theirs)) < found.step / 4
        assert near.mean() > 0.995  # a value halfway between two steps may go either way
        assert found.rounded(np.zeros(1))[0] == 0
    for low, high in ((1.0, 2.0), (-2.0, -1.0), (0.0, 0.0)):
        with pytest.raises(ValueError, match="no range"):
            Range(low, high)


def histogram(values: np.ndarray, stakes: np.ndarray | None = None) -> Histogram:
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, BINS, (low, high))
    weighted, _ = np.histogram(values, BINS, (low, high), weights=stakes)
    return Histogram(low, high, counts.astype(float), weighted.astype(float))


def test_ranges_give_up_what_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    body = rng.normal(0, 1, 100_000)
    outliers = np.concatenate([body, [-200.0, 150.0]])
    wide = choose(histogram(outliers), "minmax", "plain")
    assert (wide.low, wide.high) == (-200.0, 150.0)
    clipped = choose(histogram(outliers), "percentile", "plain")
    assert -4 < clipped.low < -3 and 3 < clipped.high < 4
    # Two outliers in 100000 are worth keeping only as long as an error in them counts like any other.
    fair = choose(histogram(outliers), "mse", "plain")
    careless = choose(histogram(outliers, np.where(np.abs(outliers) > 50, 1e-9, 1.0)), "mse", "plain")
    assert careless.high < 8 < fair.high and careless.low > -8 > fair.low
    assert choose(histogram(rng.normal(-30, 10, 50_000)), "mse", "swish").low > -15


def test_a_peak_of_the_maps_is_never_clipped() -> None:
    maps = np.concatenate([np.random.default_rng(0).normal(0, 0.02, 100_000), [0.9]])
    for method in ("minmax", "percentile", "mse"):
        assert choose(histogram(maps), method, "maps").high == pytest.approx(0.9, abs=1e-3)
    assert choose(histogram(maps), "mse", "maps").low == 0


def test_constant_tensors_get_a_range_and_unknown_methods_the_known_names() -> None:
    for value in (0.0, 3.0, -3.0):
        found = choose(histogram(np.full(10, value)), "percentile", "plain")
        assert found.low <= min(value, 0) and found.high >= max(value, 0) - 1e-6
    with pytest.raises(UnknownName, match="minmax, percentile, mse"):
        choose(histogram(np.arange(5.0)), "luck", "plain")


def test_the_input_range_is_what_pixels_become() -> None:
    assert input_range(NORMALISATIONS["symmetric"]) == Range(-1.0, 1.0)
    found = input_range(NORMALISATIONS["imagenet"])
    assert found.low == pytest.approx(-2.1179, abs=1e-3) and found.high == pytest.approx(2.64, abs=1e-3)


def test_tensors_are_rounded_where_the_kernels_round(folded: Folded) -> None:
    owners, made_of = range_owners(folded.graph), effects(folded.graph)
    assert owners["two_conv2"] == "two_dense"  # read by the concatenation alone
    assert owners["one_conv2"] == "one_conv2"  # read by another block too
    assert set(owners) == {node.name for node in folded.graph.nodes}
    assert made_of["one_conv1"] == "swish" and made_of["one_se_excite_conv"] == "sigmoid"
    assert made_of["pass3_detection2_confs"] == "maps" and made_of["three_add"] == "plain"
    kr = tf_keras()
    images = kr.Input((8, 8, 3), name="images")
    relu = kr.layers.ReLU(6.0, name="relu")(kr.layers.Conv2D(4, 1, name="conv")(images))
    pooled = kr.layers.AveragePooling2D(2, name="pool")(relu)
    owners = range_owners(fold(kr.Model(images, kr.layers.Conv2D(2, 1, name="maps")(pooled))).graph)
    assert owners == {"images": "images", "relu": "relu", "pool": "relu", "maps": "maps"}


def test_stakes_are_squared_gradients(folded: Folded) -> None:
    found = histograms(build_float(folded), photos(2))
    maps = found["pass3_detection2_confs"]
    np.testing.assert_allclose(maps.stakes, maps.counts)  # the maps' gradient to themselves is a sign
    assert maps.counts.sum() == 2 * 8 * 8 * 19
    total = {name: each.stakes.sum() for name, each in found.items()}
    kernel = folded.weights["pass3_detection2_confs/kernel"][0, 0]
    expected = 2 * 8 * 8 * np.sum(kernel.astype(float) ** 2)  # E|W^T s|^2 over random signs s
    assert total["three_add"] == pytest.approx(expected, rel=0.15)


def test_evened_channels_compute_the_same(folded: Folded, exact: np.ndarray) -> None:
    groups = channel_groups(folded.graph)
    assert "one_a_swish" not in groups  # a product is nothing that scales
    assert (groups["one_conv1"] == -1).all() and (groups["pass3_detection2_confs"] == -1).all()
    dense = groups["two_dense"]
    np.testing.assert_array_equal(dense, np.concatenate([groups["two_conv2"], groups["one_conv2"]]))
    np.testing.assert_array_equal(groups["three_add"], dense)  # a sum ties its parts together
    assert len(set(dense.tolist())) == 16 and (dense >= 0).all()
    lopsided = dict(folded.weights)
    lopsided["one_conv2/kernel"] = folded.weights["one_conv2/kernel"] * np.geomspace(
        0.1, 10, 8, dtype=np.float32
    )
    before = Folded(folded.graph, lopsided)
    after = equalized(before, photos())
    images = np.concatenate(photos())
    np.testing.assert_allclose(run(build_float(after), images), run(build_float(before), images), atol=2e-4)
    np.testing.assert_allclose(run(build_float(equalized(folded, photos())), images), exact, atol=2e-4)

    def spread(each: Folded) -> float:
        size = np.abs(each.weights["one_conv2/kernel"]).max((0, 1, 2))
        return float(size.max() / size.min())

    assert spread(after) < 0.8 * spread(before)


def test_corrected_biases_take_the_mean_error_away(folded: Folded, ranges: Ranges, exact: np.ndarray) -> None:
    coarse = ranges | {"one_a_swish": Range(-0.3, 0.4)}  # clips, so that everything behind is shifted
    images = np.concatenate(photos())
    plain = run(build_rounded(folded, coarse), images) - exact
    mended = run(build_rounded(corrected(folded, coarse, photos()), coarse), images) - exact
    assert np.abs(mended.mean((0, 1, 2))).max() < 0.2 * np.abs(plain.mean((0, 1, 2))).max()
    assert np.sqrt((mended**2).mean()) < np.sqrt((plain**2).mean())


def test_the_file_computes_what_the_simulation_does(folded: Folded, ranges: Ranges, tmp_path: Path) -> None:
    dead = dict(folded.weights)  # a channel whose bias would not fit into steps as fine as its weights
    kernel, bias = dead["one_conv1/kernel"].copy(), dead["one_conv1/bias"].copy()
    kernel[..., 3], bias[3] = 1e-12, 2.0
    folded = Folded(folded.graph, dead | {"one_conv1/kernel": kernel, "one_conv1/bias": bias})
    rounded = build_rounded(folded, ranges)
    data = to_bytes(rounded.model, SIMULATED_RECIPES["int8-ptq"])
    check_integer(data)
    path = tmp_path / "small.tflite"
    path.write_bytes(data)
    session = Session(path)
    images = np.concatenate(photos())
    found, simulated = session.run_float(images)[0], run(rounded, images)
    exact, step = run(build_float(folded), images), session.outputs[0].scale
    assert {session.inputs[0].dtype, session.outputs[0].dtype} == {"int8"}
    assert noise(found, simulated) < 1.5 * step  # kernels round sums where the simulation does not
    assert noise(found, exact) < 0.05 * np.abs(exact).max()


def test_a_transposed_convolution_is_rounded_by_channel(tmp_path: Path) -> None:
    """The hourglass ends in three. The converter once refused them."""
    kr = tf_keras()
    images = kr.Input((8, 8, 3), name="images")
    up = kr.layers.Conv2DTranspose(6, 4, strides=2, padding="same", use_bias=False, name="up")(images)
    up = kr.layers.BatchNormalization(name="up_bn")(up)
    product = kr.layers.Multiply(name="swish")([up, kr.layers.Activation("sigmoid", name="gate")(up)])
    folded = fold(seeded(kr.Model(images, kr.layers.Conv2D(4, 1, name="maps")(product))))
    kernel = folded.weights["up/kernel"] * np.geomspace(0.02, 1, 6, dtype=np.float32)[:, None]
    folded = Folded(folded.graph, folded.weights | {"up/kernel": kernel})
    steps = np.abs(kernel).max((0, 1, 3), keepdims=True) / 127
    kept = np.asarray(quantized_kernel(tensorflow().constant(kernel), "deconv"))
    np.testing.assert_allclose(kept, np.rint(kernel / steps) * steps, atol=1e-7)
    pixels = [np.random.default_rng(i).uniform(-2, 2, (1, 8, 8, 3)).astype(np.float32) for i in range(4)]
    rounded = build_rounded(folded, calibrated(folded, pixels, Range(-2.0, 2.0), "minmax"))
    data = to_bytes(rounded.model, SIMULATED_RECIPES["int8-ptq"])
    check_integer(data)
    (tmp_path / "up.tflite").write_bytes(data)
    session = Session(tmp_path / "up.tflite")
    found, simulated = (session.run_float(np.concatenate(pixels))[0], run(rounded, np.concatenate(pixels)))
    assert noise(found, simulated) < session.outputs[0].scale / 2


def test_a_layer_with_a_poor_range_costs_most(folded: Folded, ranges: Ranges) -> None:
    poor = ranges | {"two_b_swish": Range(-400.0, 400.0)}
    costs = layer_costs(folded, poor, photos(2))
    assert (costs[0].layer, costs[0].part) == ("two_b_swish", "output")
    assert sum(cost.share for cost in costs) == pytest.approx(1.0)
    assert costs[0].snr_db < costs[-1].snr_db and costs[0].high == 400.0
    parts = {(cost.layer, cost.part) for cost in costs}
    assert ("stem_conv", "weights") in parts and ("two_dense", "output") in parts
    assert ("two_dense", "weights") not in parts


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    build = partial(small, whole=False)
    monkeypatch.setattr(checkpoint_module, "build", build)
    monkeypatch.setattr(deploy, "inference_cost", lambda info: (1, 2))
    info = CheckpointInfo("rt", "in-motion-19", None, SIZE, "noise")
    path = tmp_path / "small.safetensors"
    save_checkpoint(path, weights_of(seeded(build(info))), info)
    return path


def call(*arguments: Any) -> Any:
    from edgepose.cli import app

    return CliRunner().invoke(app, ["quantize", *map(str, arguments)])


def test_the_command_writes_a_model_that_can_be_scored(checkpoint: Path, tmp_path: Path) -> None:
    data, out = make_data(tmp_path / "data"), tmp_path / "out"
    asked = (checkpoint, "--data", data, "--out", out, "--count", 4)
    with_report = (*asked, "--ranges", "percentile", "--bias-correction", "--report-layers", "--json")
    made = call(*with_report)
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    assert told["path"] == str(out / "small-int8-ptq-maps.tflite")
    how = {"method": "post-training", "ranges": "percentile", "equalize": True, "bias_correction": True}
    floats: dict[str, list[str]] = {"kept": [], "float_layers": []}
    assert told["sidecar"]["metadata"]["quantization"] == how | floats
    assert told["sidecar"]["calibration"]["count"] == 4 and told["sidecar"]["float_islands"] == 0
    assert told["validation"]["snr_db"] > 15
    names = {path.name for path in out.iterdir()}
    stem = "small-int8-ptq-maps"
    files = (".tflite", ".json", ".job.json", "-layers.json", "-layers.png")
    assert names == {f"{stem}{end}" for end in files}
    layers = json.loads((out / f"{stem}-layers.json").read_text())
    assert layers["costs"] == told["layers"] and len(told["layers"]) > 15
    assert layers["suggestions"] == told["suggestions"]
    from edgepose.inference.runners import open_runner

    assert open_runner(out / f"{stem}.tflite").spec.recipe == "int8-ptq"
    again = call(*with_report)
    assert again.exit_code == 0 and again.stdout == made.stdout, again.output
    assert "was made before by the same job; --overwrite makes it anew" in again.stderr
    other = call(*asked)
    assert isinstance(other.exception, OtherJob)
    assert "quantization.ranges: was 'percentile', now 'mse'" in str(other.exception)
    mixed = call(*asked, "--keep", "one_b_sw*, pass3_*", "--bias-correction")
    assert mixed.exit_code == 0, mixed.output
    assert "small-int8-mixed-maps.tflite" in mixed.stdout and " 0 float operators" not in mixed.stdout
    sidecar = json.loads((out / "small-int8-mixed-maps.json").read_text())
    assert sidecar["recipe"] == "int8-mixed"
    told = sidecar["metadata"]["quantization"]
    assert told["kept"] == ["one_b_swish", "pass3_detection2_confs"]
    followers = ["one_se_squeeze", "one_se_excite", "pass3_detection2_confs"]
    assert told["float_layers"] == ["one_b_swish", *followers]


def test_bad_input_is_refused_before_anything_is_written(checkpoint: Path, tmp_path: Path) -> None:
    data, out = make_data(tmp_path / "data"), tmp_path / "out"
    asked = (checkpoint, "--data", data, "--out", out)
    refused = call(*asked, "--ranges", "luck")
    assert isinstance(refused.exception, UnknownName) and "percentile" in str(refused.exception)
    refused = call(*asked, "--count", 11)
    assert isinstance(refused.exception, ExportError) and "11 calibration samples" in str(refused.exception)
    for name, why in (("nothing_*", "no layer matches 'nothing_"), ("*", "no convolution in integers")):
        refused = call(*asked, "--count", 4, "--keep", name)
        assert isinstance(refused.exception, UsageError) and why in str(refused.exception)
    refused = call(*asked, "--keep", "one_conv1", "--keep-as", "int16")
    assert isinstance(refused.exception, UsageError) and "float32" in str(refused.exception)
    refused = call(*asked, "--keep-as", "float32")
    assert isinstance(refused.exception, UsageError) and "--keep-as has no effect" in str(refused.exception)
    (tmp_path / "empty").mkdir()
    refused = call(checkpoint, "--data", tmp_path / "empty", "--out", out)
    assert isinstance(refused.exception, BadDataset) and str(tmp_path / "empty") in str(refused.exception)
    pictures = list((data / "processed").rglob("*.png"))
    for picture in pictures:
        Image.new("RGB", (64, 64)).save(picture)
    refused = call(*asked, "--count", 4)
    assert isinstance(refused.exception, ExportError) and "of one colour" in str(refused.exception)
    for picture in pictures:
        picture.write_bytes(b"no picture")
    refused = call(*asked, "--count", 4)
    assert isinstance(refused.exception, BadDataset) and "has no usable image" in str(refused.exception)
    assert not out.exists()


def test_a_network_without_an_integer_form_is_refused(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_slope(info: Any, output: str = "", namespace: Any = None, *_: Any) -> Any:
        kr, network = namespace or keras(), small(info, output, namespace)
        sloped = kr.layers.PReLU(shared_axes=[1, 2], name="slope")(network.outputs[-1])
        return kr.Model(network.inputs, sloped)

    monkeypatch.setattr(checkpoint_module, "build", with_slope)
    info = CheckpointInfo("rt", "in-motion-19", None, SIZE, "noise")
    save_checkpoint(checkpoint, weights_of(with_slope(info)), info)
    out = tmp_path / "out"
    refused = call(checkpoint, "--data", make_data(tmp_path / "data"), "--count", 4, "--out", out)
    assert isinstance(refused.exception, CannotQuantize)
    said = str(refused.exception)
    assert said.startswith("layer slope of EfficientPose RT cannot be quantized (it is a PReLU); ")
    assert "`edgepose export --recipe int8`" in said and "\n" not in said
    assert not out.exists()
