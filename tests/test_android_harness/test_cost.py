"""From the counter's lines to instructions, and from instructions to a phone's milliseconds."""

from __future__ import annotations

import pytest

from android_harness import cost
from android_harness.cost import LATENCIES, NETWORKS, PHONES, CostCalibration, ReferencePhone, estimates, fit
from android_harness.counting import CLASSES, NotCounted, made_up_input, read_counts
from android_harness.profiles import PROFILES
from android_harness.protocol import JobTensor

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


SIZES = dict.fromkeys(NETWORKS, 8_000_000)  # a millisecond's way from memory


def calibrated(rate: float, phone: ReferencePhone, **factors: float) -> CostCalibration:
    """Counts of a core that does `rate` instructions a cycle; `factors` spoil single networks."""
    row = {
        network: round(factors.get(network[10:].replace("-", "_"), 1) * rate * (ms - 1) * phone.ghz * 1e6)
        for network, ms in zip(NETWORKS, LATENCIES[phone.key], strict=True)
    }
    return CostCalibration("litert 1", SIZES, {phone.profile: row})


def test_the_fit_finds_a_cores_instructions_a_cycle() -> None:
    found = fit(PHONES[0], calibrated(1.25, PHONES[0]))
    assert found is not None
    assert found.per_cycle == pytest.approx(1.25) and found.error_percent == pytest.approx(0, abs=1e-4)


def test_the_error_is_that_of_the_network_left_out() -> None:
    found = fit(PHONES[0], calibrated(1.0, PHONES[0], v2=1.2))
    # 48 of its 49 ms are computed.
    assert found is not None and found.error_percent == pytest.approx(20 * 48 / 49, abs=0.01)


def test_nothing_is_estimated_from_half_a_calibration() -> None:
    phone = PHONES[0]
    row = dict(calibrated(1.0, phone).instructions[phone.profile])
    del row["mobilenet-v1"]
    assert fit(phone, CostCalibration("litert 1", SIZES, {phone.profile: row})) is None
    assert fit(phone, CostCalibration("litert 1", {}, {})) is None


def test_estimates_are_for_the_phones_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    phone = PHONES[0]
    monkeypatch.setattr(cost, "read_calibration", lambda: calibrated(1.0, phone))
    (found,) = estimates(phone.profile, round(phone.ghz * 1e7), 4_000_000, integer=False)
    assert found.phone == phone.name and found.ms == pytest.approx(10.5) and found.error_percent is not None
    (integer,) = estimates(phone.profile, 1000, 0, integer=True)
    assert integer.error_percent is None and "not judged on integer models" in integer.basis
    assert estimates("cortex-a53", 1000, 0, integer=False) == ()


def test_the_tables_fit_together() -> None:
    assert {phone.key for phone in PHONES} == set(LATENCIES)
    assert all(phone.profile in PROFILES for phone in PHONES)
    assert all(len(row) == len(NETWORKS) for row in LATENCIES.values())


def test_the_shipped_calibration_keeps_its_promise() -> None:
    fits = {phone.key: fit(phone) for phone in PHONES}
    errors = {key: found.error_percent for key, found in fits.items() if found is not None}
    assert errors, "run benchmarks/calibrate_cost.py"
    assert max(errors.values()) < 10, errors
