"""`edgepose compare`: results beside each other, as a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgepose.cli import options

if TYPE_CHECKING:
    from edgepose.comparison.compare import Comparison

_TITLE = "Models compared"


@options.spread()
def command(
    results: Annotated[
        list[Path],
        typer.Argument(
            help="results.json files, or folders that hold some; or one compare.json.", metavar="RESULTS..."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder for the report.")],
    baseline: Annotated[
        str | None,
        typer.Option(help="The model to hold the others against; default: the first that is not quantized."),
    ] = None,
    margin: Annotated[
        str | None,
        typer.Option(
            help="How much worse a model may be than the baseline: head lengths (0.02), or a share of each "
            "keypoint's human spread H^0.95 (human:0.1, the default)."
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="A column of the data set to make subgroups of. May be repeated."),
    ] = None,
    overlays: Annotated[
        str,
        typer.Option(
            help="How the worst frames are shown: skeleton draws the poses alone, so that no image leaves "
            "with the report; full draws them on the images; none leaves them out."
        ),
    ] = "skeleton",
    title: Annotated[str, typer.Option(help="The heading of the report.")] = _TITLE,
    as_json: Annotated[bool, typer.Option("--json", help="Print compare.json instead of a table.")] = False,
    *,
    given: options.Given,
) -> None:
    """Compare scored models: tables, figures, and a verdict on each against a baseline.

    The baseline is the full model, the others are compressed ones. The report opens with one page in plain
    words: whether each is less precise than the baseline by more than a margin, and how sure that is.

    Writes report.md, report.html (one file, loads nothing), compare.json and figures/*.png. Results of
    different data, split, crop or keypoints are refused. A report's own compare.json instead of results makes
    that report again, all but the worst frames, with the title, baseline and margin that it was made with.
    """
    import edgepose
    from edgepose.comparison.compare import COMPARISON_NAME, compare, read_comparison, read_entries
    from edgepose.reporting.report import check_overlays, write_report

    check_overlays(overlays)
    if [path.name for path in results] == [COMPARISON_NAME]:
        given.refuse(
            *("title", "baseline", "margin", "by", "overlays"),
            when=f"with {COMPARISON_NAME}, which has its own and no worst frames",
            hint="name results",
        )
        comparison = read_comparison(results[0])
        report = write_report(comparison, (), out)
        return _tell(comparison, report, as_json)
    entries = read_entries(results)
    comparison = compare(entries, title, edgepose.__version__, overlays, baseline, margin, by or ())
    report = write_report(comparison, entries, out)
    return _tell(comparison, report, as_json)


def _tell(comparison: Comparison, report: Path, as_json: bool) -> None:
    if as_json:
        typer.echo(report.with_name("compare.json").read_text(encoding="utf-8"), nl=False)
        return
    _print_table(comparison)
    typer.echo(report)


def _print_table(comparison: Comparison) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from edgepose.results.cells import megabytes, number, score
    from edgepose.results.results import METRICS

    shown = {
        "pckh@0.5": "PCKh@0.5",
        "pckh@0.2": "@0.2",
        "pckh@0.1": "@0.1",
        "pckh@human": "@Human",
        "me": "ME",
    }
    title = f"{escape(comparison.title)} (baseline: {escape(comparison.baseline)})"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    for heading in (*shown.values(), "MB", "deflated", "ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for r in comparison.results:
        scores = [score(METRICS[key], r.metrics.overall.scores[key]) for key in shown]
        latency = number(r.speed.latency_ms.median if r.speed else None, 2)
        sizes = megabytes(r.model.size_bytes), megabytes(r.model.deflated_bytes)
        table.add_row(escape(r.name), *scores, *sizes, latency)
    Console().print(table)
    for found in comparison.verdicts:
        Console().print(f"{found.light.upper()} {escape(found.name)}: {found.outcome}", highlight=False)
