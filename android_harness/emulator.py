"""Emulated devices: qemu's user mode, a sysroot, and the identity of a processor."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from android_harness import protocol
from android_harness.errors import HarnessError
from android_harness.profiles import DEFAULT_PROFILE, PROFILES, Profile
from android_harness.qemu import RUNNER, find_qemu, guest_command, guest_environment, run_guest
from android_harness.runtimes import DEFAULT_RUNTIME, RUNTIMES, GuestRuntime
from android_harness.sysroot import (
    Say,
    Sysroot,
    cache_folder,
    ensure_sysroot,
    locked,
    read_sysroot,
    verify,
)
from edgeio import UserError, lookup, read_json, write_json

_DEVICE_FILE = "device.json"


@dataclass(frozen=True)
class EmulatedDevice:
    """A device that is made.

    Attributes:
        root: what the guest sees as /, where it has it: the sysroot and the processor's files.
    """

    profile: Profile
    sysroot: Sysroot
    root: Path

    kind: ClassVar[str] = "emulated"

    @property
    def name(self) -> str:
        return device_name(self.profile.key, self.sysroot.runtime)

    @property
    def target(self) -> str:
        """As in `--target`."""
        return f"{self.kind}:{self.name}"

    def check(self) -> None:
        """Start the runner and compare versions before any work is sent.

        Raises:
            HarnessError: no emulator, a damaged sysroot, or a runner of another version.
            GuestCrashed: the guest died.
        """
        verify(self.sysroot)
        said = run_guest([*self._command(), str(RUNNER), "version"], guest_environment(self.root), self.name)
        protocol.check_head(said.partition("\n")[0], "runner", f"the runner of {self.name}")

    def start(
        self,
        job: Path,
        worker: str,
        qemu_options: tuple[str, ...] = (),
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a runner on a job folder; its words go to JOB/WORKER.log.

        Args:
            variables: of its environment, beside the usual.
        """
        command = [*self._command(qemu_options), str(RUNNER), "run", str(job.resolve()), worker]
        environment = guest_environment(self.root) | dict(variables or {})
        with (job / f"{worker}.log").open("wb") as log:
            return subprocess.Popen(
                command, cwd=job, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _command(self, qemu_options: tuple[str, ...] = ()) -> list[str]:
        return guest_command(self.root, self.profile, self.sysroot.python, qemu_options)


def device_name(profile: str, runtime: str) -> str:
    """A device's name: its processor, and its runtime where that is not the usual one."""
    return profile if runtime == DEFAULT_RUNTIME else f"{profile}-{runtime}"


def device_parts(name: str) -> tuple[Profile, GuestRuntime]:
    """The processor and the runtime of a device's name; raises UnknownName."""
    known = {device_name(p, r): (PROFILES[p], RUNTIMES[r]) for r in RUNTIMES for p in PROFILES}
    return lookup(known, "emulated device", name or DEFAULT_PROFILE)


def create_device(
    profile: str,
    runtime: str,
    say: Say = lambda _: None,
    mirror: str | None = None,
    cache: Path | None = None,
) -> EmulatedDevice:
    """Make a device; a whole one that is there stays as it is.

    Args:
        say: is told what goes on.
        mirror: a line as in sources.list, for systems whose sources carry no arm64 packages.

    Raises:
        UnknownName: of the profile or the runtime.
        HarnessError: a tool, the network or a package is missing, or the cache cannot be written.
    """
    chosen, carried = lookup(PROFILES, "processor", profile), lookup(RUNTIMES, "runtime", runtime)
    find_qemu()
    where = cache or cache_folder()
    with locked(where):
        sysroot = ensure_sysroot(where, carried, say, mirror)
        folder = _device_folder(where, device_name(profile, runtime))
        # One that is whole may be at work.
        if not (_is_of(folder, sysroot) and chosen.written(folder / "root")):
            _write_device(folder, chosen, sysroot)
    return open_device(device_name(profile, runtime), where)


def _write_device(folder: Path, profile: Profile, sysroot: Sysroot) -> None:
    building = folder.with_name(f".{folder.name}.partial")
    for old in (building, folder):
        shutil.rmtree(old, ignore_errors=True)
    root = building / "root"
    root.mkdir(parents=True)
    for entry in sysroot.root.iterdir():
        (root / entry.name).symlink_to(os.path.relpath(entry, root))
    profile.write(root)
    write_json(building / _DEVICE_FILE, {"sysroot": sysroot.tree_sha256})
    building.rename(folder)


def _is_of(folder: Path, sysroot: Sysroot) -> bool:
    """Whether a device is there that was made with the sysroot as it is now."""
    try:
        return bool(read_json(folder / _DEVICE_FILE, "") == {"sysroot": sysroot.tree_sha256})
    except UserError:
        return False


def open_device(name: str, cache: Path | None = None) -> EmulatedDevice:
    """A device that was made.

    Raises:
        UnknownName: no such device can be made.
        HarnessError: it is not made, or no emulator is installed.
    """
    profile, runtime = device_parts(name)
    where = cache or cache_folder()
    hint = f"run: edgepose device create --cpu {profile.key}"
    hint += "" if runtime.key == DEFAULT_RUNTIME else f" --runtime {runtime.key}"
    folder = _device_folder(where, device_name(profile.key, runtime.key))
    state = "is not whole, or of another version" if folder.exists() else "is not there"
    missing = HarnessError(f"the emulated device '{folder.name}' {state}", hint)
    try:
        sysroot = read_sysroot(where, runtime)
    except HarnessError:
        raise missing from None
    if not _is_of(folder, sysroot) or not profile.written(folder / "root"):
        raise missing
    return EmulatedDevice(profile, sysroot, folder / "root")


def list_devices(cache: Path | None = None) -> list[str]:
    """Names of the devices that are made, whole or not."""
    made = ((cache or cache_folder()) / "emulated").glob(f"[!.]*/{_DEVICE_FILE}")
    return sorted(path.parent.name for path in made)


def remove_device(name: str, cache: Path | None = None) -> None:
    """Remove a device, and its sysroot when no other device stands on it.

    Raises:
        HarnessError: it is not there.
    """
    where = cache or cache_folder()
    profile, runtime = device_parts(name)
    folder = _device_folder(where, device_name(profile.key, runtime.key))
    with locked(where):
        if not folder.exists():
            raise HarnessError(
                f"the emulated device '{folder.name}' is not there", "see: edgepose device list"
            )
        shutil.rmtree(folder)
        if not any(device_parts(other)[1] == runtime for other in list_devices(where)):
            for sysroot in (where / "sysroots").glob(f"{runtime.key}-*"):
                shutil.rmtree(sysroot)


def _device_folder(cache: Path, name: str) -> Path:
    return cache / "emulated" / name
