"""The runner of a model file."""

from __future__ import annotations

from pathlib import Path

from edgepose.errors import BadModel
from edgepose.inference.keras_runner import KerasRunner
from edgepose.inference.tflite import TFLiteRunner


def open_runner(path: Path, threads: int = 1, counted: bool = False) -> TFLiteRunner | KerasRunner:
    """The runner for a model file, by its suffix.

    Args:
        threads: of the TFLite runtime.
        counted: the spec of a checkpoint tells parameters and operations, which takes seconds to count.

    Raises:
        BadModel: no such file, or neither a checkpoint nor a .tflite.
    """
    if not path.is_file():
        raise BadModel(
            f"{path} does not exist or is not a file", "give a .safetensors checkpoint or a .tflite file"
        )
    if path.suffix.lower() == ".tflite":
        return TFLiteRunner(path, threads)
    if path.suffix.lower() == ".safetensors":
        return KerasRunner(path, counted)
    raise BadModel(
        f"{path} is neither a .safetensors checkpoint nor a .tflite file", "export or import it first"
    )
