"""Several processes that train one network: they share a batch, end where one ends, and end together."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import HELPERS, make_data, rows, tensors
from typer.testing import CliRunner

from edgepose.cli import app
from edgepose.errors import UsageError
from edgepose.frameworks import keras
from edgepose.training.augmentation import AUGMENTATIONS
from edgepose.training.frames import Canvases, HeldFrames
from edgepose.training.hosts import STOP_EVERY, Hosts, Share, joined, parse_hosts
from edgepose.training.pipeline import Stream

SLURM = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_NODELIST": "node[1-2]",
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
}


def test_which_process_of_how_many() -> None:
    assert parse_hosts("0/2") == Hosts(0, 2, "127.0.0.1:29400")
    assert parse_hosts("3/4@node1:8000") == Hosts(3, 4, "node1:8000")


@pytest.mark.parametrize("text", ["2/2", "1", "-1/2", "0/2@node1", "node1:8000", ""])
def test_what_says_no_process_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"does not say which of how many .*; give 0/2 and 1/2"):
        parse_hosts(text)


def test_slurm_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    assert parse_hosts("slurm") == Hosts(5, 8, None)
    monkeypatch.delenv("SLURM_STEP_NODELIST")
    with pytest.raises(UsageError, match="SLURM_STEP_NODELIST is not set; start it by srun"):
        parse_hosts("slurm")


@pytest.mark.parametrize("parts", [1, 2])
def test_the_parts_hold_the_same_frames_however_many_processes(parts: int) -> None:
    shares = [Share(i, 3, parts).rows(12).reshape(parts, -1) for i in range(3)]
    np.testing.assert_array_equal(np.concatenate(shares, axis=1).ravel(), np.arange(12))
    np.testing.assert_array_equal(Share().rows(12), np.arange(12))


def test_the_shares_of_a_stream_are_its_batches() -> None:
    rng = np.random.default_rng(0)
    canvases = Canvases(
        rng.integers(0, 256, (7, 8, 8, 3), dtype=np.uint8), rng.random((7, 19, 2)), np.zeros((7, 2, 3))
    )
    frames = HeldFrames([None] * 7, canvases)  # type: ignore[list-item]

    def batches(share: Share) -> list[dict[str, np.ndarray]]:
        stream = Stream(frames, AUGMENTATIONS["home"], batch=4, seed=1, share=share)
        return [batch.arrays for batch in stream.batches(2, 6)]

    for whole, first, second in zip(*map(batches, (Share(), Share(0, 2), Share(1, 2))), strict=True):
        for name, value in whole.items():
            np.testing.assert_array_equal(np.concatenate([first[name], second[name]]), value)


# --- processes ----------------------------------------------------------------------------------------

PROGRAM = """
import os, signal, sys; sys.path[:0] = {paths!r}
import pytest, tiny_runs
from edgepose import cli
from edgepose.training.checkpoints import TrainingProgress
after = TrainingProgress.after

def watched(self, *told):
    made = after(self, *told)
    if made.step == {stop_at}:
        os.kill(os.getpid(), signal.SIGTERM)
    return made

TrainingProgress.after = watched
tiny_runs.use(pytest.MonkeyPatch())
cli.main()
"""
RUN = "--resolution 64 --steps-per-epoch 3 --batch 4 --accumulate 2 --checkpoint-every 2 --schedule cosine"
TRAIN = f"train --model rt-lite {RUN} --augmentation paper-colour --ema 0.9"
# The teacher, which is trained first, by all processes too, is too short to be stopped.
DISTILL = (
    f"distill --teacher rt --student rt-lite {RUN} --loss features --feature-weight 0.1 --teacher-epochs 1 "
    "--teacher-resolution 96"
)
EPOCHS, STOP_AT = 4, 5
PATIENCE_S = 1800
needs_jax = pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="JAX is not installed")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


def start(
    data: Path, out: Path, *more: str, words: str = TRAIN, epochs: int = EPOCHS, stop_at: int | None = None
) -> subprocess.Popen[str]:
    """Train on JAX; what XLA compiles is neither polished nor compiled twice.

    Args:
        stop_at: the step after which the process asks itself to stop.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
        "JAX_COMPILATION_CACHE_DIR": str(data / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    asked = [*words.split(), "--epochs", str(epochs), "--data", str(data), "--out", str(out), *more]
    program = PROGRAM.format(paths=[HELPERS], stop_at=stop_at)
    return subprocess.Popen(
        [sys.executable, "-c", program, *asked],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def pair(
    data: Path, out: Path, words: str = TRAIN, epochs: int = EPOCHS, stop_at: int | None = None
) -> list[subprocess.Popen[str]]:
    """The same command twice, but for which process it is; the second may ask itself to stop."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hosts = (f"{i}/2@127.0.0.1:{port}" for i in (0, 1))
    return [
        start(data, out, "--hosts", each, words=words, epochs=epochs, stop_at=stop)
        for each, stop in zip(hosts, (None, stop_at), strict=True)
    ]


def ends(*processes: subprocess.Popen[str]) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of each."""
    try:
        told = [process.communicate(timeout=PATIENCE_S) for process in processes]
    finally:
        for process in processes:
            process.kill()  # one that waits for another without end
    return [(process.returncode, *text) for process, text in zip(processes, told, strict=True)]


def saved(out: Path, process: subprocess.Popen[str]) -> None:
    """Wait for the run's first state."""
    while not (out / "state.safetensors").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)


@needs_jax
@pytest.mark.long
@pytest.mark.parametrize("words", [TRAIN, DISTILL], ids=["train", "distill"])
def test_two_processes_stopped_and_resumed_end_where_one_does(words: str, data: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    (whole,) = ends(start(data, one, words=words))
    assert whole[0] == 0, whole
    stopped = ends(*pair(data, two, words, stop_at=STOP_AT))
    assert [code for code, *_ in stopped] == [130, 130], stopped
    done = ends(*pair(data, two, words))
    assert [(code, out) for code, out, _ in done] == [(0, f"{two / 'best.safetensors'}\n"), (0, "")], done
    assert f"going on with the run in {two} from step {STOP_EVERY} of {3 * EPOCHS}" in done[0][2]
    assert f"epoch {EPOCHS - 1}" in done[0][2] and "epoch" not in done[1][2]
    a, b = tensors(one), tensors(two)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(b[name], a[name], atol=1e-4, err_msg=name)
    assert [float(row["loss"]) for row in rows(two)] == pytest.approx(
        [float(row["loss"]) for row in rows(one)], rel=1e-4
    )


@needs_jax
def test_a_process_that_dies_ends_the_run_with_one_line(data: Path, tmp_path: Path) -> None:
    left, dies = pair(data, tmp_path / "run", epochs=5000)
    saved(tmp_path / "run", left)
    dies.kill()
    ((code, _, told), _) = ends(left, dies)
    lines = [line for line in told.splitlines() if line.startswith("error: ")]
    assert code == 1 and len(lines) == 1, told
    assert "process 0 of 2 stops: another one is gone" in lines[0] and "Traceback" not in told


@needs_jax
def test_processes_of_other_settings_do_not_train(data: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = [
        start(data, tmp_path / "run", "--hosts", f"{i}/2@127.0.0.1:{port}", "--seed", str(i)) for i in (0, 1)
    ]
    for code, out, told in ends(*both):
        assert (code, out) == (2, ""), told
        assert "process 1 was started with other settings, data or code than process 0" in told
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize("words", [TRAIN, DISTILL], ids=["train", "distill"])
def test_both_commands_ask_which_process_this_is(words: str, tmp_path: Path) -> None:
    asked = [*words.split(), "--data", "none", "--out", str(tmp_path / "run"), "--hosts", "2/2"]
    refused = CliRunner().invoke(app, asked).exception
    assert isinstance(refused, UsageError) and "--hosts '2/2' does not say which" in str(refused)
    assert not (tmp_path / "run").exists()


def test_other_backends_are_refused() -> None:
    assert keras().backend.backend() == "tensorflow"
    with pytest.raises(UsageError, match="--hosts needs Keras on JAX; set KERAS_BACKEND=jax"), joined("0/2"):
        pass
