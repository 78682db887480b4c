"""Models against the baseline: the first page, and the sections behind it."""

from __future__ import annotations

from edgepose.comparison.compare import Comparison
from edgepose.comparison.movement import Movement
from edgepose.comparison.verdict import margin_range, readable_name
from edgepose.evaluation.noninferiority import MIN_VIDEOS, MarginResult
from edgepose.evaluation.subgroups import GroupScore, Subgroups
from edgepose.evaluation.temporal import BASELINE, Measure
from edgepose.reporting.document import Block, Paragraph, Table, VerdictBlock, Word
from edgepose.reporting.overview import TONES
from edgepose.results import cells
from edgepose.results.results import METRICS, Results

_MEASURES = {
    "jitter": "Jitter",
    "velocity_error": "Velocity error",
    "acceleration_error": "Acceleration error",
}


def front_page(comparison: Comparison) -> tuple[Block, ...]:
    """What a reader of one page should know; empty where nothing is held against anything."""
    if len(comparison.results) < 2:
        return ()
    return (
        *_question(comparison),
        Paragraph(_how_good(comparison)),
        Paragraph(_movement_in_short(comparison)),
        Paragraph(_not_shown(comparison)),
    )


def verdicts(comparison: Comparison) -> tuple[Block, ...]:
    """Every verdict with its reason."""
    return tuple(VerdictBlock(Word(v.outcome, TONES[v.outcome]), v.name, v.text) for v in comparison.verdicts)


def _question(comparison: Comparison) -> tuple[Block, ...]:
    data, n = comparison.results[0].data, len(comparison.results) - 1
    what = (
        f"{n} model{'' if n == 1 else 's'} held against {comparison.baseline} "
        f"({comparison.baseline_reason}) on {data.n_images:,} images of {data.n_videos:,} "
        f"video{'' if data.n_videos == 1 else 's'} ({data.name}, split {data.split}). For each of "
        f"{len(data.scored_keypoints)} body points, the distance between the model's mark and the annotation "
        "was measured in head lengths."
    )
    if comparison.margin is None:
        return (
            Paragraph(what),
            Paragraph(
                "No verdict, since no margin was set. Where no human spread is known for the body points "
                "there is no default: give one in head lengths with --margin."
            ),
        )
    asked = (
        f"The question: is a model less precise than {comparison.baseline} by more than a margin of "
        f"{margin_range(comparison.margin)}? The margin is {comparison.margin.source}."
    )
    return (Paragraph(what), Paragraph(asked))


def _how_good(comparison: Comparison) -> str:
    base = _baseline(comparison)
    scores = base.metrics.overall.scores
    text = (
        f"How good the baseline itself is: {base.name} places {cells.number(scores['pckh@0.5'], 1)} % of the "
        f"points within half a head length and {cells.number(scores['pckh@0.1'], 1)} % within a tenth. "
    )
    human = scores["pckh@human"]
    if human is not None:
        others = ", ".join(
            f"{r.name} {cells.number(r.metrics.overall.scores['pckh@human'], 1)} %"
            for r in comparison.results
            if r.name != base.name
        )
        text += (
            f"As close as 95 % of trained people's marks are {cells.number(human, 1)} % of its own; 95 % "
            f"would be human level ({others}). "
        )
    return text + "A model that is as precise as an imprecise baseline is imprecise."


def _movement_in_short(comparison: Comparison) -> str:
    found = comparison.movement
    if found is None or not found.models:
        why = _skipped(found) if found else "nothing to compare"
        return f"Movement over time was not measured: {why}."
    said = []
    for model in found.models:
        jitter = model.measures[0]
        if jitter.ratio is not None:
            said.append(f"{model.name} {cells.number(jitter.ratio, 2)} times")
    if not said:
        return "Movement over time could not be measured: the baseline's points do not move."
    return (
        f"Trembling of the points from frame to frame, beside {comparison.baseline}'s "
        f"({found.n_frames:,} frames of {found.n_videos:,} videos): {', '.join(said)}."
    )


def _not_shown(comparison: Comparison) -> str:
    return (
        "What this does not show: anything about a child, a diagnosis or a treatment; this is research "
        "software, not a medical device. Whether movements can still be judged from these points. Other "
        "cameras, clinics, ages or kinds of children than those in the data. Speed on a phone. "
        "Non-inferior means not worse by more than the margin, on data like these; it does not mean equal. "
        "Undecided means that the data are too few to say. Inferior means worse by more than the margin."
    )


def noninferiority(comparison: Comparison) -> tuple[Block, ...]:
    """The test by keypoint."""
    found, allowed = comparison.noninferiority, comparison.margin
    if not found or allowed is None:
        return ()
    rows = []
    for name in comparison.results[0].data.scored_keypoints:
        judged = [model.keypoints[name] for model in found]
        rows.append((readable_name(name), *_counts(judged[0]), *map(_judged, judged)))
    mean = [model.mean for model in found]
    rows.append(("mean of all", *_counts(mean[0]), *map(_judged, mean)))
    rows.append(("verdict", *[cells.NONE] * 3, *(model.verdict for model in found)))
    reasons = dict.fromkeys(
        f"{readable_name(name)}: {judged.reason}"
        for model in found
        for name, judged in model.keypoints.items()
        if judged.reason
    )
    return (
        Paragraph(
            f"Mean error of each model minus {comparison.baseline}'s, head lengths, with two-sided 95 % "
            f"intervals from drawing whole videos. Margin: {allowed.source}. A body point is non-inferior "
            "where the upper end of its interval is below its margin (a one-sided test at 2.5 %), inferior "
            "where the lower end is above it, and otherwise undecided; a verdict needs "
            f"{MIN_VIDEOS} videos, since intervals from fewer are too narrow."
        ),
        Paragraph(
            "The verdict on a model is non-inferior only where every single body point is, so its error "
            "stays at 2.5 % and needs no correction for the number of points. It is inferior where any point "
            "is; that side is not corrected, so with many points it errs towards caution. Each model's "
            "verdict stands by itself: with several models, more than one may be wrong."
        ),
        Table(("Body point", "Frames", "Videos", "Margin", *(model.name for model in found)), tuple(rows)),
        *([Paragraph(f"Without a verdict: {'; '.join(reasons)}.")] if reasons else []),
    )


def _counts(judged: MarginResult) -> tuple[str, ...]:
    return f"{judged.n_frames:,}", f"{judged.n_videos:,}", cells.number(judged.margin, 4)


def _judged(judged: MarginResult) -> str:
    text = cells.signed(judged.difference, 4)
    return f"{text}{_interval(judged.interval, 4)} {judged.outcome}"


def _interval(interval: tuple[float, float] | None, digits: int) -> str:
    if interval is None:
        return ""
    return f" [{cells.signed(interval[0], digits)}, {cells.signed(interval[1], digits)}]"


def human_level(comparison: Comparison) -> tuple[Block, ...]:
    """PCKh@Human^0.95 and ICC side by side."""
    if all(r.metrics.overall.scores["pckh@human"] is None for r in comparison.results):
        return ()
    differences = {d.name: d.metrics.get("pckh@human") for d in comparison.differences}
    rows = []
    for r in comparison.results:
        changed = differences.get(r.name)
        icc = r.metrics.icc
        rows.append(
            (
                r.name,
                cells.overall(r, "pckh@human"),
                f"{cells.signed(changed.value, 1)}{_interval(changed.interval, 1)}"
                if changed
                else cells.NONE,
                *(cells.triple(v) for v in ((icc.A1, icc.C1) if icc else (None, None))),
            )
        )
    columns = (
        "Model",
        f"{METRICS['pckh@human'].label}, % [95 % interval]",
        f"minus {comparison.baseline}, points",
        "ICC(A,1) [95 % interval]",
        "ICC(C,1) [95 % interval]",
    )
    return (Table(columns, tuple(rows)),)


def movement(comparison: Comparison) -> tuple[Block, ...]:
    """Temporal fidelity."""
    found = comparison.movement
    if found is None:
        return ()
    if not found.models:
        return (Paragraph(f"Not measured: {_skipped(found)}."),)
    rate = (
        f"{found.fps:g} frames a second, from the data set's column fps"
        if found.fps
        else f"times are in frames, since {found.fps_reason}"
    )
    skipped = f" Left out: {_skipped(found)}." if found.skipped else ""
    rows = [(m.name, *_measure(x, comparison.baseline)) for m in found.models for x in m.measures]
    columns = (
        "Model",
        "Measure",
        "Unit",
        "Annotation",
        comparison.baseline,
        "Model's",
        "Model / baseline",
        "n",
    )
    return (
        Paragraph(
            f"{found.n_frames:,} frames of {found.n_videos:,} videos with at least {found.min_frames} "
            f"consecutive scored frames; {rate}.{skipped} Each stretch of frames is divided by its median "
            "head length. Jitter: how far a point lies from the midpoint of its places one frame before and "
            "after; the annotation's holds real movement and the annotators' own trembling. Velocity and "
            "acceleration errors: length of the difference of the vectors. Brackets: 95 % intervals from "
            "drawing whole videos."
        ),
        Table(columns, tuple(rows)),
        *_spectra(found, comparison.baseline),
    )


def _measure(m: Measure, baseline: str) -> tuple[str, ...]:
    against = "" if m.against is None else f" against {baseline if m.against == BASELINE else 'annotation'}"
    ratio = cells.number(m.ratio, 2)
    if m.ratio_interval is not None:
        ratio += f" [{cells.number(m.ratio_interval[0], 2)}, {cells.number(m.ratio_interval[1], 2)}]"
    own = cells.number(m.model, 4)
    if m.model_interval is not None:
        own += f" [{cells.number(m.model_interval[0], 4)}, {cells.number(m.model_interval[1], 4)}]"
    values = (cells.number(m.annotation, 4), cells.number(m.baseline, 4))
    return f"{_MEASURES[m.key]}{against}", m.unit, *values, own, ratio, f"{m.n:,}"


def _spectra(found: Movement, baseline: str) -> tuple[Block, ...]:
    drawn = [(m.name, m.spectra) for m in found.models if m.spectra is not None]
    if not drawn:
        return (Paragraph("No spectra: no body point is annotated throughout a stretch of frames."),)
    first, rows = drawn[0][1], []
    for name, spectra in drawn:
        for band in spectra.bands:
            share = None if band.error_share is None else 100 * band.error_share
            powers = (f"{power:.3g}" for power in (band.annotation, band.baseline, band.model))
            change = f"{cells.signed(band.change_db, 2)}{_interval(band.change_interval_db, 2)}"
            rows.append((name, f"{band.low:.3g} to {band.high:.3g}", *powers, change, cells.number(share, 1)))
    columns = (
        "Model",
        f"Band, {first.unit}",
        "Annotation, hl²",
        f"{baseline}, hl²",
        "Model's, hl²",
        "Change, dB [95 % interval]",
        "Error, % of baseline's power",
    )
    return (
        Table(columns, tuple(rows)),
        Paragraph(
            f"Spectra of the trajectories (Welch, segments of {first.segment_frames} frames, "
            f"{first.n_segments:,} segments of {first.n_videos:,} videos): power of movement in head lengths "
            f"squared (hl²). Change: 10 log₁₀ of the model's power over {baseline}'s; +3 dB is twice the "
            "power. Error: power of the difference between the two trajectories."
        ),
    )


def _skipped(found: Movement) -> str:
    reasons = [f"{n:,} video{'' if n == 1 else 's'} with {reason}" for reason, n in found.skipped.items()]
    return "; ".join(reasons)


def subgroups(comparison: Comparison) -> tuple[Block, ...]:
    """Tables by column of the data set."""
    if not comparison.subgroups:
        return ()
    compared = sum(len(s.groups) for s in comparison.subgroups) * len(comparison.differences)
    return (
        Paragraph(
            "For orientation: groups are small, and the tables make "
            f"{compared} comparisons without correction, so that some intervals exclude 0 by chance. No "
            "verdict is drawn from them; intervals from fewer than about 20 videos are too narrow. ME over "
            "all keypoints is the mean over those annotated in the group."
        ),
        *(_group_table(s, comparison.baseline) for s in comparison.subgroups),
    )


def _group_table(found: Subgroups, baseline: str) -> Table:
    rows = []
    for group in found.groups:
        counts = (f"{n:,}" for n in (group.n_images, group.n_videos, group.n_keypoints))
        shared = (group.value, *counts)
        for i, score in enumerate(group.scores):
            rows.append((*(shared if i == 0 else (group.value, "", "", "")), *_group_score(score)))
    columns = (
        readable_name(found.column),
        "Images",
        "Videos",
        "Points",
        "Model",
        "PCKh@0.5, %",
        "PCKh@0.2, %",
        "PCKh@0.1, %",
        "ME, head lengths",
        f"ME minus {baseline}'s",
    )
    return Table(columns, tuple(rows))


def _group_score(score: GroupScore) -> tuple[str, ...]:
    change = cells.NONE
    if score.difference is not None:
        change = cells.signed(score.difference, 4) + (
            f" (no interval: {score.reason})" if score.reason else _interval(score.interval, 4)
        )
    return (
        score.name,
        cells.number(score.pckh_0_5, 1),
        cells.number(score.pckh_0_2, 1),
        cells.number(score.pckh_0_1, 1),
        cells.number(score.me, 4),
        change,
    )


def _baseline(comparison: Comparison) -> Results:
    return next(r for r in comparison.results if r.name == comparison.baseline)
