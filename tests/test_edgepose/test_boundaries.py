"""Which package may import which, and what a mere `--help` may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# edgepose knows poses, export knows TFLite, android_harness knows devices, edgeio knows files.
MAY_IMPORT = {
    "edgeio": set(),
    "export": {"edgeio"},
    "android_harness": {"edgeio"},
    "edgepose": {"edgeio", "export", "android_harness"},
}
HEAVY = {"tensorflow", "keras", "tf_keras", "ai_edge_litert", "matplotlib", "scipy", "jinja2", "PIL"}
PACKAGES = [name for name in MAY_IMPORT if (ROOT / name).is_dir()]


def imported(source: str) -> set[str]:
    """Top-level packages that a module's text imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                found.add(str(node.args[0].value))
    return {name.split(".")[0] for name in found}


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


def test_edgeio_needs_the_standard_library_only() -> None:
    allowed = set(sys.stdlib_module_names) | {"edgeio"}
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
