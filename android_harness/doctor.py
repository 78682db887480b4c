"""What this machine lacks for devices, and the command that puts it right."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from android_harness import counting
from android_harness.adb import find_adb
from android_harness.artifacts import BUILD_TOOLS, INSTALL_MAVEN
from android_harness.emulator import list_devices, open_device
from android_harness.errors import HarnessError
from android_harness.qemu import INSTALL_QEMU, find_qemu
from android_harness.runner_build import read_runner, runner_folder
from android_harness.sysroot import cache_folder, verify

_LAST_QEMU = 8  # whose plugins may be of API 1
_NEEDED_BYTES = 400_000_000  # while a sysroot is made; half of it goes again


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        needed: without it there is no device; else something is left out.
        hint: empty where all is well.
    """

    name: str
    ok: bool
    needed: bool
    found: str
    hint: str = ""


def examine(cache: Path | None = None) -> list[Finding]:
    """Look at everything that making and using emulated devices takes, what phones take, and the devices."""
    where = cache or cache_folder()
    checks: list[Callable[[], Finding]] = [
        _qemu,
        _debian,
        _pip,
        lambda: _cache(where),
        lambda: _counter(where),
    ]
    findings = [*(check() for check in checks), _adb(), *_phone_runner(runner_folder(where))]
    return findings + [_device(name, where) for name in list_devices(where)]


def _qemu() -> Finding:
    try:
        path, version = find_qemu()
    except HarnessError as error:
        return Finding("emulator", False, True, error.what, INSTALL_QEMU)
    return Finding("emulator", True, True, f"qemu {version} ({Path(path).name})")


def _debian() -> Finding:
    lacking = [name for name in ("apt-get", "apt-cache", "dpkg") if shutil.which(name) is None]
    if lacking:
        said = f"{', '.join(lacking)} missing"
        return Finding("packages", False, True, said, "make devices on Debian or Ubuntu, and copy the cache")
    return Finding("packages", True, True, "apt and dpkg")


def _pip() -> Finding:
    if importlib.util.find_spec("pip") is None:
        return Finding("pip", False, True, "not in this Python", "run: python -m ensurepip")
    return Finding("pip", True, True, "in this Python")


def _cache(where: Path) -> Finding:
    existing = next(folder for folder in (where, *where.parents) if folder.exists())
    if not os.access(existing, os.W_OK):
        return Finding(
            "cache", False, True, f"{where} cannot be written", "set XDG_CACHE_HOME to a folder that can"
        )
    free = shutil.disk_usage(existing).free
    if free < _NEEDED_BYTES:
        said = f"{free / 1e6:.0f} MB free for {where}, {_NEEDED_BYTES / 1e6:.0f} MB needed"
        return Finding("cache", False, True, said, "free some space, or set XDG_CACHE_HOME")
    return Finding("cache", True, True, str(where))


def _counter(where: Path) -> Finding:
    try:
        counting.build_plugin(where)
    except counting.NotCounted as error:
        what, _, hint = str(error).partition("; ")
        return Finding("instruction counter", False, False, what, hint or "see the compiler's message")
    except OSError as error:
        return Finding("instruction counter", False, False, str(error), "see the cache above")
    try:
        path, version = find_qemu()
    except HarnessError:
        return Finding("instruction counter", True, False, "compiled")
    if path.endswith("-static") or int(version.partition(".")[0]) > _LAST_QEMU:
        said = f"qemu {version} ({Path(path).name}) takes no plugin of this kind"
        return Finding(
            "instruction counter", False, False, said, "use qemu-user 4.2 to 8.2, not the static one"
        )
    return Finding("instruction counter", True, False, "compiled")


def _adb() -> Finding:
    try:
        return Finding("adb", True, False, find_adb())
    except HarnessError as error:
        return Finding("adb", False, False, error.what, error.hint)


def _phone_runner(folder: Path) -> list[Finding]:
    """The runner for phones; where it must be built, the tools that this takes too."""
    name = "runner for phones"
    try:
        runner = read_runner(folder)
    except HarnessError as error:
        return [Finding(name, False, False, error.what, error.hint), _build_tools()]
    return [Finding(name, True, False, f"TensorFlow Lite {runner.runtime_version}, whole")]


def _build_tools() -> Finding:
    lacking = [name for name in BUILD_TOOLS if shutil.which(name) is None]
    name = "tools to build it"
    if lacking:
        return Finding(name, False, False, f"{', '.join(lacking)} missing", INSTALL_MAVEN)
    return Finding(name, True, False, "Java and Maven")


def _device(name: str, where: Path) -> Finding:
    try:
        device = open_device(name, where)
        verify(device.sysroot)
    except HarnessError as error:
        return Finding(f"device {name}", False, False, error.what, error.hint)
    runtime = f"{device.sysroot.runtime} {device.sysroot.runtime_version}"
    return Finding(f"device {name}", True, False, f"{runtime}, Python {device.sysroot.python}, whole")
