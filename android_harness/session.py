"""Streams inputs through a job on a device, part by part, and resumes what a kill has left."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Protocol

from android_harness import protocol
from android_harness.errors import GuestCrashed, HarnessError
from android_harness.protocol import Failure, Hello, Job, JobPart
from android_harness.qemu import crash
from edgeio import sha256_file

PART_INPUTS = 4  # what a kill of a runner can cost
_AHEAD = 2  # parts a worker that lie ready
_POLL_S = 0.02
_END_S = 20.0
CRASH_FILE = "crash.txt"


class Device(Protocol):
    """What runs jobs."""

    @property
    def name(self) -> str: ...

    def check(self) -> None:
        """Compare versions; raises HarnessError."""
        ...

    def start(self, job: Path, worker: str) -> subprocess.Popen[bytes]:
        """Start a runner, or what stands for one here, on a job folder."""
        ...


class DeviceSession:
    """A job on a device: a context in which inputs go out and outputs come back.

    Args:
        folder: the job folder; of the same job, finished parts in it are taken as they are.
        model: the .tflite file.
        job: how to run it.
        workers: runners at once.
        extra: files, by name, that the device wants in the job folder.

    Raises:
        HarnessError: the device cannot be used, or refuses the job.
        GuestCrashed: a runner died; FOLDER/crash.txt keeps the mark.
    """

    def __init__(
        self,
        device: Device,
        folder: Path,
        model: Path,
        job: Job,
        workers: int = 1,
        extra: Mapping[str, Path] | None = None,
    ) -> None:
        self._extra = extra or {}
        self._device, self._folder, self._model = device, folder, model
        self._job, self._count = job, workers
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._hello: Hello | None = None
        self._spent: list[str] = []
        self.first_ms: float | None = None

    def __enter__(self) -> DeviceSession:
        self._device.check()
        self._claim()
        for number in range(self._count):
            name = f"w{number}"
            self._workers[name] = self._device.start(self._folder, name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                (self._folder / "in" / protocol.END_FILE).touch()
                deadline = time.monotonic() + _END_S
                while self._alive() and time.monotonic() < deadline:
                    time.sleep(_POLL_S)
        finally:
            for process in self._workers.values():
                if process.poll() is None:
                    process.kill()
                process.wait()

    @property
    def hello(self) -> Hello:
        """What the runners say of themselves and the model; waits for the first."""
        while self._hello is None:
            for name in self._workers:
                path = self._folder / "out" / f"runner-{name}.txt"
                if path.exists():
                    self._hello = protocol.parse(Hello, path.read_text(encoding="utf-8"), str(path))
                    break
            else:
                self._check_workers()
                time.sleep(_POLL_S)
        return self._hello

    def run(self, inputs: Iterable[bytes]) -> Iterator[tuple[bytes, ...]]:
        """Every input's outputs, in order; inputs are taken as the device comes along.

        What an earlier call left on the disk is removed: its outputs have been read.
        """
        for name in self._spent:
            self._discard(name)
        self._spent = []
        waiting: deque[str] = deque()
        stream = iter(inputs)
        while chunk := list(islice(stream, PART_INPUTS)):
            waiting.append(self._send(chunk))
            if len(waiting) > _AHEAD * self._count:
                yield from self._collect(waiting.popleft())
        while waiting:
            yield from self._collect(waiting.popleft())

    def parts(self) -> list[JobPart]:
        """The finished parts that are on the disk, with their times."""
        found = sorted((self._folder / "out").glob("*.txt"))
        return [self._part(path.stem) for path in found if len(path.stem) == 64]

    def _claim(self) -> None:
        """Make the folder this job's: what another job left is removed, claims of dead runners are void."""
        job_file = self._folder / protocol.JOB_FILE
        text = protocol.render(self._job)
        if not job_file.exists() or job_file.read_text(encoding="utf-8") != text:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True)
        shutil.rmtree(self._folder / "in", ignore_errors=True)
        for name in ("in", "out"):
            (self._folder / name).mkdir(exist_ok=True)
        for pattern in ("runner-*.txt", "error-*.txt", "*.tmp"):
            for path in (self._folder / "out").glob(pattern):
                path.unlink()
        (self._folder / CRASH_FILE).unlink(missing_ok=True)
        model = self._folder / protocol.MODEL_FILE
        if not model.exists() or sha256_file(model) != self._job.model_sha256:
            _land(model, self._model.read_bytes())
        if sha256_file(model) != self._job.model_sha256:
            raise HarnessError(f"{self._model} changed while it was read", "run the same command again")
        for name, path in self._extra.items():
            _land(self._folder / name, path.read_bytes())
        _land(job_file, text.encode())

    def _send(self, inputs: list[bytes]) -> str:
        name, data = protocol.pack(inputs)
        inbox = self._folder / "in"
        if not self._finished(name) and not any(inbox.glob(f"{name}.bin*")):
            _land(inbox / f"{name}.bin", data)
        return name

    def _finished(self, name: str) -> bool:
        """Whether a part's outputs are there and whole; a damaged one is removed."""
        if not self._text(name).exists():
            return False
        try:
            part = self._part(name)
            if sha256_file(self._folder / "out" / f"{name}.bin") == part.sha256:
                return True
        except (HarnessError, OSError):
            pass
        self._discard(name)
        return False

    def _collect(self, name: str) -> list[tuple[bytes, ...]]:
        hello = self.hello
        while not self._text(name).exists():
            self._check_workers()
            time.sleep(_POLL_S)
        part = self._part(name)
        if part.warm_up_ms and self.first_ms is None:
            self.first_ms = part.warm_up_ms[0]
        path = self._folder / "out" / f"{name}.bin"
        self._spent.append(name)
        return protocol.unpack(part, path.read_bytes(), hello.outputs, str(path))

    def _check_workers(self) -> None:
        """Raise for a runner that has ended before its work was done."""
        for name, process in self._workers.items():
            code = process.poll()
            if code is None or (code == 0 and self._alive()):
                continue  # one without work ends after a while; the others have it
            if code < 0:
                self._mark(name, code)
            path = self._folder / "out" / f"error-{name}.txt"
            if path.exists():
                failure = protocol.parse(Failure, path.read_text(encoding="utf-8"), str(path))
                raise self._explain(failure)
            raise HarnessError(
                f"a runner on {self._device.name} ended with exit code {code} ({self._last_words(name)})",
                "run the same command again; finished parts are kept",
            )

    def _mark(self, worker: str, code: int) -> None:
        claimed = [path.name.split(".")[0] for path in (self._folder / "in").glob(f"*.bin.{worker}")]
        what = f"part {claimed[0][:12]}" if claimed else "setting the model up"
        text = f"{crash(code)}, while on {what}"
        (self._folder / CRASH_FILE).write_text(f"{text}\n{self._last_words(worker)}\n", encoding="utf-8")
        raise GuestCrashed(
            f"a runner on {self._device.name} died ({text}) running {self._model.name}",
            f"finished parts are kept; the job is marked in {self._folder / CRASH_FILE}. "
            "Run the same command again, or try another --target or runtime",
        )

    def _explain(self, failure: Failure) -> HarnessError:
        hints = {
            "model": "export it with recipe fp32 or int8, output maps; or take a device with another runtime",
            "protocol": "put the runner of this edgepose on the device",
        }
        verb = "is refused" if failure.kind == "model" else "fails"
        return HarnessError(
            f"{self._model} {verb} on {self._device.name} ({failure.message})",
            hints.get(failure.kind, "run the same command again; finished parts are kept"),
        )

    def _last_words(self, worker: str) -> str:
        try:
            said = (self._folder / f"{worker}.log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return (said.strip().splitlines() or ["it said nothing"])[-1]

    def _alive(self) -> bool:
        return any(process.poll() is None for process in self._workers.values())

    def _part(self, name: str) -> JobPart:
        path = self._text(name)
        return protocol.parse(JobPart, path.read_text(encoding="utf-8"), str(path))

    def _text(self, name: str) -> Path:
        return self._folder / "out" / f"{name}.txt"

    def _discard(self, name: str) -> None:
        self._text(name).unlink(missing_ok=True)
        (self._folder / "out" / f"{name}.bin").unlink(missing_ok=True)


def _land(path: Path, data: bytes) -> None:
    """Write a file under the protocol's temporary name, which no runner takes for a part, and rename it."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
