package edgepose.pose

import kotlin.math.round

/**
 * Where an image lies on the model's input: scaled to fit, centred, padded with zeros.
 *
 * Coordinates are continuous: pixel i covers [i, i + 1), so scaling by s scales every coordinate by
 * s.
 *
 * @property contentWidth of the scaled image, whole pixels of the input
 * @property left of the scaled image on the input
 */
class Letterbox(
    val imageWidth: Int,
    val imageHeight: Int,
    val inputWidth: Int,
    val inputHeight: Int,
) {
    val contentWidth: Int
    val contentHeight: Int

    init {
        val scale = minOf(inputHeight / imageHeight.toDouble(), inputWidth / imageWidth.toDouble())
        contentWidth = round(imageWidth * scale).toInt().coerceIn(1, inputWidth)
        contentHeight = round(imageHeight * scale).toInt().coerceIn(1, inputHeight)
    }

    val left: Int = (inputWidth - contentWidth) / 2
    val top: Int = (inputHeight - contentHeight) / 2

    /** From the input's pixels to the image's. */
    fun imageX(inputX: Double): Double = (inputX - left) * imageWidth / contentWidth

    fun imageY(inputY: Double): Double = (inputY - top) * imageHeight / contentHeight

    /** Bytes that [draw] takes for a while. */
    internal val bytes: Long
        get() = 3 * (2L * imageWidth * imageHeight + 2L * inputWidth * inputHeight)

    /**
     * The image on the input, inputWidth x inputHeight x 3 bytes.
     *
     * Shrinking by two or more starts with the mean of whole blocks of pixels; the rest is a
     * triangle as wide as the remaining scale asks for, along rows and then along columns, in the
     * same fixed-point steps as Pillow's: the training and the golden vectors were made with those,
     * and here not one grey level may differ.
     */
    internal fun draw(rgb: ByteArray): ByteArray {
        val across = (imageWidth / contentWidth.toDouble()).toInt().coerceAtLeast(1)
        val down = (imageHeight / contentHeight.toDouble()).toInt().coerceAtLeast(1)
        val small = if (across > 1 || down > 1) blockMeans(rgb, across, down) else rgb
        val width = ceilDivide(imageWidth, across)
        val height = ceilDivide(imageHeight, down)
        // The last block may reach outside the image, and what is resampled ends where the image
        // does, in floats.
        val columns =
            Triangle(width, (imageWidth / across.toDouble()).toFloat().toDouble(), contentWidth)
        val rows =
            Triangle(height, (imageHeight / down.toDouble()).toFloat().toDouble(), contentHeight)
        val narrow = if (columns.needed) columns.alongRows(small, width, height) else small
        val scaled = if (rows.needed) rows.alongColumns(narrow, contentWidth) else narrow
        val canvas = ByteArray(3 * inputWidth * inputHeight)
        for (y in 0 until contentHeight) {
            System.arraycopy(
                scaled,
                3 * y * contentWidth,
                canvas,
                3 * ((top + y) * inputWidth + left),
                3 * contentWidth,
            )
        }
        return canvas
    }

    private fun blockMeans(rgb: ByteArray, across: Int, down: Int): ByteArray {
        val width = ceilDivide(imageWidth, across)
        val height = ceilDivide(imageHeight, down)
        val means = ByteArray(3 * width * height)
        for (row in 0 until height) for (column in 0 until width) {
            val right = minOf((column + 1) * across, imageWidth)
            val bottom = minOf((row + 1) * down, imageHeight)
            val count = (right - column * across) * (bottom - row * down)
            val multiplier = (1L shl 32) / (256L * count)
            for (channel in 0..2) {
                var sum = 0L
                for (y in row * down until bottom) for (x in column * across until right) {
                    sum += rgb[3 * (y * imageWidth + x) + channel].toInt() and 0xff
                }
                means[3 * (row * width + column) + channel] =
                    ((sum + count / 2) * multiplier shr 24).toByte()
            }
        }
        return means
    }
}

private fun ceilDivide(length: Int, by: Int): Int = (length + by - 1) / by

private const val BITS = 22 // of the weights' fractions
private const val HALF = 1 shl (BITS - 1)

/** The weights that take a line of [size] pixels, of which [span] count, to one of [length]. */
private class Triangle(private val size: Int, private val span: Double, private val length: Int) {
    val needed = size != length || span != size.toDouble()
    private val first = IntArray(length)
    private val weights: Array<IntArray>

    init {
        val scale = span / length
        val reach = maxOf(scale, 1.0)
        weights =
            Array(length) { i ->
                val centre = (i + 0.5) * scale
                val from = (centre - reach + 0.5).toInt().coerceAtLeast(0)
                val to = (centre + reach + 0.5).toInt().coerceAtMost(size)
                first[i] = from
                val real =
                    DoubleArray(to - from) {
                        maxOf(1.0 - Math.abs((from + it - centre + 0.5) / reach), 0.0)
                    }
                val total = real.sum()
                IntArray(real.size) { fixed(if (total != 0.0) real[it] / total else real[it]) }
            }
    }

    private fun fixed(weight: Double): Int = (0.5 + weight * (1 shl BITS)).toInt()

    fun alongRows(rgb: ByteArray, width: Int, height: Int): ByteArray {
        val made = ByteArray(3 * length * height)
        for (y in 0 until height) for (x in 0 until length) for (channel in 0..2) {
            made[3 * (y * length + x) + channel] =
                sum(rgb, 3 * (y * width + first[x]) + channel, 3, weights[x])
        }
        return made
    }

    fun alongColumns(rgb: ByteArray, width: Int): ByteArray {
        val made = ByteArray(3 * width * length)
        for (y in 0 until length) for (x in 0 until 3 * width) {
            made[3 * y * width + x] = sum(rgb, 3 * first[y] * width + x, 3 * width, weights[y])
        }
        return made
    }

    private fun sum(rgb: ByteArray, start: Int, step: Int, weights: IntArray): Byte {
        var sum = HALF
        var at = start
        for (weight in weights) {
            sum += (rgb[at].toInt() and 0xff) * weight
            at += step
        }
        return (sum shr BITS).coerceIn(0, 255).toByte()
    }
}
