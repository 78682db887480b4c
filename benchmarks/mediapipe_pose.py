"""MediaPipe's own Python solution on a video, from file to landmarks, for `benchmarks/bench.py`; prints JSON.

    /path/to/another/venv/bin/python benchmarks/mediapipe_pose.py clip.mp4 1

Runs in an environment of its own, with `pip install mediapipe==0.10.14`, and imports nothing of edgepose.
The second argument is its model_complexity: 0 lite, 1 full; a third, how many frames at most. It decodes with
OpenCV, as its documentation does, and tracks: its detector runs only where the pose is lost. Its package
brings the full network alone and fetches lite at first use; where there is no network, put
`pose_landmark_lite.tflite` into its folder `mediapipe/modules/pose_landmark` by hand.
"""

import json
import os
import sys
import time

import cv2
import mediapipe


def main() -> None:
    path, complexity = sys.argv[1], int(sys.argv[2])
    most = float(sys.argv[3]) if len(sys.argv) > 3 else float("inf")
    before, started = time.process_time(), time.perf_counter()
    video, frames, found = cv2.VideoCapture(path), 0, 0
    with mediapipe.solutions.pose.Pose(model_complexity=complexity, smooth_landmarks=True) as pose:
        while frames < most:
            good, image = video.read()
            if not good:
                break
            frames += 1
            found += pose.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).pose_landmarks is not None
    wall, cpu = time.perf_counter() - started, time.process_time() - before
    print(
        json.dumps(
            {
                "version": mediapipe.__version__,
                "frames": frames,
                "found": found,
                "frames_per_s": round(frames / wall, 2),
                "cpu_ms_per_frame": round(1000 * cpu / frames, 2),
                "cores": os.cpu_count(),
            }
        )
    )


if __name__ == "__main__":
    main()
