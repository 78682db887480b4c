"""report.md, report.html and the figure of an experiment, all from its results.json."""

from __future__ import annotations

from pathlib import Path

from edgeio import replacing
from edgepose.paper.figures import FIGURES
from edgepose.paper.outcome import ExperimentOutcome
from edgepose.paper.tables import TABLES
from edgepose.reporting.document import (
    Block,
    Commands,
    Document,
    Paragraph,
    Picture,
    Section,
    Table,
    render_html,
    render_markdown,
)
from edgepose.reporting.glossary import GLOSSARY, NOTICE
from edgepose.results import cells
from edgepose.visual.style import figure_style, save_figure


def write_report(outcome: ExperimentOutcome, out: Path) -> Path:
    """Write report.md, report.html and figures/EXPERIMENT.png into `out`, each whole.

    Returns:
        the path of report.md.
    """
    draw, caption = FIGURES[outcome.experiment]
    picture = Picture(f"{outcome.experiment}.png", caption)
    path = out / "figures" / picture.name
    with figure_style():
        save_figure(draw(outcome), path)
    document = _document(outcome, picture)
    texts = {
        "report.html": render_html(document, {picture.name: path.read_bytes()}),
        "report.md": render_markdown(document),
    }
    for name, text in texts.items():
        with replacing(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return out / "report.md"


def _document(outcome: ExperimentOutcome, picture: Picture) -> Document:
    data = outcome.data
    front: tuple[Block, ...] = (
        Paragraph(outcome.question),
        Paragraph(
            f"Ours are at scale {outcome.scale}: {outcome.scale_means}. What is called the paper's is "
            f"printed in {outcome.paper}."
        ),
        Paragraph(
            f"Ours were scored on {data.name}, split {data.split}: {data.n_images:,} images of "
            f"{data.n_videos:,} videos. Where data or training differ, the two stand together for "
            "orientation only."
        ),
        *(Paragraph(f"Note: {note}.") for note in outcome.notes),
    )
    return Document(
        f"{outcome.title} (ours: {outcome.scale})",
        NOTICE,
        front,
        (
            Section("The paper's figures and ours", (*TABLES[outcome.experiment](outcome), picture)),
            Section("How ours were made", _made(outcome)),
            Section("Terms", (GLOSSARY,)),
        ),
    )


def _made(outcome: ExperimentOutcome) -> tuple[Block, ...]:
    rows = tuple(
        (
            run_result.name,
            run_result.how,
            f"{run_result.input_size[0]} × {run_result.input_size[1]}",
            run_result.decode,
            f"{run_result.runtime['name']} {run_result.runtime['version']}",
            run_result.speed or "not timed",
            run_result.sha256[:16],
        )
        for run_result in outcome.networks
    )
    columns = (
        "Ours",
        "Where it comes from",
        "Input, px",
        "Decoder",
        "Runtime",
        "Timed on",
        "SHA-256 (first 16)",
    )
    data = outcome.data
    humans = "; ".join(f"{whose}: {spread.source}" for whose, spread in outcome.human.items())
    return (
        Table(columns, rows),
        Paragraph(
            f"{data.images_left_out} images were left out. Head length: {data.head_length}. "
            f"Human spread: {humans or cells.NONE}. edgepose {outcome.edgepose}, {outcome.created}, seed "
            f"{outcome.seed}. SHA-256 of the data begins with {data.sha256[:16]}. results.json holds every "
            "number of this report, and each training's settings."
        ),
        Commands((outcome.command,)),
    )
