"""Where training computes and how precisely: devices, precision, and the optimizer that goes with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgeio import lookup
from edgepose.errors import UsageError
from edgepose.training.augmentation import Arrays
from edgepose.training.hosts import process_count

AUTO = "auto"

# float32 throughout, but convolutions and products of matrices multiply in bfloat16 and add in float32,
# which oneDNN does for TensorFlow on a CPU with AMX; with AVX-512's bfloat16 alone (an AMD EPYC) version
# 3.7 stays in float32. Keras's mixed_bfloat16 is slower there than float32: it keeps casting around
# depthwise convolutions.
PRODUCTS = "bfloat16_products"

_PRODUCTS_OF_ONEDNN = "TF_SET_ONEDNN_FPMATH_MODE"

# By name: Keras's dtype policy. Variables are float32 in all of them.
PRECISIONS = {
    "float32": "float32",
    "mixed_float16": "mixed_float16",
    "mixed_bfloat16": "mixed_bfloat16",
    PRODUCTS: "float32",
}

# The output layers stay float32: a map's peak is read from differences that half precision rounds away.
_OUTPUT_LAYERS = r"(.*_)?(pafs|confs)(_stage\d+)?"


def resolve_precision(name: str) -> str:
    """The precision that `auto` stands for here: mixed_bfloat16 on a GPU that has it (compute capability
    8 and up), mixed_float16 on an older one, float32 on the CPU.

    Raises:
        UnknownName: no such precision.
        UsageError: bfloat16_products on a backend other than TensorFlow, or with a GPU.
    """
    if name != AUTO:
        lookup(PRECISIONS | {AUTO: ""}, "precision", name)
        if name == PRODUCTS:
            _check_products()
        return name
    capability = _compute_capability()
    if capability is None:
        return "float32"
    return "mixed_bfloat16" if capability >= 8 else "mixed_float16"


def _check_products() -> None:
    from edgepose.frameworks import keras

    if keras().backend.backend() != "tensorflow" or _compute_capability() is not None:
        raise UsageError(f"{PRODUCTS} is for TensorFlow on a CPU", "leave --precision out")


def _compute_capability() -> float | None:
    """Of the first GPU; None where the backend sees none."""
    from edgepose.frameworks import keras, tensorflow

    if keras().backend.backend() == "jax":
        import jax

        gpus = [d for d in jax.devices() if d.platform == "gpu"]
        return float(getattr(gpus[0], "compute_capability", "8")) if gpus else None
    tf = tensorflow()
    physical = tf.config.list_physical_devices("GPU")
    if not physical:
        return None
    major, minor = tf.config.experimental.get_device_details(physical[0]).get("compute_capability", (8, 0))
    return float(f"{major}.{minor}")


@contextmanager
def computing(precision: str) -> Iterator[None]:
    """Models that are built in the block compute with `precision`, on all devices that the backend
    can share a batch between (JAX: all that it sees; TensorFlow: the first)."""
    from edgepose.frameworks import keras

    kr = keras()
    before = kr.config.dtype_policy(), kr.distribution.distribution()
    products, policy = os.environ.get(_PRODUCTS_OF_ONEDNN), PRECISIONS[precision]
    policies = kr.dtype_policies.DTypePolicyMap(default_policy=kr.dtype_policies.DTypePolicy(policy))
    policies[_OUTPUT_LAYERS] = kr.dtype_policies.DTypePolicy("float32")
    try:
        if precision == PRODUCTS:  # read once in a process, by the first convolution
            _set_environment(_PRODUCTS_OF_ONEDNN, "BF16")
        kr.config.set_dtype_policy(policies if policy != "float32" else policy)
        if device_count() > 1:
            kr.distribution.set_distribution(kr.distribution.DataParallel())
        yield
    finally:
        _set_environment(_PRODUCTS_OF_ONEDNN, products)
        kr.config.set_dtype_policy(before[0])
        kr.distribution.set_distribution(before[1])


def _set_environment(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def device_count() -> int:
    """How many devices share a batch, those of other processes included."""
    from edgepose.frameworks import keras

    if keras().backend.backend() != "jax":
        return 1
    import jax

    return int(jax.device_count())


def check_shares(batch: int, accumulate: int) -> None:
    """Raise UsageError where a batch cannot be cut evenly into parts and the parts between devices."""
    if batch % accumulate:
        raise UsageError(
            f"a batch of {batch} cannot be cut into {accumulate} parts", "choose another --accumulate"
        )
    if batch // accumulate % device_count():
        raise UsageError(
            f"{batch // accumulate} frames cannot be shared by {device_count()} devices",
            f"choose a --batch that is a multiple of {accumulate * device_count()}",
        )


def shard(arrays: Arrays) -> Arrays:
    """Arrays (B, ...) shared between the devices along B, under Keras's data-parallel distribution.

    Where several processes train together, each gives its own rows, in the order of the processes.
    """
    from edgepose.frameworks import keras

    distribution = keras().distribution
    active = distribution.distribution()
    if active is None:
        return arrays
    if process_count() > 1:
        import jax

        of_process: Any = jax.make_array_from_process_local_data
        layouts = {key: active.get_data_layout(value.shape).backend_layout for key, value in arrays.items()}
        return {key: of_process(layouts[key], value) for key, value in arrays.items()}
    return {
        key: distribution.distribute_tensor(value, active.get_data_layout(value.shape))
        for key, value in arrays.items()
    }


def adam(precision: str, accumulate: int) -> Any:
    """Adam with AMSGrad, the paper's optimizer; its learning rate is set at every step.

    Args:
        accumulate: parts whose gradients are averaged before a step.
    """
    from edgepose.frameworks import keras

    kr = keras()
    steps = accumulate if accumulate > 1 else None
    optimizer = kr.optimizers.Adam(1e-3, amsgrad=True, gradient_accumulation_steps=steps, name="adam")
    if precision == "mixed_float16":
        return kr.optimizers.LossScaleOptimizer(optimizer, name="loss_scale")
    return optimizer
