"""`edgepose models`: the networks, counted as they are built, beside the paper's figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgepose.cli.options import AsJson, print_json

if TYPE_CHECKING:
    from edgepose.models.variants import Variant

_MARK = " *"  # of a network that comes with weights


def command(
    model: Annotated[
        list[str] | None, typer.Option(help="The network to list; default: all of them. May be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the networks: input, maps, parameters and FLOPs, counted now, beside Table 1's.

    Those with another network's name and a comma are this project's own, smaller than that one; the others
    are the paper's and its authors'.

    Builds every network it lists: about a minute for all on two cores, a few seconds for one.
    """
    from edgepose.models.variants import VARIANTS, variant

    chosen = [variant(key) for key in model or VARIANTS]
    rows = _profiled(chosen)
    if as_json:
        print_json(rows)
    else:
        _print(rows)


def _profiled(variants: list[Variant]) -> list[dict[str, Any]]:
    from edgepose.cli.progress import bar
    from edgepose.models.profile import paper_cost

    rows = []
    with bar("building", "networks") as progress:
        for done, v in enumerate(variants):
            progress(done, len(variants))
            cost = paper_cost(v.key)
            rows.append(_row(v, cost.parameters, cost.flops))
    return rows


def _row(v: Variant, parameters: int, flops: int) -> dict[str, Any]:
    from dataclasses import asdict

    from edgepose.models.pretrained import DEFAULT_WEIGHTS

    weights = DEFAULT_WEIGHTS.get(v.key)
    return {
        "key": v.key,
        "name": v.name,
        "resolution": v.resolution,
        "map_size": v.resolution // v.stride,
        "parameters": parameters,
        "flops": flops,
        "paper_parameters": v.paper_parameters,
        "paper_flops": v.paper_flops,
        "released_parameters": v.released_parameters,
        "cut_from": v.cut_from,
        "default_weights": None if weights is None else {"name": weights.name, **asdict(weights)},
    }


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    from edgepose.models.pretrained import INT8

    table = Table(caption="19 keypoints, one image, upscaling included; the paper's figures: Table 1")
    for heading in ("key", "name"):
        table.add_column(heading)
    for heading in ("input", "maps", "parameters", "paper", "FLOPs", "paper", "difference"):
        table.add_column(heading, justify="right")
    for row in rows:
        paper = row["paper_flops"]
        table.add_row(
            row["key"] + (_MARK if row["default_weights"] else ""),
            row["name"],
            str(row["resolution"]),
            str(row["map_size"]),
            f"{row['parameters']:,}",
            _count(row["paper_parameters"]),
            f"{row['flops']:,}",
            _count(paper),
            f"{100 * (row['flops'] / paper - 1):+.4f} %" if paper else "",
        )
    Console(width=None if Console().is_terminal else 140).print(table)
    for weights in filter(None, (row["default_weights"] for row in rows)):
        facts = (
            f"{weights['keypoints']}, {weights['resolution']} px; {weights['trained']}; {weights['scores']}"
        )
        phone = f", for the phone {weights['name']}{INT8}" if weights["int8_sha256"] else ""
        typer.echo(f"{_MARK.strip()} {weights['name']} comes with edgepose{phone}: {facts}")


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
