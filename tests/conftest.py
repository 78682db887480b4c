"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference material beside the checkout: checkpoints, photographs, the paper's tables."""
    folder = Path(os.environ.get("EDGEPOSE_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "reference").is_dir():
        pytest.skip("the reference material (../shared) is not beside this checkout")
    return folder
