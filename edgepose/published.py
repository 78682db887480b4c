"""What Groos et al. 2021 printed, to stand beside our own figures. Facts only; nothing is computed here.

Source: Groos, Adde, Støen, Ramampiaro, Ihlen: Towards human-level performance on automatic pose
estimation of infant spontaneous movements (2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PAPER = "Groos et al. 2021"
TEST_SET = "In-Motion Poses, test set of 4,024 frames"
TRANSFER_SET = "MINI-RGBD, 12 keypoints, networks trained on In-Motion Poses"
TRAINING_IMAGES = 14_483

# The paper's name for OpenPose as its authors' library ships it, without training on infants.
LIBRARY = "openpose-library"
LIBRARY_NAME = "OpenPose library"


@dataclass(frozen=True)
class PublishedScores:
    """One row of PCKh and ME.

    Attributes:
        pckh: percent at thresholds 1.0, 0.5, 0.3, 0.2, 0.1 head lengths.
        me: mean error, head lengths.
    """

    pckh: tuple[float, float, float, float, float]
    me: float

    @property
    def values(self) -> Mapping[str, float]:
        """By the keys of `results.METRICS`."""
        keys = ("pckh@1.0", "pckh@0.5", "pckh@0.3", "pckh@0.2", "pckh@0.1", "me")
        return dict(zip(keys, (*self.pckh, self.me), strict=True))


@dataclass(frozen=True)
class PublishedAgreement:
    """ICC of a network's mean errors with the inter-rater spread: value, low and high of the interval."""

    a1: tuple[float, float, float]
    c1: tuple[float, float, float]


@dataclass(frozen=True)
class PaperRow:
    """One row of Table 1 of Groos et al. 2021."""

    network: str
    """Key of the network."""
    resolution: int
    """Input height and width, px."""
    pckh: tuple[float, float, float, float, float]
    """Percent at 1.0, 0.5, 0.3, 0.2 and 0.1 head lengths."""
    me: float
    """Mean error, head lengths."""
    parameters: int
    """All parameters of the network with 19 keypoints."""
    flops: int
    """TensorFlow profiler's count at batch 1."""

    @property
    def scores(self) -> Mapping[str, float]:
        """The same scores by the keys of `results.METRICS`."""
        thresholds = ("1.0", "0.5", "0.3", "0.2", "0.1")
        return {
            **{f"pckh@{t}": value for t, value in zip(thresholds, self.pckh, strict=True)},
            "me": self.me,
        }


TABLE_1_SOURCE = f"{PAPER}, Table 1 (In-Motion Poses, test set of 4,024 frames, 19 keypoints)"
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

# Table 1's row that is no network of ours, and its last column: median of 10 runs at batch 128 on a
# GTX 1080 Ti, in ms.
TABLE_1_LIBRARY = PublishedScores((96.99, 95.51, 90.90, 81.49, 49.66), 0.1432)
TABLE_1_LATENCY_MS = {
    LIBRARY: 62.33,
    "openpose": 35.21,
    "cima": 11.49,
    "rt": 5.06,
    "i": 7.05,
    "ii": 19.38,
    "iii": 41.92,
    "iv": 96.48,
    "b4": 47.01,
}

# Table 2: the spread of ten human raters by keypoint, H and H^0.95, in head lengths.
TABLE_2_HUMAN = {
    "head_top": (0.0554, 0.1158),
    "nose": (0.0301, 0.0574),
    "right_ear": (0.0603, 0.1906),
    "left_ear": (0.0502, 0.1364),
    "upper_neck": (0.0527, 0.1212),
    "right_shoulder": (0.0531, 0.1106),
    "right_elbow": (0.0429, 0.0956),
    "right_wrist": (0.0386, 0.0851),
    "upper_chest": (0.0643, 0.1200),
    "left_shoulder": (0.0576, 0.1204),
    "left_elbow": (0.0418, 0.0959),
    "left_wrist": (0.0388, 0.0901),
    "mid_pelvis": (0.0781, 0.1587),
    "right_pelvis": (0.0812, 0.1553),
    "right_knee": (0.0549, 0.1119),
    "right_ankle": (0.0417, 0.0902),
    "left_pelvis": (0.0828, 0.1603),
    "left_knee": (0.0489, 0.1049),
    "left_ankle": (0.0408, 0.0861),
}

# Table 2: PCKh@Human^0.95, percent, of these networks by keypoint; the last row as printed.
TABLE_2_NETWORKS = ("openpose", "cima", "iii", "b4")
TABLE_2 = {
    "head_top": (60.39, 57.60, 81.59, 89.31),
    "nose": (32.03, 42.89, 74.48, 82.41),
    "right_ear": (88.57, 92.40, 94.41, 92.00),
    "left_ear": (73.31, 77.49, 88.54, 89.04),
    "upper_neck": (80.67, 83.23, 88.77, 89.19),
    "right_shoulder": (62.97, 73.14, 85.71, 86.63),
    "right_elbow": (52.81, 71.00, 81.71, 86.73),
    "right_wrist": (45.43, 60.93, 80.14, 82.60),
    "upper_chest": (69.38, 72.44, 77.31, 79.42),
    "left_shoulder": (63.25, 60.71, 88.07, 88.74),
    "left_elbow": (48.19, 46.92, 82.50, 85.69),
    "left_wrist": (48.83, 52.44, 79.08, 84.74),
    "mid_pelvis": (82.75, 82.50, 86.43, 90.01),
    "right_pelvis": (78.31, 80.89, 87.30, 88.72),
    "right_knee": (66.58, 77.24, 86.63, 89.02),
    "right_ankle": (51.07, 60.21, 75.47, 80.79),
    "left_pelvis": (79.25, 77.53, 88.07, 90.31),
    "left_knee": (49.06, 48.29, 88.22, 89.71),
    "left_ankle": (45.75, 47.24, 75.70, 82.38),
    "all": (62.03, 66.58, 81.59, 86.71),
}
# Network, figure printed for "all", and the mean over the network's keypoints: the print repeats its head
# top's 81.59. In the other columns the printed figure is that mean.
TABLE_2_MISPRINT = ("iii", 81.59, 83.69)

# Table 3: ICC(A,1) and ICC(C,1), with 95 % confidence intervals.
TABLE_3 = {
    "openpose": PublishedAgreement((0.00, -0.03, 0.07), (0.02, -0.43, 0.46)),
    "cima": PublishedAgreement((0.08, -0.04, 0.32), (0.45, 0.01, 0.75)),
    "iii": PublishedAgreement((0.47, -0.03, 0.84), (0.94, 0.85, 0.98)),
    "b4": PublishedAgreement((0.64, -0.03, 0.91), (0.96, 0.91, 0.99)),
}

# Table 5: networks trained with a batch of 4.
TABLE_5 = {
    "rt": PublishedScores((99.80, 99.32, 92.93, 72.50, 27.88), 0.1717),
    "i": PublishedScores((99.94, 99.66, 97.22, 85.42, 38.38), 0.1311),
    "ii": PublishedScores((99.98, 99.78, 98.01, 89.85, 49.73), 0.1137),
    "iii": PublishedScores((99.99, 99.94, 99.47, 96.48, 67.01), 0.0884),
}

# Table 6: networks trained on In-Motion Poses, on MINI-RGBD: 12 keypoints, l = 2 x |nose - upper neck|.
TABLE_6 = {
    LIBRARY: PublishedScores((98.35, 97.02, 94.47, 90.75, 73.80), 0.1030),
    "openpose": PublishedScores((88.59, 79.59, 71.77, 62.27, 38.41), 0.3926),
    "cima": PublishedScores((95.72, 88.99, 81.27, 71.83, 46.68), 0.2415),
    "rt": PublishedScores((94.98, 91.28, 86.91, 79.98, 53.83), 0.2135),
    "i": PublishedScores((93.13, 91.09, 88.16, 81.98, 56.19), 0.2772),
    "ii": PublishedScores((92.49, 90.41, 87.41, 80.57, 54.60), 0.3263),
    "iii": PublishedScores((83.79, 81.45, 79.60, 76.06, 58.56), 0.8559),
    "iv": PublishedScores((93.02, 91.15, 89.05, 86.14, 71.35), 0.2565),
    "b4": PublishedScores((99.81, 99.17, 97.52, 94.13, 75.86), 0.0845),
}


def table_2(network: str) -> Mapping[str, float]:
    """A column of Table 2: percent by keypoint, and "all"; the misprint is put right."""
    column = TABLE_2_NETWORKS.index(network)
    found = {name: row[column] for name, row in TABLE_2.items()}
    key, _, mean = TABLE_2_MISPRINT
    return {**found, "all": mean} if network == key else found
