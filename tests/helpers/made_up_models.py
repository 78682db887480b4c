"""What a runner says of a model that is none: tests that see pictures put their own run() behind it."""

from __future__ import annotations

from pathlib import Path

from edgepose.inference.spec import ModelSpec
from edgepose.keypoints import IN_MOTION_19


def maps_spec(path: Path, recipe: str, runtime: str) -> ModelSpec:
    """RT with maps of 28 x 28 cells on 224 x 224 px, for the paper's 19 keypoints."""
    return ModelSpec(
        path=path,
        kind="tflite",
        sha256="0" * 64,
        size_bytes=1,
        deflated_bytes=1,
        network="rt",
        keypoints=IN_MOTION_19,
        recipe=recipe,
        output="maps",
        output_shape=(28, 28, len(IN_MOTION_19)),
        decode="taylor",
        input_size=(224, 224),
        parameters=1,
        flops=1,
        ops={},
        float_operators=None,
        runtime={"name": runtime, "version": "1"},
    )
