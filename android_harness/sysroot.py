"""The files of an emulated device: a Debian or Ubuntu userland for arm64 with one TFLite runtime.

A sysroot is made in a temporary folder and renamed, so one that is there is whole; its manifest keeps the
hash of every package and of the tree, and a tree that no longer has its hash is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from android_harness.downloads import LIBRARIES, Apt, download_wheels, python_packages
from android_harness.errors import HarnessError
from android_harness.profiles import DEFAULT_PROFILE, PROFILES
from android_harness.qemu import RUNNER, SITE, guest_command, guest_environment, run_guest
from android_harness.runtimes import GuestRuntime
from edgeio import UserError, read_json, sha256_file, write_json

FORMAT = 1
MANIFEST = "manifest.json"
_DROP = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/lintian",
    "usr/share/gdb",
    "usr/share/locale",
    "usr/lib/aarch64-linux-gnu/gconv",
    "usr/lib/python3*/test",
    "usr/lib/python3*/lib2to3",
    "usr/lib/python3*/ensurepip",
    "usr/lib/python3*/pydoc_data",
)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Sysroot:
    """A sysroot that is whole.

    Attributes:
        packages: file name of every .deb and wheel, with its SHA-256.
        tree_sha256: over the names and bytes of all files.
    """

    folder: Path
    runtime: str
    runtime_version: str
    python: str
    packages: dict[str, str]
    tree_sha256: str

    @property
    def root(self) -> Path:
        return self.folder / "root"


def cache_folder() -> Path:
    """Where devices live: `edgepose/devices` in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "edgepose" / "devices"


@contextmanager
def locked(cache: Path) -> Iterator[None]:
    """One maker at a time; the others wait. The lock goes with the process that holds it.

    Raises:
        HarnessError: the cache cannot be written.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        handle = (cache / "lock").open("w", encoding="ascii")
    except OSError as error:
        raise HarnessError(
            f"{cache} cannot be written ({error.strerror})", "set XDG_CACHE_HOME to a folder that can"
        ) from None
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def sysroot_folder(cache: Path, runtime: GuestRuntime) -> Path:
    """Where the runtime's sysroot lies, made or not."""
    return cache / "sysroots" / f"{runtime.key}-{runtime.version}"


def read_sysroot(cache: Path, runtime: GuestRuntime) -> Sysroot:
    """A sysroot that was made, as its manifest has it; `verify` checks its files.

    Raises:
        HarnessError: none is there, or it was made by another recipe than today's.
    """
    folder = sysroot_folder(cache, runtime)
    hint = f"run: edgepose device create --runtime {runtime.key}"
    try:
        plain = read_json(folder / MANIFEST, hint)
        if plain.pop("format") != FORMAT or plain.pop("pinned") != _pinned(runtime):
            raise HarnessError(f"{folder} was made by another edgepose", hint)
        return Sysroot(folder=folder, **plain)
    except (UserError, AttributeError, KeyError, TypeError) as error:
        if isinstance(error, HarnessError):
            raise
        raise HarnessError(f"no sysroot with {runtime.key} is made", hint) from None


def verify(sysroot: Sysroot) -> None:
    """Check every file of a sysroot; raises HarnessError when one is not as it was made."""
    if tree_sha256(sysroot.root) != sysroot.tree_sha256:
        raise HarnessError(
            f"{sysroot.root} is not as it was made (its SHA-256 differs)",
            f"run: edgepose device create --runtime {sysroot.runtime}",
        )


def ensure_sysroot(cache: Path, runtime: GuestRuntime, say: Say, mirror: str | None = None) -> Sysroot:
    """The runtime's sysroot, made now unless a whole one is there. Call it under `locked`.

    Raises:
        HarnessError: a tool, the network or a package is missing, or a package has other bytes.
    """
    try:
        found = read_sysroot(cache, runtime)
        verify(found)
    except HarnessError:
        pass
    else:
        if mirror is not None:
            say("the packages are here already, so nothing is taken from --mirror")
        return found
    final = sysroot_folder(cache, runtime)
    building = final.with_name(f".{final.name}.partial")
    shutil.rmtree(building, ignore_errors=True)  # what a kill left
    building.mkdir(parents=True)
    try:
        _build(building, runtime, say, mirror)
        shutil.rmtree(final, ignore_errors=True)
        building.rename(final)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return read_sysroot(cache, runtime)


def tree_sha256(root: Path) -> str:
    """Hash over a tree's paths, links and bytes."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            what = f"-> {path.readlink()}"
        elif path.is_file():
            what = sha256_file(path)
        else:
            what = "folder"
        digest.update(f"{path.relative_to(root)}\0{what}\n".encode())
    return digest.hexdigest()


def _build(folder: Path, runtime: GuestRuntime, say: Say, mirror: str | None) -> None:
    root, work = folder / "root", folder / "work"
    apt = Apt(work, mirror)
    say("reading the lists of arm64 packages")
    apt.update()
    python = apt.python_version()
    say(f"fetching Python {python} and its libraries")
    debs = apt.download([*LIBRARIES, *python_packages(python)])
    say(f"fetching {runtime.key} {runtime.version}")
    wheels = download_wheels(runtime, python, work)
    say("unpacking")
    packages = {path.name: sha256_file(path) for path in (*debs, *wheels)}
    unpack(debs, wheels, root)
    _drop(root, _DROP)
    _drop(root / SITE, runtime.drop)
    shutil.rmtree(work)
    say("starting it once")
    _first_start(root, python, runtime.module)
    plain = asdict(Sysroot(folder, runtime.key, runtime.version, python, packages, tree_sha256(root)))
    del plain["folder"]
    write_json(folder / MANIFEST, {"format": FORMAT, "pinned": _pinned(runtime), **plain})


def unpack(debs: list[Path], wheels: list[Path], root: Path) -> None:
    """Unpack Debian packages and wheels into a tree; raises HarnessError for one that is damaged."""
    root.mkdir()
    for deb in debs:
        done = subprocess.run(["dpkg", "-x", deb, root], capture_output=True, text=True, check=False)
        if done.returncode:
            raise HarnessError(f"{deb.name} does not unpack ({done.stderr.strip()})", "run it again")
    for wheel in wheels:
        try:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(root / SITE)
        except zipfile.BadZipFile as error:
            raise HarnessError(f"{wheel.name} does not unpack ({error})", "run it again") from None
    # Since Debian 13 the packages put everything below usr, and the links at the top are another package's.
    if not (root / "lib").exists():
        (root / "lib").symlink_to("usr/lib")


def _drop(root: Path, patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        for path in list(root.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _first_start(root: Path, python: str, module: str) -> None:
    """Import what a runner imports: it shows that the tree works, and leaves the compiled modules that later
    starts load."""
    command = guest_command(root, PROFILES[DEFAULT_PROFILE], python)
    command.remove("-B")
    program = f"import runpy, {module}; runpy.run_path({str(RUNNER)!r})"
    run_guest([*command, "-c", program], guest_environment(root), "the new device")


def _pinned(runtime: GuestRuntime) -> str:
    """A digest of what a sysroot is made of; another one is another sysroot."""
    said = [FORMAT, LIBRARIES, _DROP, asdict(runtime)]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
