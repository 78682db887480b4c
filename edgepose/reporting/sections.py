"""What a comparison says, section by section: every number comes out of the `Comparison`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from edgepose.comparison.compare import Comparison
from edgepose.comparison.differences import DIFFERED
from edgepose.comparison.verdict import readable_name
from edgepose.keypoint_file import scored_set
from edgepose.keypoints import IN_MOTION_19
from edgepose.published import TABLE_1_SOURCE
from edgepose.reporting import sections_against as against
from edgepose.reporting import sections_devices
from edgepose.reporting.document import Block, Commands, Document, Paragraph, Picture, Section, Table
from edgepose.reporting.glossary import GLOSSARY, NOTICE
from edgepose.reporting.overview import first_screen, overview_of
from edgepose.results import cells
from edgepose.results.results import METRICS, Results

_IN_PAPER = ("pckh@1.0", "pckh@0.5", "pckh@0.3", "pckh@0.2", "pckh@0.1", "me")
_MODEL_COLUMNS = (
    "Model",
    "Network",
    "Kind",
    "Recipe",
    "Output",
    "Decoder",
    "Input, px (h × w)",
    "File, MB",
    "Deflated, MB",
    "Parameters",
    "FLOPs, 10⁹",
    "Float operators",
)
_SPEED_COLUMNS = (
    "Model",
    "Latency median, ms",
    "p90, ms",
    "Runs (warm-up)",
    "Letterbox, ms",
    "Decode, ms",
    "Peak memory, MB",
    "Threads",
    "Runtime",
    "Target",
    "Processor",
)
_LISTED = 20  # image ids in a cell


def build_document(comparison: Comparison, pictures: Sequence[Picture]) -> Document:
    """The report on `comparison`; `pictures` go to the section that their file's name starts with."""

    def drawn(prefix: str) -> tuple[Picture, ...]:
        return tuple(p for p in pictures if p.name.startswith(prefix))

    alone = len(comparison.results) == 1  # nothing to hold its size against: its curve says more
    sections = (
        Section("Differences to the baseline", (*drawn("differences"), *_differences(comparison))),
        Section("The verdicts in words", against.verdicts(comparison), folded=True),
        Section("Against the margin, by body point", against.noninferiority(comparison), folded=True),
        Section("What was compared", _compared(comparison), folded=True),
        Section("Accuracy", _accuracy(comparison.results), folded=True),
        Section("PCKh at every threshold", () if alone else drawn("pckh-curves"), folded=True),
        Section("Size and speed", _cost(comparison), folded=True),
        Section("On devices", sections_devices.on_devices(comparison), folded=True),
        Section("Human level, side by side", against.human_level(comparison), folded=True),
        Section("Movement over time", against.movement(comparison), folded=True),
        Section("Subgroups", against.subgroups(comparison), folded=True),
        Section("Keypoint by keypoint", _keypoints(comparison.results), folded=True),
        Section("Kinds of error", _taxonomy(comparison.results), folded=True),
        Section("Worst frames", _worst(comparison, drawn("worst-")), folded=True),
        Section("Beside the paper", _paper(comparison), folded=True),
        Section("What was left out", _excluded(comparison.results[0]), folded=True),
        Section("How to read this", (GLOSSARY,), folded=True),
        Section("How it was made", _made(comparison), folded=True),
    )
    kept = tuple(s for s in sections if s.blocks)
    seen_first = drawn("pckh-curves") if alone else drawn("accuracy-")
    first = first_screen(comparison, overview_of(comparison), seen_first)
    return Document(comparison.title, NOTICE, against.front_page(comparison), kept, first)


def _compared(comparison: Comparison) -> tuple[Block, ...]:
    data, n = comparison.results[0].data, len(comparison.results)
    view = "Each image was shown whole, letterboxed."
    if data.crop == "person":
        view = (
            f"Each image was cropped to the annotated person plus a margin of {data.crop_margin:g} of the "
            "person's box. Without annotations a detector must find the person first, and will do worse."
        )
    near = ""
    points = scored_set(data.keypoints, data.scored_keypoints)
    unscored = [k for k in points.names if k not in data.scored_keypoints]
    without = f" Not scored, as some model has no such keypoint: {', '.join(unscored)}." if unscored else ""
    if data.near_matched:
        near = (
            f" Matched by a different definition, so not strictly comparable: {', '.join(data.near_matched)}."
        )
    return (
        Paragraph(
            f"{n} model{'s' if n > 1 else ''} on {data.name}, split {data.split}: {data.n_images:,} images "
            f"of {data.n_videos:,} videos, {data.n_keypoints:,} annotated points of "
            f"{len(data.scored_keypoints)} keypoints ({data.keypoints}). "
            f"Images left out: {len(data.excluded):,}.{without}{near}"
        ),
        Paragraph(f"{view} Head length: {data.head_length}."),
        *(Paragraph(text) for text in map(_two_stages, comparison.results) if text),
        Paragraph(f"Baseline: {comparison.baseline} ({comparison.baseline_reason})."),
    )


def _two_stages(results: Results) -> str:
    """What is to be known of a model that looks for the person itself; empty for others."""
    found = results.detector
    if found is None:
        return ""
    return (
        f"{results.name} looks for the person itself, and turns the picture: its detector, "
        f"{found.path_name}, finds nobody in {len(found.nobody_found):,} of {results.data.n_images:,} "
        "images, whose keypoints count as missed. Sizes and times are of both stages."
    )


def _accuracy(results: Sequence[Results]) -> tuple[Block, ...]:
    keys = [k for k in METRICS if any(r.metrics.overall.scores[k] is not None for r in results)]
    scores = Table(
        ("Model", *map(cells.heading, keys), "AUC, %", "n"),
        tuple(
            (
                r.name,
                *(cells.score(METRICS[k], r.metrics.overall.scores[k]) for k in keys),
                cells.number(r.metrics.overall.auc, 1),
                f"{r.metrics.overall.n:,}",
            )
            for r in results
        ),
    )
    shown = [k for k in DIFFERED if k in keys]
    intervals = Table(
        ("Model, with 95 % interval", *map(cells.heading, shown)),
        tuple((r.name, *(cells.overall(r, k) for k in shown)) for r in results),
    )
    return (scores, intervals, Paragraph(_bootstrap_text(results)), *_agreement(results))


def _bootstrap_text(results: Sequence[Results]) -> str:
    facts = list(dict.fromkeys(r.metrics.bootstrap for r in results))
    drawn = "; ".join(f"{f.replicates:,} draws of whole {f.unit}s, seed {f.seed}" for f in facts)
    return (
        f"Intervals: percentile bootstrap, {drawn}; {results[0].data.n_videos:,} videos. "
        "With fewer than about 20 videos they are too narrow."
    )


def _agreement(results: Sequence[Results]) -> tuple[Block, ...]:
    if all(r.metrics.icc is None for r in results):
        return ()
    rows = []
    for r in results:
        icc = r.metrics.icc
        found = (icc.A1, icc.C1) if icc else (None, None)
        rows.append((r.name, *map(cells.triple, found)))
    columns = ("Agreement with human spread", "ICC(A,1) [95 % interval]", "ICC(C,1) [95 % interval]")
    return (Table(columns, tuple(rows)),)


def _cost(comparison: Comparison) -> tuple[Block, ...]:
    models = Table(
        _MODEL_COLUMNS,
        tuple(
            (
                r.name,
                r.model.network_name,
                r.model.kind,
                r.model.recipe or cells.NONE,
                r.model.output,
                f"{r.decode}, flip test" if r.model.flip else r.decode,
                f"{r.model.input_size[0]} × {r.model.input_size[1]}",
                cells.megabytes(r.model.size_bytes),
                cells.megabytes(r.model.deflated_bytes),
                cells.number(r.model.parameters, 0),
                cells.number(None if r.model.flops is None else r.model.flops / 1e9, 3),
                cells.number(r.model.float_operators, 0),
            )
            for r in comparison.results
        ),
    )
    everywhere = comparison.everywhere
    speed = Table(_SPEED_COLUMNS, tuple(_speed_row(r) for r in everywhere))
    notes = dict.fromkeys(r.speed.note for r in everywhere if r.speed and r.speed.note)
    text = "Times hold for the processor, runtime and threads beside them only; MB are 10⁶ bytes."
    return (models, speed, Paragraph(" ".join([text, *(f"Note: {n}." for n in notes)])))


def _speed_row(result: Results) -> tuple[str, ...]:
    runtime = f"{result.runtime['name']} {result.runtime['version']}"
    s = result.speed
    if s is None:
        return (result.name, *[cells.NONE] * 7, runtime, result.target, "not timed")
    return (
        result.name,
        cells.number(s.latency_ms.median, 2),
        cells.number(s.latency_ms.p90, 2),
        f"{s.latency_ms.runs} ({s.latency_ms.warm_up})",
        cells.number(s.letterbox_ms, 2),
        cells.number(s.decode_ms, 2),
        cells.megabytes(s.peak_memory_bytes),
        str(s.latency_ms.threads),
        runtime,
        result.target,
        s.processor,
    )


def _differences(comparison: Comparison) -> tuple[Block, ...]:
    found = comparison.differences
    if not found:
        return ()
    keys = [k for k in DIFFERED if any(d.metrics[k].value is not None for d in found if k in d.metrics)]
    rows = []
    for d in found:
        row = [d.name]
        for key in keys:
            m, digits = d.metrics[key], METRICS[key].digits
            interval = (
                f" [{cells.signed(m.interval[0], digits)}, {cells.signed(m.interval[1], digits)}]"
                if m.interval
                else ""
            )
            row.append(f"{cells.signed(m.value, digits)}{interval} {m.verdict.split(':')[0]}")
        rows.append(tuple(row))
    columns = [f"{METRICS[k].label}, {'points' if METRICS[k].unit == '%' else METRICS[k].unit}" for k in keys]
    return (
        Paragraph(
            f"Each model minus {comparison.baseline}, on the same {comparison.results[0].data.n_images:,} "
            f"images matched by id, with 95 % paired bootstrap intervals ({found[0].replicates:,} draws of "
            f"{found[0].n_videos:,} videos, seed {found[0].seed}). Better or worse: the interval excludes 0. "
            "Undecided: it includes 0, which does not show that the two are equal. Same score: no draw tells "
            "them apart. The table makes "
            f"{len(found) * len(keys)} comparisons without correction: about one in twenty would exclude 0 "
            "by chance even if no model differed."
        ),
        Table(("Model", *columns), tuple(rows)),
    )


def _keypoints(results: Sequence[Results]) -> tuple[Block, ...]:
    human, names = results[0].metrics.human, results[0].data.scored_keypoints
    yardstick = ("Human mean", "Human P95") if human else ()
    rows = []
    for name in names:
        spread = (human.spread.get(name), human.spread_p95.get(name)) if human else ()
        errors = [r.metrics.per_keypoint[name].scores["me"] for r in results]
        n = results[0].metrics.per_keypoint[name].n
        rows.append((readable_name(name), f"{n:,}", *(cells.number(v, 4) for v in (*spread, *errors))))
    models = tuple(r.name for r in results)
    blocks: list[Block] = [Table(("Mean error, head lengths", "n", *yardstick, *models), tuple(rows))]
    if human:
        shares = [
            (
                readable_name(name),
                *(cells.number(r.metrics.per_keypoint[name].scores["pckh@human"], 1) for r in results),
            )
            for name in names
        ]
        blocks.append(Table((cells.heading("pckh@human"), *models), tuple(shares)))
        blocks.append(Paragraph(f"Human spread: {human.source}. 95 % is human level."))
    if any(name in IN_MOTION_19.names for name in names):
        blocks.append(Paragraph(_definitions(names)))
    return tuple(blocks)


def _definitions(names: Sequence[str]) -> str:
    known = zip(IN_MOTION_19.names, IN_MOTION_19.definitions, strict=True)
    told = "; ".join(f"{readable_name(n)}: {d[0].lower()}{d[1:]}" for n, d in known if n in names)
    return f"Definitions of In-Motion Poses, which other data sets may not share: {told}."


def _taxonomy(results: Sequence[Results]) -> tuple[Block, ...]:
    kinds = list(dict.fromkeys(kind for r in results for kind in r.metrics.taxonomy))
    if not kinds:
        return ()
    rows = tuple(
        (r.name, *(cells.number(r.metrics.taxonomy.get(kind), 1) for kind in kinds)) for r in results
    )
    return (Table(("Model", *(f"{readable_name(kind)}, %" for kind in kinds)), rows),)


def _worst(comparison: Comparison, pictures: Sequence[Picture]) -> tuple[Block, ...]:
    if not pictures:
        return ()
    how = {
        "skeleton": "Only the poses are drawn, on an empty ground, so that this report shows no image.",
        "full": "This report shows images of persons: pass it on only to those who may see them.",
    }
    return (
        Paragraph(
            "The frames with the largest mean error over their annotated keypoints, in head lengths (hl), of "
            "the baseline and of the models with the largest ME; compare.json lists those of every model. "
            f"Solid: predicted. Dashed: annotated. {how[comparison.overlays]}"
        ),
        *pictures,
    )


def _paper(comparison: Comparison) -> tuple[Block, ...]:
    if not comparison.paper:
        return ()
    rows = []
    for paper in dict.fromkeys(pair.paper for pair in comparison.paper):
        scores = [cells.number(paper.scores[k], 2 if METRICS[k].unit == "%" else 4) for k in _IN_PAPER]
        rows.append((f"paper: {paper.network}", *scores, f"{paper.parameters:,}", f"{paper.flops:,}"))
        for own in (r for r in comparison.results if r.model.network == paper.network):
            scores = [cells.score(METRICS[k], own.metrics.overall.scores[k]) for k in _IN_PAPER]
            counts = (cells.number(own.model.parameters, 0), cells.number(own.model.flops, 0))
            rows.append((f"ours: {own.name}", *scores, *counts))
    data = comparison.results[0].data
    return (
        Paragraph(
            f"Paper: {TABLE_1_SOURCE}. The data differ: ours is {data.name}, {data.n_images:,} images, "
            f"{len(data.scored_keypoints)} keypoints; so do training and keypoint definitions. The rows "
            "stand together for orientation and are no reproduction of the paper's figures. A network for "
            "another number of keypoints has other parameter and FLOP counts. The paper's latency is of "
            "a desktop GPU at batch 128, and is left out."
        ),
        Table(("Network", *map(cells.heading, _IN_PAPER), "Parameters", "FLOPs"), tuple(rows)),
    )


def _excluded(first: Results) -> tuple[Block, ...]:
    if not first.data.excluded:
        return (Paragraph("Nothing: every image was scored."),)
    rows = []
    for reason in dict.fromkeys(e.reason for e in first.data.excluded):
        ids = [e.id for e in first.data.excluded if e.reason == reason]
        more = f" and {len(ids) - _LISTED:,} more, listed in compare.json" if len(ids) > _LISTED else ""
        rows.append((reason, f"{len(ids):,}", ", ".join(ids[:_LISTED]) + more))
    return (Table(("Why", "Images", "Which"), tuple(rows)),)


def _made(comparison: Comparison) -> tuple[Block, ...]:
    versions = list(dict.fromkeys(key for r in comparison.everywhere for key in r.runtime))
    rows = tuple(
        (
            r.name,
            r.model.path_name,
            r.model.sha256[:16],
            r.created,
            r.edgepose,
            str(r.seed),
            *(r.runtime.get(key, cells.NONE) for key in versions),
        )
        for r in comparison.everywhere
    )
    named = {"name": "runtime", "version": "runtime version"}
    columns = ("Model", "File", "SHA-256 (first 16)", "Scored", "edgepose", "Seed")
    data = comparison.results[0].data
    return (
        Paragraph(
            f"Compared with edgepose {comparison.edgepose}. SHA-256 of the data begins with "
            f"{data.sha256[:16]}; all hashes are whole in compare.json, with every number of this report."
        ),
        Table((*columns, *(named.get(key, key) for key in versions)), rows),
        Paragraph(
            "The commands, with file names for paths. Options that results.json does not record "
            "(--limit, --fallback, --human) must be repeated where they were given."
        ),
        Commands((*map(_evaluate_command, comparison.everywhere), _compare_command(comparison))),
    )


def _evaluate_command(result: Results) -> str:
    data = result.data
    words = ["edgepose", "evaluate", result.model.path_name, "--data", data.name, "--split", data.split]
    words += ["--crop", data.crop]
    if data.crop_margin is not None:
        words += ["--margin", f"{data.crop_margin:g}"]
    words += ["--decode", result.decode, "--target", result.target, "--seed", str(result.seed)]
    words += ["--flip"] if result.model.flip else []
    words += ["--near"] if data.near_matched else []
    words += _run_conditions(result)
    return _shell([*words, "--out", "RESULTS"])


def _run_conditions(result: Results) -> list[str]:
    device, speed = result.device, result.speed
    if device is None:
        return ["--threads", str(speed.latency_ms.threads)] if speed else ["--no-speed"]
    words = ["--threads", str(device.threads)]
    words += ["--delegate", device.delegate] if device.delegate != "xnnpack" else []
    return words + (["--no-speed"] if device.not_counted == "--no-speed" else [])


def _compare_command(comparison: Comparison) -> str:
    folders = [f"RESULTS/{r.name}" for r in comparison.everywhere]
    words = ["edgepose", "compare", *folders, "--baseline", comparison.baseline]
    words += ["--margin", comparison.margin.rule] if comparison.margin else []
    words += [word for found in comparison.subgroups for word in ("--by", found.column)]
    return _shell([*words, "--overlays", comparison.overlays, "--title", comparison.title, "--out", "REPORT"])


def _shell(words: Sequence[str]) -> str:
    return " ".join(shlex.join(words).split("\n"))
