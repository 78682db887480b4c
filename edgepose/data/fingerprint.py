"""What a data set is, as one hash: two runs over the same hash saw the same images and annotations."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from edgeio import sha256_file
from edgepose.data.records import PoseRecord


def data_sha256(records: Sequence[PoseRecord], workers: int = 2) -> str:
    """Hash over ids, videos, annotations and the images' bytes; an unreadable image counts as absent."""

    def one(record: PoseRecord) -> bytes:
        digest = hashlib.sha256(f"{record.id}\0{record.video}\0{record.head_length_px}\0".encode())
        digest.update(np.ascontiguousarray(record.keypoints_px, np.float64).tobytes())
        try:
            digest.update(sha256_file(record.image).encode())
        except OSError:
            digest.update(b"absent")
        return digest.digest()

    with ThreadPoolExecutor(workers) as pool:
        return hashlib.sha256(b"".join(pool.map(one, records))).hexdigest()
