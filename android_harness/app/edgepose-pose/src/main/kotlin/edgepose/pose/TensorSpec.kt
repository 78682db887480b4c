package edgepose.pose

import java.nio.ByteBuffer

/** The number formats that a pose model's input and output may have. */
enum class TensorType(val text: String, val bytes: Int) {
    FLOAT32("float32", 4),
    INT8("int8", 1),
    UINT8("uint8", 1);

    internal companion object {
        fun named(text: String): TensorType =
            values().firstOrNull { it.text == text }
                ?: throw BundleUnsupported(
                    "$MANIFEST: no tensor of type '$text' here " +
                        "(known: ${values().joinToString { it.text }})"
                )
    }
}

/**
 * An input or output of the model.
 *
 * @property scale real = (stored - zeroPoint) x scale; 0 for float tensors, which hold the value
 *   itself
 */
data class TensorSpec(
    val type: TensorType,
    val shape: List<Int>,
    val scale: Float,
    val zeroPoint: Int,
) {
    /** Number of values. */
    val size: Int
        get() = shape.fold(1) { product, each -> product * each }

    /** Of the values, without padding. */
    val bytes: Int
        get() = size * type.bytes

    private val lowest
        get() = if (type == TensorType.INT8) -128 else 0

    private val highest
        get() = if (type == TensorType.INT8) 127 else 255

    /** One value as it is stored: rounded to the nearest step, halves to even, and clipped. */
    internal fun quantise(real: Float): Byte {
        val step = Math.rint((real / scale).toDouble()) + zeroPoint
        return step.coerceIn(lowest.toDouble(), highest.toDouble()).toInt().toByte()
    }

    /** Read all values from a buffer's beginning, in its byte order. */
    internal fun read(buffer: ByteBuffer, into: FloatArray) {
        for (i in into.indices) into[i] =
            when (type) {
                TensorType.FLOAT32 -> buffer.getFloat(4 * i)
                TensorType.INT8 -> (buffer.get(i).toFloat() - zeroPoint) * scale
                TensorType.UINT8 -> ((buffer.get(i).toInt() and 0xff).toFloat() - zeroPoint) * scale
            }
    }

    override fun toString(): String =
        "${type.text} $shape" + if (scale > 0f) ", scale $scale, zero point $zeroPoint" else ""
}
