"""Jobs streamed through a device: order, resuming, and runners that die.

The device is the runner itself under this machine's Python, so all but the emulator is the real thing.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from host_device import HostDevice
from tiny_tflite import tiny_tflite

from android_harness import session as module
from android_harness.errors import GuestCrashed, HarnessError
from android_harness.protocol import Job
from android_harness.qemu import crash
from android_harness.session import CRASH_FILE, DeviceSession
from edgeio import sha256_file
from export.runtime import Session as Interpreter

SIZE = 16


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.tflite"
    path.write_bytes(tiny_tflite(keypoints=3, size=SIZE))
    return path


def images(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32) for _ in range(count)]


def test_outputs_come_in_order_and_equal_this_machines(model: Path, tmp_path: Path) -> None:
    inputs, here = images(10), Interpreter(model)
    job = Job(sha256_file(model), warm_up=2, runs=2)
    with DeviceSession(HostDevice(), tmp_path / "job", model, job, workers=2) as session:
        found = list(session.run(x.tobytes() for x in inputs))
        assert session.hello.outputs[0].shape == (1, 2, 2, 3)
        parts = session.parts()
    assert [row[0] for row in found] == [here.run(x)[0].tobytes() for x in inputs]
    assert sorted(part.inputs for part in parts) == [2, 4, 4]
    assert all(len(part.run_ms) == 2 * part.inputs for part in parts)
    assert {len(part.warm_up_ms) for part in parts} <= {0, 2}


def test_what_was_finished_is_not_done_again(model: Path, tmp_path: Path, monkeypatch) -> None:
    inputs, job = [x.tobytes() for x in images(6)], Job(sha256_file(model))
    with DeviceSession(HostDevice(), tmp_path / "job", model, job) as session:
        first = list(session.run(inputs))
    (damaged,) = (p for p in (tmp_path / "job" / "out").glob("*.bin") if p.stat().st_size == 2 * 48)
    damaged.write_bytes(b"\0" * damaged.stat().st_size)
    sent = []
    monkeypatch.setattr(module, "_land", _recording(sent, module._land))
    with DeviceSession(HostDevice(), tmp_path / "job", model, job) as session:
        assert list(session.run(inputs)) == first
    assert [name for name in sent if name.endswith(".bin")] == [damaged.name]


def _recording(sent, land):
    def wrapped(path, data):
        sent.append(path.name)
        land(path, data)

    return wrapped


def test_another_job_starts_afresh(model: Path, tmp_path: Path) -> None:
    (tmp_path / "job" / "out").mkdir(parents=True)
    (tmp_path / "job" / "job.txt").write_text("edgepose-job 1\nmodel_sha256=other\n", encoding="utf-8")
    (tmp_path / "job" / "out" / "left.txt").touch()
    with DeviceSession(HostDevice(), tmp_path / "job", model, Job(sha256_file(model))) as session:
        assert len(list(session.run([images(1)[0].tobytes()]))) == 1
    assert not (tmp_path / "job" / "out" / "left.txt").exists()


def test_outputs_that_were_read_are_removed_at_the_next_call(model: Path, tmp_path: Path) -> None:
    one, two = (x.tobytes() for x in images(2))
    with DeviceSession(HostDevice(), tmp_path / "job", model, Job(sha256_file(model))) as session:
        list(session.run([one]))
        kept = session.parts()
        list(session.run([two]))
        assert [p.name for p in kept] != [p.name for p in session.parts()]
        assert len(session.parts()) == 1


def test_a_crash_is_told_marked_and_costs_only_its_part(model: Path, tmp_path: Path) -> None:
    folder, job = tmp_path / "job", Job(sha256_file(model))
    inputs = [x.tobytes() for x in images(5)]
    with DeviceSession(HostDevice(), folder, model, job) as session:
        done = list(session.run(inputs[:4]))
    claims_and_dies = (
        "import os, pathlib, signal\n"
        "p = next(pathlib.Path('in').glob('*.bin'), None)\n"
        "while p is None: p = next(pathlib.Path('in').glob('*.bin'), None)\n"
        "p.rename(f'{p}.w0')\n"
        "os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    with (
        pytest.raises(GuestCrashed, match="SIGSEGV, a segmentation fault in the guest, while on part"),
        DeviceSession(HostDevice(program=claims_and_dies), folder, model, job) as session,
    ):
        list(session.run(inputs))
    assert "SIGSEGV" in (folder / CRASH_FILE).read_text(encoding="utf-8")
    with DeviceSession(HostDevice(), folder, model, job) as session:
        assert list(session.run(inputs))[:4] == done
    assert not (folder / CRASH_FILE).exists()


def test_a_model_that_the_runtime_refuses_is_told_with_its_words(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"\x1c\0\0\0TFL3" + bytes(64))
    with (
        pytest.raises(HarnessError, match=r"broken\.tflite is refused on host \(.+\); export it"),
        DeviceSession(HostDevice(), tmp_path / "job", broken, Job(sha256_file(broken))) as session,
    ):
        assert session.hello


def test_a_runner_that_ends_early_is_told_with_its_last_words(model: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(HarnessError, match=r"ended with exit code 4 \(out of luck\)"),
        DeviceSession(
            HostDevice(program="import sys; print('out of luck'); sys.exit(4)"),
            tmp_path / "job",
            model,
            Job(sha256_file(model)),
        ) as session,
    ):
        assert session.hello


class Lazy(HostDevice):
    """Its second runner finds no work and ends."""

    def start(self, job: Path, worker: str) -> subprocess.Popen[bytes]:
        return (HostDevice(program="pass") if worker == "w1" else HostDevice()).start(job, worker)


def test_a_runner_without_work_may_end_before_the_others(model: Path, tmp_path: Path) -> None:
    with DeviceSession(Lazy(), tmp_path / "job", model, Job(sha256_file(model)), workers=2) as session:
        assert len(list(session.run(x.tobytes() for x in images(5)))) == 5


def test_an_input_of_another_size_is_refused(model: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(HarnessError, match="is damaged or of another size"),
        DeviceSession(HostDevice(), tmp_path / "job", model, Job(sha256_file(model))) as session,
    ):
        list(session.run([b"short"]))


def test_runners_end_with_the_session(model: Path, tmp_path: Path) -> None:
    session = DeviceSession(HostDevice(), tmp_path / "job", model, Job(sha256_file(model)), workers=2)
    with pytest.raises(KeyboardInterrupt), session:
        raise KeyboardInterrupt
    assert not session._alive()


@pytest.mark.parametrize(
    ("code", "said"), [(-9, "SIGKILL"), (-4, "SIGILL"), (-11, "SIGSEGV"), (-99, "signal 99")]
)
def test_ends_by_a_signal_have_words(code: int, said: str) -> None:
    assert crash(code).startswith(said)
