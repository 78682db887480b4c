"""Recipes, conversion, inspection, the runtime and the sidecar, on a toy that knows nothing of poses."""

import errno
import json
import random
from pathlib import Path

import numpy as np
import pytest

from edgeio import UnknownName
from export.calibration import Calibration, representative_dataset, sample
from export.convert import convert
from export.errors import ExportError
from export.inspect import inspect
from export.recipe import RECIPES, recipe
from export.runtime import Session, TensorSpec, load_interpreter
from export.sidecar import read_sidecar, sidecar_path
from export.validate import validate

SHAPE = (1, 16, 16, 3)


def toy():
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE[1:])
    features = keras.layers.Conv2D(32, 3, padding="same")(image)
    features = keras.layers.ReLU(6.0)(features)
    return keras.Model(image, keras.layers.Conv2D(40, 1)(features))


@pytest.fixture(scope="module")
def model():
    return toy()


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    return [rng.normal(size=SHAPE).astype(np.float32) for _ in range(20)]


@pytest.fixture(scope="module")
def exported(model, samples, tmp_path_factory):
    """Every recipe's file, converted once."""
    folder = tmp_path_factory.mktemp("exported")
    record = Calibration.of("noise", 0, samples)
    return {
        key: convert(model, r, folder / f"toy-{key}.tflite", samples, record, {"any": "thing"})
        for key, r in RECIPES.items()
    }


@pytest.mark.parametrize("key", RECIPES)
def test_every_recipe_keeps_its_tolerance(key, exported, model, samples):
    report = validate(
        lambda x: np.asarray(model(x)), Session(exported[key].path), samples[:5], RECIPES[key].tolerance
    )
    assert report.healthy, report
    assert report.samples == 5 and report.mean_abs <= report.max_abs


def test_recipes_store_what_they_say(exported):
    infos = {key: converted.info for key, converted in exported.items()}
    assert set(infos["fp32"].dtypes) == {"float32"}
    assert set(infos["fp16"].dtypes) == {"float16"}
    assert "int8" in infos["dynamic"].dtypes and not infos["dynamic"].is_integer
    assert "int8" in infos["weights-int8"].dtypes and not infos["weights-int8"].is_integer
    assert infos["weights-int8"].ops["DEQUANTIZE"] == 2  # once for each weight
    for key, dtype in (("int8", "int8"), ("int16x8", "int16")):
        assert infos[key].is_integer and not infos[key].float_operators
        assert {t.dtype for t in infos[key].inputs + infos[key].outputs} == {dtype}
    assert infos["int8"].weight_bytes < infos["fp16"].weight_bytes < infos["fp32"].weight_bytes


def test_a_bad_export_is_not_healthy(exported, model, samples):
    report = validate(
        lambda x: np.asarray(model(x)) + 0.01,
        Session(exported["fp32"].path),
        samples[:1],
        recipe("fp32").tolerance,
    )
    assert not report.healthy and report.max_abs == pytest.approx(0.01, rel=0.01)
    assert report.peak_shift_px == (0.0, 0.0)
    with pytest.raises(ExportError, match="no input"):
        validate(lambda x: x, Session(exported["fp32"].path), [], recipe("fp32").tolerance)


def test_the_sidecar_is_of_its_model_and_no_other(exported, tmp_path):
    converted = exported["int8"]
    sidecar = read_sidecar(converted.path)
    assert sidecar == converted.sidecar
    assert sidecar.metadata == {"any": "thing"} and sidecar.calibration.count == 20
    assert sidecar.input.dtype == "int8" and sidecar.input.scale > 0
    lonely = tmp_path / "x.tflite"
    lonely.write_bytes(converted.path.read_bytes())
    with pytest.raises(ExportError, match=r"has no sidecar x\.json"):
        read_sidecar(lonely)
    sidecar_path(lonely).write_bytes(sidecar_path(exported["fp32"].path).read_bytes())
    with pytest.raises(ExportError, match="of another model"):
        read_sidecar(lonely)
    plain = json.loads(sidecar_path(converted.path).read_text())
    for broken, message in [
        ({**plain, "schema_version": 99}, "upgrade"),
        ({**plain, "schema_version": None}, "no schema_version"),
        ({k: v for k, v in plain.items() if k != "input"}, "input is missing"),
        ([], "no schema_version"),
    ]:
        sidecar_path(lonely).write_text(json.dumps(broken))
        with pytest.raises(ExportError, match=message):
            read_sidecar(lonely)
    sidecar_path(lonely).write_text("{")
    with pytest.raises(ExportError, match="not valid JSON"):
        read_sidecar(lonely)


def test_operators_that_phones_lack_are_refused(tmp_path):
    import keras

    image = keras.Input(SHAPE[1:])

    class Erf(keras.layers.Layer):
        def call(self, x):
            import tensorflow as tf

            return tf.raw_ops.Betainc(a=x, b=x, x=x)

    with pytest.raises(ExportError, match=r"the converter refuses the model .*Betainc"):
        convert(keras.Model(image, Erf()(image)), recipe("fp32"), tmp_path / "flex.tflite")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_half_written(model, tmp_path, monkeypatch):
    def full(self, data):
        Path.touch(self)
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        convert(model, recipe("fp32"), tmp_path / "toy.tflite")
    assert list(tmp_path.iterdir()) == []


def test_an_integer_recipe_needs_samples_that_say_something(model, tmp_path):
    for bad, message in [
        ([], "there are none"),
        ([np.zeros(SHAPE, np.float32)] * 3, "one colour"),
        ([np.zeros((1, 8, 8, 3), np.float32)], "shape"),
        ([np.full(SHAPE, np.nan, np.float32)], "NaN"),
    ]:
        with pytest.raises(ExportError, match=message):
            convert(model, recipe("int8"), tmp_path / "toy.tflite", bad)
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_are_refused_or_read_but_never_crash(exported):
    data = exported["int8"].path.read_bytes()
    for length in range(0, len(data), 97):
        with pytest.raises(ExportError):
            inspect(data[:length])
    rng = random.Random(0)
    refused = 0
    for _ in range(400):
        broken = bytearray(data)
        for _ in range(rng.randint(1, 8)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        try:
            inspect(bytes(broken))
        except ExportError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"\x00" * 64, "not a .tflite"), (b"PK\x03\x04" * 9, "not a .tflite")],
)
def test_other_files_are_named(content, message, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=message):
        inspect(path)
    with pytest.raises(ExportError, match="does not exist"):
        inspect(tmp_path / "absent.tflite")


def test_quantise_and_dequantise_by_hand():
    spec = TensorSpec("x", (1, 5), "int8", 0.5, -10)
    stored = spec.quantise(np.array([[0.0, 0.3, -0.3, 1000.0, -1000.0]], np.float32))
    assert stored.tolist() == [[-10, -9, -11, 127, -128]] and stored.dtype == np.int8
    assert spec.dequantise(stored).tolist() == [[0.0, 0.5, -0.5, 68.5, -59.0]]
    plain = TensorSpec("x", (1,), "float32", 0.0, 0)
    assert plain.quantise(np.array([0.1], np.float64)).dtype == np.float32


def test_samples_are_seeded_counted_and_without_repeats():
    items = list(range(100))
    assert sample(items, 10, 3) == sample(items, 10, 3) != sample(items, 10, 4)
    assert len(set(sample(items, 100, 0))) == 100
    for count, source in ((101, items), (0, items), (1, [])):
        with pytest.raises(ExportError, match="calibration samples were asked for"):
            sample(source, count, 0)
    callback = representative_dataset([np.random.default_rng(0).normal(size=SHAPE)], SHAPE)
    assert [len(next(callback())), next(callback())[0].dtype] == [1, np.float32]


def test_unknown_names_list_the_known(monkeypatch):
    with pytest.raises(UnknownName, match="fp32, fp16, weights-int8, dynamic, int8, int16x8"):
        recipe("int4")
    with pytest.raises(UnknownName, match="litert, tflite-runtime"):
        load_interpreter("onnx")
    monkeypatch.setenv("EDGEPOSE_TFLITE_RUNTIME", "tflite-runtime")
    with pytest.raises(ExportError, match="tflite-runtime"):
        load_interpreter()  # not installed beside NumPy 2, or refused there
