"""Layers that stay float in an integer network: which ones, and what has to follow them.

An operator computes in integers only where all its inputs are integers. So a layer that stays in float takes
the readers of its output along; these quantize their outputs, and from there on all is in 8 bits again.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from edgeio import lookup
from edgepose.compression.graph import CONVOLUTIONS, Graph
from edgepose.compression.network import FULL_INTEGER, MixedPrecision, range_owners
from edgepose.errors import UsageError

_NEAREST = 5

# Types that layers may be kept in, with what stands against it. Tried with TensorFlow 2.21 and LiteRT 2.3.0:
# the converter drops the change from 16 to 8 bits between two convolutions (tensorflow issue 106742), and
# where quantization barriers force it, gives the 16-bit convolution a bias of 32 bits; the kernels want 64.
KEPT_AS: dict[str, str | None] = {
    "float32": None,
    "int16": "TensorFlow's converter writes graphs of int8 and int16 that the runtime refuses "
    "(output->type INT8 != INT16, bias->type INT32 != INT64), and int16 has no fast kernels",
}


def check_type(name: str) -> None:
    """Raise UnknownName or UsageError for a type that no layer can be kept in."""
    against = lookup(KEPT_AS, "type to keep layers in", name)
    if against is not None:
        raise UsageError(
            f"no single layer can be kept in {name}: {against}",
            f"use --keep-as float32, or `edgepose export --recipe {name}x8` for the whole network",
        )


def mixed_precision(graph: Graph, patterns: Sequence[str]) -> MixedPrecision:
    """What stays float where the layers of these names do.

    Their kernels are not rounded, nor their outputs, unless those are the maps: the file's output is int8.

    Args:
        graph: of the maps alone.
        patterns: names of layers, or patterns with *, ? and [...].

    Raises:
        UsageError: a pattern matches no layer, naming the nearest; or nothing would be left in integers.
    """
    names = [node.name for node in graph.nodes if node.kind != "input"]
    asked = {name for pattern in patterns for name in _matching(pattern, names)}
    if not asked:
        return FULL_INTEGER
    float_outputs = asked - set(graph.outputs)
    consumers, owners = graph.consumers(), range_owners(graph)
    computed = asked | {reader.name for name in float_outputs for reader in consumers[name]}
    # A convolution without a range of its own has that of the ReLU behind it, and computes as that does.
    computed |= {n for n in names if n not in owners and any(r.name in computed for r in consumers[n])}
    if all(node.name in computed for node in graph.nodes if node.kind in CONVOLUTIONS):
        raise UsageError(
            f"keeping {', '.join(patterns)} leaves no convolution in integers",
            "keep fewer layers, or use `edgepose export --recipe fp16`",
        )
    return MixedPrecision(
        tuple(n for n in names if n in asked), frozenset(computed), frozenset(float_outputs)
    )


def _matching(pattern: str, names: Sequence[str]) -> list[str]:
    found = [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        near = difflib.get_close_matches(pattern, names, _NEAREST, cutoff=0.0)
        raise UsageError(
            f"no layer matches {pattern!r} in --keep",
            f"the nearest names are {', '.join(near)}; --report-layers writes all {len(names)}",
        )
    return found


@dataclass(frozen=True)
class FloatOperators:
    """The float operators that a file of mixed precision has to have, and nothing beyond.

    Attributes:
        operators: nodes with a float operator.
        joined: nodes that are one operator with the node behind them, by the name of that.
        conversions: how many tensors are turned into float or back.
    """

    operators: frozenset[str]
    joined: Mapping[str, str]
    conversions: int


def float_operators(graph: Graph, mixed: MixedPrecision) -> FloatOperators:
    """What `mixed` makes of a graph."""
    consumers, owners = graph.consumers(), range_owners(graph)
    joined = {n.name: consumers[n.name][0].name for n in graph.nodes if n.name not in owners}
    computed = [node for node in graph.nodes if node.name in mixed.computed]
    sources = {s for node in computed for s in node.inputs if s in owners and s not in mixed.float_outputs}
    back = [n for n in computed if n.name in owners and n.name not in mixed.float_outputs]
    return FloatOperators(
        frozenset(joined.get(n, n) for n in mixed.computed), joined, len(sources) + len(back)
    )
