"""Records on disk: frozen dataclasses, checked by pydantic with an error that names the field.

A record's fields are its JSON keys, its annotations are its check and the docstring below a field is that
field's description in the record's JSON Schema, so none of them can drift apart.
"""

from __future__ import annotations

import json
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from edgeio.errors import UserError
from edgeio.files import read_json

Record = TypeVar("Record")
Percent = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

_VERSION = "schema_version"
_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)
_WANTED = {
    "string": "text",
    "int": "a whole number",
    "bool": "true or false",
    "float": "a finite number",
    "finite": "a finite number",
    "tuple": "a list",
    "dict": "an object",
    "dataclass": "an object",
    "mapping": "an object",
}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


class Mismatch(Exception):
    """A value that is not of its field's type; `str()` says which field, and what it holds."""


def read_record(record: type[Record], path: Path, hint: str, error: type[UserError] = UserError) -> Record:
    """Read a JSON file as `record`; see `parse_record`.

    Raises:
        UserError: of the kind `error`; the file is missing, not JSON, or not such a record.
    """
    return parse_record(record, read_json(path, hint, error), str(path), hint, error)


def parse_record(
    record: type[Record], plain: Any, where: str, hint: str, error: type[UserError] = UserError
) -> Record:
    """What JSON gave, as `record`, whose version is looked at first where it has one.

    Args:
        where: names the file.
        hint: what to do about a file that is damaged or old.

    Raises:
        UserError: of the kind `error`; no version or another one, or what `from_plain` says.
    """
    known = next((f.default for f in fields(cast(Any, record)) if f.name == _VERSION), None)
    version = plain.get(_VERSION) if isinstance(plain, dict) else None
    if known is not None and version is None:
        raise error(f"{where} has no {_VERSION}", hint)
    if known is not None and (type(version) is not int or version != known):
        newer = type(version) is int and version > cast(int, known)
        raise error(
            f"{where} has schema version {version!r} and this edgepose reads {known}",
            "upgrade edgepose" if newer else hint,
        )
    try:
        return from_plain(record, plain)
    except Mismatch as wrong:
        raise error(f"{where}: {wrong}", hint) from None


def from_plain(record: type[Record], value: Any) -> Record:
    """Build `record`, a dataclass, from what JSON gives; a field with a default may be absent.

    Raises:
        Mismatch: a missing or unknown field, or a value of another type. NaN and infinities count
            as wrong, and a bool is no number.
    """
    try:
        return cast(Record, _adapter(cast(Any, record)).validate_json(json.dumps([value]), strict=True)[0])
    except RecursionError:
        raise Mismatch("the file is nested too deeply") from None
    except ValidationError as error:
        raise Mismatch(_told(error.errors(include_url=False))) from None


def to_plain(value: Any) -> Any:
    """Dataclasses, mappings and tuples as the dicts and lists that JSON knows."""
    return to_jsonable_python(value, inf_nan_mode="constants")


def json_schema(record: Any) -> dict[str, Any]:
    """JSON Schema of a record as it is written: every field is there, and described by its docstring."""
    config = ConfigDict(
        **_CONFIG, use_attribute_docstrings=True, json_schema_serialization_defaults_required=True
    )
    found = _plainer(TypeAdapter(cast(Any, tuple[record]), config=config).json_schema(mode="serialization"))
    whole = found["$defs"].pop(record.__name__)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "$defs": found["$defs"]}


def _plainer(node: Any) -> Any:
    """Without titles, which say a name again, and defaults, since nothing is left out; texts in one line."""
    if isinstance(node, dict):
        kept = {k: v for k, v in node.items() if k not in ("title", "default") or isinstance(v, dict)}
        return {name: _plainer(value) for name, value in kept.items()}
    if isinstance(node, list):
        return [_plainer(value) for value in node]
    return " ".join(node.split()) if isinstance(node, str) else node


@cache
def _adapter(record: Any) -> TypeAdapter[Any]:
    # Plain dataclasses take the settings of what holds them: hence the tuple of one.
    return TypeAdapter(cast(Any, tuple[record]), config=_CONFIG)


def _told(errors: list[Any]) -> str:
    error = errors[0]
    kind, loc, context = error["type"], error["loc"][1:], error.get("ctx", {})
    expected = context.get("expected")
    if kind == "json_invalid":
        return f"the file is not valid JSON ({error['msg']})"
    if kind == "missing" and isinstance(loc[-1], int):  # a tuple too short: one error per absent item
        loc = loc[:-1]
        absent = [e for e in errors if e["type"] == "missing" and e["loc"][1:-1] == loc]
        expected = f"a list of {len(error['input']) + len(absent)}"
    elif kind == "too_long":
        expected = f"a list of {context['max_length']}"
    elif bounds := [f"{_BOUNDS[name]} {value:g}" for name, value in context.items() if name in _BOUNDS]:
        expected = " and ".join(bounds)
    elif kind == "string_pattern_mismatch":
        expected = f"text like {context['pattern']}"
    where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in loc).lstrip(".")
    if kind == "missing" and expected is None:
        return f"{where} is missing"
    if kind == "unexpected_keyword_argument":
        return f"{where} is not a known field"
    wanted = expected or _WANTED.get(kind.split("_")[0]) or error["msg"]
    return f"{where or 'the file'} is {_short(error['input'])}, not {wanted}"


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
