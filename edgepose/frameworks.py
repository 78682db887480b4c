"""The heavy frameworks, imported late, quietly, and with a mend when they are absent.

Every other module asks here, so that TensorFlow's start-up noise is silenced before its first import.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from edgepose.errors import UsageError

# Read at import: errors only on stderr, and Keras 3 on the one backend that exports to TFLite.
_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}


def tensorflow() -> ModuleType:
    """TensorFlow; raises UsageError where it is not installed."""
    module = _import("tensorflow")
    module.get_logger().setLevel("ERROR")
    return module


def keras() -> ModuleType:
    """Keras 3 on TensorFlow, the default namespace; raises UsageError where it is not installed."""
    tensorflow()
    return _import("keras")


def tf_keras() -> ModuleType:
    """Keras 2, which tensorflow-model-optimization needs; raises UsageError where it is not installed."""
    tensorflow()
    return _import("tf_keras")


def _import(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    for variable, value in _ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    try:
        with _stderr_held_back():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"this needs {error.name}, which is not installed", "run: pip install 'edgepose[train]'"
        ) from None


@contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Drop what the block writes to the stderr descriptor, unless it fails: then show it.

    TensorFlow's C++ side greets before its own log levels apply, so only the descriptor can stop it.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, os.fdopen(os.dup(2), "wb") as stderr:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            stderr.write(held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr.fileno(), 2)
