"""Pruning: what is cut and when, zeros that nothing fills again, and the run on the one loop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from integer_kernels import integer_kernels
from small_network import SIZE, photos, seeded, small
from tiny_runs import HELPERS, Crash, crash_at, make_data, same_state, tensors, use
from typer.testing import CliRunner

from edgeio import UnknownName
from edgeio.jobs import OtherJob
from edgepose import cli
from edgepose.compression import convert as deploy
from edgepose.compression.finetune import LOSSES, request_for
from edgepose.compression.graph import fold_batch_norms
from edgepose.compression.network import build_fake_quantized
from edgepose.compression.pruning import PruneRequest, prune
from edgepose.compression.ptq import PostTraining, prepare
from edgepose.compression.qat import QatRequest, _constraints, train
from edgepose.compression.ranges import Range
from edgepose.compression.sparsity import cut, is_sparse, parts, rising, share
from edgepose.errors import BadCheckpoint, UsageError
from edgepose.frameworks import tf_keras
from edgepose.models.checkpoint import (
    CheckpointInfo,
    load_model,
    read_checkpoint,
    save_checkpoint,
    weights_of,
)
from edgepose.training.constraints import NO_CONSTRAINTS
from edgepose.training.data import DataRequest
from edgepose.training.loop import Listener
from edgepose.training.starting import trained_path
from export.convert import to_bytes
from export.recipe import SIMULATED_RECIPES

STEPS = 10
NET = partial(small, stride=8, whole=False)  # RT's stride, for labels and validation


# --- what is cut ------------------------------------------------------------------------------------


def test_the_smallest_weights_are_cut_to_the_count() -> None:
    kernel = np.random.default_rng(0).normal(size=(1, 1, 7, 9)).astype(np.float32)
    before = kernel.copy()
    found = cut(kernel, 0.5)
    np.testing.assert_array_equal(kernel, before)
    assert (found == 0).sum() == round(0.5 * 63)
    kept = found != 0
    np.testing.assert_array_equal(found[kept], kernel[kept])
    assert np.abs(kernel[kept]).min() > np.abs(kernel[~kept]).max()
    assert (cut(found, 0.5) == found).all() and (cut(found, 0.2) == found).all()
    assert (cut(np.ones((1, 1, 4, 4), np.float32), 0.25) == 0).sum() == 4  # ties too
    assert (cut(kernel, 0.0) == kernel).all()


def test_sparsity_rises_as_zhu_and_gupta_say() -> None:
    assert rising(0.0, 0.8) == 0 and rising(1.0, 0.8) == pytest.approx(0.8)
    assert rising(0.5, 0.8) == pytest.approx(0.8 * (1 - 0.5**3))
    steps = np.diff([rising(done, 0.8) for done in np.linspace(0, 1, 9)])
    assert (steps > 0).all() and (np.diff(steps) < 0).all()


def test_sparse_kernels_are_told_from_dense_ones() -> None:
    kernel = np.ones((1, 1, 10, 10), np.float32)
    assert not is_sparse(kernel) and is_sparse(cut(kernel, 0.1)) and not is_sparse(cut(kernel, 0.05))
    assert share({"a/kernel": cut(kernel, 0.5), "b/kernel": kernel, "b/bias": np.zeros(9)}) == 0.25


def test_stem_depthwise_and_outputs_are_left_dense() -> None:
    dense = {part.name: part.dense for part in parts(small())}
    assert {name: why for name, why in dense.items() if why} == {
        "stem_conv": "reads the image",
        **{f"{n}_dconv1": "depthwise" for n in ("one", "two", "three")},
        "pass1_skeleton_pafs": "gives an output",
        "pass3_detection2_confs": "gives an output",
    }
    ends = ("conv1", "conv2", "se_squeeze_conv", "se_excite_conv")
    assert {name for name, why in dense.items() if not why} == {
        f"{n}_{end}" for n in ("one", "two", "three") for end in ends
    }


# --- the run ----------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint of a network that is built from now on, whatever is asked for."""
    use(monkeypatch, NET)
    monkeypatch.setattr(deploy, "inference_cost", lambda info: (1, 2))
    info = CheckpointInfo("rt", "in-motion-19", None, SIZE, "noise")
    path = tmp_path / "small.safetensors"
    save_checkpoint(path, weights_of(seeded(NET(info))), info)
    return path


def request(checkpoint: Path, data: Path, out: Path, **more: Any) -> PruneRequest:
    mine = {name: more.pop(name) for name in ("sparsity", "loss", "teacher") if name in more}
    frames = DataRequest(str(data), validation_split=more.pop("validation_split", "none"))
    fit = request_for(checkpoint, frames, out, STEPS, 4, 1e-2, checkpoint_every=3, **more)
    return PruneRequest(checkpoint, fit, **mine)


def kernels(path: Path) -> dict[str, np.ndarray]:
    return {n: w for n, w in read_checkpoint(path)[1].items() if n.endswith("/kernel")}


def test_a_pruned_run_has_its_zeros_and_resumes_to_the_same_ones(checkpoint: Path, tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    made = prune(request(checkpoint, data, tmp_path / "a", sparsity=0.7))
    assert made.checkpoint == tmp_path / "a" / "last.safetensors"
    found, before = kernels(made.checkpoint), kernels(checkpoint)
    told = {zeros.layer: zeros for zeros in made.layers}
    assert set(told) == {name.split("/")[0] for name in found}
    for name, kernel in found.items():
        zeros = told[name.split("/")[0]]
        wanted = 0 if zeros.dense else round(0.7 * kernel.size)
        assert zeros.zeros == (kernel == 0).sum() == wanted and zeros.weights == kernel.size, name
        assert not np.array_equal(kernel, before[name])  # the others went on learning
    assert made.share == pytest.approx(share(found))
    assert json.loads((tmp_path / "a" / "pruning.json").read_text()) == made.to_json()

    with pytest.raises(Crash):  # between two cuts, four steps after the last saved state's
        prune(request(checkpoint, data, tmp_path / "b", sparsity=0.7), crash_at(5, STEPS))
    resumed = request(checkpoint, data, tmp_path / "b", sparsity=0.7)
    prune(resumed)
    assert same_state(tmp_path / "a", tmp_path / "b")
    with pytest.raises(OtherJob, match=r"pruning.sparsity: was 0.7, now 0.5"):
        prune(replace(resumed, sparsity=0.5))


def test_best_is_among_the_epochs_with_the_whole_sparsity(checkpoint: Path, tmp_path: Path) -> None:
    asked = request(checkpoint, make_data(tmp_path / "data"), tmp_path / "run", validation_split="val")
    # Five epochs of two steps; the last cut comes before step 6, the first of epoch 3.
    asked = replace(asked, fit=replace(asked.fit, epochs=5, steps_per_epoch=2), loss="both")
    seen: list[float] = []

    def watch(row: Any) -> None:
        seen.append(share(kernels(tmp_path / "run" / "last.safetensors")))
        assert (tmp_path / "run" / "best.safetensors").exists() == (row["epoch"] >= 3)

    made = prune(asked, Listener(epoch=watch))
    assert made.checkpoint.name == "best.safetensors" and made.share == pytest.approx(max(seen))
    assert seen[0] < seen[1] < seen[2] <= seen[3] == seen[4]  # near the end the rise is less than a weight


ON_JAX = """
import sys; sys.path[:0] = {paths!r}
from pathlib import Path
import numpy as np, pytest, tiny_runs
import test_pruning as t
from edgepose.frameworks import keras
from edgepose.compression.sparsity import cut
from edgepose.training.setup import open_setup
from edgepose.training.losses import Term
from edgepose.training.constraints import WeightConstraint, WeightConstraints, kept_zeros
tiny_runs.use(pytest.MonkeyPatch())
asked = tiny_runs.asked(Path({data!r}), Path({out!r}), None).student
with open_setup(asked) as setup:
    model = setup.network()
    kernel = model.get_layer("stem_conv").kernel
    edits = {{2: lambda: kernel.assign(cut(np.asarray(kernel), 0.5))}}
    constraints = WeightConstraints((WeightConstraint(kernel, kept_zeros),), edits)
    goal = setup.objective(Term("ground_truth", setup.ground_truth(model)))
    path = setup.train(model, goal, constraints=constraints)
found = t.kernels(path)
assert (found["stem_conv/kernel"] == 0).mean() == 0.5
assert not (found["pass1_skeleton_pafs/kernel"] == 0).any()
"""


@pytest.mark.long
def test_zeros_stay_zero_on_jax_too(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    flags = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    text = ON_JAX.format(
        paths=[str(Path(__file__).parent), HELPERS], data=str(data), out=str(tmp_path / "run")
    )
    done = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# --- through quantization ---------------------------------------------------------------------------


def sparse(checkpoint: Path, path: Path) -> dict[str, np.ndarray]:
    """A copy of a checkpoint with zeros; which weights of each pruned kernel are zero."""
    info, weights = read_checkpoint(checkpoint)
    names = [f"{part.name}/kernel" for part in parts(NET(info)) if part.dense is None]
    weights |= {name: cut(weights[name], 0.6) for name in names}
    save_checkpoint(path, weights, info)
    return {name: weights[name] == 0 for name in names}


def assert_zeros_came_through(data: bytes, zeros: dict[str, np.ndarray]) -> None:
    """Every kernel's pattern of zeros is that of an integer kernel, which has others where it rounds."""
    found = integer_kernels(data)
    for name, mask in zeros.items():
        wanted = mask.transpose(3, 0, 1, 2)
        alike = [k for k in found if k.shape == wanted.shape and (k[wanted] == 0).all()]
        assert len(alike) == 1, name
        assert (alike[0] != 0).mean() > 0.2


def test_post_training_quantization_keeps_zeros(checkpoint: Path, tmp_path: Path) -> None:
    zeros = sparse(checkpoint, tmp_path / "sparse.safetensors")
    model = load_model(tmp_path / "sparse.safetensors", "maps", tf_keras())
    how = PostTraining("minmax", equalize=True, bias_correction=True)
    folded, ranges = prepare(fold_batch_norms(model), photos(4), Range(-2.5, 2.5), how, Listener())
    data = to_bytes(build_fake_quantized(folded, ranges).model, SIMULATED_RECIPES["int8-ptq"])
    assert_zeros_came_through(data, zeros)


def test_quantization_aware_training_keeps_zeros(checkpoint: Path, tmp_path: Path) -> None:
    zeros = sparse(checkpoint, tmp_path / "sparse.safetensors")
    frames = DataRequest(str(make_data(tmp_path / "data")), validation_split="none")
    fit = request_for(tmp_path / "sparse.safetensors", frames, tmp_path / "run", 3, 4, 1e-2)
    asked = QatRequest(tmp_path / "sparse.safetensors", fit, start=PostTraining("minmax"), count=4)
    said: list[str] = []
    exported = train(asked, Listener(say=said.append))
    found, before = kernels(fit.out / "last.safetensors"), kernels(asked.checkpoint)
    for name, mask in zeros.items():
        np.testing.assert_array_equal(found[name] == 0, mask, name)
        assert not np.allclose(found[name], before[name])
    assert_zeros_came_through(exported.path.read_bytes(), zeros)
    of_the_maps = {name: kernel for name, kernel in found.items() if "pafs" not in name}
    assert exported.sidecar.metadata["quantization"]["zeros"] == pytest.approx(share(of_the_maps))
    assert exported.sidecar.deflated_bytes < exported.sidecar.size_bytes
    assert any("zeros stay zero in 4 kernels" in text for text in said)


def test_zeros_are_not_held_where_nobody_wants_them() -> None:
    kernel = cut(np.ones((1, 1, 4, 4), np.float32), 0.5)
    network = SimpleNamespace(weights=lambda: {"a/kernel": kernel}, variables={"a/kernel": "a"})
    model: Any = SimpleNamespace(network=network)
    held: Any = SimpleNamespace(keep_zeros=True)
    assert [constraint.variable for constraint in _constraints(held, model, Listener()).every_step] == ["a"]
    assert _constraints(SimpleNamespace(keep_zeros=False), model, Listener()) is NO_CONSTRAINTS  # type: ignore[arg-type]
    network.weights = lambda: {"a/kernel": kernel + 1}
    assert _constraints(held, model, Listener()) is NO_CONSTRAINTS


# --- the command, and what cannot work --------------------------------------------------------------


def test_the_command_says_what_is_zero_and_what_was_left(checkpoint: Path, tmp_path: Path) -> None:
    data, out = make_data(tmp_path / "data"), tmp_path / "run"
    words = ["prune", checkpoint, "--data", data, "--out", out, "--steps", 4, "--batch", 4]
    asked = [str(word) for word in (*words, "--sparsity", 0.5)]
    done = CliRunner().invoke(cli.app, asked)
    assert done.exit_code == 0, done.output
    assert f"{out / 'last.safetensors'}: " in done.stdout and "deflated" in done.stdout
    assert "left dense (depthwise): one_dconv1\n" in done.stdout
    again = CliRunner().invoke(cli.app, [*asked, "--json"])
    told = json.loads(again.stdout)
    assert 0 < told["share"] < 0.5 and told["deflated_bytes"] < told["size_bytes"]
    assert tensors(out)  # a state to go on from


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 2.0, float("nan")])
def test_shares_that_are_none_are_refused(sparsity: float, tmp_path: Path) -> None:
    from edgepose.training.request import FitRequest

    fit = FitRequest("rt", DataRequest("x"), tmp_path / "out")
    with pytest.raises(UsageError, match=r"the sparsity is .*; give the share"):
        PruneRequest(tmp_path / "a.safetensors", fit, sparsity=sparsity).check()


def test_losses_and_teachers_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    from edgepose.training.request import FitRequest

    asked = PruneRequest(tmp_path / "a", FitRequest("rt", DataRequest("x"), tmp_path / "out"))
    with pytest.raises(UnknownName, match=", ".join(LOSSES)):
        replace(asked, loss="luck").check()
    with pytest.raises(UsageError, match="no say"):
        replace(asked, loss="labels", teacher=tmp_path / "b").check()
    with pytest.raises(BadCheckpoint, match="does not exist"):
        replace(asked, teacher=tmp_path / "b").check()


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match=r"holds no best\.safetensors and no last\.safetensors"):
        trained_path(tmp_path)
    (tmp_path / "last.safetensors").write_bytes(b"x")
    assert trained_path(tmp_path).name == "last.safetensors"
    (tmp_path / "best.safetensors").write_bytes(b"x")
    assert trained_path(str(tmp_path)).name == "best.safetensors"
    with pytest.raises(BadCheckpoint, match="is damaged or is no"):
        request_for(trained_path(tmp_path), DataRequest("x"), tmp_path / "out", 4, 4, 1e-3)
    assert trained_path("default:rt").suffix == ".safetensors"
