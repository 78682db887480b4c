"""The heavy frameworks, imported late, quietly, and with a hint when they are absent.

Every other module asks here, so that TensorFlow's start-up noise is silenced before its first import.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any

from edgeio import lookup
from edgeio.quiet import captured_stderr
from edgepose.errors import UsageError

Tensor = Any  # of whichever framework

# Read at import: errors only on stderr, the one Keras backend that exports to TFLite, and oneDNN's kernels,
# which TensorFlow leaves off on CPUs without AVX-512: RT's training step took 2.8 s without them and 1.6 s
# with them.
_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "1"}

# By Keras backend: the optional dependencies that it comes with.
_EXTRAS = {"tensorflow": "train", "jax": "jax"}


def tensorflow() -> ModuleType:
    """TensorFlow; raises UsageError where it is not installed."""
    return _import("tensorflow")


def keras() -> ModuleType:
    """Keras 3, the default namespace, on TensorFlow or on KERAS_BACKEND, which then does without TensorFlow.

    Raises:
        UsageError: it or its backend is not installed.
        UnknownName: no such backend.
    """
    lookup(_EXTRAS, "KERAS_BACKEND", _backend())
    if _backend() == "tensorflow":
        tensorflow()
    return _import("keras")


def set_random_seed(seed: int) -> None:
    """Keras's own, without TensorFlow where that is not the backend: Keras would import it for this."""
    module = keras()
    hidden = "tensorflow" not in sys.modules
    if hidden:
        sys.modules["tensorflow"] = None  # type: ignore[assignment]  # as Python has it: not to be imported
    try:
        module.utils.set_random_seed(seed)
    finally:
        if hidden:
            del sys.modules["tensorflow"]


def tf_keras() -> ModuleType:
    """Keras 2, which tensorflow-model-optimization needs; raises UsageError where it is not installed."""
    tensorflow()
    return _import("tf_keras")


def _backend() -> str:
    return os.environ.get("KERAS_BACKEND") or _ENVIRONMENT["KERAS_BACKEND"]


def tfmot() -> ModuleType:
    """tensorflow-model-optimization, on Keras 2; raises UsageError where it is not installed."""
    tf_keras()
    return _import("tensorflow_model_optimization")


def _import(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    for variable, value in _ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    said = ""
    try:
        with captured_stderr() as log:
            try:
                module = importlib.import_module(name)
            finally:
                log.seek(0)
                said = log.read()
    except ModuleNotFoundError as error:
        extra = _EXTRAS[_backend() if name == "keras" else "tensorflow"]
        raise UsageError(
            f"this needs {error.name}, which is not installed", f"run: pip install 'edgepose[{extra}]'"
        ) from None
    except BaseException:
        sys.stderr.write(said)
        raise
    if name == "tensorflow":
        module.get_logger().setLevel("ERROR")
    return module
