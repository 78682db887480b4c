"""Writes the JSON Schemas of the files that others read, out of the records that edgepose reads them by.

    make schemas

They are committed, because who reads them has no Python: apps, and other languages. A bundle carries its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgeio import replacing
from edgeio.records import json_schema
from edgepose.comparison.compare import Comparison
from edgepose.deploy.manifest import Manifest
from edgepose.results.results import Results

ROOT = Path(__file__).parents[1]
SCHEMAS = {
    "edgepose/results/results.schema.json": Results,
    "edgepose/comparison/compare.schema.json": Comparison,
    "edgepose/deploy/bundle.schema.json": Manifest,
}


def all_schemas() -> dict[Path, str]:
    """Every schema's text by its file."""
    return {ROOT / name: _lines(json_schema(record)) + "\n" for name, record in SCHEMAS.items()}


def _lines(node: dict[str, Any], margin: str = "") -> str:
    """JSON with a line a field."""
    inner = margin + " "
    entries = []
    for key, value in node.items():
        opened = isinstance(value, dict) and (key in ("properties", "$defs") or "properties" in value)
        shown = _lines(value, inner) if opened else json.dumps(value, ensure_ascii=False)
        entries.append(f"{inner}{json.dumps(key)}: {shown}")
    return "{\n" + ",\n".join(entries) + f"\n{margin}}}"


if __name__ == "__main__":
    for path, text in all_schemas().items():
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
