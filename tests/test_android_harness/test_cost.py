"""From the counter's lines to instructions, and from instructions to a phone's milliseconds."""

from __future__ import annotations

import pytest

from android_harness import cost
from android_harness.cost import MOST_ERROR_PERCENT, CostCalibration, CountedNetwork, estimates, fit
from android_harness.counting import CLASSES, NotCounted, made_up_input, read_counts
from android_harness.profiles import PROFILES
from android_harness.protocol import JobTensor
from android_harness.published_latencies import (
    FORMATS,
    FP32,
    INT8,
    PHONES,
    TABLES,
    XNNPACK,
    LatencyTable,
)
from edgeio import UnknownName

LINES = """-1 12 4 4 2 0 0 2
0 9999 9999 0 0 0 0 0
-1 10 3 3 2 0 0 2
1 1011 404 203 102 200 100 2
-1 10 3 3 2 0 0 2
2 1010 403 203 102 200 100 2
-1 10 3 3 2 0 0 2
3 1015 408 203 102 200 100 2
"""


def test_the_median_run_counts_less_what_the_marks_cost() -> None:
    found = read_counts(LINES)
    assert found.per_inference == 1001
    assert found.classes == dict(zip(CLASSES, (401, 200, 100, 200, 100, 0), strict=True))
    assert sum(found.classes.values()) == found.per_inference
    assert found.spread == pytest.approx(5 / 1001) and found.runs == 3


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", LINES.rsplit("\n", 2)[0], LINES.replace("-1 ", "0 "), LINES.replace(" 2\n", "\n")],
)
def test_a_damaged_count_is_no_count(text: str) -> None:
    with pytest.raises(NotCounted):
        read_counts(text)


def test_the_made_up_input_is_the_same_every_time() -> None:
    for tensor in (JobTensor("int8", (1, 4, 4, 3), 0.1, 0), JobTensor("float32", (1, 4, 4, 3), 0.0, 0)):
        data = made_up_input(tensor)
        assert len(data) == tensor.size_bytes and data == made_up_input(tensor) and len(set(data)) > 10


def table(form: str = FP32, phone: str = "pixel", **ms: float) -> LatencyTable:
    return LatencyTable(phone, form, XNNPACK, ms or {"a": 81.0, "b": 49.0, "c": 13.0}, "a page")


def counted(rate: float, published: LatencyTable, **factors: float) -> CostCalibration:
    """Counts of a core that does `rate` instructions a cycle; `factors` spoil single networks. Each takes a
    millisecond for its way from memory."""
    phone = PHONES[published.phone]
    row = {
        network: CountedNetwork(
            8_000_000, {phone.profile: round(factors.get(network, 1) * rate * (ms - 1) * phone.ghz * 1e6)}
        )
        for network, ms in published.ms.items()
    }
    return CostCalibration("litert 1", {published.form: row})


def test_the_fit_finds_a_cores_instructions_a_cycle() -> None:
    found = fit(table(), counted(1.25, table()))
    assert found is not None
    assert found.per_cycle == pytest.approx(1.25) and found.error_percent == pytest.approx(0, abs=1e-4)


def test_the_error_is_that_of_the_network_left_out() -> None:
    found = fit(table(), counted(1.0, table(), b=1.2))
    # 48 of its 49 ms are computed; it runs more instructions a cycle than the others, which call it too slow.
    assert found is not None and found.errors_percent["b"] == pytest.approx(20 * 48 / 49, abs=0.01)
    assert found.errors_percent["a"] < 0 and found.error_percent == found.errors_percent["b"]


def test_nothing_is_fitted_to_half_a_table_or_to_two_networks() -> None:
    whole = counted(1.0, table())
    networks = {FP32: {n: row for n, row in whole.networks[FP32].items() if n != "b"}}
    assert fit(table(), CostCalibration("litert 1", networks)) is None
    assert fit(table(a=81.0, b=49.0), whole) is None
    assert fit(table(INT8), whole) is None and fit(table(phone="mi-9"), whole) is None


def test_estimates_are_for_the_phones_of_the_processor_and_the_format(monkeypatch) -> None:
    tables = (table(), table(INT8), table(phone="mi-9"))
    monkeypatch.setattr(cost, "TABLES", tables)
    known = counted(1.0, tables[0])
    monkeypatch.setattr(cost, "read_calibration", lambda: known)
    (found,) = estimates("cortex-a72", round(PHONES["pixel"].ghz * 1e7), 4_000_000, FP32)
    assert (found.phone, found.runtime) == ("Pixel", XNNPACK) and found.ms == pytest.approx(10.5)
    assert estimates("cortex-a72", 1000, 0, INT8) == estimates("cortex-a53", 1000, 0, FP32) == ()
    with pytest.raises(UnknownName, match="fp32, int8"):
        estimates("cortex-a72", 1000, 0, "fp64")


def test_an_estimate_that_errs_too_much_is_none_and_says_by_how_much(monkeypatch) -> None:
    monkeypatch.setattr(cost, "TABLES", (table(),))
    for factor, sound in ((1.14, True), (1.17, False)):
        known = counted(1.0, table(), b=factor)
        monkeypatch.setattr(cost, "read_calibration", lambda known=known: known)
        (found,) = estimates("cortex-a72", 10_000_000, 0, FP32)
        assert (found.ms is not None) == sound == (found.error_percent <= MOST_ERROR_PERCENT)


def test_every_table_is_of_a_known_phone_and_format_and_says_where_it_stands() -> None:
    for published in TABLES:
        assert PHONES[published.phone].profile in PROFILES and published.form in FORMATS
        assert published.source and published.runtime and all(ms > 0 for ms in published.ms.values())
    assert len({(t.phone, t.form, t.runtime) for t in TABLES}) == len(TABLES)


def test_the_package_comes_with_fits_of_int8_and_fp32_and_leaves_those_out_that_err() -> None:
    found = {(t.phone, t.form): fit(t) for t in TABLES}
    assert {form for (_, form), fitted in found.items() if fitted} == set(FORMATS)
    errors = {key: fitted.error_percent for key, fitted in found.items() if fitted}
    # XNNPACK's own figures fit best; Paddle-Lite's of in-order cores do not.
    assert errors["pixel", FP32] < 2 and errors["pixel-2", FP32] < 7 and errors["pixel-3a", FP32] < 7
    assert errors["redmi-6-pro", INT8] > MOST_ERROR_PERCENT
    assert found["pixel-2-little", INT8] is None
    assert all(0.4 < fitted.per_cycle < 3 for fitted in found.values() if fitted)
