"""The TFLite interpreter behind one import shim, with the arithmetic of its inputs and outputs."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import lookup
from edgeio.quiet import captured_stderr
from export.errors import ExportError


@dataclass(frozen=True)
class Runtime:
    """An installed interpreter; its name and version stand beside every millisecond."""

    name: str
    version: str


@dataclass(frozen=True)
class _Package:
    name: str
    module: str
    distribution: str


# The successor first: tflite-runtime 2.14 is the last of its line.
_PACKAGES = {
    p.name: p
    for p in (
        _Package("litert", "ai_edge_litert.interpreter", "ai-edge-litert"),
        _Package("tflite-runtime", "tflite_runtime.interpreter", "tflite-runtime"),
    )
}
RUNTIMES = tuple(_PACKAGES)


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a model.

    Attributes:
        scale, zero_point: real = (quantised - zero_point) * scale; scale is 0 for float tensors.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int

    def quantise(self, real: np.ndarray) -> np.ndarray:
        """Real numbers to the tensor's own type: rounded to nearest and clipped to the type's range.

        Halves go to the even step, as in the QUANTIZE operator of the optimised kernels (the reference
        kernels round them away from zero).

        Raises:
            ExportError: NaN or infinity, which an integer cannot hold; or an integer type without a scale.
        """
        if self.scale == 0:
            if not np.issubdtype(np.dtype(self.dtype), np.floating):
                raise ExportError(
                    f"the input '{self.name}' is {self.dtype} without a scale", "export it again"
                )
            return np.asarray(real, self.dtype)
        info = np.iinfo(self.dtype)
        steps = np.asarray(real, np.float32) / np.float32(self.scale)
        if not np.isfinite(steps).all():
            raise ExportError(f"the input '{self.name}' holds NaN or infinity", "check how it is normalised")
        return np.clip(np.rint(steps) + self.zero_point, info.min, info.max).astype(self.dtype)

    def dequantise(self, stored: np.ndarray) -> np.ndarray:
        """The tensor's own type to float32."""
        if self.scale == 0:
            return stored.astype(np.float32)
        return (stored.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


class Session:
    """One model on one interpreter, at batch 1.

    Args:
        model: a .tflite file that has been inspected: the interpreters trust their input.
        threads: of the interpreter.
        runtime: one of RUNTIMES; by default the environment's EDGEPOSE_TFLITE_RUNTIME, else the first
            that is installed.

    Raises:
        ExportError: no runtime, or the runtime refuses the model; carries its message.
    """

    def __init__(self, model: str | os.PathLike[str], threads: int = 1, runtime: str | None = None) -> None:
        self._path = Path(model)
        self.runtime, interpreter = load_interpreter(runtime)
        try:
            with captured_stderr():
                self._interpreter = interpreter(model_path=str(model), num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ExportError(
                f"{model} is refused by {self.runtime.name} {self.runtime.version} ({error})",
                "export it with recipe fp32 or int8 and output maps, or use another runtime",
            ) from None
        self.inputs = [_spec(d) for d in self._interpreter.get_input_details()]
        self.outputs = [_spec(d) for d in self._interpreter.get_output_details()]
        if len(self.inputs) != 1:
            raise ExportError(
                f"{model} has {len(self.inputs)} inputs", "give a model with one input, the image"
            )
        self._input_index = self._interpreter.get_input_details()[0]["index"]
        self._output_indices = [d["index"] for d in self._interpreter.get_output_details()]

    def run(self, stored: np.ndarray) -> list[np.ndarray]:
        """One inference on a tensor of the input's own type and shape; outputs in theirs."""
        wanted = self.inputs[0]
        if stored.shape != wanted.shape or stored.dtype != wanted.dtype:
            raise ExportError(
                f"{self._path} takes {wanted.dtype} {wanted.shape}, not {stored.dtype} {stored.shape}",
                "letterbox and quantise the image to the model's input",
            )
        try:
            self._interpreter.set_tensor(self._input_index, stored)
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise ExportError(
                f"{self._path} failed in {self.runtime.name} ({error})", "export it again"
            ) from None
        return [self._interpreter.get_tensor(index) for index in self._output_indices]

    def run_float(self, real: np.ndarray) -> list[np.ndarray]:
        """Inference on each of B inputs.

        Args:
            real: (B, H, W, C) float32, normalised.

        Returns:
            every output, (B, ...) float32, dequantised.
        """
        rows = [self.run(self.inputs[0].quantise(real[i : i + 1])) for i in range(len(real))]
        return [
            np.concatenate([spec.dequantise(row[i]) for row in rows]) for i, spec in enumerate(self.outputs)
        ]


def load_interpreter(runtime: str | None = None) -> tuple[Runtime, Callable[..., Any]]:
    """The interpreter class of a runtime, and what it is.

    Raises:
        UnknownName: no such runtime.
        ExportError: it is not installed, or cannot work with what is.
    """
    wanted = runtime or os.environ.get("EDGEPOSE_TFLITE_RUNTIME") or None
    packages = [lookup(_PACKAGES, "runtime", wanted)] if wanted else list(_PACKAGES.values())
    for package in packages:
        try:
            version = importlib.metadata.version(package.distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
        if package.name == "tflite-runtime" and int(np.__version__.split(".")[0]) >= 2:
            raise ExportError(
                f"tflite-runtime {version} crashes with NumPy {np.__version__}",
                "install 'numpy<2', or use litert",
            )
        try:
            module = importlib.import_module(package.module)
        except (ImportError, OSError) as error:  # a native library that this machine cannot load
            raise ExportError(
                f"{package.distribution} {version} does not load ({error})",
                "install it again, or use another",
            ) from None
        return Runtime(package.name, version), module.Interpreter
    names = " or ".join(p.distribution for p in packages)
    raise ExportError(
        f"no TFLite runtime is installed ({names})", f"run: pip install {packages[0].distribution}"
    )


def _spec(details: dict[str, Any]) -> TensorSpec:
    scale, zero_point = details["quantization"]
    dtype = np.dtype(details["dtype"]).name
    shape = tuple(int(n) for n in details["shape"])
    return TensorSpec(details["name"], shape, dtype, float(scale), int(zero_point))
