"""Real phones over adb: the same face as an emulated device's.

What is put on the phone lies in one folder of /data/local/tmp, and goes when the host's process does.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from android_harness.adb import Adb, choose, connected
from android_harness.errors import HarnessError
from android_harness.protocol import DELEGATES
from android_harness.runner_build import MIN_ANDROID, PhoneRunner, read_runner
from edgeio import UserError, read_json

PHONE_DELEGATES = (*DELEGATES, "gpu", "nnapi")
NOTES = "phone-{worker}.json"


@dataclass(frozen=True)
class Phone:
    """A phone that is connected.

    Attributes:
        model: as it calls itself, such as "Pixel 6".
        android: its release, such as "14"; api: its level.
        abi: of its processor's native libraries.
        soc: its system on a chip, as far as it says.
    """

    serial: str
    model: str
    android: str
    api: int
    abi: str
    soc: str
    runner: PhoneRunner

    @property
    def name(self) -> str:
        """What results call it; the serial number stays here."""
        return "-".join(self.model.split()) or "phone"

    @property
    def target(self) -> str:
        """As in `--target`."""
        return f"android:{self.serial}"

    def check(self) -> None:
        """Whether it is still there, and the built runner still whole.

        Raises:
            HarnessError: it is not.
        """
        choose(connected(), self.serial)
        read_runner(self.runner.folder)

    def start(self, job: Path, worker: str) -> subprocess.Popen[bytes]:
        """Start the relay that works on a job folder here with a runner there."""
        command = [sys.executable, "-m", "android_harness.relay", self.serial, self.abi]
        command += [str(self.runner.folder), str(job.resolve()), worker]
        with (job / f"{worker}.log").open("wb") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


@dataclass(frozen=True)
class Condition:
    """How warm a phone is and how fast its processor runs, as far as it lets one read that.

    Attributes:
        celsius: by thermal zone.
        mhz: of each core, now; max_mhz: the most that it may run at now.
    """

    celsius: dict[str, float]
    mhz: dict[str, float]
    max_mhz: dict[str, float]


def open_phone(serial: str = "") -> Phone:
    """The phone with a serial number, or the only one that is connected.

    Raises:
        HarnessError: no adb, no runner, no such phone, several, or one that cannot be used as it is.
    """
    runner = read_runner()
    listed = choose(connected(), serial)
    adb = Adb(listed.serial)
    properties = adb.shell(
        "for p in ro.product.model ro.build.version.release ro.build.version.sdk "
        "ro.product.cpu.abi ro.soc.model; do getprop $p; done"
    ).split("\n")
    model, android, api, abi, soc = (line.strip() for line in properties[:5])
    if "shell_v2" not in adb.features() or not api.isdigit() or int(api) < MIN_ANDROID:
        raise HarnessError(
            f"the phone {listed.serial} has Android {android}", "take one with Android 8 or newer"
        )
    runner.for_abi(abi, "xnnpack")
    return Phone(listed.serial, model, android, int(api), abi, soc, runner)


def read_condition(adb: Adb) -> Condition:
    """Read temperatures and clocks by the shell; what may not be read is left out."""
    said = adb.shell(
        "cd /sys/class/thermal && for z in thermal_zone*; do "
        'echo "t $(cat $z/type 2>/dev/null) $(cat $z/temp 2>/dev/null)"; done; '
        "cd /sys/devices/system/cpu && for c in cpu[0-9]*; do "
        'echo "f $c $(cat $c/cpufreq/scaling_cur_freq 2>/dev/null) '
        '$(cat $c/cpufreq/scaling_max_freq 2>/dev/null)"; done; true'
    )
    return parse_condition(said)


def parse_condition(said: str) -> Condition:
    """Lines `t ZONE MILLIDEGREES` and `f CORE KHZ MAX_KHZ`; incomplete ones are left out."""
    celsius: dict[str, float] = {}
    mhz: dict[str, float] = {}
    most: dict[str, float] = {}
    for line in said.splitlines():
        words = line.split()
        if not all(word.lstrip("-").isdigit() for word in words[2:]):
            continue
        if words[:1] == ["t"] and len(words) == 3:
            value = int(words[2])
            # Most zones say thousandths of a degree, some say whole degrees.
            celsius[words[1]] = value / 1000 if abs(value) >= 1000 else float(value)
        elif words[:1] == ["f"] and len(words) == 4:
            mhz[words[1]], most[words[1]] = int(words[2]) / 1000, int(words[3]) / 1000
    return Condition(celsius, mhz, most)


def read_notes(job: Path, worker: str) -> tuple[Condition | None, Condition | None]:
    """A phone's condition before and after a job; None where it could not be read."""
    try:
        plain = read_json(job / NOTES.format(worker=worker), "")
    except UserError:
        return None, None
    before, after = (plain.get(key) for key in ("before", "after"))
    return (Condition(**before) if before else None), (Condition(**after) if after else None)
