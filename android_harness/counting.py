"""What an inference costs on a device, exactly: instructions by class, and the model's memory.

The time that an emulated inference takes says nothing of a phone and is never reported.
"""

from __future__ import annotations

import hashlib
import os
import platform
import random
import shutil
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median_low

from android_harness.cost import Instructions
from android_harness.emulator import EmulatedDevice
from android_harness.errors import HarnessError
from android_harness.protocol import Hello, Job, JobTensor
from android_harness.session import DeviceSession
from android_harness.sysroot import cache_folder
from edgeio import replacing, sha256_file

SOURCE = Path(__file__).with_name("plugin") / "count.c"
# The order of the plugin's counters. `dot` are the 8-bit dot products, `other` hints and system registers.
CLASSES = ("integer", "load_store", "branch", "vector", "dot", "other")
WARM_UP, RUNS = 1, 3  # the first inference still sets things up
COUNTS, _PLUGIN = "counts.txt", "count.so"


class NotCounted(Exception):
    """Why instructions cannot be counted here; `str()` says it."""


@dataclass(frozen=True)
class Measured:
    """What one model costs on one device.

    Attributes:
        instructions: None where they could not be counted; `not_counted` says why.
        model_memory_bytes: what malloc gave for opening the model and its tensors; None where unknown.
    """

    hello: Hello
    instructions: Instructions | None
    not_counted: str | None

    @property
    def model_memory_bytes(self) -> int | None:
        return self.hello.model_memory_bytes if self.hello.model_memory_bytes >= 0 else None


def measure(
    device: EmulatedDevice, model: Path, folder: Path, runs: int = RUNS, warm_up: int = WARM_UP
) -> Measured:
    """Run the model a few times on one made-up input, by one thread, and count.

    Args:
        folder: for the job; removed when done.
        runs, warm_up: counted inferences, and those before them. The first of all costs some 0.01 % more.

    Raises:
        HarnessError: the device cannot be used, or refuses the model.
        GuestCrashed: the guest died.
    """
    shutil.rmtree(folder, ignore_errors=True)
    job = Job(sha256_file(model), threads=1, warm_up=warm_up, runs=runs)
    reason = None
    try:
        counter: Path | None = build_plugin()
    except NotCounted as error:
        counter, reason = None, str(error)
    try:
        hello, counted = _run(device, model, folder, job, counter)
    except HarnessError as error:
        if counter is None or "plugin" not in error.what.lower():
            raise
        reason = f"this qemu takes no plugin of ours: {error.what}"
        hello, counted = _run(device, model, folder, job, None)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Measured(hello, counted, None if counted else reason)


def both(first: Measured, second: Measured) -> Measured:
    """What two models cost that run one after the other: the sum, whose spread is at most the larger one."""
    one, other = first.instructions, second.instructions
    known = first.model_memory_bytes is not None and second.model_memory_bytes is not None
    memory = first.hello.model_memory_bytes + second.hello.model_memory_bytes if known else -1
    summed = None
    if one is not None and other is not None:
        classes = {name: n + other.classes[name] for name, n in one.classes.items()}
        spread, runs = max(one.spread, other.spread), min(one.runs, other.runs)
        summed = Instructions(one.per_inference + other.per_inference, classes, spread, runs)
    reason = first.not_counted or second.not_counted
    return Measured(replace(first.hello, model_memory_bytes=memory), summed, reason)


def build_plugin(cache: Path | None = None) -> Path:
    """The counter, compiled by the system's compiler on first use.

    Raises:
        NotCounted: no compiler, or it fails.
    """
    stamp = hashlib.sha256(SOURCE.read_bytes() + platform.machine().encode()).hexdigest()[:16]
    built = (cache or cache_folder()) / "plugins" / f"count-{stamp}.so"
    if built.exists():
        return built
    compiler = find_compiler()
    if compiler is None:
        raise NotCounted("no C compiler is installed; run: sudo apt-get install gcc libc6-dev")
    built.parent.mkdir(parents=True, exist_ok=True)
    with replacing(built) as temporary:
        command = [
            compiler,
            "-O2",
            "-shared",
            "-fPIC",
            "-fvisibility=hidden",
            "-o",
            str(temporary),
            str(SOURCE),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            first = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
            raise NotCounted(f"{compiler} does not compile the counter ({first})")
    return built


def find_compiler() -> str | None:
    """The system's C compiler; CC names another."""
    names = (os.environ.get("CC", ""), "cc", "gcc", "clang")
    return next(filter(None, map(shutil.which, filter(None, names))), None)


def read_counts(text: str, expected: int = RUNS, warm_up: int = WARM_UP) -> Instructions:
    """The plugin's lines, `number total classes...`, as instructions of one inference; warm-up runs are left
    out, and so is what the marks cost, which the pairs numbered -1 show.

    Raises:
        NotCounted: too few lines, or others than ours.
    """
    try:
        rows = [[int(word) for word in line.split()] for line in text.splitlines()]
    except ValueError:
        raise NotCounted("the counter's file is damaged") from None
    empty = [row for row in rows if row[:1] == [-1]]
    runs = [row for row in rows if row and row[0] >= warm_up]
    if not empty or len(runs) != expected or any(len(row) != len(CLASSES) + 2 for row in rows):
        raise NotCounted(f"the counter wrote {len(runs)} runs, not {expected}")
    own = min(empty, key=lambda row: row[1])
    totals = [row[1] - own[1] for row in runs]
    total = median_low(totals)
    chosen = runs[totals.index(total)]
    classes = {name: n - m for name, n, m in zip(CLASSES, chosen[2:], own[2:], strict=True)}
    return Instructions(total, classes, (max(totals) - min(totals)) / total, expected)


def made_up_input(tensor: JobTensor) -> bytes:
    """Seeded noise in an input's type: all steps of an integer, -1 to 1 of a float."""
    rng = random.Random(0)
    count = tensor.size_bytes
    if tensor.dtype == "float32":
        return b"".join(struct.pack("<f", rng.uniform(-1, 1)) for _ in range(count // 4))
    return rng.randbytes(count)


@dataclass(frozen=True)
class CountedDevice:
    """A device whose runner is counted.

    Attributes:
        plugin: the plugin's further options.
        variables: of the runner's environment.
    """

    device: EmulatedDevice
    plugin: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.device.name

    def check(self) -> None:
        self.device.check()

    def start(self, job: Path, worker: str) -> subprocess.Popen[bytes]:
        # By names in the job folder: qemu reads commas in a path as the next option.
        options = ("-plugin", f"./{_PLUGIN},out={COUNTS}{self.plugin}")
        return self.device.start(job, worker, options, {"EDGEPOSE_MARK": "1", **self.variables})


def count_once(counted: CountedDevice, model: Path, folder: Path, job: Job, plugin: Path) -> Hello:
    """Run a job on one made-up input; what the plugin wrote is then in the folder."""
    with DeviceSession(counted, folder, model, job, extra={_PLUGIN: plugin}) as session:
        hello = session.hello
        for _ in session.run([made_up_input(hello.input)]):
            pass
    return hello


def _run(
    device: EmulatedDevice, model: Path, folder: Path, job: Job, plugin: Path | None
) -> tuple[Hello, Instructions | None]:
    if plugin is None:
        with DeviceSession(device, folder, model, job) as session:
            return session.hello, None
    hello = count_once(CountedDevice(device), model, folder, job, plugin)
    return hello, read_counts((folder / COUNTS).read_text(encoding="ascii"), job.runs, job.warm_up)
