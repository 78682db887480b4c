"""Runs on a network of a few hundred weights: learning, resuming, stopping, refusing."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from safetensors.numpy import load_file
from typer.testing import CliRunner

from edgeio import UnknownName
from edgepose.cli import train
from edgepose.errors import BadCheckpoint, BadDataset, EdgeposeError, UsageError
from edgepose.frameworks import keras
from edgepose.keypoints import IN_MOTION_19, keypoint_set
from edgepose.models.checkpoint import CheckpointInfo, read_checkpoint, save_checkpoint, weights_of
from edgepose.training import assembly as assembly_module
from edgepose.training.assembly import assembled
from edgepose.training.fit import fit
from edgepose.training.loop import Listener
from edgepose.training.losses import Term
from edgepose.training.material import DataRequest
from edgepose.training.recipes import RECIPES
from edgepose.training.request import FitRequest

PAPER_POINTS = len(IN_MOTION_19)


def tiny(info: CheckpointInfo, *_: Any) -> Any:
    """A network with what makes resuming hard: batch statistics, dropout, several outputs."""
    kr, points = keras(), keypoint_set(info.keypoints)
    images = kr.Input((info.resolution, info.resolution, 3), name="images")
    x = kr.layers.Conv2D(8, 8, strides=8, padding="same", use_bias=False, name="stem_conv")(images)
    x = kr.layers.BatchNormalization(name="stem_bn")(x)
    x = kr.layers.Dropout(0.2, noise_shape=(None, 1, 1, 1), name="drop")(kr.layers.Activation("relu")(x))
    pafs = kr.layers.Conv2D(2 * len(points.segments), 1, name="pass1_skeleton_pafs")(x)
    x = kr.layers.Concatenate(name="pass3_input")([x, pafs])
    maps = kr.layers.Conv2D(len(points), 3, padding="same", name="pass3_detection2_confs")(x)
    return kr.Model(images, [pafs, maps], name="tiny")


def make_data(root: Path, train: int = 10, val: int = 4) -> Path:
    """In-Motion's processed layout with noise for pictures."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val), ("test", 1)):
        images, points = (root / "processed" / split / name for name in ("images_64x64", "points"))
        for folder in (images, points):
            folder.mkdir(parents=True)
        for i in range(count):
            Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(
                images / f"{split}{i}_0.png"
            )
            np.savetxt(points / f"{split}{i}_0.txt", rng.uniform(0.1, 0.9, (PAPER_POINTS, 2)), fmt="%.6f")
    return root


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def _tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly_module, "build", tiny)


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


def tensors(out: Path) -> dict[str, np.ndarray]:
    return load_file(out / "state.safetensors")


def same_state(a: Path, b: Path) -> bool:
    first, second = tensors(a), tensors(b)
    return first.keys() == second.keys() and all(np.array_equal(first[k], second[k]) for k in first)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "log.csv").open(encoding="utf-8") as handle:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(handle)]


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly_module, "build", tiny)
        fit(request(data, out))
    return out


class Crash(Exception):
    """Stands for whatever ends a process."""


def crash_at(step: int, how: Any = None) -> Listener:
    def watch(done: int, total: int) -> None:
        if total == 9 and done == step:
            if how is None:
                raise Crash
            how()

    return Listener(step=watch)


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
    with assembled(request(data, tmp_path / "run", epochs=1), binding={"teacher_sha256": "0" * 64}) as parts:
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
        fit(request(data, out), crash_at(step))
    fit(request(data, out, resume=True))
    assert same_state(whole, out)
    assert rows(out) == rows(whole)
    for name in ("last", "best"):
        a, b = (load_file(folder / f"{name}.safetensors") for folder in (whole, out))
        assert all(np.array_equal(a[key], b[key]) for key in a)


def test_killed_without_warning_it_resumes_the_same(whole: Path, data: Path, tmp_path: Path) -> None:
    out, step = tmp_path / "run", int(np.random.default_rng().integers(3, 9))
    program = (
        f"import os, signal, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\nimport test_training as t\n"
        "t.assembly_module.build = t.tiny\n"
        f"t.fit(t.request(Path({str(data)!r}), Path({str(out)!r})),\n"
        f"      t.crash_at({step}, lambda: os.kill(os.getpid(), signal.SIGKILL)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not same_state(whole, out)
    fit(request(data, out, resume=True))
    assert same_state(whole, out), f"killed at step {step}"


@pytest.mark.parametrize("step", [3, 9])
def test_ctrl_c_saves_the_last_step(whole: Path, data: Path, tmp_path: Path, step: int) -> None:
    out = tmp_path / "run"
    interrupt = crash_at(step, lambda: os.kill(os.getpid(), signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    try:
        fit(request(data, out), interrupt)
    except KeyboardInterrupt:
        assert json.loads(_state_metadata(out))["step"] >= step
    else:
        assert step == 9, "asked after the last step"
    assert signal.getsignal(signal.SIGINT) is before
    fit(request(data, out, resume=True))
    assert same_state(whole, out) and rows(out) == rows(whole)


def _state_metadata(out: Path) -> str:
    from safetensors import safe_open

    with safe_open(out / "state.safetensors", "np") as file:
        return str(file.metadata()["edgepose-training"])


def test_a_finished_run_resumes_to_nothing(whole: Path, data: Path) -> None:
    before = (whole / "state.safetensors").stat().st_mtime_ns
    assert fit(request(data, whole, resume=True)) == whole / "best.safetensors"
    assert (whole / "state.safetensors").stat().st_mtime_ns == before


def test_what_is_derived_from_the_state_is_made_again(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    fit(request(data, out, epochs=1))
    expected = {n: (out / n).read_bytes() for n in ("last.safetensors", "best.safetensors", "log.csv")}
    for name in expected:
        (out / name).unlink()
    fit(request(data, out, epochs=1, resume=True))
    assert {name: (out / name).read_bytes() for name in expected} == expected


def test_changed_settings_are_refused_by_name(whole: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"settings\.batch was 4 and is 2") as caught:
        fit(request(data, whole, batch=2, seed=9, resume=True))
    assert "settings.seed was 0 and is 9" in str(caught.value)
    other = make_data(tmp_path / "other", train=9)
    with pytest.raises(UsageError, match="data_sha256"):
        fit(request(other, whole, resume=True))
    fit(request(data, whole, workers=1, checkpoint_every=1, resume=True))


def test_a_folder_is_neither_reused_nor_resumed_by_accident(whole: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="add --resume"):
        fit(request(data, whole))
    with pytest.raises(UsageError, match="no run to resume"):
        fit(request(data, tmp_path / "typo", resume=True))


def test_a_damaged_state_is_refused(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    fit(request(data, out, epochs=1))
    state = out / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(BadCheckpoint, match="no readable training state"):
        fit(request(data, out, epochs=1, resume=True))


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
    monkeypatch.setattr(assembly_module, "build", tiny)
    assert not [p for p in out.iterdir() if "partial" in p.name]
    fit(request(data, out, resume=True))
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

    monkeypatch.setattr(assembly_module, "build", plain)
    for parts in (1, 2):
        fit(request(data, tmp_path / str(parts), accumulate=parts))
    a, b = (read_checkpoint(tmp_path / n / "last.safetensors")[1] for n in "12")
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=2e-5)
    assert rows(tmp_path / "1")[0]["loss"][:5] == rows(tmp_path / "2")[0]["loss"][:5]


def test_an_accumulating_run_resumes_too(data: Path, tmp_path: Path) -> None:
    fit(request(data, tmp_path / "whole", accumulate=2))
    with pytest.raises(Crash):
        fit(request(data, tmp_path / "run", accumulate=2), crash_at(5))
    fit(request(data, tmp_path / "run", accumulate=2, resume=True))
    assert same_state(tmp_path / "whole", tmp_path / "run")


def test_it_starts_from_a_checkpoint(whole: Path, data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    wanted = request(data, tmp_path / "run", init=whole / "last.safetensors", learning_rate=1e-12, epochs=1)
    fit(wanted, Listener(say=said.append))
    assert "new: nothing" in said[0]
    _, weights = read_checkpoint(tmp_path / "run" / "last.safetensors")
    start = read_checkpoint(whole / "last.safetensors")[1]
    np.testing.assert_allclose(weights["stem_conv/kernel"], start["stem_conv/kernel"], atol=1e-9)


def test_another_keypoint_set_gets_a_new_head_and_says_so(data: Path, tmp_path: Path) -> None:
    info = CheckpointInfo("rt-lite", "mpii-16", 128, 64, "test")
    save_checkpoint(tmp_path / "mpii.safetensors", weights_of(tiny(info)), info)
    said: list[str] = []
    wanted = request(data, tmp_path / "run", init=tmp_path / "mpii.safetensors", epochs=1)
    fit(wanted, Listener(say=said.append))
    assert "new: pass1_skeleton_pafs, pass3_detection2_confs" in said[0]


def test_a_start_from_another_network_is_refused(data: Path, tmp_path: Path) -> None:
    info = CheckpointInfo("rt", "in-motion-19", 128, 64, "test")
    save_checkpoint(tmp_path / "rt.safetensors", weights_of(tiny(info)), info)
    with pytest.raises(BadCheckpoint, match="is of network rt, not rt-lite"):
        fit(request(data, tmp_path / "run", init=tmp_path / "rt.safetensors"))


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_weights_and_maps_in_float32(
    data: Path, tmp_path: Path, precision: str
) -> None:
    policy = keras().config.dtype_policy().name
    with assembled(request(data, tmp_path / "run", precision=precision, epochs=1)) as parts:
        model = parts.network()
        assert model.get_layer("stem_conv").compute_dtype == precision.removeprefix("mixed_")
        assert {str(output.dtype) for output in model.outputs} == {"float32"}
        parts.train(model, parts.objective(Term("ground_truth", parts.ground_truth(model))))
    assert keras().config.dtype_policy().name == policy
    _, weights = read_checkpoint(tmp_path / "run" / "last.safetensors")
    assert all(array.dtype == np.float32 for array in weights.values())


# --- the other backend ----------------------------------------------------------------------------

JAX_RUN = """
import sys; sys.path.insert(0, {tests!r})
from pathlib import Path
import jax, numpy as np
import test_training as t
from edgepose.training.devices import computing, shard
t.assembly_module.build = t.tiny
data, out, devices = Path({data!r}), Path({out!r}), {devices}
assert len(jax.devices()) == devices
if devices == 1:
    t.fit(t.request(data, out))
    sys.exit()
with computing("float32"):
    assert len(shard({{"a": np.zeros((4, 3), np.float32)}})["a"].sharding.device_set) == devices
try:
    t.fit(t.request(data, out), t.crash_at(5))
except t.Crash:
    t.fit(t.request(data, out, resume=True))
try:
    t.fit(t.request(data, out / "odd", accumulate=4))
except t.UsageError as error:
    assert "1 frames cannot be shared by 2 devices" in str(error), error
else:
    raise AssertionError("shared one frame")
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install jax")
def test_on_jax_two_devices_interrupted_end_where_one_does(data: Path, tmp_path: Path) -> None:
    for devices in (1, 2):
        out = tmp_path / str(devices)
        program = JAX_RUN.format(
            tests=str(Path(__file__).parent), devices=devices, data=str(data), out=str(out)
        )
        flags = f"--xla_force_host_platform_device_count={devices}"
        environment = {**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    one, two = (tensors(tmp_path / name) for name in "12")
    assert one.keys() == two.keys()
    for name in (name for name in one if name.startswith("model/")):
        np.testing.assert_allclose(one[name], two[name], atol=1e-5)


# --- what cannot go well --------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["loss", "weights"])
def test_divergence_names_step_and_files_and_keeps_the_last_good_checkpoint(
    data: Path, tmp_path: Path, where: str
) -> None:
    out = tmp_path / "run"
    with assembled(request(data, out)) as parts:
        model = parts.network()

        def burst(outputs: list[Any], sample: Any, sigma: Any) -> Any:
            ops = keras().ops
            if where == "loss":
                return ops.mean(outputs[-1]) * 0 + ops.where(sigma < 0.5, np.nan, 0.0)
            # A finite loss whose gradient is not: the root of zero.
            return ops.sqrt(ops.mean(outputs[-1] ** 2) * ops.where(sigma < 0.5, 0.0, 1.0))

        goal = parts.objective(Term("ground_truth", parts.ground_truth(model)), Term("burst", burst))
        with pytest.raises(EdgeposeError, match=r"step [34] \(epoch 1\).*train\d_0\.png.*--init"):
            parts.train(model, goal)
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
        ({"split": "trian"}, UsageError, "train, val, test"),
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
    with assembled(wanted) as parts:
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
    assert done.exit_code == 130 and "--resume" in done.stderr


def test_recipes_name_networks_that_exist() -> None:
    for recipe in RECIPES.values():
        recipe.request(DataRequest("x"), Path("out")).check()
        assert recipe.model in recipe.command
