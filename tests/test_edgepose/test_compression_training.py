"""Quantization-aware training: learned ranges, the run on the one loop, and the file at its end."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from small_network import SIZE, seeded, small
from tiny_runs import make_data, same_state, use
from typer.testing import CliRunner

from edgeio import UnknownName
from edgeio.jobs import OtherJob
from edgepose.codec import Codec
from edgepose.compression import convert as deploy
from edgepose.compression.fake_quant import _fake_quantized, ends_of, range_variable
from edgepose.compression.fake_quantized import FakeQuantizedModel, deployed, label_weight
from edgepose.compression.finetune import SelfDistillationLoss, request_for
from edgepose.compression.graph import fold_batch_norms
from edgepose.compression.network import build_fake_quantized, build_float
from edgepose.compression.ptq import PostTraining
from edgepose.compression.qat import QatRequest, _any_ranges, train
from edgepose.compression.ranges import Range
from edgepose.errors import UsageError
from edgepose.frameworks import tensorflow, tf_keras
from edgepose.models import checkpoint as checkpoint_module
from edgepose.models.checkpoint import CheckpointInfo, load_model, save_checkpoint, weights_of
from edgepose.training.data import DataRequest
from edgepose.training.loop import Listener
from export.errors import ExportError
from export.runtime import Session

PIXELS = Range(-2.5, 2.5)


def test_a_range_learns_from_clipping_and_from_rounding() -> None:
    tf = tensorflow()
    ends = tf.constant([-1.0, 3.0])
    step = 4 / 255
    # Below, above, and a third of a step above the grid; zero is the 64th step, so the grid is exact there.
    values = tf.constant([-5.0, 9.0, 10 * step + step / 3])
    with tf.GradientTape() as tape:
        tape.watch([ends, values])
        kept = _fake_quantized(values, ends)
        total = tf.reduce_sum(kept)
    to_ends, to_values = tape.gradient(total, [ends, values])
    np.testing.assert_allclose(to_values, [0, 0, 1])
    rounding = float(kept[2] - values[2]) / (step * 255)
    assert rounding < 0
    np.testing.assert_allclose(to_ends, [1 - rounding, 1 + rounding], rtol=1e-4)


def test_a_range_moves_in_units_of_itself() -> None:
    held = range_variable("x", Range(-0.5, 8.0), learned=True)
    np.testing.assert_allclose(ends_of(held), [-0.5, 8.0])
    held.shift.assign([0.0, 1e-4])
    np.testing.assert_allclose(ends_of(held), [-0.5, 8.08], rtol=1e-3)
    assert range_variable("x", Range(-0.5, 8.0), learned=False).shift is None


def test_checkpoints_of_the_fake_quantized_model_are_ordinary_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_module, "build", small)
    folded = fold_batch_norms(seeded(small(namespace=tf_keras())))
    model = FakeQuantizedModel(build_fake_quantized(folded, _any_ranges(folded, PIXELS), learned=True))
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, weights_of(model), CheckpointInfo("rt", "in-motion-19", None, SIZE, "a test"))
    images = np.random.default_rng(0).normal(size=(1, SIZE, SIZE, 3)).astype(np.float32)
    found = load_model(path, "maps")(images, training=False)
    wanted = build_float(deployed(folded)).model(images, training=False)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    names = [variable.path for variable in model.variables]
    assert len(set(names)) == len(names)
    fixed = {"images/range_shift", "one_se_gate/range_shift"}
    assert "one_a_swish/range_shift" in names and not fixed & set(names)


def test_labels_weigh_like_a_lone_peak() -> None:
    codec = Codec((280, 224), (35, 28), sigma=1.1)
    maps, _ = codec.encode(np.array([[[110.0, 130.0]]]))
    assert label_weight((35, 28), 1.1) * float((maps**2).mean()) == pytest.approx(1.0, rel=1e-3)


def test_self_distillation_is_a_share_of_each_output() -> None:
    tf = tensorflow()
    said = [tf.constant([[[[2.0, 4.0]]]]), tf.constant([[[[0.1]]]])]
    sample = {"inputs": None}
    both = SelfDistillationLoss(lambda inputs, training: said)
    found = both([said[0] + 1.0, said[1] * 0.5], sample, 1.0)
    assert float(found) == pytest.approx(1 / 10 + 0.25, rel=1e-4)
    last = SelfDistillationLoss(lambda inputs, training: said[1])  # a teacher that gives the maps alone
    assert float(last([said[0] + 1.0, said[1] * 0.5], sample, 1.0)) == pytest.approx(0.25, rel=1e-4)


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return made_with(partial(small, whole=False), tmp_path, monkeypatch)


def made_with(build: Any, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """A checkpoint of a network that is built from now on, whatever is asked for."""
    use(patch, build)
    patch.setattr(deploy, "inference_cost", lambda info: (1, 2))
    info = CheckpointInfo("rt", "in-motion-19", None, SIZE, "noise")
    path = folder / "small.safetensors"
    save_checkpoint(path, weights_of(seeded(build(info))), info)
    return path


def request(checkpoint: Path, data: Path, out: Path, loss: str = "float", **more: Any) -> QatRequest:
    frames = DataRequest(str(data), validation_split=more.pop("validation_split", "none"))
    teacher = more.pop("teacher", None)
    fit = request_for(checkpoint, frames, out, 4, 4, 1e-3, checkpoint_every=2, **more)
    return QatRequest(checkpoint, fit, loss, teacher, start=PostTraining("mse", equalize=True), count=4)


class Stopped(Exception):
    pass


def test_a_stopped_run_goes_on_to_the_same_end(checkpoint: Path, tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")

    def stop(done: int, total: int) -> None:
        if (done, total) == (3, 4):
            raise Stopped

    with pytest.raises(Stopped):
        train(request(checkpoint, data, tmp_path / "a"), Listener(step=stop))
    assert not list((tmp_path / "a").glob("*.tflite"))
    resumed = train(request(checkpoint, data, tmp_path / "a"))
    whole = train(request(checkpoint, data, tmp_path / "b"))
    assert same_state(tmp_path / "a", tmp_path / "b")
    image = np.random.default_rng(0).normal(size=(1, SIZE, SIZE, 3)).astype(np.float32)
    maps = [Session(each.path).run_float(image)[0] for each in (resumed, whole)]
    np.testing.assert_array_equal(*maps)
    assert whole.sidecar.recipe == "int8-qat" and whole.sidecar.float_operators == 0
    how = whole.sidecar.metadata["quantization"]
    assert how["method"] == "quantization-aware training" and how["loss"] == "float" and how["batch"] == 4
    state = load_file(tmp_path / "b" / "state.safetensors")
    moved = [name for name in state if name.endswith("range_shift") and np.abs(state[name]).max() > 0]
    assert len(moved) > 12
    with pytest.raises(OtherJob, match=r"a job of other settings: .*quantization.loss"):
        train(request(checkpoint, data, tmp_path / "a", "both"))


def log_of(checkpoint: Path, data: Path, out: Path, loss: str, *more: Any) -> dict[str, list[float]]:
    """The columns of a run's log; the run is asked for on the command line."""
    asked = ["qat", checkpoint, "--data", data, "--out", out, "--batch", 4, "--count", 4, "--loss", loss]
    shown = ["--ranges", "percentile", "--learning-rate", 3e-4, "--json", *more]
    made = CliRunner().invoke(app(), [str(each) for each in (*asked, *shown)])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["path"] == str(out / "small-int8-qat-maps.tflite")
    with (out / "log.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


@pytest.mark.long
def test_training_brings_the_fake_quantized_network_nearer(checkpoint: Path, tmp_path: Path) -> None:
    log = log_of(checkpoint, make_data(tmp_path / "data"), tmp_path / "run", "float", "--steps", 100)
    assert log["step"] == [50, 100] and "ground_truth" not in log
    assert log["self_distillation"][1] < log["self_distillation"][0] < 1


def test_labels_have_a_say_where_they_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_rts_stride = partial(small, stride=8, whole=False)  # which labels need
    checkpoint = made_with(with_rts_stride, tmp_path, monkeypatch)
    more = ("--steps", 4, "--validation-split", "val")
    log = log_of(checkpoint, make_data(tmp_path / "data"), tmp_path / "run", "both", *more)
    assert {"ground_truth", "self_distillation", "pckh@0.1"} <= set(log)
    weight = label_weight((4, 4), 1.1 * 4 / 28)
    assert log["loss"][0] == pytest.approx(
        weight * log["ground_truth"][0] + log["self_distillation"][0], rel=1e-4
    )


def app() -> Any:
    from edgepose.cli import app as found

    return found


def test_a_teacher_may_be_one_that_comes_with_edgepose() -> None:
    from edgepose.cli.training_options import FineTuning
    from edgepose.models.pretrained import checkpoint_path

    assert FineTuning("both", Path("default:i")).teacher_path == checkpoint_path("default:i")
    assert FineTuning().teacher_path is None


def test_what_cannot_work_is_refused_at_once(checkpoint: Path, tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    with pytest.raises(UnknownName, match="float, labels, both"):
        train(request(checkpoint, data, tmp_path / "a", "luck"))
    with pytest.raises(UsageError, match="no say"):
        train(request(checkpoint, data, tmp_path / "a", "labels", teacher=checkpoint))
    lite = tmp_path / "lite.safetensors"
    info = CheckpointInfo("rt-lite", "in-motion-19", None, SIZE, "noise")
    save_checkpoint(lite, weights_of(seeded(small(info))), info)
    with pytest.raises(UsageError, match="its normalisation symmetric, not imagenet"):
        train(request(checkpoint, data, tmp_path / "b", teacher=lite))
    with pytest.raises(ExportError, match="11 calibration samples were asked for and there are 10"):
        train(replace(request(checkpoint, data, tmp_path / "a"), count=11))
    assert not (tmp_path / "a").exists()
