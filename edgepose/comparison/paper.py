"""Table 1 of the paper, to stand beside our own measurements.

Source: Groos, Adde, Støen, Ramampiaro, Ihlen: Towards human-level performance on automatic pose
estimation of infant spontaneous movements (2021), Table 1: test set of In-Motion Poses, 4,024 frames,
19 keypoints. Latency is the median of 10 runs at batch 128 on a GTX 1080 Ti, so it says nothing of a
phone and is left out here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SOURCE = "Groos et al. 2021, Table 1 (In-Motion Poses, test set of 4,024 frames, 19 keypoints)"


@dataclass(frozen=True)
class PaperRow:
    """One row of Table 1.

    Attributes:
        network: key of the network.
        resolution: input height and width, px.
        pckh: percent at thresholds 1.0, 0.5, 0.3, 0.2, 0.1 head lengths.
        me: mean error, head lengths.
        parameters: all parameters of the network with 19 keypoints.
        flops: TensorFlow profiler's count at batch 1.
    """

    network: str
    resolution: int
    pckh: tuple[float, float, float, float, float]
    me: float
    parameters: int
    flops: int

    @property
    def scores(self) -> Mapping[str, float]:
        """The same scores by the keys of `results.METRICS`."""
        thresholds = ("1.0", "0.5", "0.3", "0.2", "0.1")
        return {
            **{f"pckh@{t}": value for t, value in zip(thresholds, self.pckh, strict=True)},
            "me": self.me,
        }


TABLE_1 = {
    row.network: row
    for row in (
        PaperRow("openpose", 368, (99.94, 99.61, 97.65, 90.40, 54.89), 0.1087, 26_011_743, 161_077_013_640),
        PaperRow("cima", 368, (99.98, 99.83, 98.74, 93.09, 59.69), 0.0988, 2_380_495, 15_645_092_494),
        PaperRow("rt", 224, (99.96, 99.69, 98.15, 92.15, 58.71), 0.1022, 481_336, 955_490_248),
        PaperRow("i", 256, (99.98, 99.83, 98.81, 93.68, 60.78), 0.0974, 743_476, 1_785_432_722),
        PaperRow("ii", 368, (99.97, 99.84, 98.54, 92.41, 62.25), 0.0969, 1_759_372, 7_944_292_598),
        PaperRow("iii", 480, (99.99, 99.94, 99.54, 97.57, 78.21), 0.0732, 3_258_888, 23_777_830_318),
        PaperRow("iv", 600, (99.98, 99.93, 99.45, 96.77, 71.10), 0.0834, 6_595_430, 73_621_311_041),
        PaperRow("b4", 608, (99.99, 99.95, 99.56, 97.67, 81.11), 0.0681, 18_699_936, 27_009_544_472),
    )
}
