"""Pinned Java artifacts: kept when they have the pinned bytes, refused else; what is said without Maven."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from android_harness import artifacts
from android_harness.artifacts import Artifact, artifacts_folder, fetch
from android_harness.errors import HarnessError
from android_harness.runner_build import build_runner

ONE = Artifact("g", "one", "1", "jar", hashlib.sha256(b"one").hexdigest(), "linux")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def serve(monkeypatch: pytest.MonkeyPatch, data: bytes) -> list[str]:
    """Maven fetches `data` for everything; returns the names that it was asked for, as they come."""
    asked: list[str] = []

    def maven(wanted: Sequence[Artifact], folder: Path, timeout_s: float) -> None:
        for artifact in wanted:
            asked.append(artifact.file_name)
            (folder / artifact.file_name).write_bytes(data)

    monkeypatch.setattr(artifacts, "_maven", maven)
    return asked


def test_fetches_once_and_again_when_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = serve(monkeypatch, b"one")
    for _ in range(2):
        assert (fetch([ONE]) / "one-1-linux.jar").read_bytes() == b"one"
    assert asked == ["one-1-linux.jar"]
    (artifacts_folder() / "one-1-linux.jar").write_bytes(b"damaged")
    fetch([ONE])
    assert len(asked) == 2


def test_refuses_other_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, b"two")
    with pytest.raises(HarnessError, match=r"one-1-linux.jar has SHA-256 .*, not the pinned"):
        fetch([ONE])
    assert not list(artifacts_folder().glob("*"))


def test_takes_the_classes_out_of_an_aar(tmp_path: Path) -> None:
    aar = Artifact("g", "two", "1", "aar", "")
    with zipfile.ZipFile(tmp_path / aar.file_name, "w") as archive:
        archive.writestr("classes.jar", b"classes")
    assert aar.classes(tmp_path).read_bytes() == b"classes"
    assert ONE.classes(tmp_path) == tmp_path / "one-1-linux.jar"


def test_without_a_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HarnessError, match="mvn is not installed; run: sudo apt-get install maven"):
        fetch([ONE])
    with pytest.raises(HarnessError, match="javac is not installed"):
        build_runner(tmp_path / "runner")


def test_says_what_maven_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mvn").write_text(
        "#!/bin/sh\necho '[ERROR] no route to the index'; exit 1\n", encoding="ascii"
    )
    (tmp_path / "mvn").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(HarnessError, match=r"Maven failed \(no route to the index\); check the network"):
        fetch([ONE])
