"""Plain data to frozen dataclasses and back, with an error that names the field.

A record's fields are its JSON keys and its annotations are its check, so the two cannot drift apart.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, TypeVar

Record = TypeVar("Record")


class Mismatch(Exception):
    """A value that is not of its field's type; `str()` says which field, and what it holds."""


def from_plain(record: type[Record], value: Any, where: str = "") -> Record:
    """Build `record`, a dataclass, from what JSON gives.

    Args:
        record: the dataclass; its annotations may use str, int, float, Literal, `| None`, tuple,
            Mapping[str, ...] and further dataclasses; a field with a default may be absent.
        value: parsed JSON.
        where: dotted path of the field, for the message.

    Raises:
        Mismatch: a missing or unknown field, or a value of another type. NaN and infinities count
            as wrong, and a bool is no number.
    """
    result: Record = _read(record, value, where)
    return result


def to_plain(value: Any) -> Any:
    """Dataclasses, mappings and tuples as the dicts and lists that JSON knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value


@cache
def _hints(record: type) -> dict[str, Any]:
    return typing.get_type_hints(record)


def _read(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _read_record(typing.cast(type, kind), value, where)
    origin = typing.get_origin(kind)
    if origin is not None:
        return _GENERIC[origin](typing.get_args(kind), value, where)
    return _read_scalar(kind, value, where)


def _read_record(record: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(where, value, "an object")
    hints = _hints(record)
    optional = {f.name for f in dataclasses.fields(record) if f.default is not dataclasses.MISSING}
    for name in hints:
        if name not in value and name not in optional:
            raise Mismatch(f"{_join(where, name)} is missing")
    for name in value:
        if name not in hints:
            raise Mismatch(f"{_join(where, name)} is not a known field")
    return record(**{name: _read(hints[name], item, _join(where, name)) for name, item in value.items()})


def _read_scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is str and isinstance(value, str):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if (
        kind is float
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    ):
        return float(value)
    names = {str: "text", int: "a whole number", float: "a finite number"}
    raise _wrong(where, value, names[kind])


def _read_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    (kind,) = (k for k in kinds if k is not type(None))  # `| None` is the only union in use
    return _read(kind, value, where)


def _read_literal(allowed: tuple[Any, ...], value: Any, where: str) -> Any:
    if value not in allowed:
        raise _wrong(where, value, " or ".join(repr(a) for a in allowed))
    return value


def _read_tuple(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, list):
        raise _wrong(where, value, "a list")
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise _wrong(where, value, f"a list of {len(kinds)}")
    return tuple(_read(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))


def _read_mapping(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(where, value, "an object")
    return {key: _read(kinds[1], item, _join(where, key)) for key, item in value.items()}


_GENERIC: dict[Any, Callable[[tuple[Any, ...], Any, str], Any]] = {
    types.UnionType: _read_union,
    Literal: _read_literal,
    tuple: _read_tuple,
    Mapping: _read_mapping,
}


def _wrong(where: str, value: Any, wanted: str) -> Mismatch:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return Mismatch(f"{where or 'the file'} is {shown}, not {wanted}")


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
