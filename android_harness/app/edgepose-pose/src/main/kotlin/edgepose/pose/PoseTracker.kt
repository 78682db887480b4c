package edgepose.pose

/**
 * The poses of one stream of frames, smoothed over time. One thread at a time.
 *
 * All frames of a stream have one size and rotation: where the device is turned or the camera
 * changed, call [reset].
 *
 * @param minConfidence keypoints below it are left out (null), and begin anew when they come back
 * @param smoothing null for none
 */
class PoseTracker(
    private val model: PoseModel,
    private val minConfidence: Float = 0f,
    private val smoothing: Smoothing? = Smoothing(),
) {
    private class Track(val x: OneEuro, val y: OneEuro, var lastNs: Long)

    private val tracks = arrayOfNulls<Track>(model.manifest.keypointNames.size)
    private var shape: List<Int>? = null
    private var lastNs = 0L

    /**
     * The next frame's pose; keypoints in the manifest's order, null where the model is not sure
     * enough.
     *
     * @param timeNs of the frame's exposure, such as Image.getTimestamp
     * @throws FrameChanged another size or rotation than before, or a time that is not later
     */
    fun mark(frame: Frame, timeNs: Long): List<Keypoint?> {
        val seen = listOf(frame.width, frame.height, frame.rotation)
        shape?.let { before ->
            if (before != seen)
                throw FrameChanged(
                    "frames were ${words(before)} and this one is ${words(seen)}: call reset() first"
                )
            if (timeNs <= lastNs)
                throw FrameChanged(
                    "a frame of $timeNs ns after one of $lastNs ns: give frames in their order"
                )
        }
        val pose = model.mark(frame)
        shape = seen
        lastNs = timeNs
        return pose.keypoints.mapIndexed { k, point ->
            smoothed(k, point, maxOf(pose.imageWidth, pose.imageHeight), timeNs)
        }
    }

    /** Begin anew, with any size and rotation. */
    fun reset() {
        tracks.fill(null)
        shape = null
    }

    private fun smoothed(k: Int, point: Keypoint, size: Int, timeNs: Long): Keypoint? {
        if (point.confidence < minConfidence) {
            tracks[k] = null
            return null
        }
        val how = smoothing ?: return point
        val known = tracks[k]?.takeIf { timeNs - it.lastNs <= how.longestGapNs }
        val track = known ?: Track(OneEuro(how), OneEuro(how), timeNs).also { tracks[k] = it }
        val seconds = (timeNs - track.lastNs) / 1e9
        track.lastNs = timeNs
        return point.copy(
            x = track.x.next(point.x / size, seconds) * size,
            y = track.y.next(point.y / size, seconds) * size,
        )
    }

    private fun words(shape: List<Int>) = "${shape[0]} x ${shape[1]} pixels turned by ${shape[2]}"
}
