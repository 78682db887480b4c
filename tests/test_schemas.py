"""The JSON Schemas that are committed: what the records give, with every field described."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

sys.path.append(str(Path(__file__).parents[1] / "docs"))

import schemas

MADE = schemas.all_schemas()


@pytest.mark.parametrize("path", MADE, ids=lambda path: path.name)
def test_the_committed_schema_is_what_the_records_give(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == MADE[path], "run: make schemas"
    plain = json.loads(MADE[path])
    jsonschema.Draft202012Validator.check_schema(plain)
    assert undescribed(plain, plain["$defs"]) == []


def undescribed(node: dict[str, Any], defs: dict[str, Any]) -> list[str]:
    """Names of fields that neither they nor what they are of describe."""
    found = []
    for name, field in node.get("properties", {}).items():
        target = defs.get(field.get("$ref", "").removeprefix("#/$defs/"), {})
        found += [name] if not (field.get("description") or target.get("description")) else []
        found += undescribed(field, defs)
    for inner in node.get("$defs", {}).values():
        found += undescribed(inner, defs)
    return found


def test_a_field_without_a_description_is_found() -> None:
    node = {"properties": {"a": {"description": "x"}, "b": {}}, "$defs": {"C": {"properties": {"d": {}}}}}
    assert undescribed(node, {}) == ["b", "d"]
