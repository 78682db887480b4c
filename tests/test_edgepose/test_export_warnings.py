"""What is said of a file that depends on the processor, or is far from its checkpoint."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from int8_products import E_SWISH, mean, product

from edgepose.cli.export import warn_of_loss
from edgepose.cli.rounding import warn_of_rounding
from export.rounding import without_halves
from export.validate import Validation

OLD = product(E_SWISH, constant=127)  # of a version that did not look at halves
BOUND = product((1.0, 0, 1 / 256, -128, 1.0, 0), before="RESHAPE")  # no scale of it may change


def told(data: bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    path = folder / "net.tflite"
    path.write_bytes(data)
    warn_of_rounding(path)
    return capsys.readouterr().err


def test_an_old_file_is_to_be_exported_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    warning = told(OLD, tmp_path, capsys)
    assert warning.startswith("warning: net.tflite gives other keypoints on other processors: 1 MUL ")
    assert "such as product (" in warning and "come out a step apart); export it again with this" in warning
    assert told(without_halves(OLD), tmp_path, capsys) == ""


def test_a_mean_next_to_a_half_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    warning = told(mean((2.0, 0), (1.0, 0), side=2, biases=(0.0,)), tmp_path, capsys)
    assert "1 MEAN " in warning and "export it again with this version" in warning


def test_a_file_just_made_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = without_halves(BOUND)
    warning = told(data, tmp_path, capsys)
    assert "1 MUL " in warning and "export it" not in warning
    assert warning.endswith("; score it where it will run, by `edgepose evaluate --target`\n")


@pytest.mark.parametrize(
    ("recipe", "help_"), [("int8", "`edgepose quantize` chooses"), ("dynamic", "use recipe weights-int8")]
)
def test_a_file_far_from_its_checkpoint_is_told(
    recipe: str, help_: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = SimpleNamespace(path=Path("net.tflite"), sidecar=SimpleNamespace(recipe=recipe))
    made.validation = Validation(8, 0.86, 0.1, 0.4, (58.4, 200.0), healthy=False)
    warn_of_loss(made)
    warning = capsys.readouterr().err
    assert warning.startswith("warning: net.tflite is far from its checkpoint (SNR 0 dB, peaks move 58.4 px")
    assert help_ in warning
    made.validation = Validation(8, 0.01, 0.001, 40.0, (0.0, 0.0), healthy=True)
    warn_of_loss(made)
    assert capsys.readouterr().err == ""
