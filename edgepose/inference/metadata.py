"""What an app must know of an exported network, as the metadata in the .tflite's sidecar.

`export` writes the sidecar and treats this as opaque; here it is built, read back and checked.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from edgepose.errors import BadModel
from edgepose.inference.peers import PEERS, Peer
from edgepose.keypoint_file import BadKeypoints, set_from_plain, set_to_plain
from edgepose.keypoints import is_own, keypoint_set, remember
from edgepose.models.variants import NORMALISATIONS, Variant, variant

METADATA_VERSION = 1
OWN_KEYPOINTS = "keypoint_set"  # of a user: the whole set, beside its key
OUTPUTS = ("maps", "upscaled", "keypoints")  # of edgepose's own networks

LETTERBOX = {
    "rule": "scale the image (or the crop) to fit the input, keeping its aspect; centre it; pad with zeros "
    "before normalisation",
    "filter": "shrinking by f >= 2 starts with the mean of each floor(f) x floor(f) block; the rest is "
    "bilinear, antialiased: a triangle as wide as the remaining scale",
    "content_size": "round(scale x width), round(scale x height), at least 1",
    "offset": "(input - content) // 2, left and top",
    "padding": 0,
}
PIXELS = "continuous: pixel i covers [i, i + 1), its centre is i + 0.5; the same on maps, in cells"


@dataclass(frozen=True)
class DetectorFile:
    """A network's first stage: a file of that name in the folder `DETECTORS` beside the network's."""

    name: str
    sha256: str


DETECTORS = "detectors"


@dataclass(frozen=True)
class PoseMetadata:
    """How to feed one exported network and read its output.

    Attributes:
        network: key of the variant; None for a network of others, whose kind is its output.
        keypoints: key of the keypoint set; names and swaps stand beside it for apps.
        output: "maps" (1, h, w, K), "upscaled" (1, H, W, K) or "keypoints" (1, K, 3: x, y in input
            pixels, confidence); or the key of a `Peer`.
        output_index: which of the file's outputs that is.
        decode: the decoder the output is meant for.
        parameters, flops: of the inference graph, where known.
        detector: of a network of others that its own detector tells where to look.
    """

    network: str | None
    keypoints: str
    output: str
    output_index: int
    decode: str
    parameters: int | None
    flops: int | None
    detector: DetectorFile | None = None

    def to_json(self, edgepose: str) -> dict[str, Any]:
        """The sidecar's metadata, with all that an app needs spelt out."""
        chosen, points = _described(self), keypoint_set(self.keypoints)
        detector = {} if self.detector is None else {"detector": asdict(self.detector)}
        return {
            "metadata_version": METADATA_VERSION,
            "edgepose": edgepose,
            **{name: getattr(self, name) for name in _FIELDS},
            **detector,
            **({OWN_KEYPOINTS: set_to_plain(points)} if is_own(points.key) else {}),
            "network_name": chosen.name,
            "keypoint_names": list(points.names),
            "keypoint_swaps": list(points.swaps),
            "segments": [list(pair) for pair in points.segments],
            "normalisation": {"key": chosen.normalisation, **asdict(NORMALISATIONS[chosen.normalisation])},
            "letterbox": LETTERBOX,
            "pixels": PIXELS,
        }


_FIELDS = tuple(name for name in PoseMetadata.__dataclass_fields__ if name != "detector")


def pose_metadata(metadata: Any, where: str) -> PoseMetadata:
    """Read a sidecar's metadata back; its own keypoint set is remembered.

    Raises:
        BadModel: it is not edgepose's, or of a newer version, or names what we do not know.
        UsageError: another keypoint set of the same name was met before.
    """
    hint = "export the checkpoint again, or describe the file with `edgepose import-tflite`"
    if not isinstance(metadata, dict) or "metadata_version" not in metadata:
        raise BadModel(f"the sidecar of {where} has no pose metadata", hint)
    if metadata["metadata_version"] != METADATA_VERSION:
        raise BadModel(
            f"the sidecar of {where} has metadata version {metadata['metadata_version']!r} "
            f"and this edgepose reads {METADATA_VERSION}",
            hint,
        )
    missing = [name for name in _FIELDS if name not in metadata]
    if missing:
        raise BadModel(f"the sidecar of {where} lacks {', '.join(missing)}", hint)
    found = PoseMetadata(**{name: metadata[name] for name in _FIELDS})
    told = metadata.get("detector")
    if not _is_sound(found, told):
        raise BadModel(f"the sidecar of {where} has metadata of the wrong kind", hint)
    if OWN_KEYPOINTS in metadata:
        try:
            remember(set_from_plain(metadata[OWN_KEYPOINTS], f"the sidecar of {where}"))
        except BadKeypoints as error:
            raise BadModel(error.what, hint) from None
    chosen, points = _described(found), keypoint_set(found.keypoints)
    if metadata.get("keypoint_names") != list(points.names):
        raise BadModel(f"the sidecar of {where} names other keypoints than {points.key} has", hint)
    scale = metadata.get("normalisation", {}).get("scale")
    if scale is None or list(scale) != list(NORMALISATIONS[chosen.normalisation].scale):
        raise BadModel(f"the sidecar of {where} has another normalisation than {chosen.key} needs", hint)
    return found if told is None else replace(found, detector=DetectorFile(told["name"], told["sha256"]))


def _described(metadata: PoseMetadata) -> Variant | Peer:
    return PEERS[metadata.output] if metadata.network is None else variant(metadata.network)


def _is_sound(found: PoseMetadata, detector: Any) -> bool:
    """Whether values are of the right kind, and a network of others is told from one of edgepose's."""
    if not all(isinstance(text, str) for text in (found.keypoints, found.output, found.decode)):
        return False
    peer = PEERS.get(found.output)
    if peer is None:
        return isinstance(found.network, str) and found.output in OUTPUTS and detector is None
    named = isinstance(detector, dict) and all(isinstance(detector.get(n), str) for n in ("name", "sha256"))
    with_detector = detector is None or (peer.has_detector and named)
    return found.network is None and found.keypoints == peer.keypoints and with_detector
