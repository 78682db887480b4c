"""The model card of a bundle: what the model is, what was measured, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Sequence

from edgepose.reporting.document import escape_markdown
from edgepose.reporting.glossary import NOTICE
from edgepose.results import cells
from edgepose.results.results import METRICS, Results
from export.sidecar import Sidecar


def model_card(results: Results, sidecar: Sidecar) -> str:
    """Markdown; every number is the results' or the sidecar's."""
    name = escape_markdown(results.name)
    return "\n".join(
        [
            f"# Model card: {name}",
            "",
            f"> {NOTICE}",
            "",
            "## What it is",
            "",
            *_bullets(_facts(results, sidecar)),
            "",
            "## What it is for",
            "",
            "Research. It marks named body points of one person in view in a single image. Networks of this "
            "kind were made for infants filmed from above; whether this one suits such videos, only figures "
            "measured on them can say.",
            "",
            "## What it is not for",
            "",
            *_bullets(
                (
                    "Diagnosis, screening or treatment of a child, or any decision about one.",
                    "Several people in one image: it marks one, and does not say which.",
                    "Images unlike those it was measured on, below: other cameras, ages, clothing or light.",
                    "Its confidence is the height of a map's peak; it is not a probability.",
                )
            ),
            "",
            "## What was measured",
            "",
            *_measured(results),
            "",
            "## What is not known",
            "",
            *_bullets(
                (
                    "Which images the network was trained on: the model file does not record it. Ask whoever "
                    "trained it whether they overlap with the images above.",
                    "How it fares in groups of children that the data do not tell apart.",
                    "Its speed on a phone, where none is stated.",
                )
            ),
            "",
        ]
    )


def _facts(results: Results, sidecar: Sidecar) -> tuple[str, ...]:
    model = results.model
    calibration = "none"
    if sidecar.calibration is not None:
        c = sidecar.calibration
        calibration = f"{c.count} images of {c.source}, seed {c.seed}"
    versions = ", ".join(f"{k} {v}" for k, v in sidecar.versions.items())
    return (
        f"Network: {model.network_name}, {cells.number(model.parameters, 0)} parameters, input "
        f"{model.input_size[0]} x {model.input_size[1]} px (height x width)",
        f"Keypoints: {model.keypoints}",
        f"Stored as: {sidecar.recipe}; calibrated on: {calibration}",
        f"Output: {model.output}, decoded by {results.decode}",
        f"File: {cells.megabytes(model.size_bytes)} MB before metadata, SHA-256 {model.sha256}",
        f"Made with: {versions}",
    )


def _measured(results: Results) -> list[str]:
    data, keys = results.data, [k for k, v in results.metrics.overall.scores.items() if v is not None]
    view = "cropped to the annotated person" if data.crop == "person" else "whole images"
    lines = [
        f"On {escape_markdown(data.name)}, split {escape_markdown(data.split)}, {view}: {data.n_images:,} "
        f"images of {data.n_videos:,} videos; {len(data.excluded):,} images left out. Scored by "
        f"{escape_markdown(results.runtime['name'])} {escape_markdown(results.runtime['version'])}. "
        "Brackets: 95 % intervals. The whole report is in `evaluation/`.",
        "",
        "| Metric | All keypoints |",
        "| --- | ---: |",
    ]
    headings = {k: escape_markdown(cells.heading(k)) for k in keys}
    lines += [f"| {headings[k]} | {escape_markdown(cells.overall(results, k))} |" for k in keys]
    lines += ["", f"| Keypoint | n | {' | '.join(headings.values())} |"]
    lines += ["| --- | ---: |" + " ---: |" * len(keys)]
    for name, entry in results.metrics.per_keypoint.items():
        scores = " | ".join(cells.score(METRICS[k], entry.scores[k]) for k in keys)
        lines.append(f"| {escape_markdown(name.replace('_', ' '))} | {entry.n:,} | {scores} |")
    return lines


def _bullets(texts: Sequence[str]) -> list[str]:
    return [f"- {escape_markdown(text)}" for text in texts]
