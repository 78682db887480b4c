"""A checkpoint on Keras, on any of its backends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edgeio import deflated_bytes, sha256_file
from edgepose.errors import UsageError
from edgepose.inference.decode import DECODE
from edgepose.inference.spec import ModelSpec
from edgepose.keypoints import keypoint_set

BATCH = 8  # images that a stream computes at once


class KerasRunner:
    """A checkpoint, built and run by Keras in float32 on one device, whatever the caller trains with.

    A stream computes `BATCH` images at once; the last batch is filled up with its last image, so that there
    is one shape to compile. An image's output depends on the batch only by the order of float32 sums: RT's
    maps differ by up to 8e-7 between one at a time and eight, its keypoints by up to 3e-5 px, on TensorFlow
    and on JAX. One at a time takes TensorFlow 1.17 x as long (40 made-up infants, two cores).

    Args:
        counted: count parameters and operations too, which takes seconds.
    """

    detector = None

    def __init__(self, path: Path, counted: bool = False) -> None:
        from edgepose.models.checkpoint import load_model, read_checkpoint

        info, _ = read_checkpoint(path)
        with _undistributed_float32():
            model = load_model(path, output="maps")
        self._call, runtime = _compiled(model)
        parameters, flops = _cost(info) if counted else (None, None)
        self.spec = ModelSpec(
            path=path,
            kind="checkpoint",
            sha256=sha256_file(path),
            size_bytes=path.stat().st_size,
            deflated_bytes=deflated_bytes(path),
            network=info.model,
            keypoints=keypoint_set(info.keypoints),
            recipe=None,
            output="maps",
            output_shape=tuple(model.output_shape[1:]),
            decode=DECODE["maps"],
            input_size=tuple(model.input_shape[1:3]),
            parameters=parameters,
            flops=flops,
            ops={},
            float_operators=None,
            runtime=runtime,
        )

    def run(self, inputs: np.ndarray) -> np.ndarray:
        with _undistributed_float32():
            return self._call(inputs)

    def run_filled(self, inputs: np.ndarray) -> np.ndarray:
        """`run` of B at most `BATCH` inputs as one whole batch, for those that come in many sizes."""
        filling = np.repeat(inputs[-1:], BATCH - len(inputs), 0)
        return self.run(np.concatenate([inputs, filling]))[: len(inputs)]

    def stream(self, inputs: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """`run` of each input (1, h, w, 3), in their order, in batches."""
        source = iter(inputs)
        while batch := list(islice(source, BATCH)):
            outputs = self.run_filled(np.concatenate(batch))
            yield from (output[None] for output in outputs)


def _compiled(model: Any) -> tuple[Callable[[np.ndarray], np.ndarray], dict[str, str]]:
    """The model as a function of arrays, and what runs it.

    Raises:
        UsageError: a backend without a way to compile it here.
    """
    from edgepose.frameworks import keras, tensorflow

    backend = keras().backend.backend()
    if backend == "tensorflow":
        tf = tensorflow()
        call = tf.function(lambda x: model(x, training=False), jit_compile=False)  # XLA is slower on CPUs
        return lambda x: np.asarray(call(tf.constant(x)).numpy(), np.float32), _runtime(backend, tf)
    if backend == "jax":
        import jax

        held = [
            [v.value for v in group] for group in (model.trainable_variables, model.non_trainable_variables)
        ]
        step = jax.jit(lambda trained, others, x: model.stateless_call(trained, others, x, training=False)[0])
        return lambda x: np.asarray(step(*held, x), np.float32), _runtime(backend, jax)
    raise UsageError(f"checkpoints do not run on the Keras backend '{backend}'", "use tensorflow or jax")


def _runtime(backend: str, module: Any) -> dict[str, str]:
    return {"name": f"keras on {backend}", "version": module.__version__}


def _cost(info: Any) -> tuple[int, int | None]:
    """Parameters of the inference graph and, where TensorFlow is there to count them, its operations."""
    from edgepose.models.checkpoint import build
    from edgepose.models.profile import inference_cost, parameters

    try:
        return inference_cost(info)
    except UsageError:
        return parameters(build(info, "upscaled")), None


@contextmanager
def _undistributed_float32() -> Iterator[None]:
    """A network computes alike whatever precision and devices another is trained with."""
    from edgepose.frameworks import keras

    kr = keras()
    before = kr.config.dtype_policy(), kr.distribution.distribution()
    try:
        kr.config.set_dtype_policy("float32")
        kr.distribution.set_distribution(None)
        yield
    finally:
        kr.config.set_dtype_policy(before[0])
        kr.distribution.set_distribution(before[1])
