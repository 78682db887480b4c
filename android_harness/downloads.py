"""Packages for another processor, fetched as an ordinary user by the system's own apt and pip."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from android_harness.errors import HarnessError
from android_harness.runtimes import GuestRuntime
from edgeio import sha256_file

# The C library, and what CPython and the runtimes link against.
LIBRARIES = ("libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libexpat1", "libffi8")
_PLATFORMS = ("manylinux2014_aarch64", *(f"manylinux_2_{n}_aarch64" for n in (17, 27, 28, 34)))
_TIMEOUT_S = 600
_NETWORK = "check the network, then run the same command again"


class Apt:
    """apt with a state of its own, for arm64; the system's configured sources are read, nothing is written.

    Args:
        folder: for its lists and downloads.
        mirror: one more source, a line as in sources.list; for systems whose sources carry no arm64.
    """

    def __init__(self, folder: Path, mirror: str | None = None) -> None:
        for name in ("state/lists/partial", "cache/archives/partial", "debs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        self._folder = folder
        settings = {
            "Dir::State": folder / "state",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "APT::Architecture": "arm64",
            "APT::Architectures": "arm64",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "1",
            "Acquire::http::Timeout": "30",
            # Descriptions for software shops, contents and the like; only Packages is needed.
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        }
        if mirror is not None:
            listed = folder / "sources.list"
            listed.write_text(f"{mirror}\n", encoding="utf-8")
            settings |= {"Dir::Etc::SourceList": listed, "Dir::Etc::SourceParts": folder / "none"}
        self._options = [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]

    def update(self) -> None:
        """Fetch the lists; a source without arm64 is no error here, a missing package is one later."""
        self._said = _run(["apt-get", "-q", *self._options, "update"], self._folder, "apt-get update", False)

    def python_version(self) -> str:
        """The distribution's Python, such as "3.11".

        Raises:
            HarnessError: the sources list no arm64 packages.
        """
        shown = _run(
            ["apt-cache", *self._options, "show", "python3-minimal"], self._folder, "apt-cache", False
        )
        found = re.search(r"^(?:Pre-)?Depends:.*?\bpython(3\.\d+)-minimal", shown, re.MULTILINE)
        if found is None:
            complaint = next(
                (line for line in self._said.splitlines() if line.startswith(("W:", "E:", "Err:"))), ""
            )
            raise HarnessError(
                f"the configured package sources list no arm64 packages ({complaint or 'none found'})",
                "check the network; where the system's mirror has no arm64 packages, as Ubuntu's for amd64, "
                "name one that has by --mirror 'deb URL SUITE main'",
            )
        return found.group(1)

    def download(self, packages: Sequence[str]) -> list[Path]:
        """Fetch packages; apt checks them against the signed lists."""
        debs = self._folder / "debs"
        _run(["apt-get", "-q", *self._options, "download", *packages], debs, "apt-get download")
        found = sorted(debs.glob("*.deb"))
        if len(found) != len(packages):
            raise HarnessError(f"apt-get fetched {len(found)} packages of {len(packages)}", _NETWORK)
        return found


def python_packages(version: str) -> tuple[str, ...]:
    """The Debian packages of one Python, without what inference does not need."""
    return (f"libpython{version}-minimal", f"libpython{version}-stdlib", f"python{version}-minimal")


def download_wheels(runtime: GuestRuntime, python: str, folder: Path) -> list[Path]:
    """Fetch a runtime's wheels and check them against the pinned hashes.

    Args:
        python: such as "3.11".

    Raises:
        HarnessError: the runtime is not pinned for that Python, pip fails, or a wheel has other bytes.
    """
    tag = f"cp{python.replace('.', '')}"
    if tag not in runtime.pythons:
        known = ", ".join(map(_dotted, runtime.pythons))
        raise HarnessError(
            f"{runtime.key} {runtime.version} is pinned for Python {known}, and this system has {python}",
            "take another --runtime, or a --mirror of a distribution with one of those",
        )
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}", f"--abi={tag}"]
    command += [f"--platform={platform}" for platform in _PLATFORMS]
    _run(
        [*command, "--dest", str(folder), *(f"{w.name}=={w.version}" for w in runtime.wheels)],
        folder,
        "pip download",
    )
    wheels = []
    for wheel in runtime.wheels:
        (path,) = folder.glob(f"{wheel.name.replace('-', '_')}-{wheel.version}-*.whl")
        found = sha256_file(path)
        if found != wheel.sha256[tag]:
            raise HarnessError(
                f"{path.name} has SHA-256 {found}, not the pinned {wheel.sha256[tag]}",
                "do not use it: your package index serves another file than the published one",
            )
        wheels.append(path)
    return wheels


def _dotted(tag: str) -> str:
    return f"{tag[2]}.{tag[3:]}"


def _run(command: list[str], folder: Path, name: str, must_succeed: bool = True) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        raise HarnessError(
            f"{command[0]} is not installed", "make devices on Debian or Ubuntu; see `edgepose device doctor`"
        ) from None
    except subprocess.TimeoutExpired:
        raise HarnessError(f"{name} did not end in {_TIMEOUT_S} s", _NETWORK) from None
    said = done.stdout + done.stderr
    if done.returncode and must_succeed:
        lines = [line for line in said.splitlines() if line.strip()]
        telling = [line for line in lines if line.lower().startswith(("e:", "error"))] or lines
        raise HarnessError(f"{name} failed ({telling[-1] if telling else done.returncode})", _NETWORK)
    return said
