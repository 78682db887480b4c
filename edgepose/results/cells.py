"""Numbers as a report shows them."""

from __future__ import annotations

from edgepose.results.results import METRICS, Metric, Results

MINUS, NONE = "−", "–"


def number(value: float | None, digits: int) -> str:
    """With a true minus sign and grouped thousands; a dash where there is no number."""
    return NONE if value is None else f"{value:,.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int) -> str:
    """As `number`, with its sign."""
    if value is None:
        return NONE
    text = f"{value:+,.{digits}f}".replace("-", MINUS)
    return text[1:] if float(f"{value:.{digits}f}") == 0 else text


def score(metric: Metric, value: float | None, interval: tuple[float, float] | None = None) -> str:
    """A score and, in brackets, its interval."""
    text = number(value, metric.digits)
    if interval is None:
        return text
    return f"{text} [{number(interval[0], metric.digits)}, {number(interval[1], metric.digits)}]"


def triple(value: tuple[float, float, float] | None) -> str:
    """A coefficient and, in brackets, its interval."""
    if value is None:
        return NONE
    v, low, high = (number(x, 2) for x in value)
    return f"{v} [{low}, {high}]"


def overall(result: Results, key: str) -> str:
    """A row's overall score with its interval."""
    facts = result.metrics.overall
    return score(METRICS[key], facts.scores[key], facts.intervals.get(key))


def heading(key: str) -> str:
    """A metric's column heading, with its unit."""
    return f"{METRICS[key].label}, {METRICS[key].unit}"


def megabytes(value: int | None) -> str:
    """Bytes as MB of 10^6 bytes, three decimals, so that kilobytes show."""
    return NONE if value is None else number(value / 1e6, 3)


def conditions(result: Results) -> str:
    """Where and how a row was timed: target, processor, runtime with its version, threads."""
    if result.speed is None:
        return "not timed"
    threads = result.speed.latency_ms.threads
    runtime = f"{result.runtime['name']} {result.runtime['version']}"
    plural = "" if threads == 1 else "s"
    return f"{result.target}, {result.speed.processor}, {runtime}, {threads} thread{plural}, batch 1"
