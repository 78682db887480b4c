"""What every test may ask for."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# The networks of these tests are too small to be shared out, and each worker has a core.
for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(pool, "1")
# TensorFlow's objects are many, and few are garbage: a look at all of them each time took a ninth of the CPU.
gc.set_threshold(50_000, 10, 10)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference material beside the checkout: checkpoints, photographs, the paper's tables."""
    folder = Path(os.environ.get("EDGEPOSE_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "reference").is_dir():
        pytest.skip("the reference material (../shared) is not beside this checkout")
    return folder
