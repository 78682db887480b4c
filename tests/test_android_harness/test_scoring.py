"""Scoring on a device, from images to the `device` section; the device is this machine."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from host_device import HostDevice
from peer_models import detector, landmarks, movenet, write

from android_harness.counting import Instructions, Measured
from android_harness.errors import GuestCrashed
from android_harness.protocol import Hello, JobTensor
from edgeio import UserError
from edgepose.deploy.export import import_peer
from edgepose.errors import UsageError
from edgepose.evaluation import evaluate as module
from edgepose.evaluation.evaluate import evaluate
from edgepose.evaluation.subject import Request
from edgepose.inference import device as device_runner
from edgepose.inference import predictor as predict_module
from edgepose.results import results
from edgepose.results.results import read_results

SCHEMA = json.loads(Path(results.__file__).with_name("results.schema.json").read_text(encoding="utf-8"))
COUNTED = Instructions(5_000_000, {"vector": 4_000_000, "integer": 1_000_000}, 0.0, 3)


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> str:
    """`emulated` is this machine, and its instructions are counted as five million."""
    tensor = JobTensor("float32", (1,), 0.0, 0)
    hello = Hello("r 1", "litert", "1", "arm", "0" * 64, 1, "xnnpack", 1.0, 4096, tensor, (tensor,))
    monkeypatch.setattr(module, "open_target", lambda name: HostDevice() if name == "emulated" else None)
    monkeypatch.setattr(module, "measure_on_device", lambda *_: Measured(hello, COUNTED, None))
    monkeypatch.setattr(device_runner, "find_qemu", lambda: ("qemu-aarch64", "7.2.0"))
    return "emulated"


def test_a_device_scores_as_the_desktop_does(infants, model, target, tmp_path) -> None:
    here, _ = evaluate(model, Request(str(infants), speed=False), tmp_path / "here")
    seen: list[int] = []
    there, path = evaluate(
        model,
        Request(str(infants), target=target),
        tmp_path / "out",
        progress=lambda done, _: seen.append(done),
    )
    assert path == tmp_path / "out" / "tiny-fp32-maps@host" / "results.json"
    assert there.metrics == here.metrics and there.data == here.data
    assert (there.target, there.speed) == ("emulated:host", None)
    assert seen[:5] == [1, 2, 3, 4, 5]
    device = there.device
    assert device is not None and here.device is None
    assert (device.parity.identical, device.parity.n_images) == (5, 5)
    assert device.parity.max_difference == device.parity.max_px == 0
    assert device.instructions is not None and device.instructions.per_inference == COUNTED.per_inference
    assert device.model_memory_bytes == 4096 and device.system == "qemu 7.2.0"
    jsonschema.validate(json.loads(path.read_text(encoding="utf-8")), SCHEMA)
    assert read_results(path) == there
    assert not (path.parent / ".parts").exists()
    again, _ = evaluate(model, Request(str(infants), target=target), tmp_path / "out")
    assert again == there


def test_another_runtimes_outputs_are_told_apart(infants, model, target, tmp_path, monkeypatch) -> None:
    def nudged(self, inputs):
        for number, output in enumerate(real(self, inputs)):
            shifted = np.roll(output, 1, axis=2) if number == 0 else output
            yield np.nextafter(shifted, np.float32(9)) if number == 1 else shifted

    real = device_runner.DeviceRunner.stream
    monkeypatch.setattr(device_runner.DeviceRunner, "stream", nudged)
    found, _ = evaluate(model, Request(str(infants), target=target, speed=False), tmp_path / "out")
    assert found.device is not None
    parity = found.device.parity
    assert parity.identical == 3 and 0 < parity.max_difference < 10
    # One cell of 8 is a tenth of the 80 pixels.
    assert parity.max_px > 5 and parity.median_px == 0
    assert found.device.instructions is None and found.device.not_counted == "--no-speed"


def test_a_killed_run_keeps_what_was_done(infants, model, target, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(predict_module, "PART", 2)
    request = Request(str(infants), target=target)

    def killed(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(model, request, tmp_path / "out", progress=killed)
    seen: list[int] = []
    resumed, _ = evaluate(model, request, tmp_path / "out", progress=lambda done, _: seen.append(done))
    assert seen[0] == 2 and 1 not in seen
    whole, _ = evaluate(model, request, tmp_path / "other")
    assert resumed.predictions_sha256 == whole.predictions_sha256 and resumed.device == whole.device


def test_a_crash_keeps_the_job_and_its_mark(infants, model, target, tmp_path, monkeypatch) -> None:
    dies = HostDevice(program="import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    request = Request(str(infants), target=target, speed=False)
    with monkeypatch.context() as patch, pytest.raises(GuestCrashed, match="SIGSEGV"):
        patch.setattr(module, "open_target", lambda _: dies)
        evaluate(model, request, tmp_path / "out")
    assert (tmp_path / "out/tiny-fp32-maps@host/.parts/device/crash.txt").exists()
    found, _ = evaluate(model, request, tmp_path / "out")
    assert found.device is not None and found.device.parity.identical == 5


def test_one_bad_image_is_left_out_of_parity_too(infants, model, target, tmp_path) -> None:
    next((infants / "processed/test/images_64x64").glob("*_3.png")).write_bytes(b"no image")
    found, _ = evaluate(model, Request(str(infants), target=target, speed=False), tmp_path / "out")
    assert found.device is not None and found.device.parity.n_images == 4
    assert any("_3" in excluded.id for excluded in found.data.excluded)


def test_what_does_not_go_with_a_device_is_refused(infants, model, target, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    request = Request(str(infants), target=target)
    with pytest.raises(UsageError, match="--retime"):
        evaluate(model, request, tmp_path / "out", retime=True)
    with pytest.raises(UsageError, match="known: desktop, emulated"):
        device_runner.open_target("phone")
    with pytest.raises(UserError, match="run: edgepose device create --cpu cortex-a53"):
        device_runner.open_target("emulated:cortex-a53-tflite-runtime")


@pytest.mark.parametrize("kind", ["movenet", "blazepose"])
def test_others_networks_run_on_a_device_with_all_their_stages(infants, target, tmp_path, kind) -> None:
    data = movenet() if kind == "movenet" else landmarks()
    find = write(
        tmp_path / "f/find.tflite", detector(np.array([[112.0, 112.0], [112.0, 60.0], [0, 0], [0, 0]]))
    )
    detected = find if kind == "blazepose" else None
    path = import_peer(write(tmp_path / "f/theirs.tflite", data), kind, detected, tmp_path / "m")
    found, _ = evaluate(path, Request(str(infants), target=target), tmp_path / "out")
    here, _ = evaluate(path, Request(str(infants), speed=False), tmp_path / "here")
    device = found.device
    assert device is not None and found.metrics == here.metrics
    assert (device.parity.identical, device.parity.n_images) == (5, 5)
    stages = 1 if detected is None else 2
    assert device.instructions is not None and device.model_memory_bytes == stages * 4096
    assert device.instructions.per_inference == stages * COUNTED.per_inference
    assert sum(device.instructions.classes.values()) == stages * COUNTED.per_inference


def test_the_runners_are_no_more_than_the_parts(model, target, tmp_path) -> None:
    from edgepose.inference.tflite import TFLiteRunner

    desktop = TFLiteRunner(model)
    for images, threads, most in ((1, 1, 1), (400, 1000, 1)):
        runner = device_runner.DeviceRunner(desktop, HostDevice(), tmp_path / "job", threads, images)
        assert runner._session._count == most
