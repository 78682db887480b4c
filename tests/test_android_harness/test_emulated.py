"""The real thing: qemu, a sysroot, and a model on it. Skipped, with the reason, only where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_tflite import tiny_tflite

from android_harness import counting
from android_harness.counting import measure
from android_harness.emulator import EmulatedDevice
from android_harness.errors import GuestCrashed
from android_harness.operators import split_inference
from android_harness.protocol import Job
from android_harness.qemu import guest_command, guest_environment, run_guest
from android_harness.session import DeviceSession
from edgeio import sha256_file
from export.runtime import Session as Interpreter

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("emulated") / "tiny.tflite"
    path.write_bytes(tiny_tflite(keypoints=16, size=64))
    return path


def test_a_device_gives_what_this_machine_gives(a76: EmulatedDevice, model: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = [rng.uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32) for _ in range(2)]
    here = Interpreter(model)
    with DeviceSession(a76, tmp_path / "job", model, Job(sha256_file(model))) as session:
        outputs = list(session.run(x.tobytes() for x in inputs))
        assert session.hello.processor == "aarch64 0xd0b"
        assert (session.hello.runtime, session.hello.runtime_version) == (
            "litert",
            a76.sysroot.runtime_version,
        )
    for x, (found,) in zip(inputs, outputs, strict=True):
        np.testing.assert_allclose(np.frombuffer(found, "<f4"), here.run(x)[0].ravel(), rtol=0, atol=1e-5)


def test_a_segmentation_fault_in_the_guest_is_told_as_one(a76: EmulatedDevice) -> None:
    command = guest_command(a76.root, a76.profile, a76.sysroot.python)
    with pytest.raises(GuestCrashed, match="SIGSEGV, a segmentation fault in the guest"):
        run_guest(
            [*command, "-c", "import ctypes; ctypes.string_at(0)"], guest_environment(a76.root), "the device"
        )


def test_instructions_are_counted_by_class(a76: EmulatedDevice, model: Path, tmp_path: Path) -> None:
    try:
        counting.build_plugin()
    except counting.NotCounted as reason:
        pytest.skip(f"not counted here: {reason}")
    found = measure(a76, model, tmp_path / "job")
    if found.not_counted and "plugin" in found.not_counted:
        pytest.skip(found.not_counted)
    assert found.instructions is not None
    # 64 cells x 16 maps x 192 products, four to a vector instruction, and what goes with them.
    least = 64 * 16 * 192 // 4
    assert least < found.instructions.classes["vector"] < 2 * least
    assert found.instructions.classes["dot"] == 0
    assert sum(found.instructions.classes.values()) == found.instructions.per_inference
    # Of so small a network the interpreter's own instructions are a good part.
    assert found.instructions.spread < 0.02
    assert 0 < (found.model_memory_bytes or 0) < 10_000_000
    assert not (tmp_path / "job").exists()


def test_operators_and_what_lies_around_them_add_up(a76: EmulatedDevice, model: Path, tmp_path: Path) -> None:
    try:
        found = split_inference(a76, model, tmp_path / "job")
    except counting.NotCounted as reason:
        pytest.skip(f"not counted here: {reason}")
    whole = measure(a76, model, tmp_path / "job").instructions
    assert whole is not None and found.instructions == pytest.approx(whole.per_inference, rel=0.02)
    (convolution,) = found.operators
    assert "gemm" in convolution.kernel and sum(convolution.functions.values()) == convolution.instructions
    assert 64 * 16 * 192 // 4 < convolution.instructions < found.instructions
    # The rest, and what the marks cost, which is not part of the inference.
    assert found.in_operators + sum(found.others.values()) >= found.instructions
    assert not (tmp_path / "job").exists()
