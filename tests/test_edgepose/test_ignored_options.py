"""An option that would be ignored is refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgepose.cli import app, training_options
from edgepose.errors import UsageError
from edgepose.training.data import DataRequest
from edgepose.training.request import FitRequest

_NET = "x.safetensors"
_DISTIL = "distill --teacher i --student rt --data d --out o"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (f"quantize {_NET} --data d --out o --keep-as float32", "--keep-as has no effect without --keep"),
        (f"quantize {_NET} --data d --out o --margin 0.2", "--margin has no effect without --crop person"),
        (f"cluster {_NET} --out o --steps 9 --loss both", "--loss, --steps have no effect without --data"),
        (f"export {_NET} --out o --count 3", "--count has no effect without --calibrate"),
        (f"evaluate {_NET} --data d --delegate gpu", "--delegate has no effect without --target android"),
        (f"evaluate {_NET} --data d --retime --no-speed", "--retime has no effect with --no-speed"),
        (f"{_DISTIL} --feature-weight 0.1", "--feature-weight has no effect without --loss features"),
        (
            f"{_DISTIL} --loss ground-truth --cache-gib 1",
            "--cache-gib has no effect with --loss ground-truth",
        ),
        (f"{_DISTIL} --loss teacher-only --teacher-share 0.3", "--teacher-share has no effect with --loss"),
        (f"{_DISTIL} --loss ground-truth --teacher-flip", "--teacher-flip has no effect with --loss"),
        (f"{_DISTIL} --smoke --epochs 3", "--epochs has no effect with --smoke"),
        ("compare compare.json --out o --overlays full", "--overlays has no effect with compare.json"),
        ("compare compare.json --out o --title T --by sex", "--title, --by have no effect with compare.json"),
        (
            "paper table2 --out o --models rt --init i=x",
            "--init i=... has no effect: that network is not in this run",
        ),
        (
            "paper table2 --out o --models rt=x --init rt=y",
            "--init rt=... has no effect: --models gives it trained",
        ),
        (
            "paper table2 --out o --models rt=x --train-data d",
            "--train-data has no effect, since --models gives every network trained",
        ),
    ],
)
def test_an_option_without_effect_is_refused(words: str, why: str) -> None:
    refused = CliRunner().invoke(app, words.split()).exception
    assert isinstance(refused, UsageError) and refused.exit_code == 2
    assert str(refused).startswith(why)


@pytest.mark.parametrize(
    ("file", "words", "why"),
    [
        ("a.png", "--smooth none", "--smooth has no effect on images"),
        ("a.mp4", "--workers 3", "--workers has no effect on videos"),
        ("a.mp4", "--retry-failed --processes 2", "--processes, --retry-failed have no effect on one input"),
        ("a.mp4", "--threads 2", "--threads has no effect with a checkpoint"),
    ],
)
def test_predict_refuses_what_its_inputs_do_not_need(tmp_path: Path, file: str, words: str, why: str) -> None:
    (tmp_path / file).touch()
    asked = ["predict", str(tmp_path / file), "--model", _NET, "--out", str(tmp_path / "out"), *words.split()]
    refused = CliRunner().invoke(app, asked).exception
    assert isinstance(refused, UsageError) and str(refused).startswith(why)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", ["--steps 9999", "--teacher t.safetensors", "--post-training"])
def test_quantize_has_only_what_it_uses(words: str) -> None:
    done = CliRunner().invoke(app, ["quantize", _NET, "--data", "d", "--out", "o", *words.split()])
    assert done.exit_code == 2 and "No such option" in done.output


def test_the_groups_have_the_requests_names_and_defaults() -> None:
    for groups, request in (
        ((training_options.Training, training_options.Schedule), FitRequest),
        ((training_options.Frames, training_options.Keypoints), DataRequest),
    ):
        wanted = {f.name: f.default for f in fields(request)}
        found = {f.name: f.default for group in groups for f in fields(group)}
        assert {name: wanted[name] for name in found} == found
