"""The runner's counterpart on this machine: takes the parts of a job to a phone and brings the outputs back.

    python -m android_harness.relay SERIAL ABI RUNNER_FOLDER JOB WORKER

It speaks the device protocol like a runner: claims parts, writes runner-WORKER.txt and outputs, leaves
error-WORKER.txt when it gives up, and dies by the signal that killed the runner on the phone.
"""

from __future__ import annotations

import os
import re
import resource
import select
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

from android_harness import protocol
from android_harness.adb import Adb, RemoteFailed
from android_harness.errors import HarnessError
from android_harness.phone import NOTES, read_condition
from android_harness.protocol import Failure, Job
from android_harness.runner_build import JAR, MAIN_CLASS, read_runner
from edgeio import UserError, write_json

PLACE = "/data/local/tmp/edgepose"
GUARD = Path(__file__).with_name("runner") / "guard.sh"
_NEWS_S = 2  # how long the phone waits for news before it says that there is none
_GUARD_S, _END_S = 60.0, 20.0


class Relay:
    """One job's way to one phone."""

    def __init__(self, adb: Adb, job_folder: Path, worker: str) -> None:
        self._adb, self._folder, self._worker = adb, job_folder, worker
        self._there, self._host = "", os.getppid()
        self._claimed: dict[str, Path] = {}

    def run(self, abi: str, runner_folder: Path) -> int:
        """Work until the host says that no more parts will come; returns the runner's exit code."""
        text = (self._folder / protocol.JOB_FILE).read_text(encoding="utf-8")
        job = protocol.parse(Job, text, protocol.JOB_FILE)
        files = read_runner(runner_folder).for_abi(abi, job.delegate)
        with self._guarded():
            self._start(files)
            before = asdict(read_condition(self._adb))
            write_json(self._notes, {"before": before, "after": None})
            code = self._relay()
            after = asdict(read_condition(self._adb))
            write_json(self._notes, {"before": before, "after": after})
            return code

    @property
    def _notes(self) -> Path:
        return self._folder / NOTES.format(worker=self._worker)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Start the guard, which makes the folder on the phone and removes it when this process ends."""
        run = (
            f"while [ ! -e go ]; do sleep 0.1; done; export CLASSPATH=$folder/{JAR}; "
            f"exec app_process $folder {MAIN_CLASS} run $folder/job {self._worker} $folder"
        )
        guard = self._adb.start(["sh", "-c", GUARD.read_text(encoding="utf-8"), PLACE, run])
        assert guard.stdin is not None and guard.stdout is not None
        try:
            line = self._first_line(guard.stdout)
            if not line.startswith(f"{PLACE}/"):
                self._adb.shell("true")  # says so when the phone is gone
                raise HarnessError(f"the phone {self._adb.serial} gives no folder ({line})", "see: adb shell")
            self._there = line
            yield
        finally:
            print(self._log(), file=sys.stderr)
            guard.stdin.close()
            try:
                guard.wait(_END_S)
            except subprocess.TimeoutExpired:
                guard.kill()
                guard.wait()
            guard.stdout.close()

    @staticmethod
    def _first_line(stream: IO[bytes]) -> str:
        """The guard's first line; adb's own, of its server's start, begin with a star."""
        while select.select([stream], [], [], _GUARD_S)[0]:
            line = stream.readline().decode(errors="replace")
            if not line.startswith("*"):
                return line.strip()
        return "silence"

    def _start(self, files: list[Path]) -> None:
        """Put the runner there, compare versions, and only then the job."""
        there = self._there
        self._adb.push(files, there)
        self._adb.shell(f"chmod 444 {there}/{JAR}")
        try:
            said = self._adb.shell(
                f"CLASSPATH={there}/{JAR} app_process {there} {MAIN_CLASS} version {there}"
            )
        except RemoteFailed as error:
            raise HarnessError(
                f"the runner does not start: {error.what}", "run: make android-runner"
            ) from None
        protocol.check_head(said.partition("\n")[0], "runner", f"the runner on {self._adb.serial}")
        model, job = (self._folder / name for name in (protocol.MODEL_FILE, protocol.JOB_FILE))
        self._adb.push([model, job], f"{there}/job")
        self._adb.shell(f"touch {there}/go")

    def _relay(self) -> int:
        ended = False
        while os.getppid() == self._host:  # else the host has died
            self._send_parts()
            if not ended and not self._claimed and (self._folder / "in" / protocol.END_FILE).exists():
                self._adb.shell(f"touch {self._there}/job/in/{protocol.END_FILE}")
                ended = True
            news, code = self._news(bool(self._claimed) or ended)
            if news:
                self._fetch(news)
            elif code is not None:
                return code
        return 0

    def _send_parts(self) -> None:
        """Claim and send the parts that lie ready."""
        found = []
        for path in sorted((self._folder / "in").glob("*.bin")):
            mine = path.with_name(f"{path.name}.{self._worker}")
            try:
                path.rename(mine)
            except FileNotFoundError:
                continue  # another worker was faster
            found.append((path.name, mine))
        if not found:
            return
        inbox = f"{self._there}/job/in"
        with tempfile.TemporaryDirectory(prefix="edgepose-parts-") as temporary:
            for name, mine in found:
                (Path(temporary) / f"{name}.tmp").symlink_to(mine)
            self._adb.push(sorted(Path(temporary).iterdir()), inbox)
        moves = " && ".join(f"mv {name}.tmp {name}" for name, _ in found)
        self._adb.shell(f"cd {inbox} && {moves}")
        self._claimed |= {name.removesuffix(".bin"): mine for name, mine in found}

    def _news(self, wait: bool) -> tuple[list[str], int | None]:
        """The finished files on the phone, and the runner's exit code once it has ended.

        The phone waits for news itself: polling it would heat what is being measured.
        """
        turns = 10 * _NEWS_S if wait else 1
        said = self._adb.shell(
            f"cd {self._there} || exit 1; n={turns}; while [ $n -gt 0 ]; do [ -e code ] && break; "
            "for f in job/out/*.txt; do [ -e $f ] && break 2; done; n=$((n-1)); sleep 0.1; done; "
            "[ -e code ] && echo code $(cat code); ls job/out"
        ).split("\n")
        code = next((int(line.split()[1]) for line in said if line.startswith("code ")), None)
        names = [line.strip() for line in said if re.fullmatch(r"[\w.-]+\.txt", line.strip())]
        return names, code

    def _fetch(self, names: list[str]) -> None:
        """Bring finished files here, a part's tensors before the text that says it is finished."""
        parts = [name.removesuffix(".txt") for name in names if len(name) == 64 + len(".txt")]
        wanted = [f"{part}.bin" for part in parts] + names
        out = self._folder / "out"
        there = f"{self._there}/job/out"
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=self._folder) as temporary:
            self._adb.pull([f"{there}/{name}" for name in wanted], Path(temporary))
            for name in wanted:
                (Path(temporary) / name).replace(out / name)
        self._adb.shell(f"cd {there} && rm -f {shlex.join(wanted)}")
        for part in parts:
            mine = self._claimed.pop(part, None)
            if mine is not None:
                mine.unlink(missing_ok=True)

    def _log(self) -> str:
        """What the runner on the phone has printed."""
        try:
            return self._adb.shell(f"tail -n 20 {self._there}/log 2>/dev/null") if self._there else ""
        except HarnessError:
            return ""


def main(arguments: list[str]) -> int:
    """Relay a job; what goes wrong lands in it as a runner's error file."""
    serial, abi, runner_folder, job, worker = arguments
    folder = Path(job)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the phone is cleaned
    try:
        code = Relay(Adb(serial), folder, worker).run(abi, Path(runner_folder))
    except UserError as error:
        failure = Failure("run", f"{error.what}; {error.hint}")
        path = folder / "out" / f"error-{worker}.txt"
        temporary = path.with_name(f"{path.name}.tmp")
        temporary.write_text(protocol.render(failure), encoding="utf-8")
        temporary.replace(path)
        print(f"error: {error}", file=sys.stderr)
        return 3
    if code > 128:  # as sh says that a signal killed it
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(code - 128, signal.SIG_DFL)
        os.kill(os.getpid(), code - 128)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
