"""What a module's text imports."""

from __future__ import annotations

import ast

# Functions that import the module whose name they are given first.
IMPORTERS = ("import_module", "__import__", "_import")


def imported(source: str) -> set[str]:
    """Top-level modules that a text imports, inside functions and by name too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in IMPORTERS:
                found.add(str(node.args[0].value))
    return {name.split(".")[0] for name in found}
