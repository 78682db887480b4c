"""Runs on a network of a few hundred weights: learning, resuming, stopping, refusing."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from safetensors.numpy import load_file
from tiny_runs import (
    HELPERS,
    Crash,
    crash_at,
    make_data,
    rows,
    same_state,
    tensors,
    tiny,
    use,
)
from typer.testing import CliRunner

from edgeio import UnknownName, UserError, jobs
from edgeio.jobs import OtherJob
from edgepose import cli, frameworks
from edgepose.cli import train
from edgepose.errors import BadCheckpoint, BadDataset, UsageError
from edgepose.frameworks import keras
from edgepose.inference.peers import PEERS
from edgepose.keypoints import IN_MOTION_19, keypoint_set
from edgepose.models.checkpoint import CheckpointInfo, read_checkpoint, save_checkpoint, weights_of
from edgepose.models.variants import VARIANTS
from edgepose.training import setup as training_setup
from edgepose.training.averaging import weight_average
from edgepose.training.data import DataRequest
from edgepose.training.devices import PRODUCTS
from edgepose.training.distill_request import LOSSES
from edgepose.training.fit import fit
from edgepose.training.loop import Diverged, Listener
from edgepose.training.losses import Term
from edgepose.training.recipes import TRAINING_RECIPES
from edgepose.training.request import FitRequest
from edgepose.training.schedules import LEARNING_RATES, SIGMA_SCHEDULES
from edgepose.training.setup import open_setup
from edgepose.training.steppers import StepperSetup, make_stepper


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def _tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)


STEPS = 9


def request(folder: Path, out: Path, **changes: Any) -> FitRequest:
    """Three epochs of three steps of four frames."""
    made = FitRequest(
        "rt-lite",
        DataRequest(str(folder)),
        out,
        resolution=64,
        epochs=3,
        steps_per_epoch=3,
        batch=4,
        checkpoint_every=2,
        learning_rate_schedule="cosine",
        augmentation="paper-colour",
    )
    return replace(made, **changes)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        use(patch)
        fit(request(data, out))
    return out


# --- a whole run ----------------------------------------------------------------------------------


def test_a_run_leaves_its_files_and_its_figures(whole: Path) -> None:
    log = rows(whole)
    assert [row["epoch"] for row in log] == ["0", "1", "2"]
    assert [float(row["sigma"]) for row in log] == [pytest.approx(s * 8 / 28) for s in (3.1, 1.42, 1.1)]
    assert {"pckh@0.1", "pckh@0.5", "me", "loss", "ground_truth"} <= log[0].keys()
    assert float(log[2]["loss"]) < float(log[0]["loss"])
    told = json.loads((whole / "run.json").read_text())
    assert told["settings"]["learning_rate"] == 1e-3 and told["facts"]["frames"] == 10
    info, weights = read_checkpoint(whole / "last.safetensors")
    assert (info.model, info.keypoints, info.resolution) == ("rt-lite", "in-motion-19", 64)
    assert all(array.dtype == np.float32 for array in weights.values())
    assert not [p for p in whole.iterdir() if "partial" in p.name]


def test_batch_statistics_are_learned(whole: Path) -> None:
    _, weights = read_checkpoint(whole / "last.safetensors")
    assert np.abs(weights["stem_bn/moving_mean"]).max() > 1e-3


def test_best_is_the_epoch_that_scored_best(whole: Path, data: Path, tmp_path: Path) -> None:
    log = rows(whole)
    best = max(range(3), key=lambda e: (float(log[e]["pckh@0.1"]), -float(log[e]["me"]), -e))
    stopped = tmp_path / "run"
    with pytest.raises(Crash):
        fit(request(data, stopped), Listener(epoch=lambda row: _stop_after(row, best)))
    for name, weight in read_checkpoint(stopped / "last.safetensors")[1].items():
        np.testing.assert_array_equal(read_checkpoint(whole / "best.safetensors")[1][name], weight)


def _stop_after(row: Any, epoch: int) -> None:
    if row["epoch"] == epoch:
        raise Crash


def test_the_same_seed_gives_the_same_weights_and_another_others(
    whole: Path, data: Path, tmp_path: Path
) -> None:
    fit(request(data, tmp_path / "again"))
    assert same_state(whole, tmp_path / "again")
    fit(request(data, tmp_path / "other", seed=1, epochs=1))
    assert not same_state(whole, tmp_path / "other")


def test_frames_decoded_each_time_train_the_same(whole: Path, data: Path, tmp_path: Path) -> None:
    fit(request(data, tmp_path / "run", memory_gib=0.0))
    assert same_state(whole, tmp_path / "run")


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps as users run them."""
    use(monkeypatch, graph=True)


@pytest.mark.usefixtures("graph")
def test_steps_in_a_graph_train_the_same(whole: Path, data: Path, tmp_path: Path) -> None:
    fit(request(data, tmp_path / "run"))
    one, other = tensors(whole), tensors(tmp_path / "run")
    assert one.keys() == other.keys()
    for name in (name for name in one if name.startswith("model/")):
        np.testing.assert_allclose(one[name], other[name], atol=1e-5, err_msg=name)


@pytest.mark.usefixtures("graph")
def test_it_learns_frames_by_heart(data: Path, tmp_path: Path) -> None:
    """The loss falls to a fraction on few frames without augmentation, so gradients reach the weights."""
    wanted = request(
        data,
        tmp_path / "long",
        epochs=3,
        steps_per_epoch=40,
        learning_rate=0.01,
        learning_rate_schedule="constant",
        augmentation="none",
        sigma_schedule="efficientpose-final",
        data=DataRequest(str(data), limit=4, validation_split="none"),
    )
    assert fit(wanted).name == "last.safetensors", "nothing was validated"
    losses = [float(row["loss"]) for row in rows(tmp_path / "long")]
    assert losses[-1] < 0.5 * losses[0]
    assert not (tmp_path / "long" / "best.safetensors").exists()


def test_a_distilling_term_needs_no_other_loop(data: Path, tmp_path: Path) -> None:
    seen = []
    with open_setup(request(data, tmp_path / "run", epochs=1), binding={"teacher_sha256": "0" * 64}) as parts:
        model = parts.network()

        def pull(outputs: list[Any], sample: Any, sigma: Any) -> Any:
            seen.append(sample["teacher"].shape)
            return keras().ops.mean((outputs[-1] - sample["teacher"][:, None, None, None]) ** 2)

        goal = parts.objective(Term("ground_truth", parts.ground_truth(model)), Term("teacher", pull))
        parts.train(model, goal, extras=lambda indices: {"teacher": indices.astype(np.float32)})
    assert {tuple(shape) for shape in seen} == {(4,)}
    row = rows(tmp_path / "run")[0]
    assert float(row["loss"]) == pytest.approx(float(row["ground_truth"]) + float(row["teacher"]), rel=1e-5)


# --- resuming -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 3, 8])
def test_a_resumed_run_ends_with_the_same_weights(whole: Path, data: Path, tmp_path: Path, step: int) -> None:
    out = tmp_path / "run"
    with pytest.raises(Crash):
        fit(request(data, out), crash_at(step, STEPS))
    fit(request(data, out))
    assert same_state(whole, out)
    assert rows(out) == rows(whole)
    for name in ("last", "best"):
        a, b = (load_file(folder / f"{name}.safetensors") for folder in (whole, out))
        assert all(np.array_equal(a[key], b[key]) for key in a)


def test_the_average_of_the_weights_is_kept_in_their_place_and_resumes(
    whole: Path, data: Path, tmp_path: Path
) -> None:
    averaged, again = tmp_path / "whole", tmp_path / "again"
    fit(request(data, averaged, ema=0.5))
    with pytest.raises(Crash):
        fit(request(data, again, ema=0.5), crash_at(5, STEPS))
    fit(request(data, again, ema=0.5))
    assert same_state(averaged, again) and rows(averaged) == rows(again)
    state, plain = tensors(averaged), tensors(whole)
    assert all(np.array_equal(state[key], plain[key]) for key in plain), "training is as without"
    kept = load_file(averaged / "last.safetensors")
    (name,) = (key for key in state if key.startswith("average/") and key.endswith("stem_conv/kernel"))
    np.testing.assert_array_equal(kept["stem_conv/kernel"], state[name])
    assert not np.array_equal(
        kept["stem_conv/kernel"], load_file(whole / "last.safetensors")["stem_conv/kernel"]
    )
    assert rows(averaged)[2]["me"] != rows(whole)[2]["me"], "the average is validated"


def test_an_average_moves_by_its_decay_and_exchanges_exactly() -> None:
    kr = keras()
    network = kr.Sequential([kr.Input((3,)), kr.layers.Dense(2), kr.layers.BatchNormalization()])
    average = weight_average(network, 0.9)
    assert len(average.pairs) == 6, "batch statistics too"
    assert [average.decay_at(step) for step in (0, 1000)] == [0.1, 0.9]
    variable, mean = average.pairs[0]
    first = variable.numpy().copy()
    setup = StepperSetup(
        network, kr.optimizers.Adam(), dict, lambda *_: {}, lambda x: x, averaged=average.pairs
    )
    stepper = make_stepper(setup)
    variable.assign(first + 1)
    stepper.average(0.75)
    np.testing.assert_allclose(mean.numpy(), first + 0.25, rtol=1e-6)
    held = mean.numpy().copy()
    average.exchange()
    np.testing.assert_array_equal(variable.numpy(), held)
    average.exchange()
    np.testing.assert_array_equal(variable.numpy(), first + 1)
    np.testing.assert_array_equal(mean.numpy(), held)


def test_killed_without_warning_it_resumes_the_same(whole: Path, data: Path, tmp_path: Path) -> None:
    out, step = tmp_path / "run", int(np.random.default_rng().integers(3, 9))
    program = (
        f"import os, signal, sys; sys.path[:0] = [{str(Path(__file__).parent)!r}, {HELPERS!r}]\n"
        "from pathlib import Path\nimport test_training as t\n"
        "t.use(t.pytest.MonkeyPatch())\n"
        f"t.fit(t.request(Path({str(data)!r}), Path({str(out)!r})),\n"
        f"      t.crash_at({step}, t.STEPS, lambda: os.kill(os.getpid(), signal.SIGKILL)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not same_state(whole, out)
    fit(request(data, out))
    assert same_state(whole, out), f"killed at step {step}"


@pytest.mark.parametrize("step", [3, 9])
def test_ctrl_c_saves_the_last_step(whole: Path, data: Path, tmp_path: Path, step: int) -> None:
    out = tmp_path / "run"
    interrupt = crash_at(step, STEPS, lambda: os.kill(os.getpid(), signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    try:
        fit(request(data, out), interrupt)
    except KeyboardInterrupt:
        assert json.loads(_state_metadata(out))["step"] >= step
    else:
        assert step == 9, "asked after the last step"
    assert signal.getsignal(signal.SIGINT) is before
    fit(request(data, out))
    assert same_state(whole, out) and rows(out) == rows(whole)


def _state_metadata(out: Path) -> str:
    from safetensors import safe_open

    with safe_open(out / "state.safetensors", "np") as file:
        return str(file.metadata()["edgepose-training"])


def test_a_finished_run_resumes_to_nothing(whole: Path, data: Path) -> None:
    before = (whole / "state.safetensors").stat().st_mtime_ns
    said: list[str] = []
    assert fit(request(data, whole), Listener(say=said.append)) == whole / "best.safetensors"
    assert said == [f"the run in {whole} was finished before by the same job; --overwrite trains it anew"]
    assert (whole / "state.safetensors").stat().st_mtime_ns == before


def test_what_is_derived_from_the_state_is_made_again(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    fit(request(data, out, epochs=1))
    expected = {n: (out / n).read_bytes() for n in ("last.safetensors", "best.safetensors", "log.csv")}
    for name in expected:
        (out / name).unlink()
    fit(request(data, out, epochs=1))
    assert {name: (out / name).read_bytes() for name in expected} == expected


def test_changed_settings_are_refused_by_name(whole: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(OtherJob, match=r"settings\.batch: was 4, now 2") as caught:
        fit(request(data, whole, batch=2, seed=9))
    assert "settings.seed: was 0, now 9" in str(caught.value)
    other = make_data(tmp_path / "other", train=9)
    with pytest.raises(OtherJob, match="data_sha256: was"):
        fit(request(other, whole))
    fit(request(data, whole, workers=1, checkpoint_every=1))


def test_a_run_of_other_code_is_refused_and_overwrite_begins_anew(
    whole: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    fit(request(data, out, seed=5))
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "code_sha256", lambda: "f" * 64)
        with pytest.raises(
            OtherJob, match=r"another code version: was .*, now ffffffffffff; add --overwrite"
        ):
            fit(request(data, out, seed=5))
    fit(request(data, out, overwrite=True))
    assert same_state(whole, out)


def test_two_runs_in_one_folder_are_refused(data: Path, tmp_path: Path) -> None:
    with jobs.locked(tmp_path / "run"), pytest.raises(OtherJob, match="another command works in"):
        fit(request(data, tmp_path / "run"))


def test_a_damaged_state_is_refused(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    fit(request(data, out, epochs=1))
    state = out / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(BadCheckpoint, match="no readable training state"):
        fit(request(data, out, epochs=1))


def test_a_full_disk_leaves_the_state_before(
    whole: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import numpy as safetensors_numpy

    out, saves, real = tmp_path / "run", [], safetensors_numpy.save

    def save(arrays: Any, metadata: Any = None) -> bytes:
        saves.append(metadata)
        if len(saves) == 4:
            raise OSError(28, "No space left on device")
        return real(arrays, metadata)

    monkeypatch.setattr(safetensors_numpy, "save", save)
    with pytest.raises(OSError, match="No space"):
        fit(request(data, out))
    monkeypatch.undo()
    use(monkeypatch)
    assert not [p for p in out.iterdir() if "partial" in p.name]
    fit(request(data, out))
    assert same_state(whole, out)


# --- accumulation, start, precision ---------------------------------------------------------------


def test_accumulated_parts_make_the_whole_batchs_gradient(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without batch statistics and dropout two parts equal the whole."""

    def plain(info: CheckpointInfo, *_: Any) -> Any:
        kr, points = keras(), keypoint_set(info.keypoints)
        images = kr.Input((64, 64, 3))
        x = kr.layers.Conv2D(8, 8, strides=8, activation="relu", name="stem")(images)
        return kr.Model(images, kr.layers.Conv2D(len(points), 1, name="confs")(x))

    monkeypatch.setattr(training_setup, "build", plain)
    for parts in (1, 2):
        fit(request(data, tmp_path / str(parts), accumulate=parts))
    a, b = (read_checkpoint(tmp_path / n / "last.safetensors")[1] for n in "12")
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=2e-5)
    assert rows(tmp_path / "1")[0]["loss"][:5] == rows(tmp_path / "2")[0]["loss"][:5]


@pytest.mark.usefixtures("graph")
def test_an_accumulating_run_resumes_too(data: Path, tmp_path: Path) -> None:
    fit(request(data, tmp_path / "whole", accumulate=2))
    with pytest.raises(Crash):
        fit(request(data, tmp_path / "run", accumulate=2), crash_at(5, STEPS))
    fit(request(data, tmp_path / "run", accumulate=2))
    assert same_state(tmp_path / "whole", tmp_path / "run")


def test_it_starts_from_a_checkpoint(whole: Path, data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    wanted = request(data, tmp_path / "run", init=whole / "last.safetensors", learning_rate=1e-12, epochs=1)
    fit(wanted, Listener(say=said.append))
    assert "new: nothing" in said[0]
    _, weights = read_checkpoint(tmp_path / "run" / "last.safetensors")
    start = read_checkpoint(whole / "last.safetensors")[1]
    np.testing.assert_allclose(weights["stem_conv/kernel"], start["stem_conv/kernel"], atol=1e-9)


def test_frozen_blocks_keep_weights_and_statistics_and_resume(
    whole: Path, data: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    frozen = partial(request, data, init=whole / "last.safetensors", freeze_blocks=0)
    fit(frozen(tmp_path / "run"), Listener(say=said.append))
    assert "the backbone's stem and 0 blocks are not trained: 2 layers" in said[1]
    with pytest.raises(Crash):
        fit(frozen(tmp_path / "crashed"), crash_at(5, STEPS))
    fit(frozen(tmp_path / "crashed"))
    assert same_state(tmp_path / "run", tmp_path / "crashed")
    start, weights = (read_checkpoint(run / "last.safetensors")[1] for run in (whole, tmp_path / "run"))
    for name, array in weights.items():
        assert np.array_equal(array, start[name]) == name.startswith("stem_"), name


def test_another_keypoint_set_gets_new_channels_and_says_so(data: Path, tmp_path: Path) -> None:
    info = CheckpointInfo("rt-lite", "mpii-16", 128, 64, "test")
    save_checkpoint(tmp_path / "mpii.safetensors", weights_of(tiny(info)), info)
    said: list[str] = []
    wanted = request(data, tmp_path / "run", init=tmp_path / "mpii.safetensors", epochs=1)
    fit(wanted, Listener(say=said.append))
    assert "new: pass3_detection2_confs; by keypoint: pass1_skeleton_pafs" in said[0]


def test_a_start_from_another_network_is_refused(data: Path, tmp_path: Path) -> None:
    info = CheckpointInfo("rt", "in-motion-19", 128, 64, "test")
    save_checkpoint(tmp_path / "rt.safetensors", weights_of(tiny(info)), info)
    with pytest.raises(BadCheckpoint, match="is of network rt, not rt-lite"):
        fit(request(data, tmp_path / "run", init=tmp_path / "rt.safetensors"))


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_weights_and_maps_in_float32(
    data: Path, tmp_path: Path, precision: str
) -> None:
    policy = keras().config.dtype_policy().name
    with open_setup(request(data, tmp_path / "run", precision=precision, epochs=1)) as parts:
        model = parts.network()
        assert model.get_layer("stem_conv").compute_dtype == precision.removeprefix("mixed_")
        assert {str(output.dtype) for output in model.outputs} == {"float32"}
        parts.train(model, parts.objective(Term("ground_truth", parts.ground_truth(model))))
    assert keras().config.dtype_policy().name == policy
    _, weights = read_checkpoint(tmp_path / "run" / "last.safetensors")
    assert all(array.dtype == np.float32 for array in weights.values())


def test_products_in_bfloat16_leave_all_else_in_float32(data: Path, tmp_path: Path) -> None:
    with open_setup(request(data, tmp_path / "run", precision=PRODUCTS, epochs=1)) as parts:
        assert parts.network().get_layer("stem_conv").compute_dtype == "float32"
    # In a process of its own: what oneDNN multiplies in is read once.
    products = """
import sys
import numpy as np
from edgepose.frameworks import tensorflow
from edgepose.training.devices import computing
with computing(sys.argv[1]):
    tf = tensorflow()
    images, kernel = np.full((1, 8, 8, 32), 1 + 2**-10, np.float32), np.ones((1, 1, 32, 32), np.float32)
    print(float(tf.function(tf.nn.conv2d)(images, kernel, 1, "SAME")[0, 0, 0, 0]))
"""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    for precision, expected in (("float32", 32 * (1 + 2**-10)), (PRODUCTS, 32.0)):
        if precision == PRODUCTS and "amx_bf16" not in flags:
            continue  # there oneDNN multiplies in float32 as before, with AVX-512's bfloat16 too
        child = subprocess.run([sys.executable, "-c", products, precision], capture_output=True, text=True)
        assert float(child.stdout) == expected, child.stderr


# --- the other backend ----------------------------------------------------------------------------

JAX_START = """
import sys; sys.path[:0] = {paths!r}
from dataclasses import replace
from pathlib import Path
import jax, numpy as np, pytest, tiny_runs
data, out = Path({data!r}), Path({out!r})
assert len(jax.devices()) == {devices}
"""
# A machine without TensorFlow: the command, what needs TensorFlow, and a teacher's features.
JAX_ALONE = """
class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name="tensorflow")
sys.meta_path.insert(0, NoTensorFlow())
import test_training as t
from edgepose.training.distill import distill
tiny_runs.use(pytest.MonkeyPatch())
words = ["train", "--data", str(data), *t.WORDS, "--out"]
done = t.CliRunner().invoke(t.cli.app, [*words, str(out)])
assert done.exit_code == 0, done.output
done = t.CliRunner().invoke(t.cli.app, [*words, str(out / "board"), "--tensorboard"])
assert isinstance(done.exception, t.UsageError), done.output
assert "--tensorboard: this needs tensorflow, which is not installed; leave it out" in str(done.exception)
assert not (out / "board").exists()
teacher = tiny_runs.make_teacher(out / "teacher.safetensors")
request = tiny_runs.asked(data, out / "whole", teacher, loss="features")
distill(request)
request = replace(request, student=replace(request.student, out=out / "crashed"))
try:
    distill(request, t.crash_at(5, 6))
except t.Crash:
    distill(request)
assert tiny_runs.same_state(out / "whole", out / "crashed")
assert "tensorflow" not in sys.modules
"""
# The same, in seconds.
JAX_TRAINS = """
class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name="tensorflow")
sys.meta_path.insert(0, NoTensorFlow())
import test_training as t
tiny_runs.use(pytest.MonkeyPatch())
t.fit(t.request(data, out / "whole", ema=0.5))
try:
    t.fit(t.request(data, out / "crashed", ema=0.5), t.crash_at(5, t.STEPS))
except t.Crash:
    t.fit(t.request(data, out / "crashed", ema=0.5))
assert tiny_runs.same_state(out / "whole", out / "crashed")
assert "tensorflow" not in sys.modules
"""
JAX_SHARED = """
import test_training as t
from edgepose.training.devices import computing, shard
tiny_runs.use(pytest.MonkeyPatch())
with computing("float32"):
    assert len(shard({{"a": np.zeros((4, 3), np.float32)}})["a"].sharding.device_set) == 2
try:
    t.fit(t.request(data, out), t.crash_at(5, t.STEPS))
except t.Crash:
    t.fit(t.request(data, out))
try:
    t.fit(t.request(data, out / "odd", accumulate=4))
except t.UsageError as error:
    assert "1 frames cannot be shared by 2 devices" in str(error), error
else:
    raise AssertionError("shared one frame")
"""
# `request`, as one types it.
WORDS = shlex.split(
    "--model rt-lite --resolution 64 --epochs 3 --steps-per-epoch 3 --batch 4 --checkpoint-every 2 "
    "--schedule cosine --augmentation paper-colour"
)


def on_jax(program: str, devices: int, data: Path, out: Path) -> None:
    """Run a program on JAX with so many virtual devices; what XLA compiles is neither polished nor compiled
    twice, since compiling is nearly all that it does here."""
    flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{flags} --xla_llvm_disable_expensive_passes=true",
        "JAX_COMPILATION_CACHE_DIR": str(out.parent / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    paths = [str(Path(__file__).parent), HELPERS]
    text = (JAX_START + program).format(paths=paths, data=str(data), out=str(out), devices=devices)
    done = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_on_jax_without_tensorflow_a_resumed_run_ends_the_same(data: Path, tmp_path: Path) -> None:
    on_jax(JAX_TRAINS, 1, data, tmp_path / "out")
    log = rows(tmp_path / "out" / "whole")
    assert float(log[2]["loss"]) < float(log[0]["loss"]) and "pckh@0.1" in log[0]


@pytest.mark.long
def test_on_jax_two_devices_interrupted_end_where_one_without_tensorflow_does(
    data: Path, tmp_path: Path
) -> None:
    on_jax(JAX_ALONE, 1, data, tmp_path / "1")
    on_jax(JAX_SHARED, 2, data, tmp_path / "2")
    one, two = (tensors(tmp_path / name) for name in "12")
    assert one.keys() == two.keys()
    for name in (name for name in one if name.startswith("model/")):
        np.testing.assert_allclose(one[name], two[name], atol=1e-5)


@pytest.mark.parametrize(
    ("backend", "missing", "error", "told"),
    [
        ("torch", "", UnknownName, "unknown KERAS_BACKEND 'torch'; known: tensorflow, jax"),
        ("jax", "jax", UsageError, r"this needs jax, .*'edgepose\[jax\]'"),
        ("tensorflow", "tensorflow", UsageError, r"this needs tensorflow, .*'edgepose\[train\]'"),
    ],
)
def test_a_backend_that_is_not_there_is_told_with_what_to_install(
    backend: str, missing: str, error: type[Exception], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(name=missing)

    monkeypatch.setenv("KERAS_BACKEND", backend)
    for name in ("keras", "tensorflow"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(frameworks.importlib, "import_module", absent)
    with pytest.raises(error, match=told):
        keras()


# --- what cannot go well --------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["loss", "weights"])
def test_divergence_names_step_and_files_and_keeps_the_last_good_checkpoint(
    data: Path, tmp_path: Path, where: str
) -> None:
    out = tmp_path / "run"
    with open_setup(request(data, out)) as parts:
        model = parts.network()

        def burst(outputs: list[Any], sample: Any, sigma: Any) -> Any:
            ops = keras().ops
            if where == "loss":
                return ops.mean(outputs[-1]) * 0 + ops.where(sigma < 0.5, np.nan, 0.0)
            # A finite loss whose gradient is not: the root of zero.
            return ops.sqrt(ops.mean(outputs[-1] ** 2) * ops.where(sigma < 0.5, 0.0, 1.0))

        goal = parts.objective(Term("ground_truth", parts.ground_truth(model)), Term("burst", burst))
        with pytest.raises(Diverged, match=r"step [34] \(epoch 1\).*train\d_0\.png.*--init") as caught:
            parts.train(model, goal)
    assert caught.value.exit_code == 1 and str(out / "last.safetensors") in caught.value.hint
    told = json.loads((out / "diverged.json").read_text())
    assert told["epoch"] == 1 and len(told["files"]) == 4
    _, weights = read_checkpoint(out / "last.safetensors")
    assert all(np.isfinite(array).all() for array in weights.values())
    assert len(rows(out)) == 1


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"model": "rx"}, UnknownName, "rt-lite"),
        ({"augmentation": "wild"}, UnknownName, "paper-colour"),
        ({"learning_rate_schedule": "x"}, UnknownName, "cosine"),
        ({"sigma_schedule": "x"}, UnknownName, "hourglass"),
        ({"precision": "float8"}, UnknownName, "mixed_float16"),
        ({"centre": "corner"}, UnknownName, "integer"),
        ({"resolution": 65}, UsageError, "64 or 72"),
        ({"batch": 0}, UsageError, "batch is 0"),
        ({"accumulate": 3}, UsageError, "4 cannot be cut into 3"),
        ({"learning_rate": float("nan")}, UsageError, "learning rate"),
        ({"seed": -1}, UsageError, "seed"),
        ({"ema": 1.0}, UsageError, "decay is 1.0"),
        ({"freeze_blocks": 4}, UsageError, "4 blocks of rt-lite cannot be frozen: its backbone has 3"),
        ({"model": "cima", "freeze_blocks": 0}, UsageError, "its backbone has none"),
        ({"init": Path("absent.safetensors")}, BadCheckpoint, "does not exist"),
    ],
)
def test_wrong_requests_are_refused_before_a_folder_is_made(
    data: Path, tmp_path: Path, changes: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        fit(request(data, tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"split": "trian"}, UnknownName, "train, val, test"),
        ({"split": "train+val+val"}, UsageError, r"'train\+val\+val' names a split twice"),
        ({"split": "train+val"}, UsageError, "split 'val' is trained on and would also validate"),
        ({"split": "all", "validation_split": "test"}, UsageError, "'test' is trained on"),
        ({"keypoints": "mpii-17"}, UnknownName, "mpii-16"),
        ({"keypoints": "mpii-16"}, BadDataset, "lacks keypoints of mpii-16: thorax, pelvis, right_hip"),
        ({"split": "test"}, BadDataset, "only one frame"),
        ({"crop": "face"}, UnknownName, "person"),
    ],
)
def test_unusable_data_is_refused(
    data: Path, tmp_path: Path, changes: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        fit(request(data, tmp_path / "run", data=DataRequest(str(data), **changes)))


def test_a_set_without_a_validation_split_is_told_so(tmp_path: Path) -> None:
    only_train = make_data(tmp_path / "data", val=0)
    with pytest.raises(BadDataset, match=r"split 'val' to validate on.*--validation-split"):
        fit(request(only_train, tmp_path / "run"))


def test_no_labelled_frame_is_told_so(data: Path, tmp_path: Path) -> None:
    unlabelled = f"images:{data / 'processed' / 'train' / 'images_64x64'}"
    with pytest.raises(BadDataset, match="no frame in split 'all'"):
        fit(
            request(
                data, tmp_path / "run", data=DataRequest(unlabelled, split="all", validation_split="none")
            )
        )


def test_keypoints_that_the_data_lacks_learn_nothing_when_asked(data: Path, tmp_path: Path) -> None:
    wanted = DataRequest(str(data), keypoints="mpii-16", partial=True)
    fit(request(data, tmp_path / "run", data=wanted, epochs=1, learning_rate=0.1))
    _, weights = read_checkpoint(tmp_path / "run" / "last.safetensors")
    start = weights_of(_first_weights(request(data, tmp_path / "other", data=wanted)))
    kernel, first = (w["pass3_detection2_confs/kernel"] for w in (weights, start))
    names = keypoint_set("mpii-16").names
    changed = {n for i, n in enumerate(names) if not np.array_equal(kernel[..., i], first[..., i])}
    assert set(names) - changed == {n for n in names if n not in IN_MOTION_19.names}


def _first_weights(wanted: FitRequest) -> Any:
    with open_setup(wanted) as parts:
        return parts.network()


def test_the_command_prints_what_it_kept_and_ctrl_c_exits_130(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    words = f"--model rt-lite --data {data} --out {out} --resolution 64 --batch 4 --epochs 1 --json".split()
    app = typer.Typer()
    app.command()(train.command)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["checkpoint"] == str(out / "best.safetensors") and told["epochs"][0]["step"] == 2

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("edgepose.training.fit.fit", stop)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 130 and "the same command goes on" in done.stderr


def test_run_cards_can_be_typed_as_they_stand() -> None:
    group = typer.main.get_group(cli.app)
    for recipe in TRAINING_RECIPES.values():
        words = shlex.split(recipe.command)
        assert words[0] == "edgepose", recipe.key
        name, command, rest = group.resolve_command(group.make_context("edgepose", words[1:]), words[1:])
        assert command is not None
        wanted = command.make_context(name, rest).params
        for kind in ("model", "teacher", "student"):
            assert wanted.get(kind, "rt") in {*VARIANTS, *PEERS}
        assert wanted["learning_rate_schedule"] in LEARNING_RATES
        assert wanted["sigma_schedule"] in (None, *SIGMA_SCHEDULES)
        assert wanted.get("loss", "fpd") in LOSSES


def test_run_cards_are_listed() -> None:
    done = CliRunner().invoke(cli.app, ["recipes", "list", "--json"])
    assert [card["key"] for card in json.loads(done.stdout)] == list(TRAINING_RECIPES)
    plain = CliRunner().invoke(cli.app, ["recipes", "list"]).stdout
    assert all(recipe.command in plain for recipe in TRAINING_RECIPES.values())


def test_a_run_card_is_run_with_the_words_that_are_given() -> None:
    values = ["DATA=infants", "MPII.safetensors=rt.safetensors", "RUN=runs/a b"]
    words = TRAINING_RECIPES["fine-tune"].filled(values)
    assert words[:6] == ["edgepose", "train", "--model", "rt", "--data", "infants"]
    assert words[-2:] == ["--out", "runs/a b"] and "rt.safetensors" in words
    done = CliRunner().invoke(cli.app, ["recipes", "run", "fine-tune", *values, "--print"])
    assert done.exit_code == 0 and done.stdout.startswith("edgepose train --model rt --data infants")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "needs a value for DATA, MPII.safetensors, RUN"),
        (["DATA=a", "RUN=b", "MPII.safetensors="], "needs a value for MPII.safetensors"),
        (["DATA=a", "RUN=b", "MPII.safetensors=c", "SEED=1"], "no word 'SEED'"),
    ],
)
def test_a_run_card_with_words_missing_is_refused(values: list[str], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        TRAINING_RECIPES["fine-tune"].filled(values)
