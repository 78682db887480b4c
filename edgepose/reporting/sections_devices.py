"""What models scored and cost where they ran: this machine, emulated processors, phones."""

from __future__ import annotations

from collections.abc import Sequence

from android_harness.cost import MOST_ERROR_PERCENT, LatencyEstimate
from android_harness.published_latencies import XNNPACK
from edgepose.comparison.compare import SAME_PX, Comparison
from edgepose.reporting.document import Block, Paragraph, Table
from edgepose.results import cells
from edgepose.results.device_facts import DeviceFacts, Parity
from edgepose.results.results import METRICS, Results

_SCORES = ("pckh@0.5", "pckh@0.2", "pckh@0.1", "me", "pckh@human")
_COSTS = (
    "File, MB",
    "Deflated, MB",
    "Instructions, 10⁶",
    "Estimate, ms",
    "Model memory, MB",
    "Peak memory, MB",
    "Same to the bit, images",
    "Largest difference, px",
)
_NOT_ASKED = "--no-speed"


def on_devices(comparison: Comparison) -> tuple[Block, ...]:
    """Every model wherever it ran; empty where all ran on this machine."""
    rows = comparison.everywhere
    devices = [r.device for r in rows if r.device is not None]
    if not devices:
        return ()
    keys = [k for k in _SCORES if any(r.metrics.overall.scores[k] is not None for r in rows)]
    table = Table(
        ("Model", "Target", *map(cells.heading, keys), *_COSTS),
        tuple((r.model_name, r.place, *_scores(r, keys), *_costs(r)) for r in rows),
    )
    text = f"{_text(devices)}{_equivalent_runs_text(len(comparison.equivalent_runs))}"
    return (Paragraph(text), table, *_notes(rows))


def _scores(row: Results, keys: Sequence[str]) -> list[str]:
    return [cells.score(METRICS[k], row.metrics.overall.scores[k]) for k in keys]


def _costs(row: Results) -> tuple[str, ...]:
    device, peak = row.device, row.speed.peak_memory_bytes if row.speed else None
    return (
        cells.megabytes(row.model.size_bytes),
        cells.megabytes(row.model.deflated_bytes),
        cells.number(_instructions(device), 1),
        "; ".join(map(_estimate, device.estimates)) if device and device.estimates else cells.NONE,
        cells.megabytes(device.model_memory_bytes if device else None),
        cells.megabytes(peak),
        *(_parity(device.parity) if device else (cells.NONE, cells.NONE)),
    )


def _instructions(device: DeviceFacts | None) -> float | None:
    """Of one inference, millions."""
    return device.instructions.per_inference / 1e6 if device and device.instructions else None


def _estimate(estimate: LatencyEstimate) -> str:
    error, place = estimate.error_percent, estimate.phone
    if estimate.runtime != XNNPACK:
        place += f" with {estimate.runtime}"
    known = "error not known" if error is None else f"± {error:.0f} %"
    return f"{cells.number(estimate.ms, 1)} ({place}, {known})"


def _parity(parity: Parity) -> tuple[str, str]:
    return f"{parity.identical:,} of {parity.n_images:,}", f"{parity.max_px:.2g}"


def _text(devices: Sequence[DeviceFacts]) -> str:
    said = "Each file where it ran, on the same images. "
    if any(d.kind == "emulated" for d in devices):
        said += (
            "An emulated processor's outputs are its own and its instructions are counted, not estimated; "
            "the time that emulation takes says nothing and is not given. "
        )
    return said + (
        "Same to the bit: images whose raw output equals this machine's run of the same file; largest "
        "difference: between the keypoints of the two runs, in pixels of the images. Model memory is what "
        "opening the model took from malloc; peak memory is what the process grew by up to the last run."
    )


def _equivalent_runs_text(count: int) -> str:
    if not count:
        return ""
    runs = "One run" if count == 1 else f"{count} runs"
    return (
        f" {runs} put every keypoint within {SAME_PX:g} px of where another run of the same file had put it; "
        "in the sections on accuracy that other run stands for both."
    )


def _notes(rows: Sequence[Results]) -> tuple[Block, ...]:
    """On what the estimates rest, and why instructions were not counted where they should have been."""
    estimates = [e for r in rows if r.device for e in r.device.estimates]
    bases = dict.fromkeys(f"{e.phone} ({e.processor}): {e.basis}" for e in estimates)
    reasons = dict.fromkeys(
        f"{r.name}: {r.device.not_counted}"
        for r in rows
        if r.device and r.device.kind == "emulated" and r.device.not_counted not in (None, _NOT_ASKED)
    )
    notes = []
    if bases:
        notes.append(
            "Estimates are of one core of the phone named, only where its latencies are published; their "
            "error is the greatest on a network left out of the fit, and where it is over "
            f"{MOST_ERROR_PERCENT:g} % there is no estimate. {'. '.join(bases)}."
        )
    if reasons:
        notes.append(f"Instructions not counted: {'; '.join(reasons)}.")
    return tuple(map(Paragraph, notes))
