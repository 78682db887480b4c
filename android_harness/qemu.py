"""qemu's user mode: the commands that start a guest's Python, and how a guest ends."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from android_harness.errors import GuestCrashed, HarnessError
from android_harness.profiles import Profile

RUNNER = Path(__file__).with_name("guest") / "runner.py"
INSTALL_QEMU = "run: sudo apt-get install qemu-user"
SITE = "opt/site"  # where the wheels lie, inside the tree
_START_S = 300  # for a machine that is busy with other work


def find_qemu() -> tuple[str, str]:
    """qemu's program for AArch64, and its version; raises HarnessError."""
    found = next(filter(None, map(shutil.which, ("qemu-aarch64", "qemu-aarch64-static"))), None)
    if found is None:
        raise HarnessError("qemu-aarch64 is not installed", INSTALL_QEMU)
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"version (\d+(?:\.\d+)*)", said)
    return found, version.group(1) if version else "unknown"


def guest_command(root: Path, profile: Profile, python: str, qemu_options: tuple[str, ...] = ()) -> list[str]:
    """The command that starts the guest's Python."""
    qemu, _ = find_qemu()
    program = root / f"usr/bin/python{python}"
    return [qemu, "-cpu", profile.cpu, *qemu_options, "-L", str(root), str(program), "-S", "-B"]


def guest_environment(root: Path) -> dict[str, str]:
    """What a guest sees of the environment: nothing of the host's."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": str(root / SITE),
        "PYTHONHASHSEED": "0",
    }


def run_guest(command: list[str], environment: Mapping[str, str], name: str) -> str:
    """Run a guest to its end and return what it printed.

    Raises:
        HarnessError: it failed; carries its last line.
        GuestCrashed: it died by a signal.
    """
    try:
        done = subprocess.run(
            command, env=dict(environment), capture_output=True, text=True, timeout=_START_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise HarnessError(
            f"{name} did not start in {_START_S} s", "try again on a quieter machine"
        ) from None
    except OSError as error:
        raise HarnessError(f"{command[0]} does not start ({error.strerror})", INSTALL_QEMU) from None
    if done.returncode < 0:
        raise GuestCrashed(f"{name} died ({crash(done.returncode)})", "make it again: edgepose device create")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise HarnessError(f"{name} does not start ({last})", "make it again: edgepose device create")
    return done.stdout


def crash(returncode: int) -> str:
    """A process's end by a signal, in words."""
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    kinds = {
        "SIGSEGV": "a segmentation fault in the guest",
        "SIGILL": "an instruction that the processor lacks",
        "SIGKILL": "killed, perhaps for want of memory",
        "SIGABRT": "aborted by itself",
    }
    return f"{name}, {kinds[name]}" if name in kinds else name
