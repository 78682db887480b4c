"""Records on disk: frozen dataclasses, checked by pydantic with an error that names the field.

A record's fields are its JSON keys and its annotations are its check, so the two cannot drift apart.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Record = TypeVar("Record")
_WANTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a finite number",
    "finite": "a finite number",
    "tuple": "a list",
    "dict": "an object",
    "dataclass": "an object",
    "mapping": "an object",
}


class Mismatch(Exception):
    """A value that is not of its field's type; `str()` says which field, and what it holds."""


def from_plain(record: type[Record], value: Any) -> Record:
    """Build `record`, a dataclass, from what JSON gives; a field with a default may be absent.

    Raises:
        Mismatch: a missing or unknown field, or a value of another type. NaN and infinities count
            as wrong, and a bool is no number.
    """
    from pydantic import ValidationError

    try:
        return cast(Record, _adapter(cast(Any, record)).validate_json(json.dumps([value]), strict=True)[0])
    except RecursionError:
        raise Mismatch("the file is nested too deeply") from None
    except ValidationError as error:
        raise Mismatch(_told(error.errors(include_url=False))) from None


def to_plain(value: Any) -> Any:
    """Dataclasses, mappings and tuples as the dicts and lists that JSON knows."""
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value, inf_nan_mode="constants")


@cache
def _adapter(record: Any) -> TypeAdapter[Any]:
    from pydantic import ConfigDict, TypeAdapter

    # Plain dataclasses take the settings of what holds them: hence the tuple of one.
    return TypeAdapter(cast(Any, tuple[record]), config=ConfigDict(extra="forbid", allow_inf_nan=False))


def _told(errors: list[Any]) -> str:
    error = errors[0]
    kind, loc = error["type"], error["loc"][1:]
    expected = error.get("ctx", {}).get("expected")
    if kind == "json_invalid":
        return f"the file is not valid JSON ({error['msg']})"
    if kind == "missing" and isinstance(loc[-1], int):  # a tuple too short: one error per absent item
        loc = loc[:-1]
        absent = [e for e in errors if e["type"] == "missing" and e["loc"][1:-1] == loc]
        expected = f"a list of {len(error['input']) + len(absent)}"
    elif kind == "too_long":
        expected = f"a list of {error['ctx']['max_length']}"
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
