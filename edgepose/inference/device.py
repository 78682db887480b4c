"""Scoring on a device: the same Protocol as the desktop's runners, with many inputs under way at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from android_harness import protocol
from android_harness.cost import estimates
from android_harness.counting import Measured
from android_harness.emulator import EmulatedDevice, open_device
from android_harness.phone import Phone, open_phone
from android_harness.phone_cost import PhoneMeasured, in_words
from android_harness.protocol import Job
from android_harness.published_latencies import FP32, INT8
from android_harness.qemu import find_qemu
from android_harness.session import PART_INPUTS, DeviceSession
from edgeio import cores
from edgepose.errors import BadDataset, BadModel, UsageError
from edgepose.inference.keras_runner import KerasRunner
from edgepose.inference.predictor import Differences
from edgepose.inference.spec import Runner
from edgepose.inference.tflite import TFLiteRunner
from edgepose.results.device_facts import DeviceFacts, Parity
from edgepose.results.results import DESKTOP, Latency, Speed
from export.runtime import TensorSpec

TARGETS = "desktop, emulated, emulated:NAME (see `edgepose device list`), android, android:SERIAL"
TargetDevice = EmulatedDevice | Phone


def open_target(target: str) -> TargetDevice | None:
    """The device that `--target` names, or None for this machine.

    Raises:
        UsageError: no such kind of target.
        UserError: the device is not made, or cannot be; no phone, or several.
    """
    kind, _, name = target.partition(":")
    if kind == "emulated":
        return open_device(name)
    if kind == "android":
        return open_phone(name)
    if target == DESKTOP:
        return None
    raise UsageError(f"unknown target '{target}'", f"known: {TARGETS}")


def device_job(device: TargetDevice, delegate: str) -> dict[str, object]:
    """What a device's outputs depend on, for the job that a run is known by."""
    if isinstance(device, Phone):
        system = [device.name, device.soc, device.abi, device.android]
        return {
            "target": f"android:{device.name}",
            "protocol": protocol.VERSION,
            "system": system,
            "runner": device.runner.files,
            "delegate": delegate,
        }
    return {"target": device.target, "protocol": protocol.VERSION, "sysroot": device.sysroot.tree_sha256}


class DeviceRunner:
    """A .tflite on a device; a context, within which its runners live.

    They start with the first input, so that a run whose parts are all there starts none.

    Args:
        desktop: the same file on this machine; it knows how inputs and outputs are stored.
        folder: of the job.
        images: how many will come; there are never more runners than parts.
    """

    def __init__(
        self,
        desktop: Runner,
        device: TargetDevice,
        folder: Path,
        threads: int,
        images: int,
        delegate: str = "xnnpack",
    ) -> None:
        if isinstance(desktop, KerasRunner):
            raise UsageError(
                f"{desktop.spec.path} is a checkpoint, and devices run .tflite files", "export it"
            )
        assert isinstance(desktop, TFLiteRunner)
        self._desktop, self._device = desktop, device
        self.detector = desktop.detector  # looks on this machine: the device is handed what it found
        self.spec = replace(desktop.spec, runtime=_runtime(device))
        workers = 1  # on a phone, whose cores are the runner's threads
        if not isinstance(device, Phone):
            workers = max(1, min(cores() // threads, -(-images // PART_INPUTS)))
        job = Job(desktop.spec.sha256, threads=threads, delegate=delegate)
        self._session = DeviceSession(device, folder, desktop.spec.path, job, workers)
        self._stack = ExitStack()
        self._started = False

    def __enter__(self) -> DeviceRunner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Normalised input (B, h, w, 3) float32 -> the model's output (B, *output_shape) float32."""
        return np.concatenate(list(self.stream(row[None] for row in inputs)))

    def stream(self, inputs: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The output of each input (1, h, w, 3), in their order."""
        if not self._started:
            self._stack.enter_context(self._session)
            self._started = True
            self._check(self._session.hello)
        stored = (_little_endian(self._desktop.input.quantise(row)) for row in inputs)
        told = [(np.dtype(t.dtype).newbyteorder("<"), t.shape) for t in self._session.hello.outputs]
        for outputs in self._session.run(stored):
            arrays = [np.frombuffer(o, t).reshape(s) for o, (t, s) in zip(outputs, told, strict=True)]
            yield self._desktop.joined(arrays)

    def _check(self, hello: protocol.Hello) -> None:
        """The device's runtime reads the same tensors out of the file as this machine's."""
        wanted, given = self._desktop.outputs, hello.outputs
        pairs = [(hello.input, self._desktop.input)]
        pairs += [(given[i], output) for i, output in wanted.items() if i < len(given)]
        if len(pairs) <= len(wanted) or any(not _same(there, here) for there, here in pairs):
            raise BadModel(
                f"{self.spec.path} has other inputs or outputs on {self._device.name} than here",
                "export it again",
            )


def device_facts(
    device: EmulatedDevice,
    measured: Measured | None,
    differences: Differences | None,
    reference: Runner,
    threads: int,
) -> DeviceFacts:
    """The `device` section.

    Args:
        measured: None where the user asked for no cost.
        differences: from `reference`, the run on this machine.
    """
    counted = measured.instructions if measured else None
    form = FP32 if reference.spec.float_operators is None else INT8
    return DeviceFacts(
        name=device.name,
        kind="emulated",
        processor=device.profile.name,
        system=f"qemu {find_qemu()[1]}",
        sysroot_sha256=device.sysroot.tree_sha256,
        protocol=protocol.VERSION,
        threads=threads,
        delegate="xnnpack",
        model_memory_bytes=measured.model_memory_bytes if measured else None,
        instructions=counted,
        not_counted=(measured.not_counted if measured else "--no-speed") if counted is None else None,
        estimates=estimates(device.profile.key, counted.per_inference, reference.spec.all_bytes, form)
        if counted
        else (),
        parity=_parity(differences, reference),
    )


def phone_facts(
    phone: Phone,
    measured: PhoneMeasured | None,
    differences: Differences | None,
    reference: Runner,
    threads: int,
    delegate: str,
) -> DeviceFacts:
    """The `device` section of a real phone; its times are in `speed`."""
    return DeviceFacts(
        name=phone.name,
        kind="android",
        processor=phone.soc or phone.abi,
        system=f"Android {phone.android}",
        sysroot_sha256=None,
        protocol=protocol.VERSION,
        threads=threads,
        delegate=delegate,
        model_memory_bytes=measured.model_memory_bytes if measured else None,
        instructions=None,
        not_counted="a phone counts none; its time is measured" if measured else "--no-speed",
        estimates=(),
        parity=_parity(differences, reference),
    )


def phone_speed(phone: Phone, measured: PhoneMeasured, threads: int) -> Speed:
    """The `speed` section of a real phone."""
    median, p90 = (float(np.quantile(measured.run_ms, q)) for q in (0.5, 0.9))
    return Speed(
        latency_ms=Latency(median, p90, len(measured.run_ms), len(measured.warm_up_ms), threads),
        letterbox_ms=None,
        decode_ms=None,
        peak_memory_bytes=None,
        processor=f"{phone.model}, {phone.soc or phone.abi}",
        note=in_words(measured.before, measured.after),
    )


def _runtime(device: TargetDevice) -> dict[str, str]:
    if isinstance(device, Phone):
        return {"name": "tensorflow-lite-java", "version": device.runner.runtime_version}
    return {"name": device.sysroot.runtime, "version": device.sysroot.runtime_version}


def _parity(differences: Differences | None, reference: Runner) -> Parity:
    kept = np.isfinite(differences.output) if differences is not None else np.zeros(0, bool)
    if differences is None or not kept.any():
        raise BadDataset("no image could be used", "see `edgepose data info` for what the data set holds")
    px = differences.px[kept]
    runtime = reference.spec.runtime
    return Parity(
        runtime=f"{runtime['name']} {runtime['version']}",
        n_images=int(kept.sum()),
        identical=int(differences.identical[kept].sum()),
        max_difference=float(differences.output[kept].max()),
        max_px=float(px.max()),
        p99_px=float(np.quantile(px, 0.99)),
        median_px=float(np.median(px)),
    )


def _little_endian(stored: np.ndarray) -> bytes:
    return np.ascontiguousarray(stored, stored.dtype.newbyteorder("<")).tobytes()


def _same(there: protocol.JobTensor, here: TensorSpec) -> bool:
    return (there.dtype, there.shape) == (here.dtype, here.shape)
