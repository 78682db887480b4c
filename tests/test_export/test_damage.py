"""Files that hold together as bytes and not as a model: refused before the interpreter reads them."""

import errno
import struct

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from export.calibration import representative_dataset
from export.convert import convert
from export.errors import ExportError
from export.inspect import inspect
from export.recipe import recipe
from export.runtime import Session, TensorSpec
from export.sidecar import read_sidecar, sidecar_path

SHAPE = (1, 8, 8, 3)


@pytest.fixture(scope="module")
def model():
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE[1:])
    features = keras.layers.ReLU(6.0)(keras.layers.Conv2D(4, 3, padding="same")(image))
    return keras.Model(image, keras.layers.Conv2D(2, 1)(features))


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    return [rng.normal(size=SHAPE).astype(np.float32) for _ in range(4)]


@pytest.fixture(scope="module")
def files(model, samples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damage")
    return {
        key: convert(model, recipe(key), folder / f"{key}.tflite", samples).path.read_bytes()
        for key in ("fp16", "int8")
    }


def unpacked(data):
    """The model as objects whose lists can be written to."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    for graph in model.subgraphs:
        for owner, field in [
            *((tensor, "shape") for tensor in graph.tensors),
            *((op, field) for op in graph.operators for field in ("inputs", "outputs")),
        ]:
            if getattr(owner, field) is not None:
                setattr(owner, field, list(getattr(owner, field)))
    return model


def packed(model):
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def constant(graph, model):
    return next(t for t in graph.tensors if model.buffers[t.buffer].data is not None and len(t.shape) == 4)


def shrink_a_constant(model, graph):
    constant(graph, model).shape[0] += 1


def read_what_none_computed(model, graph):
    graph.operators[0].inputs[0] = graph.operators[-1].outputs[0]


def overwrite_a_constant(model, graph):
    graph.operators[-1].outputs[0] = graph.tensors.index(constant(graph, model))


def swell_the_input(model, graph):
    graph.tensors[graph.inputs[0]].shape[1] = 2**28


def negative_shape(model, graph):
    graph.tensors[graph.inputs[0]].shape[1] = -8


def lose_the_output(model, graph):
    graph.outputs = [len(graph.tensors)]


def point_at_no_operator(model, graph):
    graph.operators[0].opcodeIndex = 99


def point_at_no_buffer(model, graph):
    graph.tensors[0].buffer = 9999


def drop_every_operator(model, graph):
    graph.operators = []


DAMAGE = [
    (shrink_a_constant, "does not fill its shape"),
    (read_what_none_computed, "none has computed"),
    (overwrite_a_constant, "overwrites a constant"),
    (swell_the_input, "impossible shape"),
    (negative_shape, "impossible shape"),
    (lose_the_output, "not there"),
    (point_at_no_operator, "is damaged"),
    (point_at_no_buffer, "is damaged"),
    (drop_every_operator, "no operator"),
]


@pytest.mark.parametrize("key", ["fp16", "int8"])
@pytest.mark.parametrize(("damage", "message"), DAMAGE, ids=[d.__name__ for d, _ in DAMAGE])
def test_a_model_that_does_not_hold_together_is_refused(key, damage, message, files):
    model = unpacked(files[key])
    assert inspect(packed(model)).ops == inspect(files[key]).ops  # repacking alone is no damage
    damage(model, model.subgraphs[0])
    with pytest.raises(ExportError, match=message):
        inspect(packed(model))


def test_scales_and_conversions_that_crash_delegates_are_refused(files):
    model = unpacked(files["int8"])
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].quantization.scale = np.array([4.5e6], np.float32)
    with pytest.raises(ExportError, match="impossible scale"):
        inspect(packed(model))
    graph.tensors[graph.inputs[0]].quantization.scale = np.array([np.nan], np.float32)
    with pytest.raises(ExportError, match="impossible scale"):
        inspect(packed(model))
    model = unpacked(files["fp16"])
    graph = model.subgraphs[0]
    conversion = next(op for op in graph.operators if len(op.inputs) == 1)
    graph.tensors[conversion.outputs[0]].shape = [7, *graph.tensors[conversion.outputs[0]].shape]
    with pytest.raises(ExportError, match="changes the shape"):
        inspect(packed(model))


def test_a_table_whose_fields_lie_before_the_file_is_refused(files):
    data = bytearray(files["int8"])
    root = struct.unpack_from("<I", data, 0)[0]
    struct.pack_into("<i", data, root, root + 16)  # Python would read it from the end of the file
    with pytest.raises(ExportError, match="outside the file"):
        inspect(bytes(data))


def test_custom_operators_and_float_operators_are_found(files):
    model = unpacked(files["int8"])
    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = b"FlexErf"
    assert inspect(packed(model)).custom_ops == ("FlexErf",)
    model = unpacked(files["int8"])
    graph = model.subgraphs[0]
    middle = graph.operators[0].outputs[0]
    graph.tensors[middle].type = schema.TensorType.FLOAT32
    graph.tensors[middle].name = b"stray"
    found = inspect(packed(model)).float_operators
    assert [i.op for i in found] == ["CONV_2D", "CONV_2D"] and found[0].tensor == "stray"


def test_the_same_model_gives_the_same_bytes(model, samples, files, tmp_path):
    again = convert(model, recipe("int8"), tmp_path / "again.tflite", samples).path.read_bytes()
    assert again == files["int8"]


def test_a_full_disk_leaves_the_old_pair_as_it_was(model, tmp_path, monkeypatch):
    path = tmp_path / "toy.tflite"
    convert(model, recipe("fp32"), path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert set(before) == {"toy.tflite", "toy.json"}

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("export.sidecar.write_json", full)  # the model fits, its sidecar does not
    with pytest.raises(OSError, match="No space left"):
        convert(model, recipe("fp16"), path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    monkeypatch.undo()
    assert convert(model, recipe("fp16"), path).sidecar == read_sidecar(path)
    assert {p.name for p in tmp_path.iterdir()} == set(before)


def test_a_model_that_the_runtime_refuses_is_not_left_behind(model, tmp_path, monkeypatch):
    def refuse(path, *_, **__):
        raise ExportError(f"{path} is refused by litert", "try another")

    monkeypatch.setattr("export.runtime.Session.__init__", lambda self, path, *_, **__: refuse(path))
    path = tmp_path / "toy.tflite"
    with pytest.raises(ExportError) as caught:
        convert(model, recipe("fp32"), path)
    assert caught.value.what == f"{path} is refused by litert"
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_called_tflite(model, tmp_path):
    with pytest.raises(ExportError, match=r"does not end in \.tflite"):
        convert(model, recipe("fp32"), sidecar_path(tmp_path / "model.tflite"))
    assert list(tmp_path.iterdir()) == []


def test_a_session_takes_only_what_the_model_takes(files, tmp_path):
    path = tmp_path / "int8.tflite"
    path.write_bytes(files["int8"])
    session = Session(path)
    for wrong in (np.zeros((1, 8, 9, 3), np.int8), np.zeros(SHAPE, np.float32)):
        with pytest.raises(ExportError, match="takes int8"):
            session.run(wrong)
    with pytest.raises(ExportError, match="NaN or infinity"):
        session.run_float(np.full(SHAPE, np.nan, np.float32))
    batch = np.random.default_rng(1).normal(size=(3, *SHAPE[1:])).astype(np.float32)
    (together,) = session.run_float(batch)
    one_by_one = [session.run_float(image[None])[0] for image in batch]
    assert together.shape == (3, 8, 8, 2) and np.array_equal(together, np.concatenate(one_by_one))


def test_the_input_is_rounded_as_the_kernels_round():
    spec = TensorSpec("image", (1, 4), "int8", 0.5, 0)
    halves = np.array([[-0.75, -0.25, 0.25, 0.75]], np.float32)
    assert spec.quantise(halves).tolist() == [[-2, 0, 0, 2]]
    with pytest.raises(ExportError, match="without a scale"):
        TensorSpec("image", (1, 1), "uint8", 0.0, 0).quantise(np.array([[0.3]], np.float32))


def test_images_that_were_not_normalised_do_not_calibrate():
    with pytest.raises(ExportError, match="of type uint8"):
        representative_dataset([np.zeros(SHAPE, np.uint8)], SHAPE)
