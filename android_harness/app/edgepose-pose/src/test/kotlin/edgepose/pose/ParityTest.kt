package edgepose.pose

import java.nio.ByteBuffer
import kotlin.math.PI
import kotlin.math.sin
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

/** The same numbers as edgepose's Python, on what it drew by chance. */
class ParityTest {
    @Test
    fun letterboxesToTheSameBytes() {
        val cases = TestData.json("vectors/letterbox.json").getJSONArray("cases").objects()
        assertTrue(cases.size >= 10)
        for (case in cases) {
            val name = case.getString("name")
            val placed =
                Letterbox(
                    case.getInt("width"),
                    case.getInt("height"),
                    case.getInt("input_width"),
                    case.getInt("input_height"),
                )
            val drawn = placed.draw(TestData.file("vectors/$name.image").readBytes())
            assertArrayEquals(name, TestData.file("vectors/$name.canvas").readBytes(), drawn)
            val (x, y) = case.getJSONArray("point").doubles()
            val (imageX, imageY) = case.getJSONArray("point_image").doubles()
            assertEquals(imageX, placed.imageX(x), 1e-9)
            assertEquals(imageY, placed.imageY(y), 1e-9)
        }
    }

    @Test
    fun decodesToTheSamePoints() {
        val cases = TestData.json("vectors/decode.json").getJSONArray("cases").objects()
        assertEquals(
            setOf("argmax", "soft-argmax", "taylor", "upsampled-argmax"),
            cases.map { it.getString("decoder") }.toSet(),
        )
        for (case in cases) {
            val shape = case.getJSONArray("shape").doubles().map { it.toInt() } // (h, w, K)
            val cell = case.getJSONArray("cell_px").doubles()
            val decoder =
                MapDecoder(
                    case.getString("decoder"),
                    shape[0],
                    shape[1],
                    shape[2],
                    cell[0],
                    cell[1],
                )
            val found = Decoded(shape[2])
            decoder.decode(
                floats(TestData.file("vectors/${case.getString("name")}.maps")),
                found.x,
                found.y,
                found.confidence,
            )
            assertArrayEquals(
                case.getString("name"),
                case.getJSONArray("x").doubles(),
                found.x,
                1e-3,
            )
            assertArrayEquals(
                case.getString("name"),
                case.getJSONArray("y").doubles(),
                found.y,
                1e-3,
            )
            assertArrayEquals(
                case.getJSONArray("confidence").doubles().map { it.toFloat() }.toFloatArray(),
                found.confidence,
                0f,
            )
        }
    }

    @Test
    fun decodesWhatTheGraphDecoded() {
        val found = Decoded(2)
        InGraph(2)
            .decode(floatArrayOf(1f, 2f, 0.5f, 3f, 4f, 0.25f), found.x, found.y, found.confidence)
        assertArrayEquals(doubleArrayOf(1.0, 3.0), found.x, 0.0)
        assertArrayEquals(doubleArrayOf(2.0, 4.0), found.y, 0.0)
        assertArrayEquals(floatArrayOf(0.5f, 0.25f), found.confidence, 0f)
    }

    @Test
    fun smoothsAsTheFiltersPaperHasIt() {
        val plain = TestData.json("vectors/one-euro.json")
        val filter =
            OneEuro(
                Smoothing(
                    plain.getDouble("min_cutoff_hz"),
                    plain.getDouble("beta"),
                    plain.getDouble("speed_cutoff_hz"),
                )
            )
        val times = plain.getJSONArray("seconds").doubles()
        val smoothed =
            plain.getJSONArray("values").doubles().mapIndexed { i, value ->
                filter.next(value, if (i == 0) 0.0 else times[i] - times[i - 1])
            }
        assertArrayEquals(plain.getJSONArray("smoothed").doubles(), smoothed.toDoubleArray(), 1e-9)
    }

    @Test
    fun quantisesHalvesToEvenAndClips() {
        val spec = TensorSpec(TensorType.INT8, listOf(1), 2f, 3)
        assertEquals(
            listOf(3, 3, 5, 127, -128),
            listOf(0f, 1f, 3f, 1e9f, -1e9f).map { spec.quantise(it).toInt() },
        )
        assertEquals(
            255,
            TensorSpec(TensorType.UINT8, listOf(1), 1f, 0).quantise(300f).toInt() and 0xff,
        )
    }

    @Test
    fun smoothingTakesOutNoiseAndKeepsMovement() {
        val random = java.util.Random(1)
        val (filter, seconds) = OneEuro(Smoothing()) to 1 / 30.0
        var (noisy, smooth) = 0.0 to 0.0
        for (i in 0 until 300) {
            val truth = 0.5 + 0.02 * sin(2 * PI * i * seconds) // an infant's limb, once a second
            val seen = truth + 0.003 * random.nextGaussian()
            val found = filter.next(seen, seconds)
            noisy += (seen - truth) * (seen - truth)
            smooth += (found - truth) * (found - truth)
        }
        assertTrue("$smooth of $noisy", smooth < noisy)
    }

    @Test
    fun colours() {
        // Y, U, V and the R, G, B that JFIF gives them.
        val known =
            listOf(
                intArrayOf(0, 128, 128) to intArrayOf(0, 0, 0),
                intArrayOf(255, 128, 128) to intArrayOf(255, 255, 255),
                intArrayOf(76, 85, 255) to intArrayOf(254, 0, 0),
                intArrayOf(150, 44, 21) to intArrayOf(0, 255, 1),
                intArrayOf(29, 255, 107) to intArrayOf(0, 0, 254),
            )
        for ((yuv, rgb) in known) {
            val frame =
                Frame.ofYuv(
                    1,
                    1,
                    yuv.map { Plane(ByteBuffer.wrap(byteArrayOf(it.toByte())), 1, 1) },
                )
            assertArrayEquals(rgb, IntArray(3) { frame.rgb[it].toInt() and 0xff })
        }
    }

    @Test
    fun planesWithPaddingAndInterleavedColours() {
        val (width, height) = 5 to 3
        val luma = ByteBuffer.allocate(3 * 8)
        val both = ByteBuffer.allocate(2 * 8) // V and U by turns, as cameras have them
        for (y in 0 until height) for (x in 0 until width) luma.put(
            y * 8 + x,
            (10 * y + x).toByte(),
        )
        for (i in 0 until both.limit()) both.put(i, 128.toByte())
        both.position(1)
        val planes =
            listOf(
                Plane(luma, 8, 1),
                Plane(both.slice(), 8, 2),
                Plane(both.duplicate().also { it.rewind() }, 8, 2),
            )
        val frame = Frame.ofYuv(width, height, planes, 90)
        assertEquals(24, frame.rgb[3 * 14].toInt())
        assertEquals(3 to 5, frame.uprightWidth to frame.uprightHeight)
        assertEquals(
            20,
            frame.upright()[0].toInt(),
        ) // the lower left corner comes to the upper left
    }
}
