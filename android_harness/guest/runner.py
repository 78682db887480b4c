"""The runner of device protocol 1 for CPython: NumPy and a TFLite runtime, no edgepose.

It runs on the device, where nothing of the host's is installed; so it shares no code with the host, and
`docs/devices.md` is all that the two have in common.

    python runner.py version            says its protocol, runner, runtime and runtime version
    python runner.py run JOB WORKER     works on the job folder until JOB/in/end
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import importlib.metadata
import math
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROTOCOL = 1
RUNNER = "edgepose-python 1"
RUNTIMES = (
    ("litert", "ai_edge_litert.interpreter", "ai-edge-litert"),
    ("tflite-runtime", "tflite_runtime.interpreter", "tflite-runtime"),
)
POLL_S = 0.02

# The emulator's counter listens for this system call, which no kernel has: (1, n) opens and (2, n) closes
# inference n, (3, address) names a place in the code. It is made only when EDGEPOSE_MARK asks for it.
MARK = 0x45504D
# A library, and offsets in it of the places to name; then the process's map is left in the job's folder.
PLACES = os.environ.get("EDGEPOSE_PLACES", "").split()
MAPS = "maps.txt"


class Stop(Exception):
    """The runner gives up: kind, message."""


def runtime() -> tuple[str, str, str]:
    """Name, version and module of the runtime that is installed."""
    for name, module, distribution in RUNTIMES:
        try:
            return name, importlib.metadata.version(distribution), module
        except importlib.metadata.PackageNotFoundError:
            continue
    raise Stop("run", "no TFLite runtime on the device")


def read_fields(path: Path, kind: str) -> dict[str, str]:
    head, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
    word, _, version = head.partition(" ")
    if word != "edgepose-" + kind:
        raise Stop("job", f"{path} is no {kind} file")
    if version != str(PROTOCOL):
        raise Stop("protocol", f"the job is of protocol {version}, the runner of {PROTOCOL}")
    return dict(line.split("=", 1) for line in lines if "=" in line)


def write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


def write_fields(path: Path, kind: str, fields: dict[str, Any]) -> None:
    text = f"edgepose-{kind} {PROTOCOL}\n" + "".join(f"{k}={v}\n" for k, v in fields.items())
    write(path, text.encode())


def dtype(details: dict[str, Any]) -> Any:
    import numpy as np  # costs a second when emulated, and `version` does without

    return np.dtype(details["dtype"])


def tensor(details: dict[str, Any]) -> str:
    scale, zero_point = details["quantization"]
    shape = "x".join(str(int(n)) for n in details["shape"])
    return f"{dtype(details).name} {shape} {float(scale)!r} {int(zero_point)}"


MALLINFO = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks")


class MallInfo(ctypes.Structure):
    # of mallinfo2; two more fields follow, and the call writes all ten
    _fields_ = [(name, ctypes.c_size_t) for name in (*MALLINFO, "fordblks", "keepcost")]


def allocated() -> int:
    """Bytes in use by malloc, mapped blocks included; -1 where the C library cannot tell."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError):
        return -1
    mallinfo2.restype = MallInfo
    info = mallinfo2()
    return info.uordblks + info.hblkhd


def marker() -> Callable[[int, int], object]:
    """mark(edge, number) for the emulator's counter, or one that does nothing."""
    if not os.environ.get("EDGEPOSE_MARK"):
        return lambda edge, number: None
    syscall = ctypes.CDLL(None).syscall
    syscall.argtypes = [ctypes.c_long] * 3
    return lambda edge, number: syscall(MARK, edge, number)


def name_places(folder: Path) -> None:
    """Tell the counter of the places before their code first runs, which is when it is translated."""
    importlib.import_module(runtime()[2])  # loads the library
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    write(folder / MAPS, maps.encode())
    name, *offsets = PLACES
    lines = [line for line in maps.splitlines() if line.endswith("/" + name)]
    if not lines:
        raise Stop("run", f"{name} is not loaded")
    base = min(int(line.split("-")[0], 16) for line in lines)
    for offset in offsets:
        marker()(3, base + int(offset, 16))


def cpu() -> str:
    """The processor's identity as /proc/cpuinfo has it, else the machine's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    wanted = [line for line in lines if line.startswith(("CPU part", "model name"))]
    return f"{platform.machine()} {wanted[0].split(':', 1)[1].strip() if wanted else 'unknown'}"


class Model:
    """The interpreter, and what it took to set it up."""

    def __init__(self, path: Path, job: dict[str, str]) -> None:
        self.runtime, self.version, name = runtime()
        module = importlib.import_module(name)
        options: dict[str, Any] = {"num_threads": int(job["threads"])}
        if job["delegate"] == "none":
            options["experimental_op_resolver_type"] = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        elif job["delegate"] != "xnnpack":
            raise Stop("job", f"this runner has no delegate '{job['delegate']}'")
        before, start = allocated(), time.perf_counter()
        try:
            self.interpreter = module.Interpreter(model_path=str(path), **options)
            self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise Stop("model", str(error)) from None
        self.init_ms = 1000 * (time.perf_counter() - start)
        self.memory = allocated() - before if before >= 0 else -1
        self.inputs = self.interpreter.get_input_details()
        self.outputs = self.interpreter.get_output_details()
        if len(self.inputs) != 1:
            raise Stop("model", f"it has {len(self.inputs)} inputs, not one")

    def hello(self, job: dict[str, str]) -> dict[str, Any]:
        return {
            "runner": RUNNER,
            "runtime": self.runtime,
            "runtime_version": self.version,
            "processor": cpu(),
            "model_sha256": job["model_sha256"],
            "threads": job["threads"],
            "delegate": job["delegate"],
            "init_ms": repr(self.init_ms),
            "model_memory_bytes": self.memory,
            "input": tensor(self.inputs[0]),
            "outputs": "|".join(tensor(details) for details in self.outputs),
        }

    def feed(self, data: bytes, kind: Any) -> None:
        import numpy as np

        details = self.inputs[0]
        self.interpreter.set_tensor(details["index"], np.frombuffer(data, kind).reshape(details["shape"]))

    def invoke(self) -> float:
        start = time.perf_counter()
        try:
            self.interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise Stop("run", str(error)) from None
        return 1000 * (time.perf_counter() - start)


class Worker:
    """Claims parts and does them."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.job = read_fields(folder / "job.txt", "job")
        path = folder / "model.tflite"
        if hashlib.sha256(path.read_bytes()).hexdigest() != self.job["model_sha256"]:
            raise Stop("job", "model.tflite is not the job's (its SHA-256 differs)")
        if PLACES:
            name_places(folder)
        self.model = Model(path, self.job)
        self.mark, self.marked = marker(), 0
        self.fresh = True
        write_fields(self.out(f"runner-{name}.txt"), "runner", self.model.hello(self.job))

    def out(self, name: str) -> Path:
        return self.folder / "out" / name

    def claim(self) -> tuple[str, Path] | None:
        """The name and the path of a part that is now this worker's."""
        for path in sorted((self.folder / "in").glob("*.bin")):
            claimed = path.with_name(f"{path.name}.{self.name}")
            try:
                path.rename(claimed)
            except FileNotFoundError:
                continue  # another worker was faster
            return path.stem, claimed
        return None

    def work(self) -> None:
        deadline = time.monotonic() + float(self.job["idle_s"])
        while time.monotonic() < deadline:
            ended = (self.folder / "in" / "end").exists()
            claimed = self.claim()
            if claimed:
                self.part(*claimed)
                deadline = time.monotonic() + float(self.job["idle_s"])
            elif ended:
                return
            else:
                time.sleep(POLL_S)

    def part(self, name: str, path: Path) -> None:
        data = path.read_bytes()
        details, kind = self.model.inputs[0], dtype(self.model.inputs[0])
        size = math.prod(map(int, details["shape"])) * kind.itemsize
        if hashlib.sha256(data).hexdigest() != name or len(data) % size or not data:
            raise Stop("input", f"part {name} is damaged or of another size than the model takes")
        warm_up: list[float] = []
        times: list[float] = []
        outputs: list[bytes] = []
        for start in range(0, len(data), size):
            self.model.feed(data[start : start + size], kind)
            if self.fresh:
                self.fresh = False
                warm_up = [self.counted() for _ in range(int(self.job["warm_up"]))]
            times += [self.counted() for _ in range(int(self.job["runs"]))]
            outputs += [self.model.interpreter.get_tensor(d["index"]).tobytes() for d in self.model.outputs]
        packed = b"".join(outputs)
        write(self.out(f"{name}.bin"), packed)
        fields = {
            "name": name,
            "inputs": len(data) // size,
            "sha256": hashlib.sha256(packed).hexdigest(),
            "warm_up_ms": ",".join(map(repr, warm_up)),
            "run_ms": ",".join(map(repr, times)),
        }
        write_fields(self.out(f"{name}.txt"), "part", fields)
        path.unlink()

    def counted(self) -> float:
        """One inference between marks, after a pair of marks with nothing between."""
        number = self.marked
        self.marked += 1
        self.mark(1, -1)
        self.mark(2, -1)
        self.mark(1, number)
        elapsed = self.model.invoke()
        self.mark(2, number)
        return elapsed


def main(arguments: list[str]) -> int:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is reported; its core helps nobody
    if arguments[:1] == ["version"]:
        name, version, _ = runtime()
        print(f"edgepose-runner {PROTOCOL}\nrunner={RUNNER}\nruntime={name}\nruntime_version={version}")
        return 0
    folder, worker = Path(arguments[1]), arguments[2]
    try:
        Worker(folder, worker).work()
    except Stop as stop:
        kind, message = stop.args
        fields = {"kind": kind, "message": " ".join(str(message).split())}
        write_fields(folder / "out" / f"error-{worker}.txt", "error", fields)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
