"""Keypoint sets of users: as a TOML file, inside checkpoints and sidecars, and guessed from data sets' names.

One form for all three, a table of:

    name = "infant-21"
    keypoints = ["nose", "left_toe", "right_toe"]
    pairs = [["left_toe", "right_toe"]]      # left first; without it, those whose names are mirrored
    segments = [["nose", "left_toe"], ["nose", "right_toe"]]
    ruler = "box"                            # without a head segment: torso, box or stand-in
    [head]
    segment = ["nose", "left_toe"]
    scale = 1.0                              # times its length is the head length
    [near]
    left_toe = "left_toes"                   # a keypoint of another set at nearly the same place
    [h]
    left_toe = 0.05                          # human spread H and H^0.95, in head lengths
    [h95]
    left_toe = 0.11
    [definitions]
    left_toe = "Tip of the left big toe"
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeio import UnknownName
from edgeio.text import read_text
from edgepose.errors import EdgeposeError
from edgepose.keypoints import KEYPOINT_SETS, KeypointSet, keypoint_set, remember

SUFFIX = ".toml"
_HINT = "docs/keypoints.md says how a keypoint file is written"
_KEYS = ("name", "keypoints", "pairs", "segments", "ruler", "head", "near", "h", "h95", "definitions")
_MOST = 500  # keypoints; a file with more is another kind of file
_SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}


class BadKeypoints(EdgeposeError):
    """A keypoint set that cannot be used."""


def named_set(text: str) -> KeypointSet:
    """The set that a user names: a built-in one, or a file ending in .toml, which is remembered.

    Raises:
        UnknownName: no such set.
        BadKeypoints: the file is missing or cannot be used.
        UsageError: another set of this name was met before.
    """
    return remember(read_keypoints(Path(text))) if text.endswith(SUFFIX) else keypoint_set(text)


def scored_set(key: str, names: Sequence[str]) -> KeypointSet:
    """The set of a results file, which holds of a user's set no more than its key and the scored names.

    Returns:
        the set of that key, if it is built in or was met before, or else one of the names alone, their pairs
        guessed, without segments.
    """
    try:
        return keypoint_set(key)
    except UnknownName:
        return KeypointSet(key, tuple(names), (), None, pairs=mirrored_pairs(names))


def read_keypoints(path: Path) -> KeypointSet:
    """The set in a TOML file.

    Raises:
        BadKeypoints: missing, no TOML, or not a usable set; names the file.
    """
    try:
        plain = tomllib.loads(read_text(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise BadKeypoints(f"{path} cannot be read ({reason})", _HINT) from None
    except tomllib.TOMLDecodeError as error:
        raise BadKeypoints(f"{path} is no TOML ({error})", _HINT) from None
    return set_from_plain(plain, str(path))


def set_from_plain(plain: Any, where: str) -> KeypointSet:
    """The set in a table.

    Args:
        where: what to call the table's file in errors.

    Raises:
        BadKeypoints: says what is wrong with it.
    """
    if not isinstance(plain, Mapping):
        raise BadKeypoints(f"{where} holds no keypoint set", _HINT)
    try:
        return _parsed(plain)
    except ValueError as error:
        raise BadKeypoints(f"{where}: {error}", _HINT) from None


def set_to_plain(keypoints: KeypointSet) -> dict[str, Any]:
    """A set as the table that `set_from_plain` reads."""
    plain: dict[str, Any] = {
        "name": keypoints.key,
        "keypoints": list(keypoints.names),
        "pairs": [list(pair) for pair in pairs_of(keypoints)],
        "segments": [list(pair) for pair in keypoints.segments],
    }
    if keypoints.ruler is not None:
        plain["ruler"] = keypoints.ruler
    if keypoints.head_segment is not None:
        plain["head"] = {"segment": list(keypoints.head_segment), "scale": keypoints.head_scale}
    tables = {"near": keypoints.near, "h": keypoints.h, "h95": keypoints.h95}
    tables["definitions"] = tuple(
        (n, d) for n, d in zip(keypoints.names, keypoints.definitions, strict=False) if d
    )
    return plain | {key: dict(rows) for key, rows in tables.items() if rows}


def to_toml(keypoints: KeypointSet) -> str:
    """A set as a file that `read_keypoints` reads."""
    lines, tables = [], []
    for key, value in set_to_plain(keypoints).items():
        if isinstance(value, dict):
            tables += [f"\n[{key}]", *(f"{_text(k)} = {_text(v)}" for k, v in value.items())]
        elif isinstance(value, list):
            rows = [f"    {_text(row)}," for row in value]
            lines.append("\n".join([f"{key} = [", *rows, "]"]) if rows else f"{key} = []")
        else:
            lines.append(f"{key} = {_text(value)}")
    return "\n".join([*lines, *tables]) + "\n"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)  # such JSON is TOML too


def pairs_of(keypoints: KeypointSet) -> tuple[tuple[str, str], ...]:
    """(left, right) of every pair of names that change places in a mirrored image."""
    if keypoints.pairs is not None:
        return keypoints.pairs
    names = keypoints.names
    return tuple((n, names[k]) for n, k in zip(names, keypoints.swaps, strict=True) if n.startswith("left_"))


def snake(name: str) -> str:
    """A name as ours are written: "Left Shoulder", "left-shoulder" and "leftShoulder" are left_shoulder."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.strip())
    return re.sub(r"[\s_\-]+", "_", parted).lower()


def mirrored_pairs(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(left, right) of the names that differ in left and right, or in l and r, alone."""
    by_words = {tuple(re.split(r"[_.]", snake(name))): name for name in names}
    found = []
    for words, name in by_words.items():
        other = by_words.get(tuple(_SIDES.get(word, word) for word in words))
        if other not in (None, name) and any(word in ("left", "l") for word in words):
            found.append((name, other))
    return tuple(found)


def set_of_names(
    names: Sequence[str], segments: Sequence[tuple[int, int]], label: str, where: str
) -> KeypointSet:
    """The set of a data set's own names: a built-in one of the same names, in any order, or a guessed one.

    Args:
        segments: pairs of indices, as the data set draws its skeleton.
        label: what the data set calls what it marks; part of the guessed set's key.
        where: what to call the data set's file in errors.

    Raises:
        BadKeypoints: doubled or empty names, or segments of none of them.
    """
    known = next((s for s in KEYPOINT_SETS.values() if same_names(s, names)), None)
    if known is not None:
        return known
    ours = tuple(snake(name) for name in names)
    chosen = ours if len(set(ours)) == len(ours) and all(ours) else tuple(names)
    if any(not 0 <= index < len(chosen) for pair in segments for index in pair):
        raise BadKeypoints(f"{where}: a segment of the skeleton is of no keypoint", "correct it there")
    pairs = [[chosen[a], chosen[b]] for a, b in segments if a != b]
    plain = {
        "keypoints": list(chosen),
        "pairs": [list(pair) for pair in mirrored_pairs(chosen)],
        "segments": [p for i, p in enumerate(pairs) if p not in pairs[:i] and p[::-1] not in pairs[:i]],
    }
    if {"head_top", "upper_neck"} <= set(chosen):
        plain |= {"head": {"segment": ["head_top", "upper_neck"]}}
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:6]
    word = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:20] or "own"
    return _parsed_guess({**plain, "name": f"{word}-{len(chosen)}-{digest}"}, where)


def order_in(keypoints: KeypointSet, names: Sequence[str]) -> tuple[int, ...]:
    """K indices: where each keypoint of a set stands among `names`, which are its own in any spelling."""
    at = {snake(name): i for i, name in enumerate(names)}
    return tuple(at[snake(name)] for name in keypoints.names)


def same_names(keypoints: KeypointSet, names: Sequence[str]) -> bool:
    """Whether names are those of a set, in any order and spelling."""
    return len(names) == len(keypoints) and {snake(n) for n in names} == {snake(n) for n in keypoints.names}


def describe(keypoints: KeypointSet) -> list[str]:
    """What a guessed set says of mirror images, segments and head: lines for whoever is to trust it."""
    pairs = ", ".join(f"{a} - {b}" for a, b in pairs_of(keypoints)) or "none"
    alone = [n for n, k in zip(keypoints.names, keypoints.swaps, strict=True) if keypoints.names[k] == n]
    head = " to ".join(keypoints.head_segment) if keypoints.head_segment else "none"
    return [
        f"the data set's own keypoints ({keypoints.key}), read without a keypoint file:",
        f"  pairs, guessed from the names: {pairs}",
        f"  without a pair, taken as in the middle: {', '.join(alone) or 'none'}",
        f"  segments, of the file: {len(keypoints.segments)}; head segment: {head}",
        "  if this is wrong, write it with `edgepose data keypoints`, correct it and give it by --keypoints",
    ]


def _parsed_guess(plain: dict[str, Any], where: str) -> KeypointSet:
    return replace(set_from_plain(plain, where), guessed=True)


def _parsed(plain: Mapping[str, Any]) -> KeypointSet:
    """A checked set; raises ValueError."""
    if unknown := [key for key in plain if key not in _KEYS]:
        raise ValueError(f"unknown key {unknown[0]!r}, known: {', '.join(_KEYS)}")
    key = plain.get("name")
    if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,59}", key):
        raise ValueError(f"name {key!r} is no name of letters, digits, points and hyphens")
    if key in KEYPOINT_SETS:
        raise ValueError(f"name {key!r} is that of a built-in set")
    names = _names(plain.get("keypoints"))
    pairs = _couples(plain, "pairs", names)
    twice = [n for n in names if sum(n in pair for pair in pairs) > 1]
    if twice:
        raise ValueError(f"keypoint {twice[0]!r} is in two pairs")
    head, scale = _head(plain.get("head"), names)
    ruler = plain.get("ruler")
    if ruler is not None and not isinstance(ruler, str):
        raise ValueError(f"ruler {ruler!r} is no ruler's name")
    known = {name for known_set in KEYPOINT_SETS.values() for name in known_set.names}
    near = _table(plain, "near", names, lambda v: isinstance(v, str) and v in known, "of no built-in set")
    text = _table(plain, "definitions", names, lambda v: isinstance(v, str), "no text")
    spread = {k: _table(plain, k, names, _is_distance, "no distance in head lengths") for k in ("h", "h95")}
    return KeypointSet(
        key,
        names,
        _couples(plain, "segments", names),
        head,
        scale,
        definitions=tuple(text.get(n, "") for n in names) if text else (),
        pairs=pairs if "pairs" in plain else mirrored_pairs(names),
        ruler=ruler,
        near=tuple(near.items()),
        h=tuple(spread["h"].items()),
        h95=tuple(spread["h95"].items()),
    )


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("no keypoints: 'keypoints' is to be a list of names")
    if len(value) > _MOST:
        raise ValueError(f"{len(value)} keypoints, at most {_MOST}")
    for name in value:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise ValueError(f"keypoint {name!r} is no name")
    if doubled := [n for i, n in enumerate(value) if n in value[:i]]:
        raise ValueError(f"keypoint {doubled[0]!r} is listed twice")
    return tuple(value)


def _couples(plain: Mapping[str, Any], key: str, names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Pairs of two different names, each once; raises ValueError."""
    value, one = plain.get(key, []), key.removesuffix("s")
    if not isinstance(value, list):
        raise ValueError(f"'{key}' is to be a list of pairs of names")
    seen: set[frozenset[str]] = set()
    for couple in value:
        _check_couple(couple, one, names)
        if frozenset(couple) in seen:
            raise ValueError(f"the {one} of {couple[0]!r} and {couple[1]!r} is listed twice")
        seen.add(frozenset(couple))
    return tuple((a, b) for a, b in value)


def _check_couple(couple: Any, one: str, names: tuple[str, ...]) -> None:
    if not isinstance(couple, list) or len(couple) != 2 or not all(isinstance(n, str) for n in couple):
        raise ValueError(f"a {one} is to be two names, not {couple!r}")
    if unknown := [n for n in couple if n not in names]:
        raise ValueError(f"a {one} of the unknown keypoint {unknown[0]!r}")
    if couple[0] == couple[1]:
        raise ValueError(f"a {one} of {couple[0]!r} with itself")


def _head(value: Any, names: tuple[str, ...]) -> tuple[tuple[str, str] | None, float]:
    if value is None:
        return None, 1.0
    if not isinstance(value, Mapping) or not set(value) <= {"segment", "scale"}:
        raise ValueError("'head' is to have a segment, and a scale if that is not 1")
    _check_couple(value.get("segment"), "head segment", names)
    scale = value.get("scale", 1.0)
    if not _is_distance(scale) or scale == 0:
        raise ValueError(f"the head's scale {scale!r} is no positive number")
    return (value["segment"][0], value["segment"][1]), float(scale)


def _table(
    plain: Mapping[str, Any], key: str, names: tuple[str, ...], fits: Callable[[Any], bool], wrong: str
) -> dict[str, Any]:
    """A table by keypoint; raises ValueError."""
    value = plain.get(key, {})
    if not isinstance(value, Mapping):
        raise ValueError(f"'{key}' is to be a table by keypoint")
    for name, entry in value.items():
        if name not in names:
            raise ValueError(f"'{key}' has the unknown keypoint {name!r}")
        if not fits(entry):
            raise ValueError(f"{key} of {name!r} is {entry!r}, {wrong}")
    return dict(value)


def _is_distance(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
