"""Pinned Java artifacts, fetched by Maven with the settings that it has, and checked against their hashes."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from android_harness.errors import HarnessError
from android_harness.sysroot import cache_folder
from edgeio import replacing, sha256_file

_COPY = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies"
_ALONE = "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"
_TIMEOUT_S = 600
BUILD_TOOLS = ("javac", "java", "mvn")
INSTALL_MAVEN = "run: sudo apt-get install maven default-jdk-headless"


@dataclass(frozen=True)
class Artifact:
    """A file that Maven knows.

    Attributes:
        kind: "jar" or "aar".
        classifier: of one of several files of a version; else empty.
    """

    group: str
    name: str
    version: str
    kind: str
    sha256: str
    classifier: str = ""

    @property
    def file_name(self) -> str:
        return f"{'-'.join(filter(None, (self.name, self.version, self.classifier)))}.{self.kind}"

    def classes(self, folder: Path) -> Path:
        """The classes of the fetched file: itself, or for an .aar the jar inside, unpacked beside it."""
        path = folder / self.file_name
        if self.kind != "aar":
            return path
        jar = path.with_suffix(".classes.jar")
        if not jar.exists():
            with zipfile.ZipFile(path) as archive, replacing(jar) as temporary:
                temporary.write_bytes(archive.read("classes.jar"))
        return jar


TENSORFLOW_LITE = (
    Artifact(
        "org.tensorflow",
        "tensorflow-lite",
        "2.16.1",
        "aar",
        "34b065817e294e7dd3569504e8b9454938ceae453b6a459da54d5f6e45d3c94e",
    ),
    Artifact(
        "org.tensorflow",
        "tensorflow-lite-api",
        "2.16.1",
        "aar",
        "885b95bc9e47a4aa5cf8e71523aed9b05e397cfef1ea09773f13fea8b649fcee",
    ),
    Artifact(
        "org.tensorflow",
        "tensorflow-lite-gpu",
        "2.16.1",
        "aar",
        "4440e44d295e0e13964d4fe9d9e8c3d2c3f870b92fcb7b945e45036acdfcd459",
    ),
    # The options that the GPU delegate's constructor takes; 2.16.1 is not published, 2.14.0 is.
    Artifact(
        "org.tensorflow",
        "tensorflow-lite-gpu-api",
        "2.14.0",
        "aar",
        "3e7cece2c5eaaf05f93d0399e7d86eee83bd818b037965cbe52291223acae286",
    ),
)
DEXER = Artifact(
    "com.jakewharton.android.repackaged",
    "dalvik-dx",
    "16.0.1",
    "jar",
    "1e4b645628e3bdb097b5331d669e177ef235a551582a8c646dbe36865e541907",
)


def artifacts_folder() -> Path:
    """Where fetched artifacts are kept, in the user's cache."""
    return cache_folder() / "artifacts"


def fetch(artifacts: Sequence[Artifact], timeout_s: float = _TIMEOUT_S) -> Path:
    """Fetch what is not there yet; returns the folder that holds the files under their `file_name`.

    Raises:
        HarnessError: no Maven, no network, or a file has other bytes than the pinned ones.
    """
    folder = artifacts_folder()
    missing = [a for a in artifacts if not _whole(folder / a.file_name, a)]
    if missing:
        with tempfile.TemporaryDirectory(prefix="edgepose-maven-") as temporary:
            _maven(missing, Path(temporary), timeout_s)
            folder.mkdir(parents=True, exist_ok=True)
            for artifact in missing:
                _keep(Path(temporary) / artifact.file_name, artifact, folder)
    return folder


def tool(name: str) -> str:
    """The path of one of `BUILD_TOOLS`; raises HarnessError."""
    found = shutil.which(name)
    if found is None:
        raise HarnessError(f"{name} is not installed", INSTALL_MAVEN)
    return found


def _whole(path: Path, artifact: Artifact) -> bool:
    return path.is_file() and sha256_file(path) == artifact.sha256


def _keep(path: Path, artifact: Artifact, folder: Path) -> None:
    if not path.is_file():
        raise HarnessError(f"Maven fetched no {artifact.file_name}", "run the same command again")
    found = sha256_file(path)
    if found != artifact.sha256:
        raise HarnessError(
            f"{path.name} has SHA-256 {found}, not the pinned {artifact.sha256}",
            "do not use it: your Maven repository serves another file than the published one",
        )
    with replacing(folder / path.name) as temporary:
        shutil.copyfile(path, temporary)


def _maven(artifacts: Sequence[Artifact], folder: Path, timeout_s: float) -> None:
    """Have Maven copy artifacts into a folder, by a project that does nothing but depend on them."""
    (folder / "pom.xml").write_text(_project(artifacts), encoding="utf-8")
    command = [tool("mvn"), "-B", "-q", "-f", str(folder / "pom.xml"), _COPY]
    command += [f"-DoutputDirectory={folder}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise HarnessError(f"Maven did not end in {timeout_s:g} s", "check the network") from None
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if "[ERROR]" in line]
        first = said[0].replace("[ERROR] ", "") if said else f"exit code {done.returncode}"
        raise HarnessError(f"Maven failed ({first})", "check the network, or Maven's own settings")


def _project(artifacts: Sequence[Artifact]) -> str:
    dependencies = "".join(
        f"<dependency><groupId>{a.group}</groupId><artifactId>{a.name}</artifactId>"
        f"<version>{a.version}</version><type>{a.kind}</type>"
        + (f"<classifier>{a.classifier}</classifier>" if a.classifier else "")
        + f"{_ALONE}</dependency>"
        for a in artifacts
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>edgepose</groupId>"
        "<artifactId>fetch</artifactId><version>1</version><packaging>pom</packaging>"
        f"<dependencies>{dependencies}</dependencies></project>\n"
    )
