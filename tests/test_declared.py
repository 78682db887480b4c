"""Every package that the code imports itself is declared, so that no other's dependency is leant on."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from imports import imported

ROOT = Path(__file__).parents[1]
PACKAGES = ("android_harness", "edgeio", "edgepose", "export")
# Imported names whose distribution is called otherwise; what is installed need not be asked.
# pydantic brings its own core, of the version that it needs.
DISTRIBUTIONS = {"PIL": "pillow", "pydantic_core": "pydantic", "yaml": "pyyaml"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def third_parties(source: str) -> set[str]:
    """Top-level modules that a text imports, less the project's own and the standard library's."""
    return imported(source) - set(sys.stdlib_module_names) - set(PACKAGES)


@cache
def third_party_files() -> dict[str, str]:
    """Each third party's module, and a file that imports it; the guest's programs run elsewhere."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            if "guest" not in file.parts:
                for name in third_parties(file.read_text(encoding="utf-8")):
                    found.setdefault(name, str(file.relative_to(ROOT)))
    return found


@cache
def distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def declared(*requirements: list[str]) -> set[str]:
    lines = [line for group in requirements for line in group]
    return {normalised(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in lines}


EXTRAS = {name: group for name, group in PROJECT["optional-dependencies"].items() if name != "dev"}
ANYWHERE = declared(PROJECT["dependencies"], *EXTRAS.values())


@pytest.mark.parametrize("module", sorted(third_party_files()))
def test_what_is_imported_is_declared(module: str) -> None:
    named = {DISTRIBUTIONS.get(module, module), *distributions().get(module, ())}
    file = third_party_files()[module]
    assert {normalised(name) for name in named} & ANYWHERE, f"{file} imports {module}, which is not declared"


def test_the_pins_hold_every_dependency_of_the_project() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = declared([line for line in pins if line and not line.startswith("#")])
    locked = declared(PROJECT["dependencies"], *(EXTRAS[name] for name in ("train", "jax")))
    assert locked - pinned == set()


def test_the_versions_of_python_are_told_the_same_everywhere() -> None:
    known = ["3.11", "3.12", "3.13"]
    prefix = "Programming Language :: Python :: 3."
    assert [c.removeprefix(prefix[:-2]) for c in PROJECT["classifiers"] if c.startswith(prefix)] == known
    assert PROJECT["requires-python"] == ">=3.11,<3.14"
    gate = (ROOT / ".github" / "workflows" / "gate.yml").read_text(encoding="utf-8")
    assert re.findall(r'"(3\.\d+)"', gate) == known
    assert "python3.11 python3.12 python3.13" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_every_way_to_import_is_seen() -> None:
    text = "import os, av\ndef f():\n    from PIL.Image import open\n    import_module('jax.numpy')\n"
    assert third_parties(text + "from . import near\nimport edgepose") == {"av", "PIL", "jax"}
