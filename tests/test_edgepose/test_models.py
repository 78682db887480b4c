"""The networks: what the table says, in both namespaces, and what the paper counts."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from paper_keras import PAPER
from typer.testing import CliRunner

from edgeio import UnknownName
from edgepose.errors import UsageError
from edgepose.models.variants import NORMALISATIONS, VARIANTS, checked_resolution, variant

AUTHORS = ("openpose", "cima", "rt", "i", "ii", "iii", "iv", "b4", "rt-lite", "i-lite", "ii-lite")
OWN = ("rt-lite-two-passes", "rt-lite-narrow", "rt-lite-half-head", "rt-lite-small")
KEYS = AUTHORS + OWN
K, S = 5, 3  # neither the paper's nor the authors' numbers
TRAINED = {"openpose": "ppppcc", "cima": "cc", "hourglass": "c"}  # PAFs, confidences
# Counted here; nobody published them.
PARAMETERS = {
    "ii-lite": 1_491_388,
    "rt-lite-two-passes": 305_420,
    "rt-lite-narrow": 281_608,
    "rt-lite-half-head": 194_420,
    "rt-lite-small": 282_380,
}
# Every layer of every network at full width. A change here is a change of what checkpoints hold.
GOLDEN = Path(__file__).with_name("networks.json")
LONG = pytest.mark.long


def _trained(v):
    """What the outputs are, in order: p for part affinity fields, c for confidence maps."""
    return TRAINED.get(v.family) or "".join(kind[0] for kind in v.passes)


def _parameters(v):
    return v.paper_parameters or v.released_parameters or PARAMETERS[v.key]


def test_the_table_lists_every_network_once():
    assert tuple(VARIANTS) == KEYS
    assert all(v.key == key for key, v in VARIANTS.items())


def test_the_projects_own_networks_are_told_from_the_authors():
    assert tuple(key for key, v in VARIANTS.items() if v.cut_from is not None) == OWN
    for own in map(variant, OWN):
        assert own.cut_from == "rt-lite" and own.name.startswith("EfficientPose RT Lite, ")
        assert own.paper_parameters is own.paper_flops is own.released_parameters is None
        assert PARAMETERS[own.key] < variant("rt-lite").released_parameters


def test_a_network_of_two_passes_keeps_the_maps_of_the_second():
    from edgepose.models.networks import build_model

    names = [
        output.name for output in build_model("rt-lite-small", output="training", namespace=PAPER).outputs
    ]
    assert names == ["pass1_skeleton_pafs", "pass2_detection1_confs"]


@pytest.mark.parametrize("key", KEYS)
def test_the_default_resolution_is_allowed(key):
    v = variant(key)
    assert checked_resolution(v, None) == checked_resolution(v, v.resolution) == v.resolution
    assert 2**v.upscaling_steps == v.stride
    assert v.normalisation in NORMALISATIONS


def test_unknown_network_lists_the_known():
    with pytest.raises(UnknownName, match=r"did you mean 'rt-lite'.*openpose"):
        variant("rtlite")


@pytest.mark.parametrize(
    ("key", "resolution", "advice"),
    [
        ("rt", 225, "224 or 232"),
        ("b4", 600, "576 or 608"),
        ("i", 0, "such as 8$"),
        ("cima", -8, "such as 8$"),
    ],
)
def test_a_resolution_that_does_not_fit_names_the_nearest(key, resolution, advice):
    with pytest.raises(UsageError, match=advice) as caught:
        checked_resolution(variant(key), resolution)
    assert caught.value.exit_code == 2


def test_normalisations_are_the_published_ones():
    image = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), dtype=np.uint8)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    imagenet = NORMALISATIONS["imagenet"].apply(image)
    assert imagenet.dtype == np.float32
    np.testing.assert_allclose(imagenet, (image / 255 - mean) / std, atol=1e-6)
    np.testing.assert_allclose(NORMALISATIONS["symmetric"].apply(image), image / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize("key", KEYS)
def test_every_layer_at_full_width_is_as_it_was(key):
    from edgepose.models.networks import build_model

    model = build_model(key, output="training", namespace=PAPER)
    assert model.summary() == json.loads(GOLDEN.read_text())[key]
    blocks = [int(found[1]) for layer in model.layers if (found := re.match(r"block(\d+)[a-z]_", layer.name))]
    assert max(blocks, default=0) == variant(key).backbone_blocks


@pytest.mark.parametrize("key", KEYS)
def test_parameters_are_the_papers(key):
    from edgepose.models.networks import build_model

    v, upscaled = variant(key), build_model(key, output="upscaled", namespace=PAPER)
    assert upscaled.parameters() == _parameters(v)
    assert upscaled.outputs[-1].shape == (None, v.resolution, v.resolution, 19)


@pytest.mark.parametrize(
    ("key", "head_width"),
    [("rt", 7), ("rt-lite", None), ("rt-lite-small", 7), ("cima", None), ("openpose", None), ("b4", None)],
)
def test_any_number_of_keypoints_and_segments(key, head_width):
    from edgepose.models.networks import build_model

    model = build_model(key, K, S, head_width, output="training", namespace=PAPER)
    channels = [{"p": 2 * S, "c": K}[kind] for kind in _trained(variant(key))]
    assert [o.shape[-1] for o in model.outputs] == channels
    hidden = [layer.shape[-1] for layer in model.layers if layer.name.endswith("s_hidden") and head_width]
    assert hidden == ([head_width] * len(channels) if head_width else [])


def test_the_released_networks_lack_one_residual():
    from edgepose.models.networks import build_model

    def names(half_residual):
        model = build_model("i", K, S, half_residual=half_residual, namespace=PAPER)
        return {layer.name for layer in model.layers}

    assert names(True) - names(False) == {"block2b_add_res2"}
    assert names(False) < names(True)


@pytest.fixture(autouse=True)
def _forget_networks():
    """Networks built by earlier tests slow the garbage collector down."""
    yield
    if "tf_keras" in sys.modules:
        sys.modules["tf_keras"].backend.clear_session()
        sys.modules["keras"].backend.clear_session()


def _paired(key):
    """The same small network in both namespaces, with the same weights, none of them an initial value."""
    from edgepose.frameworks import keras, tf_keras
    from edgepose.models.networks import build_model

    resolution = {"b4": 32}.get(key, 16)
    models = [
        build_model(key, resolution=resolution, output="training", namespace=namespace)
        for namespace in (keras(), tf_keras())
    ]
    _load_the_same(models)
    return models, resolution


def _load_the_same(models):
    from edgepose.models.checkpoint import load_weights, weights_of

    rng = np.random.default_rng(1)
    weights = {
        # Variances and slopes must be positive; the rest is near its initial value, so that nothing explodes.
        name: (
            np.abs(w) + rng.uniform(0.1, 0.3, w.shape)
            if "variance" in name
            else w + rng.normal(0, 0.02, w.shape)
        )
        for name, w in weights_of(models[0]).items()
    }
    for model in models:
        load_weights(model, {name: w.astype(np.float32) for name, w in weights.items()})


def test_every_kind_of_layer_is_one_in_both_namespaces():
    """All that the builders use, in one small network; `test_conformance` holds the networks themselves."""
    from edgepose.frameworks import keras, tf_keras

    both = [_one_of_each(namespace) for namespace in (keras(), tf_keras())]
    paper = _one_of_each(PAPER)
    assert {layer.kind for layer in paper.layers} == {"Input", *vars(PAPER.layers)}
    _load_the_same(both)
    images = np.random.default_rng(2).normal(size=(2, 16, 16, 3)).astype(np.float32)
    for a, b in zip(*(_outputs(model, images) for model in both), strict=True):
        assert np.std(a) > 0
        np.testing.assert_allclose(a, b, atol=1e-5 * max(1.0, np.abs(a).max()))
    for model in both:
        _is_as_on_paper(model, paper)


def _one_of_each(namespace):
    from edgepose.models.layers import Kit

    kit = Kit(namespace)
    images = namespace.Input((16, 16, 3), name="images")
    x = kit.conv(images, 8, 3, "conv", strides=2)
    x = kit.activation(kit.norm(x, "norm"), "e-swish", "e_swish")
    x = kit.squeeze_excite(kit.depthwise(x, 5, "depthwise", strides=1, bias=True), 2, "swish", "se")
    x = kit.drop_connect(kit.prelu(x, "prelu"), 0.2, "drop")
    x = namespace.layers.MaxPooling2D(3, strides=2, padding="same", name="max_pool")(x)
    x = kit.conv(x, 8, 3, "dilated", bias=True, dilation=2)
    x = kit.activation(kit.double(x, 8, "double"), "relu6", "relu6")
    half = namespace.layers.AveragePooling2D(2, name="mean_pool")(images)
    x = kit.add([x, kit.conv(half, 8, 1, "half")], "add")
    maps = kit.conv(kit.activation(kit.concat([x, half], "concat"), "relu", "relu"), K, 1, "maps", bias=True)
    return namespace.Model(images, [x, maps], name="one_of_each")


def _is_as_on_paper(model, paper):
    """Names, shapes and weights' shapes."""

    def weights(layer):
        return tuple(tuple(weight.shape) for weight in layer.weights if "seed" not in weight.name)

    found = {
        layer.name: (tuple(layer.output.shape), weights(layer))
        for layer in model.layers
        if "Input" not in type(layer).__name__
    }
    assert found == {x.name: (x.shape, x.weights) for x in paper.layers if x.kind != "Input"}


@pytest.mark.parametrize("key", [pytest.param(key, marks=[LONG] * (key != "rt-lite")) for key in KEYS])
def test_conformance(key):
    from edgepose.frameworks import keras
    from edgepose.models.checkpoint import weights_of
    from edgepose.models.networks import build_model
    from edgepose.models.outputs import with_output
    from edgepose.models.profile import parameters

    (ours, theirs), resolution = _paired(key)
    v, cells = variant(key), resolution // variant(key).stride
    assert weights_of(ours).keys() == weights_of(theirs).keys()
    assert not any("/" in layer.name for layer in (*ours.layers, *theirs.layers))
    assert not any("lambda" in type(layer).__name__.lower() for layer in (*ours.layers, *theirs.layers))
    channels = [{"p": 36, "c": 19}[kind] for kind in _trained(v)]
    assert [tuple(o.shape) for o in ours.outputs] == [(None, cells, cells, n) for n in channels]
    assert v.has_pafs == (36 in channels)

    images = np.random.default_rng(2).normal(size=(2, resolution, resolution, 3)).astype(np.float32)
    for a, b in zip(_outputs(ours, images), _outputs(theirs, images), strict=True):
        assert np.std(a) > 0
        np.testing.assert_allclose(a, b, atol=1e-5 * max(1.0, np.abs(a).max()))

    paper = build_model(key, resolution=resolution, output="training", namespace=PAPER)
    for model in (ours, theirs):
        _is_as_on_paper(model, paper)
    upscaled = with_output(ours, "upscaled", keras())
    assert upscaled.output_shape == (None, resolution, resolution, 19)
    assert parameters(upscaled) == _parameters(v)


def _outputs(model, images):
    outputs = model(images, training=False)
    return [np.asarray(o) for o in (outputs if isinstance(outputs, list) else [outputs])]


@pytest.mark.parametrize("key", [pytest.param("i", marks=LONG), "rt-lite"])
def test_tf_keras_clones_it(key):
    """Quantization-aware training starts with clone_model, which fails on layers that do not serialise."""
    from edgepose.frameworks import tf_keras
    from edgepose.models.checkpoint import weights_of
    from edgepose.models.networks import build_model

    model = build_model(key, K, S, resolution=32, output="training", namespace=tf_keras())
    clone = tf_keras().models.clone_model(model)
    assert weights_of(clone).keys() == weights_of(model).keys()


def test_residual_branches_drop_in_training_only():
    from edgepose.frameworks import keras
    from edgepose.models.networks import build_model

    keras().utils.set_random_seed(3)
    model = build_model("rt", K, S, resolution=32)
    drops = [layer for layer in model.layers if layer.name.endswith("_drop_res1")]
    # Block 2b is the third of EfficientNet B0's sixteen, block 3b the fifth.
    assert {layer.name: layer.rate for layer in drops} == {
        "block2b_drop_res1": pytest.approx(0.2 * 2 / 16),
        "block3b_drop_res1": pytest.approx(0.2 * 4 / 16),
    }
    kept = np.asarray(drops[0](np.ones((400, 2, 2, 3), np.float32), training=True)).reshape(400, -1)
    assert (kept == kept[:, :1]).all() and 0 < (kept[:, 0] == 0).sum() < 40
    image = np.ones((1, 32, 32, 3), np.float32)
    np.testing.assert_array_equal(model(image, training=False), model(image, training=False))


def test_a_seed_repeats_the_weights():
    from edgepose.frameworks import keras
    from edgepose.models.checkpoint import weights_of
    from edgepose.models.networks import build_model

    def seeded(seed):
        keras().utils.set_random_seed(seed)
        return weights_of(build_model("rt-lite", K, S, resolution=16))

    first, again, other = seeded(1), seeded(1), seeded(2)
    assert all((first[name] == again[name]).all() for name in first)
    assert (first["stem_conv_res1/kernel"] != other["stem_conv_res1/kernel"]).any()


@pytest.mark.parametrize(
    "key", ["rt-lite", pytest.param("cima", marks=LONG), pytest.param("openpose", marks=LONG)]
)
def test_maps_and_upscaled_maps_are_the_trained_ones(key):
    from edgepose.frameworks import keras, tf_keras
    from edgepose.models.networks import build_model
    from edgepose.models.outputs import with_output

    for namespace in (keras(), tf_keras()):
        model = build_model(key, K, S, resolution=16, output="training", namespace=namespace)
        inference = with_output(model, "maps", namespace)
        frozen = with_output(model, "upscaled", namespace)
        assert frozen.output_shape == (None, 16, 16, K)
        assert len(frozen.trainable_weights) == len(inference.trainable_weights)
        image = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype(np.float32)
        np.testing.assert_array_equal(_outputs(inference, image)[0], _outputs(model, image)[-1])


@LONG
@pytest.mark.parametrize("key", ["rt", "cima", "i"])
def test_flops_are_the_papers(key):
    from edgepose.models.profile import paper_cost

    # `edgepose models` shows all; these take seconds, and each lowers something that the others do not.
    assert abs(paper_cost(key).flops - variant(key).paper_flops) <= 10


def test_models_command():
    import typer

    from edgepose.cli.models import command

    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, ["--model", "rt", "--json"])
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert (row["key"], row["parameters"], row["paper_parameters"]) == ("rt", 481_336, 481_336)
    assert abs(row["flops"] - row["paper_flops"]) <= 10
    table = CliRunner().invoke(app, ["--model", "rt"])
    assert table.exit_code == 0 and "481,336" in table.stdout
    unknown = CliRunner().invoke(app, ["--model", "nonsense"])
    assert isinstance(unknown.exception, UnknownName)
