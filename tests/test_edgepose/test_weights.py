"""Checkpoints, ours and the authors': whole round trips, and files that are damaged or hostile."""

from __future__ import annotations

import json
import marshal
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from edgepose.errors import BadCheckpoint, UsageError

h5py = pytest.importorskip("h5py", reason="importing weights needs edgepose[train]")

RELEASED = {"rt": "EfficientPoseRT", "i": "EfficientPoseI", "rt-lite": "EfficientPoseRT_LITE"}
# Layers with weights in the authors' files, and those that only upscale.
IN_FILE = {"rt": 118, "i": 164, "rt-lite": 88}
SMALLEST_FIRST = ["rt-lite", *(pytest.param(key, marks=pytest.mark.long) for key in ("rt", "i"))]
UPSCALING = {"upscaled_deconv1", "upscaled_deconv2", "upscaled_confs"}
HEADS = {"pass1_skeleton_pafs", "pass2_detection1_confs", "pass3_detection2_confs"}


def _info(**changes):
    from edgepose.models.checkpoint import CheckpointInfo

    values = {
        "model": "rt-lite",
        "keypoints": "in-motion-19",
        "head_width": 7,
        "resolution": 32,
        "source": "a test",
    }
    return CheckpointInfo(**(values | changes))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small RT Lite checkpoint, and what is in it."""
    from edgepose.frameworks import keras
    from edgepose.models.checkpoint import build, save_checkpoint, weights_of

    keras().utils.set_random_seed(0)
    weights = weights_of(build(_info()))
    path = tmp_path_factory.mktemp("checkpoints") / "rt-lite.safetensors"
    save_checkpoint(path, weights, _info())
    return path, weights


def _rewritten(saved, tmp_path, metadata=None, **tensors):
    """A copy with other metadata or tensors (None: left out)."""
    from edgepose.models.checkpoint import METADATA_KEY

    path, weights = saved
    values = json.loads(_metadata(path)[METADATA_KEY])
    changed = {name: tensor for name, tensor in (weights | tensors).items() if tensor is not None}
    copy = tmp_path / "copy.safetensors"
    save_file(changed, copy, metadata={METADATA_KEY: json.dumps(values | (metadata or {}))})
    return copy


def _metadata(path):
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        return file.metadata()


def test_a_checkpoint_comes_back_as_it_was(saved):
    from edgepose.models.checkpoint import read_checkpoint

    path, weights = saved
    info, tensors = read_checkpoint(path)
    assert info == _info()
    assert tensors.keys() == weights.keys()
    assert all(np.array_equal(tensors[name], weights[name]) for name in weights)
    assert "block2a_dwconv_res1/kernel" in tensors  # the same name in both namespaces


@pytest.mark.parametrize("output", ["training", "maps", "upscaled", "keypoints"])
def test_every_output_loads_in_both_namespaces(saved, output):
    from edgepose.frameworks import keras, tf_keras
    from edgepose.models.checkpoint import load_model

    path, _ = saved
    image = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype(np.float32)
    both = [load_model(path, output, namespace)(image, training=False) for namespace in (keras(), tf_keras())]
    for a, b in zip(*(o if isinstance(o, list) else [o] for o in both), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_another_resolution(saved):
    from edgepose.models.checkpoint import load_model

    assert load_model(saved[0], resolution=48).output_shape == (None, 6, 6, 19)
    with pytest.raises(UsageError, match="48 or 56"):
        load_model(saved[0], resolution=50)


def test_upscaling_is_made_again_not_stored(tmp_path):
    from edgepose.models.checkpoint import build, save_checkpoint, weights_of

    weights = weights_of(build(_info(), "upscaled"))
    assert "upscaled_confs/kernel" in weights
    save_checkpoint(tmp_path / "a.safetensors", weights, _info())
    assert not any(name.startswith("upscaled") for name in load_file(tmp_path / "a.safetensors"))


def test_half_precision_is_cast_up(saved, tmp_path):
    from edgepose.models.checkpoint import read_checkpoint

    half = {name: tensor.astype(np.float16) for name, tensor in saved[1].items()}
    _, tensors = read_checkpoint(_rewritten(saved, tmp_path, **half))
    assert all(tensor.dtype == np.float32 for tensor in tensors.values())
    assert all(np.array_equal(tensors[name], half[name].astype(np.float32)) for name in half)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"schema_version": 2}, "schema version 2 .* reads 1; upgrade edgepose"),
        ({"schema_version": None}, "no schema_version"),
        ({"model": "resnet"}, "model 'resnet' is unknown"),
        ({"model": ["rt"]}, "model is .*, not text"),
        ({"keypoints": 19}, "keypoints is 19, not text"),
        ({"keypoints": "mpii"}, "keypoints 'mpii' is unknown"),
        ({"head_width": 0}, "head_width is 0, not above 0"),
        ({"head_width": True}, "head_width is True, not a whole number"),
        ({"resolution": 33}, "no resolution 33"),
        ({"resolution": -8}, "resolution is -8, not above 0"),
        ({"half_residual": "yes"}, "half_residual is 'yes', not true or false"),
    ],
)
def test_unusable_metadata(saved, tmp_path, metadata, message):
    from edgepose.models.checkpoint import read_checkpoint

    with pytest.raises(BadCheckpoint, match=rf"copy\.safetensors.*{message}"):
        read_checkpoint(_rewritten(saved, tmp_path, metadata))


def test_missing_truncated_foreign_and_other_files(saved, tmp_path):
    from edgepose.models.checkpoint import METADATA_KEY, read_checkpoint

    with pytest.raises(BadCheckpoint, match="does not exist"):
        read_checkpoint(tmp_path / "absent.safetensors")
    with pytest.raises(BadCheckpoint, match="is not a file"):
        read_checkpoint(tmp_path)
    whole = saved[0].read_bytes()
    for length in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.safetensors").write_bytes(whole[:length])
        with pytest.raises(BadCheckpoint, match=r"cut\.safetensors is damaged"):
            read_checkpoint(tmp_path / "cut.safetensors")
    save_file({"a": np.zeros(2, np.float32)}, tmp_path / "foreign.safetensors")
    with pytest.raises(BadCheckpoint, match="not an edgepose checkpoint"):
        read_checkpoint(tmp_path / "foreign.safetensors")
    for text in ("{", "[1]"):
        save_file({"a": np.zeros(2, np.float32)}, tmp_path / "odd.safetensors", metadata={METADATA_KEY: text})
        with pytest.raises(BadCheckpoint, match=r"odd\.safetensors"):
            read_checkpoint(tmp_path / "odd.safetensors")


def test_weights_that_are_no_weights(saved, tmp_path):
    from edgepose.models.checkpoint import read_checkpoint

    kernel = np.full((3, 3, 3, 32), np.nan, np.float32)
    with pytest.raises(BadCheckpoint, match=r"NaN .* stem_conv_res1/kernel"):
        read_checkpoint(_rewritten(saved, tmp_path, **{"stem_conv_res1/kernel": kernel}))
    with pytest.raises(BadCheckpoint, match="stem_conv_res1/kernel as int32"):
        read_checkpoint(
            _rewritten(saved, tmp_path, **{"stem_conv_res1/kernel": np.zeros((3, 3, 3, 32), np.int32)})
        )


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("stem_bn_res1/gamma", None, "lacks stem_bn_res1/gamma"),
        ("stem_bn_res1/gamma", np.zeros(31, np.float32), r"gamma \(expected \[32\], found \[31\]\)"),
        ("stem_bn_res1/gamma", np.zeros((32, 1), np.float32), r"expected \[32\], found \[32, 1\]"),
        ("extra/kernel", np.zeros(1, np.float32), "holds extra/kernel, which rt-lite does not have"),
    ],
)
@pytest.mark.parametrize("output", ["training", "maps"])
def test_weights_that_do_not_fit(saved, tmp_path, name, tensor, message, output):
    from edgepose.models.checkpoint import load_model

    with pytest.raises(BadCheckpoint, match=rf"copy\.safetensors.*{message}"):
        load_model(_rewritten(saved, tmp_path, **{name: tensor}), output)


def test_a_refused_checkpoint_leaves_the_model_alone(saved):
    from edgepose.models.checkpoint import build, load_weights, weights_of

    model = build(_info())
    before = weights_of(model)
    tensors = {name: tensor + 1 for name, tensor in saved[1].items()}
    tensors["pass3_detection2_confs/bias"] = np.zeros(3, np.float32)
    with pytest.raises(BadCheckpoint):
        load_weights(model, tensors)
    assert all(np.array_equal(before[name], tensor) for name, tensor in weights_of(model).items())


# The authors' files


def _letterboxed(image, resolution, normalisation):
    scale = resolution / max(image.size)
    small = np.asarray(image.resize([round(n * scale) for n in image.size], Image.Resampling.BILINEAR))
    canvas = np.zeros((1, resolution, resolution, 3), np.uint8)
    top, left = ((resolution - n) // 2 for n in small.shape[:2])
    canvas[0, top : top + small.shape[0], left : left + small.shape[1]] = small
    return normalisation.apply(canvas)


@pytest.mark.parametrize("key", SMALLEST_FIRST)
def test_the_released_networks_maps(shared, tmp_path, key):
    """Ours, in fp32 and exported in fp16, against the authors' .tflite, which holds float16 weights."""
    from edgepose.models.author_weights import import_weights
    from edgepose.models.checkpoint import load_model
    from edgepose.models.variants import NORMALISATIONS, variant
    from export.convert import convert
    from export.recipe import RECIPES
    from export.runtime import Session

    folder = shared / "reference" / "efficientpose"
    report = import_weights(folder / f"{RELEASED[key]}.h5", key, tmp_path / "a.safetensors")
    new = {"pass1_skeleton_pafs", "pass2_detection1_confs"} if key == "rt-lite" else set()
    assert set(report.new) == new and report.unused == ()
    assert len(report.loaded) == IN_FILE[key] and set(report.loaded) >= UPSCALING

    v = variant(key)
    with Image.open(folder / "MPII.jpg") as image:
        x = _letterboxed(image.convert("RGB"), v.resolution, NORMALISATIONS[v.normalisation])
    expected = Session(folder / f"{RELEASED[key]}.tflite").run_float(x)[-1]
    model = load_model(tmp_path / "a.safetensors", "upscaled")
    assert expected.max() > 0.5
    np.testing.assert_allclose(model(x, training=False), expected, atol=2e-3)
    convert(model, RECIPES["fp16"], tmp_path / "a.tflite", (), None, {})
    np.testing.assert_allclose(Session(tmp_path / "a.tflite").run_float(x)[0], expected, atol=1e-3)


@pytest.mark.parametrize("key", SMALLEST_FIRST)
def test_other_keypoints_get_new_heads(shared, tmp_path, key):
    from edgepose.models.author_weights import import_weights
    from edgepose.models.checkpoint import read_checkpoint

    source = shared / "reference" / "efficientpose" / f"{RELEASED[key]}.h5"
    reports = [
        import_weights(source, key, tmp_path / f"{seed}.safetensors", "in-motion-19", seed)
        for seed in (0, 0, 1)
    ]
    report = reports[0]
    assert set(report.new) == HEADS | {f"{head}_hidden" for head in HEADS}
    in_file = {"pass3_detection2_confs"} if key == "rt-lite" else HEADS
    assert set(report.unused) == in_file | UPSCALING
    assert len(report.loaded) == IN_FILE[key] - len(report.unused)
    (info, first), (_, other) = (read_checkpoint(tmp_path / f"{seed}.safetensors") for seed in (0, 1))
    assert (info.model, info.keypoints, info.head_width) == (key, "in-motion-19", 128)
    assert "sha256" in info.source
    assert first["pass1_skeleton_pafs/kernel"].shape == (1, 1, 128, 36)
    differ = {name.split("/")[0] for name in first if not np.array_equal(first[name], other[name])}
    assert differ == {f"{head}_hidden" for head in HEADS}
    assert not any(first[f"{head}/kernel"].any() for head in HEADS), "new outputs are zero until trained"


@pytest.mark.parametrize(("key", "guess"), [("i", "rt"), ("rt-lite", "rt")])
def test_the_wrong_model_is_named(shared, tmp_path, key, guess):
    from edgepose.models.author_weights import import_weights

    source = shared / "reference" / "efficientpose" / "EfficientPoseRT.h5"
    with pytest.raises(BadCheckpoint, match=rf"EfficientPoseRT\.h5 does not hold .*; use --model {guess}$"):
        import_weights(source, key, tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="use one of: rt, i, ii"):
        import_weights(source, "b4", tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match=r"released no weights of EfficientPose RT Lite, small.*ii-lite$"):
        import_weights(source, "rt-lite-small", tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def copied(shared, tmp_path):
    """A copy of the authors' RT to spoil."""
    path = tmp_path / "spoilt.h5"
    path.write_bytes((shared / "reference" / "efficientpose" / "EfficientPoseRT.h5").read_bytes())
    return path


def test_a_missing_and_a_misshapen_layer(copied, tmp_path):
    from edgepose.models.author_weights import import_weights

    def refused(message):
        with pytest.raises(BadCheckpoint, match=message):
            import_weights(copied, "rt", tmp_path / "a.safetensors")
        assert not (tmp_path / "a.safetensors").exists()

    with h5py.File(copied, "a") as file:
        group = file["model_weights/upscaled_confs/upscaled_confs"]
        group["kernel:0"][0, 0, 0, 0] = 2.0
    refused(r"spoilt\.h5: layer upscaled_confs is not the bilinear upscaling")
    with h5py.File(copied, "a") as file:
        group = file["model_weights/stem_bn_res1/stem_bn"]
        del group["gamma:0"]
        group["gamma:0"] = np.ones(31, np.float32)
    refused(r"spoilt\.h5: layer stem_bn_res1, gamma: expected shape \[32\], found \[31\]")
    with h5py.File(copied, "a") as file:
        del file["model_weights/stem_bn_res1/stem_bn/gamma:0"]
    refused(r"spoilt\.h5: layer stem_bn_res1: expected .*gamma.*, found beta")
    with h5py.File(copied, "a") as file:
        del file["model_weights/block2a_dwconv_res1"]
        del file["model_weights/stem_bn_res1"]
    refused(r"spoilt\.h5 lacks layer stem_bn_res1")


def _h5(path, **datasets):
    """A file with plain layers, called LAYER."""
    with h5py.File(path, "w") as file:
        for layer, value in datasets.items():
            file[f"model_weights/{layer}/{layer}/kernel:0"] = value
    return path


KERNEL = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)


def test_layers_are_read(tmp_path):
    from edgepose.models.hdf5 import read_layers

    path = _h5(tmp_path / "a.h5", one=KERNEL, two=KERNEL.astype(np.float16))
    with h5py.File(path, "a") as file:
        file["model_weights/net/model/conv/net/model/conv/bias:0"] = np.zeros(3)
        file.create_group("model_weights/activation")
    layers = read_layers(path)
    assert {name: set(layer) for name, layer in layers.items()} == {
        "one": {"kernel"},
        "two": {"kernel"},
        "net/model/conv": {"bias"},
    }
    np.testing.assert_array_equal(layers["one"]["kernel"], KERNEL)
    assert layers["two"]["kernel"].dtype == np.float32


def test_code_in_a_file_is_never_run(tmp_path, monkeypatch):
    """Neither the Lambda's marshalled code nor the attribute that holds it is looked at."""
    from edgepose.models.hdf5 import read_layers

    trap = tmp_path / "trap"
    code = marshal.dumps(compile(f"open({str(trap)!r}, 'w')", "trap", "exec"))
    path = _h5(tmp_path / "a.h5", one=KERNEL)
    with h5py.File(path, "a") as file:
        function = [code.hex(), None, None]
        layer = {"class_name": "Lambda", "config": {"function": function, "function_type": "lambda"}}
        file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": {"layers": [layer]}})
        file.attrs["training_config"] = np.void(code)

    def forbidden(*_):
        raise AssertionError("looked at")

    for module in (marshal, pickle):
        monkeypatch.setattr(module, "loads", forbidden)
    monkeypatch.setattr(h5py.AttributeManager, "__getitem__", forbidden)
    assert set(read_layers(path)) == {"one"}
    assert not trap.exists()


def _external_link(file, outside):
    file["model_weights/one/one/bias:0"] = h5py.ExternalLink(str(outside), "/model_weights/two/two/kernel:0")


def _external_group(file, outside):
    del file["model_weights"]
    file["model_weights"] = h5py.ExternalLink(str(outside), "/model_weights")


def _soft_link(file, outside):
    file["model_weights/one/one/bias:0"] = h5py.SoftLink("/model_weights/one/one/kernel:0")


def _external_storage(file, outside):
    file.create_dataset("model_weights/b/b/bias:0", (4,), "f4", external=[(str(outside), 0, 16)])


def _virtual(file, outside):
    layout = h5py.VirtualLayout((1, 1, 2, 3), "f4")
    layout[:] = h5py.VirtualSource(str(outside), "/model_weights/two/two/kernel:0", (1, 1, 2, 3))
    file.create_virtual_dataset("model_weights/b/b/bias:0", layout)


def _objects(file, outside):
    file.create_dataset("model_weights/b/b/bias:0", (2,), h5py.string_dtype())


def _integers(file, outside):
    file["model_weights/b/b/bias:0"] = np.zeros(3, np.int32)


def _enormous(file, outside):
    file.create_dataset(
        "model_weights/b/b/bias:0", (10**6, 10**6), "f4", chunks=(1000, 1000), compression="gzip"
    )


def _enormous_chunk(file, outside):
    file.create_dataset(
        "model_weights/b/b/bias:0", (4,), "f4", maxshape=(None,), chunks=(10**8,), compression="gzip"
    )


def _foreign_filter(file, outside):
    file.create_dataset("model_weights/b/b/bias:0", (4,), "f4", chunks=(4,), compression="lzf")


def _cycle(file, outside):
    file["model_weights/one/again"] = file["model_weights"]


def _terminal_escape(file, outside):
    file["model_weights/\x1b[31m/b/bias:0"] = np.zeros(3, np.float32)


def _nan(file, outside):
    file["model_weights/b/b/bias:0"] = np.full(3, np.nan, np.float32)


def _stray(file, outside):
    file["model_weights/bias:0"] = np.zeros(3, np.float32)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_external_link, "a link to somewhere else"),
        (_external_group, "a link to somewhere else"),
        (_soft_link, "a link to somewhere else"),
        (_external_storage, "stored in another file"),
        (_virtual, "stored in another file"),
        (_objects, "of type object"),
        (_integers, "of type int32"),
        (_enormous, "256 MiB of weights"),
        (_enormous_chunk, "256 MiB of weights"),
        (_foreign_filter, "a filter that is not HDF5's own"),
        (_cycle, "neither weights nor a layer|objects|links"),
        (_terminal_escape, r"'\\x1b\[31m'"),
        (_nan, "NaN"),
        (_stray, "belongs to no layer"),
    ],
)
def test_hostile_files_are_refused(tmp_path, spoil, message):
    from edgepose.models.hdf5 import read_layers

    outside = _h5(tmp_path / "outside.h5", two=KERNEL)
    path = _h5(tmp_path / "a.h5", one=KERNEL)
    with h5py.File(path, "a") as file:
        spoil(file, outside)
    with pytest.raises(BadCheckpoint, match=message) as caught:
        read_layers(path)
    assert str(path) in str(caught.value) and str(caught.value).isprintable()


def test_missing_truncated_and_empty_h5(tmp_path):
    from edgepose.models.hdf5 import read_layers

    with pytest.raises(BadCheckpoint, match="does not exist"):
        read_layers(tmp_path / "absent.h5")
    whole = _h5(tmp_path / "a.h5", one=np.zeros((64, 64), np.float32)).read_bytes()
    for length in (0, 8, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.h5").write_bytes(whole[:length])
        with pytest.raises(BadCheckpoint, match=r"cut\.h5 is damaged"):
            read_layers(tmp_path / "cut.h5")
    h5py.File(tmp_path / "empty.h5", "w").close()
    with pytest.raises(BadCheckpoint, match="holds no weights"):
        read_layers(tmp_path / "empty.h5")


@pytest.fixture
def app():
    import typer

    from edgepose.cli.import_weights import command

    app = typer.Typer()
    app.command()(command)
    return app


def test_import_weights_command(shared, tmp_path, app):
    source = shared / "reference" / "efficientpose" / "EfficientPoseRT.h5"
    out = tmp_path / "rt.safetensors"
    arguments = [str(source), "--model", "rt", "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--keypoints", "in-motion-19", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert Path(report["checkpoint"]) == out and len(report["new"]) == 6 and len(report["unused"]) == 6
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, UsageError) and "add --overwrite" in str(again.exception)
    forced = CliRunner().invoke(app, [*arguments, "--overwrite"])
    assert forced.exit_code == 0 and "118 layers loaded" in forced.stdout


def test_import_weights_command_refuses_other_suffixes(tmp_path, app):
    result = CliRunner().invoke(app, ["a.h5", "--model", "rt", "--out", str(tmp_path / "a.h5")])
    assert isinstance(result.exception, UsageError) and ".safetensors" in str(result.exception)
