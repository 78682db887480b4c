"""The ecosystem's metadata inside a .tflite: what tflite-support writes and Android Studio reads.

Two things: a buffer named TFLITE_METADATA, a FlatBuffer of its own (identifier M001), which describes
inputs and outputs; and the associated files, a zip archive behind the model, so that any zip tool lists
them. The model's own bytes are not touched: a new root table goes in front of them, which points to the
old tables and to the new buffer. So constants keep their place in memory to the byte, and what a runtime
computes stays the same.

Source: TensorFlow Lite Support, metadata_schema.fbs 1.1.0.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import flatbuffers

from export.errors import ExportError
from export.inspect import inspect
from export.zips import write_stored

NAME = "TFLITE_METADATA"
_HINT = "bundle a model as `edgepose export` wrote it"
_IDENTIFIER = b"M001"
_PARSER = "1.0.0"  # the oldest reader that understands every field used here
_DESCRIPTION, _AXIS_LABELS = 1, 2  # AssociatedFileType
_RGB, _IMAGE, _NORMALISATION = 1, 2, 1  # ColorSpaceType, ContentProperties, ProcessUnitOptions
_ALIGNED = 64  # what the runtimes align tensors to
_BUFFERS, _METADATA, _KNOWN = 4, 6, 10  # fields of the table Model, and how many there are


@dataclass(frozen=True)
class ImageInput:
    """The image that the model takes: stored = (pixel - mean) / std by channel, before any quantisation."""

    name: str
    description: str
    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Output:
    """One output; `labels` is the associated file that names its last axis, one name a line."""

    name: str
    description: str
    labels: str | None = None


@dataclass(frozen=True)
class Description:
    """What the metadata says of the whole model."""

    name: str
    description: str
    version: str
    author: str
    license: str


def embed(
    model: bytes,
    about: Description,
    image: ImageInput,
    outputs: Sequence[Output],
    files: Mapping[str, bytes],
) -> bytes:
    """A .tflite with metadata and associated files; the same arguments give the same bytes.

    Args:
        model: a .tflite file's bytes, which stand unchanged inside the result.
        outputs: one for each of the model's.
        files: name -> content, in the order of the archive.

    Raises:
        ExportError: not a sound .tflite, another number of outputs, or one that has metadata already.
    """
    count = len(inspect(model).outputs)
    if count != len(outputs):
        raise ExportError(f"the model has {count} outputs and {len(outputs)} are described", _HINT)
    front = _front(model, _model_metadata(about, image, outputs, list(files)))
    stream = io.BytesIO()
    stream.write(front + model)
    write_stored(stream, files)
    return stream.getvalue()


def metadata_of(model: bytes) -> bytes | None:
    """The metadata buffer of a .tflite, or None where it has none."""
    from ai_edge_litert import schema_py_generated as schema

    root = schema.Model.GetRootAs(model, 0)
    for i in range(root.MetadataLength()):
        entry = root.Metadata(i)
        if entry.Name() == NAME.encode():
            return bytes(root.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
    return None


def _front(model: bytes, metadata: bytes) -> bytes:
    """What goes before the model: a root table of its fields, with one buffer and one entry more."""
    if metadata_of(model) is not None:
        raise ExportError("the model has metadata already", _HINT)
    if _has_far_buffers(model):
        raise ExportError("the model keeps constants outside its FlatBuffer", "give a model below 2 GB")
    fields = _fields(model)
    if len(fields) > _KNOWN and any(fields[_KNOWN:]):
        raise ExportError("the model was written by a newer converter", "upgrade edgepose")
    buffers, entries = (_targets(model, fields[i]) for i in (_BUFFERS, _METADATA))
    width = max(len(fields), _METADATA + 1)
    used = [i for i in range(width) if i in (_BUFFERS, _METADATA) or fields[i : i + 1] not in ([], [0])]
    # Where everything comes to lie; offsets in a FlatBuffer are relative and point forward.
    vtable = 8
    table = _up(vtable + 4 + 2 * width, 4)
    at = {slot: table + 4 + 4 * n for n, slot in enumerate(used)}
    buffer_vector = table + 4 + 4 * len(used)
    entry_vector = buffer_vector + 4 + 4 * (len(buffers) + 1)
    entry_table = entry_vector + 4 + 4 * (len(entries) + 1) + 8  # 8: its own vtable, in front
    name = entry_table + 12
    buffer_table = _up(name + 4 + len(NAME) + 1, 4) + 8
    data = _up(buffer_table + 8 + 4, 16)
    size = _up(data + len(metadata), _ALIGNED)
    front = bytearray(size)
    struct.pack_into("<I4s", front, 0, table, b"TFL3")
    slots = [at.get(i, table) - table for i in range(width)]
    struct.pack_into(f"<HH{width}H", front, vtable, 4 + 2 * width, 4 + 4 * len(used), *slots)
    struct.pack_into("<i", front, table, table - vtable)
    for slot in used:
        old = fields[slot] if slot < len(fields) else 0
        if slot == 0:  # the version, a number; all others are offsets
            front[at[0] : at[0] + 4] = model[old : old + 4]
        elif slot in (_BUFFERS, _METADATA):
            vector = buffer_vector if slot == _BUFFERS else entry_vector
            struct.pack_into("<I", front, at[slot], vector - at[slot])
        else:
            struct.pack_into("<I", front, at[slot], size + _target(model, old) - at[slot])
    for vector, targets, last in (
        (buffer_vector, buffers, buffer_table),
        (entry_vector, entries, entry_table),
    ):
        ends = [size + target for target in targets] + [last]
        struct.pack_into("<I", front, vector, len(ends))
        for n, end in enumerate(ends):
            struct.pack_into("<I", front, vector + 4 + 4 * n, end - (vector + 4 + 4 * n))
    struct.pack_into("<HHHH", front, entry_table - 8, 8, 12, 4, 8)  # name, buffer
    struct.pack_into("<iII", front, entry_table, 8, name - (entry_table + 4), len(buffers))
    struct.pack_into(f"<I{len(NAME)}s", front, name, len(NAME), NAME.encode())
    struct.pack_into("<HHH", front, buffer_table - 8, 6, 8, 4)  # data
    struct.pack_into("<iI", front, buffer_table, 8, data - 4 - (buffer_table + 4))
    struct.pack_into(f"<I{len(metadata)}s", front, data - 4, len(metadata), metadata)
    return bytes(front)


def _has_far_buffers(model: bytes) -> bool:
    """Whether constants are found by their place in the file, which would move."""
    from ai_edge_litert import schema_py_generated as schema

    root = schema.Model.GetRootAs(model, 0)
    return any(root.Buffers(i).Offset() > 1 for i in range(root.BuffersLength()))


def _fields(model: bytes) -> list[int]:
    """Position of each field of the root table, 0 where it is absent."""
    root = struct.unpack_from("<I", model)[0]
    vtable = root - struct.unpack_from("<i", model, root)[0]
    size = struct.unpack_from("<H", model, vtable)[0]
    offsets = struct.unpack_from(f"<{size // 2 - 2}H", model, vtable + 4)
    return [root + offset if offset else 0 for offset in offsets]


def _target(model: bytes, position: int) -> int:
    """Where the offset at `position` points to."""
    return int(position + struct.unpack_from("<I", model, position)[0])


def _targets(model: bytes, field: int) -> list[int]:
    """Where the elements of a vector of tables lie; none where the field is absent."""
    if not field:
        return []
    vector = _target(model, field)
    count = struct.unpack_from("<I", model, vector)[0]
    return [_target(model, vector + 4 + 4 * i) for i in range(count)]


def _up(position: int, multiple: int) -> int:
    return -(-position // multiple) * multiple


def _model_metadata(
    about: Description, image: ImageInput, outputs: Sequence[Output], files: Sequence[str]
) -> bytes:
    b = flatbuffers.Builder(1024)
    labels = {output.labels for output in outputs}
    loose = [_file(b, name, _DESCRIPTION) for name in files if name not in labels]
    graph = _table(
        b,
        7,
        {2: _vector(b, [_input(b, image)]), 3: _vector(b, [_output(b, output) for output in outputs])},
    )
    texts = (about.name, about.description, about.version, about.author, about.license, _PARSER)
    name, description, version, author, licence, parser = map(b.CreateString, texts)
    fields = {0: name, 1: description, 2: version, 3: _vector(b, [graph]), 4: author, 5: licence}
    b.Finish(_table(b, 8, {**fields, 6: _vector(b, loose), 7: parser}), _IDENTIFIER)
    return bytes(b.Output())


def _input(b: flatbuffers.Builder, image: ImageInput) -> int:
    height, width = image.size
    b.StartObject(2)
    b.PrependUint32Slot(0, width, 0)
    b.PrependUint32Slot(1, height, 0)
    size = b.EndObject()
    b.StartObject(2)
    b.PrependInt8Slot(0, _RGB, 0)
    b.PrependUOffsetTRelativeSlot(1, size, 0)
    properties = b.EndObject()
    b.StartObject(3)
    b.PrependUint8Slot(0, _IMAGE, 0)
    b.PrependUOffsetTRelativeSlot(1, properties, 0)
    content = b.EndObject()
    normalisation = _table(b, 2, {0: _floats(b, image.mean), 1: _floats(b, image.std)})
    b.StartObject(2)
    b.PrependUint8Slot(0, _NORMALISATION, 0)
    b.PrependUOffsetTRelativeSlot(1, normalisation, 0)
    unit = b.EndObject()
    highest = [(255 - m) / s for m, s in zip(image.mean, image.std, strict=True)]
    lowest = [-m / s for m, s in zip(image.mean, image.std, strict=True)]
    stats = _table(b, 2, {0: _floats(b, highest), 1: _floats(b, lowest)})
    fields = {0: b.CreateString(image.name), 1: b.CreateString(image.description)}
    return _table(b, 7, {**fields, 3: content, 4: _vector(b, [unit]), 5: stats})


def _output(b: flatbuffers.Builder, output: Output) -> int:
    fields = {0: b.CreateString(output.name), 1: b.CreateString(output.description)}
    if output.labels is not None:
        fields[6] = _vector(b, [_file(b, output.labels, _AXIS_LABELS)])
    return _table(b, 7, fields)


def _file(b: flatbuffers.Builder, name: str, kind: int) -> int:
    text = b.CreateString(name)
    b.StartObject(4)
    b.PrependUOffsetTRelativeSlot(0, text, 0)
    b.PrependInt8Slot(2, kind, 0)
    return int(b.EndObject())


def _table(b: flatbuffers.Builder, slots: int, fields: Mapping[int, int]) -> int:
    """A table whose fields are all offsets."""
    b.StartObject(slots)
    for slot, offset in fields.items():
        b.PrependUOffsetTRelativeSlot(slot, offset, 0)
    return int(b.EndObject())


def _vector(b: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())


def _floats(b: flatbuffers.Builder, values: Sequence[float]) -> int:
    b.StartVector(4, len(values), 4)
    for value in reversed(values):
        b.PrependFloat32(value)
    return int(b.EndVector())
