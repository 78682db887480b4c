"""A device that is this machine: the runner under our own Python, so that all but the emulator is real."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from android_harness.profiles import PROFILES, Profile
from android_harness.qemu import RUNNER
from android_harness.sysroot import Sysroot
from export.runtime import load_interpreter


@dataclass(frozen=True)
class HostDevice:
    """`program` is what its runners are, by default the runner."""

    name: str = "host"
    program: str | None = None
    kind: str = "emulated"
    profile: Profile = PROFILES["cortex-a76"]

    @property
    def target(self) -> str:
        return f"{self.kind}:{self.name}"

    @property
    def sysroot(self) -> Sysroot:
        runtime, _ = load_interpreter()
        return Sysroot(Path("host"), runtime.name, runtime.version, "3.11", {}, "0" * 64)

    def check(self) -> None:
        pass

    def start(self, job: Path, worker: str) -> subprocess.Popen[bytes]:
        command = [str(RUNNER), "run", str(job), worker] if self.program is None else ["-c", self.program]
        with (job / f"{worker}.log").open("wb") as log:
            return subprocess.Popen([sys.executable, *command], cwd=job, stdout=log, stderr=log)
