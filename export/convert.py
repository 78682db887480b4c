"""Keras models to .tflite files; the sole caller of the converter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import replacing
from edgeio.quiet import captured_stderr
from export.calibration import Calibration, representative_dataset
from export.errors import ExportError
from export.inspect import ModelInfo, inspect
from export.recipe import Recipe
from export.rewrite import compact, with_int8_weights, without_barriers
from export.rounding import without_halves
from export.sidecar import Sidecar, describe, sidecar_path, write_sidecar


@dataclass(frozen=True)
class Converted:
    """A .tflite with its sidecar, as they lie on disk."""

    path: Path
    info: ModelInfo
    sidecar: Sidecar


def convert(
    model: Any,
    recipe: Recipe,
    out: Path,
    samples: Sequence[np.ndarray] = (),
    calibration: Calibration | None = None,
    metadata: Any = None,
    versions: dict[str, str] | None = None,
    check: Callable[[bytes], None] = lambda data: None,
) -> Converted:
    """Convert a model and write OUT and its sidecar.

    Args:
        model: Keras 3 or tf_keras, one input (None or 1, H, W, C) of known size.
        out: path of the .tflite.
        samples: normalised inputs (1, H, W, C) float32; a calibrated recipe needs them.
        calibration: the record of the samples, for the sidecar.
        metadata: anything that is JSON; goes into the sidecar as it is.
        versions: of the caller's parts, for the sidecar.
        check: raises where the file must not be written.

    Raises:
        ExportError: the converter fails, or the result needs operators that are not built in.
    """
    if out.suffix != ".tflite":
        raise ExportError(
            f"{out} does not end in .tflite", "name the model NAME.tflite; its sidecar is NAME.json"
        )
    data = to_bytes(model, recipe, samples)
    info = inspect(data)
    if info.custom_ops:
        raise ExportError(
            f"{out.name} would need operators that phones lack: {', '.join(info.custom_ops)}",
            "build the network from TFLite's built-in operators",
        )
    check(data)
    # Both are written before either gets its name, so that a full disk leaves the old pair as it was.
    with replacing(sidecar_path(out)), replacing(out) as temporary:
        temporary.write_bytes(data)
        try:
            sidecar = describe(
                temporary, recipe.key, metadata, calibration, _versions() | (versions or {}), info
            )
        except ExportError as error:
            raise ExportError(error.what.replace(str(temporary), str(out)), error.hint) from None
        write_sidecar(temporary, sidecar)  # lands where the outer block expects it
    return Converted(out, info, sidecar)


def to_bytes(model: Any, recipe: Recipe, samples: Sequence[np.ndarray] = ()) -> bytes:
    """The .tflite of a model, at batch 1."""
    import tensorflow as tf

    shape = (1, *model.input_shape[1:])
    if any(n is None for n in shape):
        raise ExportError(
            f"the model's input {model.input_shape} has no fixed size", "build it for one resolution"
        )
    function = tf.function(
        lambda image: model(image, training=False),
        input_signature=[tf.TensorSpec(shape, tf.float32, name="image")],
    ).get_concrete_function()
    with captured_stderr() as log:
        # Only the function: with the model as second argument a Keras 3 model converts to garbage, silently.
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
        _configure(converter, recipe, samples, shape)
        try:
            data = bytes(converter.convert())
            return compact(_rewritten(data, recipe))
        except ExportError:
            raise
        except Exception as error:  # the converter raises its own kinds, and says the reason on stderr
            raise ExportError(
                f"the converter refuses the model ({_reason(error, log)})", _way_out(recipe)
            ) from None


def _rewritten(data: bytes, recipe: Recipe) -> bytes:
    """What the converter has no option for."""
    if recipe.simulated:
        data = without_barriers(data)
    if recipe.only_stores_int8:
        return with_int8_weights(data)
    return without_halves(data) if recipe.activations == "int8" else data


def _configure(converter: Any, recipe: Recipe, samples: Sequence[np.ndarray], shape: tuple[int, ...]) -> None:
    import tensorflow as tf

    ops = tf.lite.OpsSet
    converter.target_spec.supported_ops = [ops.TFLITE_BUILTINS]
    if recipe.weights == "float32" or recipe.only_stores_int8:
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if recipe.simulated:  # the converter reads the ranges from the model's fake quantization
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return
    if recipe.weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if not recipe.calibrated:
        return
    converter.representative_dataset = representative_dataset(samples, shape)
    wide = recipe.activations == "int16"
    converter.target_spec.supported_ops = [
        ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8 if wide else ops.TFLITE_BUILTINS_INT8
    ]
    converter.inference_input_type = converter.inference_output_type = tf.int16 if wide else tf.int8


def _reason(error: Exception, log: Any) -> str:
    """The line that says why: the converter's own error, or else the last of its log."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "error:" in line] or lines
    if not telling:
        log.seek(0)
        telling = [line.strip() for line in log.read().splitlines() if line.strip()] or [type(error).__name__]
    return telling[-1 if telling is lines else 0][:300]


def _way_out(recipe: Recipe) -> str:
    return "try recipe fp32 to see whether quantization is the cause, or another --output"


def _versions() -> dict[str, str]:
    import keras
    import tensorflow as tf

    return {"tensorflow": tf.__version__, "keras": keras.__version__}
