"""Builds the phones' runner: `make android-runner`, or `python -m android_harness.runner_build`.

The Java sources in runner/ become a dexed jar, beside TensorFlow Lite's native libraries for every kind of
phone and a manifest with their hashes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from android_harness import protocol
from android_harness.artifacts import DEXER, TENSORFLOW_LITE, fetch, tool
from android_harness.errors import HarnessError
from android_harness.sysroot import Say, cache_folder, locked
from edgeio import UserError, read_json, sha256_file, write_json

SOURCES = Path(__file__).with_name("runner") / "src" / "main" / "java"
JAR, MANIFEST = "runner.jar", "runner.json"
MAIN_CLASS = "edgepose.runner.Main"
ABIS = ("arm64-v8a", "armeabi-v7a", "x86_64", "x86")
MIN_ANDROID = 26  # API level, Android 8: interfaces with static methods, which the classes have, and newer
QUICK_JAVA = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # for programs that end within seconds
_BUILD = "run: make android-runner"


@dataclass(frozen=True)
class PhoneRunner:
    """The runner as it is built.

    Attributes:
        runtime_version: of TensorFlow Lite.
        files: by path in the folder, with their SHA-256.
    """

    folder: Path
    runtime_version: str
    files: dict[str, str]

    def for_abi(self, abi: str, delegate: str) -> list[Path]:
        """What a phone of one kind needs for one delegate.

        Raises:
            HarnessError: TensorFlow Lite has no library for that kind.
        """
        if abi not in ABIS:
            raise HarnessError(f"TensorFlow Lite has no library for {abi}", f"known: {', '.join(ABIS)}")
        libraries = [name for name in self.files if name.startswith(f"{abi}/")]
        if delegate != "gpu":
            libraries = [name for name in libraries if "_gpu_" not in name]
        return [self.folder / name for name in (JAR, *libraries)]


def runner_folder(cache: Path | None = None) -> Path:
    """Where the runner is built: in `cache`, by default the user's."""
    return (cache or cache_folder()) / "android-runner"


def read_runner(folder: Path | None = None) -> PhoneRunner:
    """The built runner, every file of it checked.

    Raises:
        HarnessError: it is not built, not whole, or of other sources or another protocol than this edgepose.
    """
    where = folder or runner_folder()
    try:
        plain = read_json(where / MANIFEST, _BUILD)
        runner = PhoneRunner(where, plain["runtime_version"], dict(plain["files"]))
        version, sources = plain["protocol"], plain["sources_sha256"]
    except (UserError, KeyError, TypeError, ValueError):
        raise HarnessError("the runner for phones is not built", _BUILD) from None
    if version != protocol.VERSION or sources != sources_sha256():
        raise HarnessError("the runner for phones is another edgepose's", _BUILD)
    for name, sha256 in runner.files.items():
        if not (where / name).is_file() or sha256_file(where / name) != sha256:
            raise HarnessError(f"{where / name} is missing or damaged", _BUILD)
    return runner


def build_runner(folder: Path | None = None, say: Say = lambda _: None) -> PhoneRunner:
    """Build the runner; what is there is replaced when the new one is whole.

    Raises:
        HarnessError: a tool or the network is missing, an artifact has other bytes, or a step fails.
    """
    where = folder or runner_folder()
    for name in ("javac", "java"):
        tool(name)
    with locked(where.parent):
        say("fetching TensorFlow Lite and the dexer")
        fetched = fetch((*TENSORFLOW_LITE, DEXER))
        building = where.with_name(f".{where.name}.partial")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        say("compiling and dexing")
        _dex(fetched, building / JAR)
        _unpack_libraries(fetched, building)
        files = {
            path.relative_to(building).as_posix(): sha256_file(path)
            for path in sorted(building.rglob("*"))
            if path.is_file()
        }
        manifest = {
            "protocol": protocol.VERSION,
            "runtime_version": TENSORFLOW_LITE[0].version,
            "sources_sha256": sources_sha256(),
            "files": files,
        }
        write_json(building / MANIFEST, manifest)
        shutil.rmtree(where, ignore_errors=True)
        building.rename(where)
    return read_runner(where)


def compile_java(sources: Sequence[Path], classpath: Sequence[Path], out: Path) -> None:
    """Compile for Java 8, which every supported Android can run.

    Raises:
        HarnessError: no compiler, or it refuses a source; carries its first complaint.
    """
    out.mkdir(parents=True, exist_ok=True)
    command = [
        tool("javac"),
        *(f"-J{flag}" for flag in QUICK_JAVA),
        "--release",
        "8",
        "-encoding",
        "UTF-8",
        "-Xlint:all,-options",
        "-Werror",
    ]
    command += ["-d", str(out)]
    if classpath:
        command += ["-cp", os.pathsep.join(map(str, classpath))]
    _run([*command, *map(str, sources)], "javac")


def java_sources() -> list[Path]:
    """The runner's own sources."""
    return sorted(SOURCES.rglob("*.java"))


def sources_sha256() -> str:
    """Over the names and bytes of the sources."""
    digest = hashlib.sha256()
    for path in java_sources():
        digest.update(f"{path.relative_to(SOURCES).as_posix()}\0{sha256_file(path)}\n".encode())
    return digest.hexdigest()


def _dex(fetched: Path, jar: Path) -> None:
    libraries = [artifact.classes(fetched) for artifact in TENSORFLOW_LITE]
    with tempfile.TemporaryDirectory(prefix="edgepose-java-") as classes:
        compile_java(java_sources(), libraries, Path(classes))
        command = [
            tool("java"),
            "-cp",
            str(fetched / DEXER.file_name),
            "com.android.dx.command.Main",
            "--dex",
        ]
        command += [f"--min-sdk-version={MIN_ANDROID}", f"--output={jar}", classes]
        _run([*command, *map(str, libraries)], "dx")
    jar.chmod(0o444)  # Android 14 and newer load no dex file that can be written


def _unpack_libraries(fetched: Path, folder: Path) -> None:
    for artifact in TENSORFLOW_LITE:
        with zipfile.ZipFile(fetched / artifact.file_name) as archive:
            for name in archive.namelist():
                if name.startswith("jni/") and name.endswith(".so"):
                    path = folder / name.removeprefix("jni/")
                    path.parent.mkdir(exist_ok=True)
                    path.write_bytes(archive.read(name))


def _run(command: list[str], name: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr + done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise HarnessError(
            f"{name} failed ({said[0]})", "use Java 11 or newer; if it is, report this as a bug"
        )


def main() -> int:
    """Build, and say what went wrong in one line."""
    try:
        runner = build_runner(say=lambda text: print(text, file=sys.stderr))
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(runner.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
