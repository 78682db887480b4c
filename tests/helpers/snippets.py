"""The documentation's Kotlin and Swift as Python, since no compiler of theirs is here.

Only what docs/bundle is written in is known; anything else fails as Python's syntax or as an unknown name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

_OPERAND = r"(\w+|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))"
_RULES = (
    (r" *//.*|^/\*\*.*\*/$", ""),
    (r"^ *\}$", ""),
    # Both languages divide whole numbers to whole numbers.
    (r"peak / w", "peak // w"),
    (r"(\([wh] - c[wh]\)) / 2", r"\1 // 2"),
    # Declarations.
    (r"^func? taylor\(.*", "def taylor(w, h, map):"),
    (r"\bfunc? log\([^)]*\)(?: -> Float \{ (.*) \}| = (.*))", r"log = lambda dx, dy: \1\2"),
    (r"\b(?:val|var|let) |: Float\b", ""),
    (r", (\w+) = ", r"; \1 = "),
    # Statements.
    (r"\bfor i in (\w+)\.\.<(.+) where (.+) \{ (.+) \}", r"for i in range(\1, \2): \4 if \3 else peak"),
    (r"\bif \(?(.*?)\)? \{$", r"if \1:"),
    (r"&&", "and"),
    (r" to ", ", "),
    # Expressions.
    (r"\$0", "it"),
    (r"(\w+ == 0) \? (\w+) : ", r"\2 if \1 else "),
    (r"\b(\d[\d.]*(?:e-\d+)?)f\b", r"\1"),
    (r"Foundation\.log", "ln"),
    (r"\.to(?:Int|Float|Double)\(\)|\bMath\.", ""),
    (r"\b(?:Float|Double|Int|Int8|Triple|SIMD3)\(", "("),
    (r"\(0 until (.+?)\)\.maxByOrNull\(map\)!!", r"max(range(\1), key=map)"),
    (r"\b(max|min)Of\(", r"\1("),
    (_OPERAND + r"\.coerceIn\((.+?), (-?[\w.]+(?: - \d)?)\)", r"clip(\1, \2, \3)"),
    (_OPERAND + r"\.rounded\(\.toNearestOrEven\)", r"rint(\1)"),
)
_NAMES: dict[str, Any] = {
    "rint": np.rint,
    "clip": lambda x, low, high: min(max(x, low), high),
    "ln": np.log,
}


def python_of(snippet: str) -> str:
    """A snippet, line by line, in Python."""
    lines = []
    for line in snippet.splitlines():
        for pattern, python in _RULES:
            line = re.sub(pattern, python, line)
        lines.append(line)
    return "\n".join(lines)


def taylor_of(snippet: str) -> Callable[[int, int, Callable[[int], float]], tuple[float, float, float]]:
    """The decoder of Taylor.kt or Taylor.swift."""
    names = dict(_NAMES)
    exec(python_of(snippet), names)
    found: Callable[[int, int, Callable[[int], float]], tuple[float, float, float]] = names["taylor"]
    return found


def computed(snippet: str, pattern: str, **values: Any) -> list[Any]:
    """What the groups of the one match of `pattern` compute to."""
    (found,) = re.finditer(pattern, snippet)
    return [eval(python_of(each), dict(_NAMES), values) for each in found.groups()]
