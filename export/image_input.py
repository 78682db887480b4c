"""Whether a .tflite from elsewhere takes an image as we give it, and how one of no fixed size gets one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from export.errors import ExportError
from export.inspect import ModelInfo
from export.runtime import load_interpreter

_IDENTIFIER = b"TFL3"
_AXES = ("batch", "height", "width", "channels")


def check_image_input(path: Path, info: ModelInfo, size: tuple[int, int] | None) -> bool:
    """Whether the model has no fixed height and width, and needs `size`.

    Args:
        size: (height, width) that the user gives, or None.

    Raises:
        ExportError: channels first, no image of three colours, a batch of several, a size that is missing, or
            one that the model does not take.
    """
    found = info.inputs[0]
    shape = tuple(-1 if i in found.dynamic else n for i, n in enumerate(found.shape))
    text = " x ".join("?" if n < 0 else str(n) for n in shape)
    if len(info.inputs) != 1 or len(shape) != 4:
        raise ExportError(
            f"{path} takes {len(info.inputs)} inputs, the first of {text}", "give a model of one image"
        )
    if shape[1] == 3 and shape[3] != 3:
        raise ExportError(
            f"{path} takes channels first ({text})", "convert it to height, width, channels (NHWC)"
        )
    if shape[3] != 3:
        raise ExportError(f"{path} takes {text}, no image of three colours", "give a model of RGB images")
    if shape[0] not in (1, -1):
        raise ExportError(f"{path} takes {shape[0]} images at a time", "export it for one")
    if -1 not in shape[1:3]:
        if size not in (None, shape[1:3]):
            raise ExportError(f"{path} takes {shape[1]} x {shape[2]} pixels only", "leave --resolution out")
        return False
    if size is None:
        raise ExportError(f"{path} has no fixed height and width ({text})", "give its size: --resolution 256")
    return True


def with_size(path: Path, size: tuple[int, int]) -> bytes:
    """A model of no fixed size as one of `size`: every tensor's shape is what the runtime makes of it.

    Args:
        path: a .tflite that `inspect` has passed.
        size: (height, width) of its image.

    Raises:
        ExportError: the runtime cannot take that size, or shapes are known only when it runs.
    """
    import flatbuffers
    from ai_edge_litert.tools import flatbuffer_utils

    shapes = _shapes(path, size)
    model = flatbuffer_utils.convert_bytearray_to_object(path.read_bytes())
    for index, tensor in enumerate(model.subgraphs[0].tensors):
        if index in shapes:
            tensor.shape = list(shapes[index])
        tensor.shapeSignature = None
    builder = flatbuffers.Builder(path.stat().st_size)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def _shapes(path: Path, size: tuple[int, int]) -> dict[int, tuple[int, ...]]:
    """Shapes of the tensors by their number, once the input has its size."""
    runtime, interpreter = load_interpreter()
    try:
        made = interpreter(model_path=str(path), **_plain_kernels(runtime.name))
        made.resize_tensor_input(made.get_input_details()[0]["index"], [1, *size, 3])
        made.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ExportError(
            f"{path} cannot take {size[0]} x {size[1]} pixels ({error})", "give another --resolution"
        ) from None
    known = {}
    for details in made.get_tensor_details():
        known[details["index"]] = tuple(int(n) for n in details["shape"])
    return known


def _plain_kernels(runtime: str) -> dict[str, Any]:
    """Without a delegate, which would hide the tensors that it takes over."""
    if runtime == "litert":
        from ai_edge_litert.interpreter import OpResolverType
    else:
        from tflite_runtime.interpreter import OpResolverType
    return {"experimental_op_resolver_type": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
