"""How a network's numbers are stored and computed: the table of recipes."""

from __future__ import annotations

from dataclasses import dataclass

from edgeio import lookup


@dataclass(frozen=True)
class Tolerance:
    """What an export of a recipe may differ from its float model on real inputs.

    Attributes:
        max_abs: largest absolute difference of any output value, or None where only the SNR is judged.
        snr_db: lowest signal-to-noise ratio, 10 log10(sum y^2 / sum (y - y')^2).
    """

    max_abs: float | None
    snr_db: float


@dataclass(frozen=True)
class Recipe:
    """One way to store and compute a network.

    Attributes:
        key: its one name, as in `--recipe int8`.
        weights, activations: their types in the file.
        calibrated: whether sample inputs set the ranges of the activations.
        tolerance: of a healthy export; below it `validate` gives a bad verdict.
        description: for reports.
        simulated: whether the model brings its own quantizers, with their ranges.
        float_arithmetic: whether the weights become float when the model is opened, and all is computed as
            in the float model.
    """

    key: str
    weights: str
    activations: str
    calibrated: bool
    tolerance: Tolerance
    description: str
    simulated: bool = False
    float_arithmetic: bool = False

    @property
    def is_integer(self) -> bool:
        """Whether every activation is an integer."""
        return self.activations != "float32"

    @property
    def only_stores_int8(self) -> bool:
        """Whether 8 bits are in the file alone."""
        return self.weights == "int8" and self.float_arithmetic


RECIPES = {
    r.key: r
    for r in (
        Recipe(
            "fp32",
            "float32",
            "float32",
            False,
            Tolerance(1e-4, 80),
            "float weights and activations",
            float_arithmetic=True,
        ),
        Recipe(
            "fp16",
            "float16",
            "float32",
            False,
            Tolerance(1e-2, 30),
            "weights stored as float16",
            float_arithmetic=True,
        ),
        Recipe(
            "weights-int8",
            "int8",
            "float32",
            False,
            Tolerance(None, 15),
            "weights stored in 8 bits, float arithmetic",
            float_arithmetic=True,
        ),
        Recipe(
            "dynamic",
            "int8",
            "float32",
            False,
            Tolerance(None, 15),
            "int8 weights, activations rounded to 8 bits as it runs",
        ),
        Recipe("int8", "int8", "int8", True, Tolerance(None, 15), "full integer, int8 input and output"),
        Recipe("int16x8", "int8", "int16", True, Tolerance(None, 20), "int8 weights, int16 activations"),
    )
}

# Of models that simulate their own rounding; any other model would come out in float by these.
SIMULATED_RECIPES = {
    r.key: r
    for r in (
        Recipe("int8-ptq", "int8", "int8", False, Tolerance(None, 15), "full integer, chosen ranges", True),
        Recipe("int8-mixed", "int8", "int8", False, Tolerance(None, 15), "named layers left in float", True),
        Recipe("int8-qat", "int8", "int8", False, Tolerance(None, 15), "full integer, trained for it", True),
    )
}


def recipe(key: str) -> Recipe:
    """The recipe called `key`; raises UnknownName."""
    return lookup(RECIPES, "recipe", key)
