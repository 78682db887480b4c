"""Metadata inside a .tflite: the ecosystem's reader finds it, and the model's own bytes stay as they were."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tiny_tflite import tiny_tflite

from export.errors import ExportError
from export.inspect import inspect
from export.metadata import Description, ImageInput, Output, embed, metadata_of
from export.runtime import Session

ABOUT = Description("name", "what it is", "1", "me", "none")
IMAGE = ImageInput("image", "RGB", (64, 64), (123.0, 117.0, 104.0), (58.0, 57.0, 56.0))
FILES = {"keypoints.txt": b"nose\nleft_ear\n", "pose.json": b"{}"}


def embedded(model: bytes) -> bytes:
    return embed(model, ABOUT, IMAGE, [Output("maps", "one a keypoint", "keypoints.txt")], FILES)


def test_the_model_stands_unchanged_inside_and_computes_the_same(tmp_path: Path) -> None:
    model = tiny_tflite()
    made = embedded(model)
    at = made.index(model)
    assert at % 64 == 0  # so constants keep their alignment
    before, after = tmp_path / "a.tflite", tmp_path / "b.tflite"
    before.write_bytes(model)
    after.write_bytes(made)
    one, other = Session(before), Session(after)
    assert (one.inputs, one.outputs) == (other.inputs, other.outputs)
    image = np.random.default_rng(0).normal(size=one.inputs[0].shape).astype(np.float32)
    assert np.array_equal(one.run(image)[0], other.run(image)[0])


def test_graph_and_older_metadata_are_found_as_before() -> None:
    model = tiny_tflite()
    made = embedded(model)
    old, new = inspect(model), inspect(made)
    assert (old.ops, old.inputs, old.outputs, old.dtypes) == (new.ops, new.inputs, new.outputs, new.dtypes)
    root = schema.Model.GetRootAs(made, 0)
    assert (root.Version(), root.Description()) == (3, b"one convolution")
    assert root.BuffersLength() == 4
    assert [root.Metadata(i).Name() for i in range(root.MetadataLength())] == [
        b"min_runtime_version",
        b"TFLITE_METADATA",
    ]


def test_a_zip_tool_lists_the_associated_files() -> None:
    with zipfile.ZipFile(io.BytesIO(embedded(tiny_tflite()))) as archive:
        assert archive.namelist() == list(FILES)
        assert archive.read("keypoints.txt") == FILES["keypoints.txt"]
        assert archive.testzip() is None


class Table:
    """A FlatBuffer table read by slot, without generated code: tflite-support's schema has none here."""

    def __init__(self, data: bytes, position: int) -> None:
        self.table = flatbuffers.table.Table(bytearray(data), position)

    def _at(self, slot: int) -> int:
        offset = self.table.Offset(4 + 2 * slot)
        assert offset, f"slot {slot} is absent"
        return int(offset)

    def text(self, slot: int) -> str:
        return str(self.table.String(self._at(slot) + self.table.Pos), "utf-8")

    def child(self, slot: int) -> Table:
        return Table(bytes(self.table.Bytes), self.table.Indirect(self._at(slot) + self.table.Pos))

    def children(self, slot: int) -> list[Table]:
        start = self.table.Vector(self._at(slot))
        places = [start + 4 * i for i in range(self.table.VectorLen(self._at(slot)))]
        return [Table(bytes(self.table.Bytes), self.table.Indirect(place)) for place in places]

    def floats(self, slot: int) -> list[float]:
        return list(self.table.GetVectorAsNumpy(flatbuffers.number_types.Float32Flags, self._at(slot)))

    def number(self, slot: int, flags: type) -> int:
        return int(self.table.Get(flags, self._at(slot) + self.table.Pos))


def test_metadata_says_what_the_ecosystems_schema_asks_for() -> None:
    buffer = metadata_of(embedded(tiny_tflite()))
    assert buffer is not None
    assert buffer[4:8] == b"M001"
    root = Table(buffer, int.from_bytes(buffer[:4], "little"))
    assert [root.text(slot) for slot in (0, 1, 2, 4, 5, 7)] == [
        "name",
        "what it is",
        "1",
        "me",
        "none",
        "1.0.0",
    ]
    assert [f.text(0) for f in root.children(6)] == ["pose.json"]
    (graph,) = root.children(3)
    ((image,), (output,)) = graph.children(2), graph.children(3)
    content = image.child(3)
    assert content.number(0, flatbuffers.number_types.Uint8Flags) == 2  # ImageProperties
    assert content.child(1).number(0, flatbuffers.number_types.Int8Flags) == 1  # RGB
    size = content.child(1).child(1)
    assert [size.number(i, flatbuffers.number_types.Uint32Flags) for i in (0, 1)] == [64, 64]
    (unit,) = image.children(4)
    assert unit.number(0, flatbuffers.number_types.Uint8Flags) == 1  # NormalizationOptions
    assert unit.child(1).floats(0) == list(IMAGE.mean)
    assert unit.child(1).floats(1) == list(IMAGE.std)
    assert image.child(5).floats(0) == pytest.approx(
        [(255 - m) / s for m, s in zip(IMAGE.mean, IMAGE.std, strict=True)]
    )
    (labels,) = output.children(6)
    assert labels.text(0) == "keypoints.txt"
    assert labels.number(2, flatbuffers.number_types.Int8Flags) == 2  # TENSOR_AXIS_LABELS


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert embedded(tiny_tflite()) == embedded(tiny_tflite())


def test_what_cannot_be_described_is_refused() -> None:
    model = tiny_tflite()
    with pytest.raises(ExportError, match="has metadata already"):
        embedded(embedded(model))
    with pytest.raises(ExportError, match="1 outputs and 0 are described"):
        embed(model, ABOUT, IMAGE, [], {})
    with pytest.raises(ExportError, match="not a \\.tflite"):
        embedded(b"nothing that is a model")
    assert metadata_of(model) is None
