package edgepose.pose

import kotlin.math.ln
import kotlin.math.log2
import kotlin.math.roundToInt

/** The model's output to keypoints: x and y in pixels of the model's input, and how sure it is. */
internal interface Decoder {
    val keypoints: Int

    /** @param values of the whole output; fills [x], [y] and [confidence], one for each keypoint */
    fun decode(values: FloatArray, x: DoubleArray, y: DoubleArray, confidence: FloatArray)

    companion object {
        const val IN_GRAPH = "in-graph"
        val KNOWN = listOf("argmax", "soft-argmax", "taylor", "upsampled-argmax", IN_GRAPH)
    }
}

/** The model's own: (1, K, 3) of x, y and confidence. */
internal class InGraph(override val keypoints: Int) : Decoder {
    override fun decode(
        values: FloatArray,
        x: DoubleArray,
        y: DoubleArray,
        confidence: FloatArray,
    ) {
        for (k in 0 until keypoints) {
            x[k] = values[3 * k].toDouble()
            y[k] = values[3 * k + 1].toDouble()
            confidence[k] = values[3 * k + 2]
        }
    }
}

/**
 * The peak of each map, as the manifest's `output.decode.rule` says it; on maps, cell j covers [j,
 * j + 1).
 *
 * @param cellWidth of a cell, in pixels of the input
 */
internal class MapDecoder(
    private val name: String,
    private val height: Int,
    private val width: Int,
    override val keypoints: Int,
    private val cellWidth: Double,
    private val cellHeight: Double,
) : Decoder {
    private val map = FloatArray(height * width)

    override fun decode(
        values: FloatArray,
        x: DoubleArray,
        y: DoubleArray,
        confidence: FloatArray,
    ) {
        for (k in 0 until keypoints) {
            for (i in map.indices) map[i] = values[i * keypoints + k]
            val peak = highest(map)
            val found =
                when (name) {
                    "argmax" -> centre(peak % width, peak / width)
                    "soft-argmax" -> centreOfMass(peak % width, peak / width)
                    "taylor" -> taylor(peak % width, peak / width)
                    else -> enlarged()
                }
            x[k] = found.first.coerceIn(0.0, width.toDouble()) * cellWidth
            y[k] = found.second.coerceIn(0.0, height.toDouble()) * cellHeight
            confidence[k] = map[peak]
        }
    }

    private fun centre(column: Int, row: Int) = column + 0.5 to row + 0.5

    /** The centre of mass of the 5 x 5 cells about the peak, negative values left out. */
    private fun centreOfMass(column: Int, row: Int): Pair<Double, Double> {
        var total = 0.0
        var across = 0.0
        var down = 0.0
        for (dy in -2..2) for (dx in -2..2) {
            if (row + dy !in 0 until height || column + dx !in 0 until width) continue
            val weight = maxOf(map[(row + dy) * width + column + dx], 0f).toDouble()
            total += weight
            across += weight * dx
            down += weight * dy
        }
        total = maxOf(total, 1e-12)
        return column + 0.5 + across / total to row + 0.5 + down / total
    }

    /**
     * The top of the paraboloid through the logarithm of the 3 x 3 cells about the peak (DARK,
     * Zhang et al. 2020).
     */
    private fun taylor(column: Int, row: Int): Pair<Double, Double> {
        if (minOf(width, height) < 3) return centre(column, row)
        val middleX = column.coerceIn(1, width - 2)
        val middleY = row.coerceIn(1, height - 2)
        val top = maxOf(map[row * width + column], 1e-12f)
        fun log(dx: Int, dy: Int): Double =
            ln(maxOf(map[(middleY + dy) * width + middleX + dx] / top, 1e-8f).toDouble())
        val gx = (log(1, 0) - log(-1, 0)) / 2
        val gy = (log(0, 1) - log(0, -1)) / 2
        val dxx = log(-1, 0) + log(1, 0) - 2 * log(0, 0)
        val dyy = log(0, -1) + log(0, 1) - 2 * log(0, 0)
        val dxy = (log(1, 1) + log(-1, -1) - log(-1, 1) - log(1, -1)) / 4
        val determinant = dxx * dyy - dxy * dxy
        if (determinant <= 1e-9 || dxx >= 0) return centre(column, row)
        val stepX = (dxy * gy - dyy * gx) / determinant + middleX - column
        val stepY = (dxy * gx - dxx * gy) / determinant + middleY - row
        return column + 0.5 + stepX.coerceIn(-0.5, 0.5) to row + 0.5 + stepY.coerceIn(-0.5, 0.5)
    }

    /** The highest pixel of the map enlarged to the input's size. */
    private fun enlarged(): Pair<Double, Double> {
        var values = map
        var rows = height
        var columns = width
        repeat(log2(cellHeight).roundToInt()) {
            values = doubled(values, rows, columns, columns, 1)
            rows *= 2
        }
        repeat(log2(cellWidth).roundToInt()) {
            values = doubled(values, columns, rows, 1, columns)
            columns *= 2
        }
        val peak = highest(values)
        return (peak % columns + 0.5) * width / columns to (peak / columns + 0.5) * height / rows
    }

    /**
     * One axis at twice its length: the taps 0.25, 0.75, 0.75, 0.25 at stride 2, fading to 0 beyond
     * the ends.
     *
     * @param length of the axis that grows, its neighbours [step] apart
     * @param lines of the other axis, [lineStep] apart in the source
     */
    private fun doubled(
        from: FloatArray,
        length: Int,
        lines: Int,
        step: Int,
        lineStep: Int,
    ): FloatArray {
        val made = FloatArray(2 * from.size)
        val madeLineStep = if (step == 1) 2 * lineStep else lineStep
        for (line in 0 until lines) for (i in 0 until 2 * length) {
            val near = i / 2
            val far = if (i % 2 == 0) near - 1 else near + 1
            val beside = if (far in 0 until length) from[line * lineStep + far * step] else 0f
            made[line * madeLineStep + i * step] =
                0.75f * from[line * lineStep + near * step] + 0.25f * beside
        }
        return made
    }
}

/** The first of the highest. */
private fun highest(values: FloatArray): Int {
    var best = 0
    for (i in 1 until values.size) if (values[i] > values[best]) best = i
    return best
}
