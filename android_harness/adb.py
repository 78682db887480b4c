"""The only caller of adb: devices, shell with exit codes, push and pull, and what adb's complaints mean."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from android_harness.errors import HarnessError

_TIMEOUT_S = 60
_TRANSFER_S = 300
_END = "edgepose-end"
INSTALL_ADB = "run: sudo apt-get install adb (or put the Android SDK's platform-tools on PATH)"

# What a device's state in `adb devices` asks of the user.
_STATES = {
    "unauthorized": "unlock it and allow USB debugging for this computer, then run the same command again",
    "authorizing": "unlock it and allow USB debugging for this computer, then run the same command again",
    "offline": "unplug it and plug it in again; if that does not help: adb kill-server",
    "connecting": "wait a moment, then run the same command again",
    "detached": "unplug it and plug it in again, or run: adb attach",
    "recovery": "start Android on it",
    "rescue": "start Android on it",
    "bootloader": "start Android on it",
    "sideload": "start Android on it",
    "host": "it is another computer: give a phone",
    "unknown": "unplug it and plug it in again; if that does not help: adb kill-server",
    "no permissions": "run: sudo apt-get install android-sdk-platform-tools-common, and plug it in again",
}
# A line of `adb devices -l`. Serial numbers may hold spaces, even words that are states; what follows the
# state is KEY:VALUE, or of "no permissions" a sentence.
_LINE = re.compile(
    rf"(\S.*?)[ \t]+(?:(no permissions)\b.*|({'|'.join(('device', *_STATES))})(?:[ \t]+(\w+:\S.*))?)\s*"
)
_GONE = re.compile(
    r"device '.*' not found|device offline|device still connecting|no devices/emulators found|"
    r"error: closed|connect(?:ion)? (?:failed|reset)|protocol fault|device unauthorized|"
    r"failed to read (?:copy response|data|stat response)|broken pipe|unexpected EOF|read failed",
    re.IGNORECASE,
)
_FULL = re.compile(r"no space left on device|quota exceeded", re.IGNORECASE)


class PhoneGone(HarnessError):
    """The phone no longer answers: the cable was pulled, or it restarted."""


class PhoneFull(HarnessError):
    """The phone has no room for what it needs."""


class RemoteFailed(HarnessError):
    """A command ran on the phone and failed; `code` is its exit code."""

    def __init__(self, what: str, hint: str, code: int = 1) -> None:
        super().__init__(what, hint)
        self.code = code


@dataclass(frozen=True)
class Listed:
    """A line of `adb devices -l`.

    Attributes:
        state: "device" when it can be used.
        model: as adb has it, or empty.
    """

    serial: str
    state: str
    model: str = ""


def find_adb() -> str:
    """adb's program: on PATH, or in the Android SDK that ANDROID_HOME names.

    Raises:
        HarnessError: it is nowhere.
    """
    homes = [os.environ.get(name, "") for name in ("ANDROID_HOME", "ANDROID_SDK_ROOT")]
    found = [shutil.which("adb"), *(shutil.which(f"{h}/platform-tools/adb") for h in homes if h)]
    path = next(filter(None, found), None)
    if path is None:
        raise HarnessError("adb is not installed", INSTALL_ADB)
    return path


def parse_devices(text: str) -> tuple[Listed, ...]:
    """What `adb devices -l` printed."""
    found = []
    for line in text.splitlines():
        if not line.strip() or line.startswith(("List of devices", "*", "adb server")):
            continue
        known = _LINE.fullmatch(line)
        if known:
            serial, state = known[1], known[2] or known[3]
        else:  # a state that we do not know
            serial, _, rest = line.partition("\t") if "\t" in line else line.partition(" ")
            state = (rest.split() or [""])[0]
        model = re.search(r"\bmodel:(\S+)", line[len(serial) :])
        found.append(Listed(serial.strip(), state, model.group(1) if model else ""))
    return tuple(found)


def choose(listed: Sequence[Listed], serial: str) -> Listed:
    """The device that is meant: by its serial number, or the only one.

    Raises:
        HarnessError: none, several, or one that cannot be used as it is.
    """
    known = ", ".join(device.serial for device in listed)
    if serial:
        matching = [device for device in listed if device.serial == serial]
        if not matching:
            raise HarnessError(
                f"no phone '{serial}' is connected", f"connected: {known or 'none'}; see: adb devices"
            )
    else:
        ready = [device for device in listed if device.state == "device"]
        matching = ready or list(listed)
    if not matching:
        raise HarnessError(
            "no phone is connected",
            "plug one in and turn on USB debugging in its developer options; see: adb devices",
        )
    if len(matching) > 1:
        raise HarnessError(f"several phones are connected ({known})", "name one: --target android:SERIAL")
    device = matching[0]
    if device.state != "device":
        hint = _STATES.get(device.state, "see: adb devices")
        raise HarnessError(f"the phone {device.serial} is {device.state or 'in no state'}", hint)
    return device


def connected() -> tuple[Listed, ...]:
    """The devices that adb knows; starts adb's server where none runs."""
    done = _call([find_adb(), "devices", "-l"], _TIMEOUT_S, "this computer")
    if done.returncode:
        raise HarnessError(f"adb fails ({_last(done.stderr)})", "run: adb kill-server; adb devices")
    return parse_devices(done.stdout)


@dataclass(frozen=True)
class Adb:
    """One phone, by its serial number."""

    serial: str

    def command(self, *arguments: str) -> list[str]:
        """An adb command line for this phone."""
        return [find_adb(), "-s", self.serial, *arguments]

    def features(self) -> frozenset[str]:
        """What the phone's adbd and adb can do together, such as shell_v2."""
        return frozenset(self._run(self.command("features"), _TIMEOUT_S, "adb features").split())

    def shell(self, line: str, timeout_s: float = _TIMEOUT_S) -> str:
        """Run a line of sh; returns what it printed.

        Raises:
            RemoteFailed: its exit code is not 0.
            PhoneGone: the phone no longer answers.
            PhoneFull: the line found no space left.
        """
        # When the connection breaks, adb shell may end with 0; so the phone says where its words end.
        ended = f"({line}\n)\ncode=$?; echo {_END}; exit $code"
        said, end, _ = self._run(self.command("shell", "-n", "-T", ended), timeout_s, line).rpartition(_END)
        if not end:
            raise self._gone("it fell silent")
        return said

    def push(self, files: Sequence[Path], folder: str) -> None:
        """Copy files into a folder of the phone; raises PhoneGone, PhoneFull."""
        self._run(self.command("push", *map(str, files), f"{folder}/"), _TRANSFER_S, "adb push")

    def pull(self, files: Sequence[str], folder: Path) -> None:
        """Copy files of the phone into a folder here; raises PhoneGone."""
        self._run(self.command("pull", *files, f"{folder}/"), _TRANSFER_S, "adb pull")

    def start(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a command whose standard input on the phone ends when the returned process's does."""
        return subprocess.Popen(
            self.command("shell", "-T", shlex.join(words)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def _run(self, command: list[str], timeout_s: float, what: str) -> str:
        done = _call(command, timeout_s, f"the phone {self.serial}")
        if done.returncode == 0:
            return done.stdout
        said = f"{done.stdout}\n{done.stderr}"
        if _FULL.search(said):
            raise PhoneFull(f"the storage of the phone {self.serial} is full", "free some of it")
        if _GONE.search(done.stderr) or self._state() != "device":
            raise self._gone(_last(done.stderr))
        why = _last(done.stderr) or _last(done.stdout.replace(_END, ""))
        raise RemoteFailed(
            f"the phone {self.serial} refuses `{what[:80]}` ({why})",
            "see: adb shell",
            done.returncode,
        )

    def _gone(self, why: str) -> PhoneGone:
        return PhoneGone(f"the phone {self.serial} no longer answers ({why})", "plug it in again")

    def _state(self) -> str:
        try:
            done = _call(self.command("get-state"), _TIMEOUT_S, f"the phone {self.serial}")
        except PhoneGone:
            return ""
        return done.stdout.strip()


def _call(command: list[str], timeout_s: float, who: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PhoneGone(f"{who} did not answer in {timeout_s:g} s", "plug it in again") from None
    except OSError as error:
        raise HarnessError(f"{command[0]} does not start ({error.strerror})", INSTALL_ADB) from None


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("adb: ").removeprefix("error: ") if lines else ""
