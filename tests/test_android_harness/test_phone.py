"""Real phones: the real adb client against a double of adbd, with a runner of the protocol behind it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import java_runner
import numpy as np
import pytest
from fake_phone import PROPERTIES, PYTHON_RUNNER, FakePhone, Link
from tiny_tflite import tiny_tflite

from android_harness.emulator import EmulatedDevice
from android_harness.errors import GuestCrashed, HarnessError
from android_harness.phone import Condition, Phone, open_phone, parse_condition, read_notes
from android_harness.phone_cost import in_words
from android_harness.protocol import Job
from android_harness.qemu import guest_command, guest_environment
from android_harness.runner_build import read_runner, runner_folder
from android_harness.session import PART_INPUTS, DeviceSession
from edgeio import UnknownName, sha256_file
from edgepose.errors import UsageError
from edgepose.evaluation.evaluate import evaluate
from edgepose.evaluation.subject import Request
from edgepose.results.results import read_results

Connect = Callable[..., FakePhone]


@pytest.fixture(scope="module")
def desktop(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """The phones' runner on this machine's Java; made before HOME is another, where Maven keeps its files."""
    return java_runner.desktop_runner(tmp_path_factory.mktemp("desktop"))


class Work:
    """A job of a tiny model on random images, with what the desktop gives for them."""

    def __init__(self, folder: Path, images: int = 10, size: int = 64) -> None:
        self.folder = folder
        self.model = folder / "tiny.tflite"
        self.model.write_bytes(tiny_tflite(size=size))
        self.job = Job(sha256_file(self.model), warm_up=1)
        rng = np.random.default_rng(0)
        self.images = [rng.random((1, size, size, 3), np.float32).astype("<f4") for _ in range(images)]

    def session(self, phone: Phone) -> DeviceSession:
        return DeviceSession(phone, self.folder / "job", self.model, self.job)

    def run(self, phone: Phone) -> list[bytes]:
        with self.session(phone) as session:
            return [outputs[0] for outputs in session.run(image.tobytes() for image in self.images)]

    def expected(self) -> list[bytes]:
        from ai_edge_litert.interpreter import Interpreter

        here = Interpreter(model_content=self.model.read_bytes())
        here.allocate_tensors()
        found = []
        for image in self.images:
            here.set_tensor(here.get_input_details()[0]["index"], image)
            here.invoke()
            found.append(here.get_tensor(here.get_output_details()[0]["index"]).astype("<f4").tobytes())
        return found


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path)


def left_on(phone: FakePhone, patience_s: float = 20.0) -> list[str]:
    """What is on the phone, once it is nothing or patience has run out."""
    deadline = time.monotonic() + patience_s
    while (left := names_under(phone.place)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def names_under(folder: Path) -> list[str]:
    """Of files and folders, while they may be vanishing."""
    return [name for _, folders, files in os.walk(folder) for name in (*folders, *files)]


def test_an_unauthorized_phone(connect: Connect, built: None) -> None:
    phone = connect(authorized=False)
    with pytest.raises(HarnessError, match="is unauthorized; unlock it and allow USB debugging"):
        open_phone(phone.serial)


def test_two_phones(connect: Connect, built: None) -> None:
    with pytest.raises(HarnessError, match="no phone is connected; plug one in"):
        open_phone()
    first = connect("first")
    assert open_phone().serial == first.serial
    second = connect("second", properties=PROPERTIES | {"ro.product.model": "Double 2"})
    with pytest.raises(HarnessError, match=f"several phones .*{second.serial}.*--target android:SERIAL"):
        open_phone()
    assert open_phone(second.serial).name == "Double-2"
    with pytest.raises(HarnessError, match="no phone 'other' is connected"):
        open_phone("other")


def test_phones_that_cannot_be_used(connect: Connect, built: None) -> None:
    old = connect("old", properties=PROPERTIES | {"ro.build.version.sdk": "24"})
    with pytest.raises(HarnessError, match="Android 8 or newer"):
        open_phone(old.serial)
    mips = connect("mips", properties=PROPERTIES | {"ro.product.cpu.abi": "mips"})
    with pytest.raises(HarnessError, match="no library for mips"):
        open_phone(mips.serial)


def test_without_adb_or_runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("ANDROID_HOME", "ANDROID_SDK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(HarnessError, match="not built; run: make android-runner"):
        open_phone()
    java_runner.make_runner()
    with pytest.raises(HarnessError, match="adb is not installed; run: sudo apt-get install adb"):
        open_phone()
    (runner_folder() / "runner.jar").write_bytes(b"other")
    with pytest.raises(HarnessError, match=r"runner.jar is missing or damaged; run: make android-runner"):
        read_runner()


def test_reads_temperatures_and_clocks() -> None:
    said = "t cpu-0 41500\nt skin 33\nt broken \nt quiet -2000\nf cpu0 1804800 2400000\nf cpu1  \nodd\n"
    assert parse_condition(said) == Condition(
        {"cpu-0": 41.5, "skin": 33.0, "quiet": -2.0}, {"cpu0": 1804.8}, {"cpu0": 2400.0}
    )


def test_a_job_on_a_phone(connect: Connect, built: None, work: Work) -> None:
    phone = connect()
    # What stayed when the phone was switched off in the middle of another job.
    (phone.place / "edgepose" / "99999999" / "job").mkdir(parents=True)
    assert work.run(open_phone()) == work.expected()
    assert left_on(phone) == []
    before, after = read_notes(work.folder / "job", "w0")
    assert before == after == Condition({"cpu-0-0": 41.5}, {"cpu0": 1804.8}, {"cpu0": 2400.0})
    assert any("chmod 444" in line for line in phone.lines)


def test_a_cable_pulled_in_the_middle(connect: Connect, built: None, tmp_path: Path) -> None:
    work = Work(tmp_path, images=24)  # more parts than lie ready at once
    phone = connect(unplug_on=r"rm -f [0-9a-f]{64}\.bin")  # once the first part has been fetched
    with pytest.raises(HarnessError, match=r"no longer answers .*finished parts are kept"):
        work.run(open_phone())
    assert left_on(phone) == []
    finished = {p.name for p in (work.folder / "job" / "out").glob("*.bin")}
    assert finished
    again = connect()
    assert work.run(open_phone(again.serial)) == work.expected()
    moved = " ".join(line for line in again.lines if "mv " in line)
    assert moved and not any(name in moved for name in finished)


@pytest.mark.parametrize(
    "link",
    [
        pytest.param(Link(bytes_per_s=300_000, delay_s=0.02), id="slow"),
        pytest.param(Link(loss=0.05), id="lossy"),
    ],
)
def test_a_job_over_a_bad_link(connect: Connect, built: None, work: Work, link: Link) -> None:
    phone = connect(link=link)
    assert work.run(open_phone()) == work.expected()
    assert left_on(phone) == []
    assert bool(phone.lost) == bool(link.loss)


@pytest.mark.parametrize("parts", [30, pytest.param(1000, marks=pytest.mark.long)])
def test_many_parts_over_a_lossy_link(connect: Connect, built: None, tmp_path: Path, parts: int) -> None:
    work = Work(tmp_path, images=parts * PART_INPUTS, size=16)
    phone = connect(link=Link(bytes_per_s=3_000_000, loss=0.01))
    tries = 3  # a machine that is too busy to answer in time looks like a phone that is gone
    while True:
        try:
            found = work.run(open_phone())
            break
        except HarnessError as error:
            tries -= 1
            if not tries or "finished parts are kept" not in str(error):
                raise
    assert found == work.expected()
    assert phone.lost > 0
    assert left_on(phone) == []
    assert len(list((work.folder / "job" / "out").glob("*.bin"))) == parts


def test_nothing_stays_after_a_kill(connect: Connect, built: None, work: Work) -> None:
    phone = connect()
    with pytest.raises(HarnessError), work.session(open_phone()) as session:
        assert session.hello.outputs[0].shape == (1, 8, 8, 19)
        assert left_on(phone, 0.0)
        (process,) = session._workers.values()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert left_on(phone) == []
        list(session.run([work.images[0].tobytes()]))


HOST = """
import sys, time
from pathlib import Path
from android_harness.phone import open_phone
from android_harness.protocol import Job
from android_harness.session import DeviceSession

folder, model = Path(sys.argv[1]), Path(sys.argv[2])
with DeviceSession(open_phone(), folder, model, Job(sys.argv[3])) as session:
    print(session.hello.runtime, flush=True)
    time.sleep(600)
"""


def test_nothing_stays_after_the_host_is_killed(connect: Connect, built: None, work: Work) -> None:
    phone = connect()
    words = [str(work.folder / "job"), str(work.model), work.job.model_sha256]
    with subprocess.Popen([sys.executable, "-c", HOST, *words], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None and host.stdout.readline() == b"litert\n"
        assert left_on(phone, 0.0)
        host.kill()
    assert left_on(phone) == []


def test_a_full_phone(connect: Connect, built: None, work: Work) -> None:
    phone = connect(room=100)
    with pytest.raises(HarnessError, match=r"storage of the phone .* is full"):
        work.run(open_phone())
    assert left_on(phone) == []


@pytest.mark.parametrize(
    ("script", "kind", "said"),
    [
        ("echo edgepose-runner 0", HarnessError, "speaks version 0 of the device protocol"),
        ("echo boom >&2; exit 1", HarnessError, "the runner does not start: .*boom"),
        (
            "[ $1 = run ] && { echo last words >&2; kill -SEGV $$; }; echo edgepose-runner 1",
            GuestCrashed,
            "SIGSEGV",
        ),
        (
            "[ $1 = run ] && { echo last words >&2; exit 5; }; echo edgepose-runner 1",
            HarnessError,
            "exit code 5 .*last words",
        ),
    ],
)
def test_a_runner_that_fails(
    connect: Connect, built: None, work: Work, script: str, kind: type[HarnessError], said: str
) -> None:
    phone = connect(app_process=["sh", "-c", script, "sh"])
    with pytest.raises(kind, match=said):
        work.run(open_phone())
    assert left_on(phone) == []


# `test_a_job_on_a_phone` guards the path through adb, test_java_runner.py the runner itself.
@pytest.mark.long
def test_the_java_runner_behind_adb(desktop: tuple[list[str], Path], connect: Connect, work: Work) -> None:
    command, library = desktop
    java_runner.make_runner("x86_64", library.read_bytes())
    phone = connect(app_process=command, properties=PROPERTIES | {"ro.product.cpu.abi": "x86_64"})
    found = work.run(open_phone())
    for here, there in zip(work.expected(), found, strict=True):
        np.testing.assert_allclose(np.frombuffer(there, "<f4"), np.frombuffer(here, "<f4"), atol=1e-6)
    assert left_on(phone) == []


@pytest.mark.long
def test_the_emulated_phone_behind_adb(
    a76: EmulatedDevice, connect: Connect, built: None, tmp_path: Path
) -> None:
    environment = [f"{name}={value}" for name, value in guest_environment(a76.root).items()]
    guest = guest_command(a76.root, a76.profile, a76.sysroot.python)
    phone = connect(app_process=["env", *environment, *guest, PYTHON_RUNNER[1]])
    work = Work(tmp_path, images=2)
    with work.session(open_phone()) as session:
        found = [outputs[0] for outputs in session.run(image.tobytes() for image in work.images)]
        assert session.hello.processor == "aarch64 0xd0b"
    for here, there in zip(work.expected(), found, strict=True):
        np.testing.assert_allclose(np.frombuffer(there, "<f4"), np.frombuffer(here, "<f4"), atol=1e-5)
    assert left_on(phone) == []


def test_scores_on_a_phone(connect: Connect, built: None, infants: Path, model: Path, tmp_path: Path) -> None:
    phone = connect()
    here, _ = evaluate(model, Request(str(infants), speed=False), tmp_path / "here")
    there, path = evaluate(model, Request(str(infants), target="android", threads=2), tmp_path / "out")
    assert path.parent.name == "tiny-fp32-maps@Double-1"
    assert there.metrics == here.metrics and there.target == "android:Double-1"
    assert there.device is not None and there.device.parity.identical == there.device.parity.n_images == 5
    assert (there.device.processor, there.device.system) == ("SD000", "Android 14")
    assert there.speed is not None and there.speed.latency_ms.median > 0
    assert (there.speed.latency_ms.runs, there.speed.latency_ms.threads) == (30, 2)
    assert there.speed.note == "cpu-0-0 42 to 42 °C; fastest core at 1805 to 1805 of 2400 MHz"
    assert phone.serial not in path.read_text(encoding="utf-8")
    assert read_results(path) == there
    assert left_on(phone) == []


def test_delegates_are_for_phones(infants: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"unknown delegate 'gpy'.*gpu"):
        evaluate(model, Request(str(infants), delegate="gpy"), tmp_path)
    with pytest.raises(UsageError, match="--delegate gpu is for phones; add --target android"):
        evaluate(model, Request(str(infants), delegate="gpu"), tmp_path)


def test_says_how_warm_the_phone_was() -> None:
    cool = Condition({"a": 30.0, "b": 31.2}, {"cpu0": 500.0, "cpu7": 900.0}, {"cpu0": 1800.0, "cpu7": 2400.0})
    warm = Condition(
        {"a": 45.1, "b": 33.0}, {"cpu0": 500.0, "cpu7": 1500.0}, {"cpu0": 1800.0, "cpu7": 1600.0}
    )
    assert in_words(cool, warm) == "a 30 to 45 °C; fastest core at 900 to 1500 of 2400 MHz"
    assert in_words(cool, None) == "temperature and clocks not known"
    assert in_words(*[Condition({}, {}, {})] * 2) == "the phone tells neither temperature nor clocks"
