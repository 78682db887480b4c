package edgepose.pose

import java.nio.ByteBuffer

/**
 * One of the three planes of a camera's YUV_420_888 image, as it comes: padded rows, interleaved or
 * not.
 */
class Plane(val bytes: ByteBuffer, val rowStride: Int, val pixelStride: Int)

/**
 * An image as the sensor gave it, and how to turn it upright.
 *
 * @property rgb width x height x 3 bytes, row by row
 * @property rotation degrees clockwise that make it upright: 0, 90, 180 or 270
 * @throws BadFrame the size does not fit the bytes, or another rotation
 */
class Frame(val width: Int, val height: Int, val rgb: ByteArray, val rotation: Int = 0) {
    init {
        checkSize(width, height)
        if (rgb.size.toLong() != 3L * width * height) {
            throw BadFrame(
                "a frame of $width x $height pixels has ${3L * width * height} bytes of RGB, not ${rgb.size}"
            )
        }
        checkRotation(rotation)
    }

    /** Of the upright image. */
    val uprightWidth: Int
        get() = if (rotation % 180 == 0) width else height

    val uprightHeight: Int
        get() = if (rotation % 180 == 0) height else width

    /** The upright image's bytes; the frame's own where nothing is to be turned. */
    internal fun upright(): ByteArray {
        if (rotation == 0) return rgb
        // Where the upper left pixel comes to, and how far its neighbours to the right and below
        // lie from there.
        val (first, right, below) =
            when (rotation) {
                90 -> intArrayOf(height - 1, height, -1)
                180 -> intArrayOf(width * height - 1, -1, -width)
                else -> intArrayOf((width - 1) * height, -height, 1)
            }
        val turned = ByteArray(rgb.size)
        var from = 0
        for (y in 0 until height) for (x in 0 until width) {
            val to = 3 * (first + x * right + y * below)
            turned[to] = rgb[from]
            turned[to + 1] = rgb[from + 1]
            turned[to + 2] = rgb[from + 2]
            from += 3
        }
        return turned
    }

    companion object {
        private const val MOST_PIXELS = 1L shl 26

        /**
         * From 0xAARRGGBB pixels, as Bitmap.getPixels gives them; what is see-through counts as
         * opaque.
         */
        fun ofArgb(width: Int, height: Int, pixels: IntArray, rotation: Int = 0): Frame {
            checkSize(width, height)
            if (pixels.size.toLong() != width.toLong() * height) {
                throw BadFrame("a frame of $width x $height pixels has not ${pixels.size} of them")
            }
            val rgb = ByteArray(3 * pixels.size)
            for (i in pixels.indices) {
                rgb[3 * i] = (pixels[i] shr 16).toByte()
                rgb[3 * i + 1] = (pixels[i] shr 8).toByte()
                rgb[3 * i + 2] = pixels[i].toByte()
            }
            return Frame(width, height, rgb, rotation)
        }

        /**
         * From a camera's YUV_420_888 image (JFIF: BT.601 with the full range).
         *
         * @param planes Y, U and V; U and V have half the size, rounded up
         * @throws BadFrame a plane is shorter than the size and the strides say
         */
        fun ofYuv(width: Int, height: Int, planes: List<Plane>, rotation: Int = 0): Frame {
            checkSize(width, height)
            checkRotation(rotation)
            if (planes.size != 3) throw BadFrame("a YUV frame has 3 planes, not ${planes.size}")
            planes.forEachIndexed { i, plane ->
                check(
                    plane,
                    if (i == 0) width else (width + 1) / 2,
                    if (i == 0) height else (height + 1) / 2,
                )
            }
            val (luma, blue, red) = planes
            val rgb = ByteArray(3 * width * height)
            var at = 0
            for (row in 0 until height) for (column in 0 until width) {
                val y = luma.at(row, column)
                val u = blue.at(row / 2, column / 2) - 128
                val v = red.at(row / 2, column / 2) - 128
                rgb[at++] = clipped(y + RED_BY_V * v)
                rgb[at++] = clipped(y - GREEN_BY_U * u - GREEN_BY_V * v)
                rgb[at++] = clipped(y + BLUE_BY_U * u)
            }
            return Frame(width, height, rgb, rotation)
        }

        // ITU-T T.871 (JFIF), section 7.
        private const val RED_BY_V = 1.402f
        private const val GREEN_BY_U = 0.344136f
        private const val GREEN_BY_V = 0.714136f
        private const val BLUE_BY_U = 1.772f

        private fun clipped(value: Float): Byte = (value + 0.5f).coerceIn(0f, 255f).toInt().toByte()

        private fun Plane.at(row: Int, column: Int): Int =
            bytes.get(row * rowStride + column * pixelStride).toInt() and 0xff

        private fun check(plane: Plane, width: Int, height: Int) {
            val last = (height - 1L) * plane.rowStride + (width - 1L) * plane.pixelStride
            if (
                plane.pixelStride < 1 ||
                    plane.rowStride < (width - 1L) * plane.pixelStride + 1 ||
                    last >= plane.bytes.limit()
            ) {
                throw BadFrame(
                    "a plane of ${plane.bytes.limit()} bytes does not hold $width x $height values"
                )
            }
        }

        private fun checkSize(width: Int, height: Int) {
            if (width < 1 || height < 1 || width.toLong() * height > MOST_PIXELS) {
                throw BadFrame(
                    "a frame of $width x $height pixels: give one of 1 to $MOST_PIXELS pixels"
                )
            }
        }

        private fun checkRotation(rotation: Int) {
            if (rotation !in listOf(0, 90, 180, 270)) {
                throw BadFrame("a frame turned by $rotation degrees: give 0, 90, 180 or 270")
            }
        }
    }
}
