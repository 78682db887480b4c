"""Which package may import which, and what a mere `--help` may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from imports import imported

ROOT = Path(__file__).parents[2]
# edgepose knows poses, export knows TFLite, android_harness knows devices, edgeio knows files.
MAY_IMPORT = {
    "edgeio": set(),
    "export": {"edgeio"},
    "android_harness": {"edgeio"},
    "edgepose": {"edgeio", "export", "android_harness"},
}
# Inside edgepose, lowest first: a floor imports only from those below it, and a room from its own.
FLOORS = (
    ("errors",),
    ("engines", "frameworks", "geometry", "keypoints", "published", "upsampling"),
    ("codec", "keypoint_file"),
    ("results",),
    ("data", "models"),
    ("inference", "synthetic", "visual"),
    ("evaluation",),
    ("comparison", "tracking", "training"),
    ("reporting", "viewer"),
    ("deploy", "paper"),
    ("compression",),
    ("api",),
    ("cli",),
    ("__main__",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
HEAVY = {"tensorflow", "keras", "tf_keras", "ai_edge_litert", "matplotlib", "scipy", "jinja2", "PIL", "ray"}
PACKAGES = [name for name in MAY_IMPORT if (ROOT / name).is_dir()]


def test_all_but_the_harness_exist() -> None:
    assert {"edgeio", "edgepose", "export"} <= set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_package_imports_only_what_it_may(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    forbidden = set(MAY_IMPORT) - MAY_IMPORT[package] - {package}
    broken = {
        str(file.relative_to(ROOT)): sorted(imported(file.read_text(encoding="utf-8")) & forbidden)
        for file in files
    }
    assert {file: names for file, names in broken.items() if names} == {}


def rooms_imported(source: str) -> set[str]:
    """Rooms of edgepose, `data` or `codec`, that a module's text imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    split = (name.split(".") for name in found)
    return {parts[1] for parts in split if parts[0] == "edgepose" and parts[1:] and parts[1] in FLOOR_OF}


def test_every_room_has_a_floor() -> None:
    rooms = {path.stem for path in (ROOT / "edgepose").glob("*.py")} - {"__init__"}
    rooms |= {path.parent.name for path in (ROOT / "edgepose").glob("*/__init__.py")}
    assert rooms == set(FLOOR_OF)


@pytest.mark.parametrize("room", FLOOR_OF)
def test_nothing_imports_upwards(room: str) -> None:
    path = ROOT / "edgepose" / room
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    broken = {
        str(file.relative_to(ROOT)): sorted(
            other
            for other in rooms_imported(file.read_text(encoding="utf-8")) - {room}
            if FLOOR_OF[other] >= FLOOR_OF[room]
        )
        for file in files
    }
    assert {file: names for file, names in broken.items() if names} == {}


def test_an_import_from_above_is_seen() -> None:
    assert rooms_imported("def f():\n    from edgepose.cli.train import app") == {"cli"}
    assert rooms_imported("from edgepose import codec\nimport edgepose.data.images") == {"codec", "data"}


def module_imports() -> dict[str, set[str]]:
    """Module -> the modules of the four packages that it imports at its top."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    names = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in files}
    graph: dict[str, set[str]] = {}
    for name, file in names.items():
        graph[name] = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                said = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
                graph[name] |= said & set(names)
    return graph


def test_no_modules_import_each_other_in_a_circle() -> None:
    TopologicalSorter(module_imports()).prepare()  # raises CycleError, which names the circle


def test_edgeio_needs_the_standard_library_and_pydantic_only() -> None:
    allowed = set(sys.stdlib_module_names) | {"edgeio", "pydantic", "pydantic_core"}
    for file in (ROOT / "edgeio").rglob("*.py"):
        assert imported(file.read_text(encoding="utf-8")) <= allowed, file


@pytest.mark.parametrize(
    "source",
    [
        "import edgepose",
        "import numpy, edgepose.data.images as images",
        "from edgepose.errors import BadModel",
        "def f():\n    from edgepose import codec",
        "import importlib\nimportlib.import_module('edgepose.cli')",
        "__import__('edgepose')",
    ],
)
def test_every_way_to_import_is_seen(source: str) -> None:
    assert "edgepose" in imported(source)


def test_relative_imports_stay_inside() -> None:
    assert imported("from . import edgepose\nfrom .edgepose import x") == set()


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "sys.argv = ['edgepose', '--help']\n"
        "import edgepose.cli\n"
        "try:\n"
        "    edgepose.cli.main()\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        f"print('LOADED', sorted({HEAVY} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "compare" in done.stdout
    assert done.stdout.rstrip().endswith("LOADED []")
