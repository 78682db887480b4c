package edgepose.pose

import kotlin.math.PI
import kotlin.math.abs

/**
 * How strongly keypoints are smoothed over time: the one-euro filter of Casiez, Roussel and Vogel
 * (CHI 2012).
 *
 * Speeds count in image sizes (the longer side) a second, so the same numbers suit every
 * resolution. What the defaults take out, and what they cost: docs/app.md.
 *
 * @property minCutoffHz what passes while nothing moves: lower is smoother and lags more
 * @property beta how much the cutoff rises with the speed, Hz by image sizes a second
 * @property speedCutoffHz for the speed's own filter
 * @property longestGapNs a keypoint that was away for longer begins anew, so that nothing is
 *   smoothed over a gap
 */
class Smoothing(
    val minCutoffHz: Double = 5.0,
    val beta: Double = 150.0,
    val speedCutoffHz: Double = 1.0,
    val longestGapNs: Long = 200_000_000,
) {
    init {
        require(minCutoffHz > 0 && beta >= 0 && speedCutoffHz > 0 && longestGapNs > 0) {
            "a smoothing takes cutoffs and a gap above 0, and a beta of 0 or more"
        }
    }
}

/** One coordinate through time; the first value passes unchanged. */
internal class OneEuro(private val how: Smoothing) {
    private var last = 0.0 // as it came
    private var smooth = 0.0
    private var speed = 0.0
    private var started = false

    /** @param seconds since the value before */
    fun next(value: Double, seconds: Double): Double {
        if (!started) {
            started = true
            smooth = value
        } else {
            val raw = (value - last) / seconds
            speed += share(how.speedCutoffHz, seconds) * (raw - speed)
            smooth += share(how.minCutoffHz + how.beta * abs(speed), seconds) * (value - smooth)
        }
        last = value
        return smooth
    }

    /** What a new value counts for beside the old ones, in a first-order low-pass. */
    private fun share(cutoffHz: Double, seconds: Double): Double {
        val turn = 2 * PI * cutoffHz * seconds
        return turn / (turn + 1)
    }
}
