package edgepose.pose

import android.content.ContextWrapper
import android.content.pm.PackageManager
import java.io.File
import java.io.InputStream
import java.nio.ByteBuffer
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test

/** Whatever comes in: the library's own error, and never a wrong pose. */
class BadInputTest {
    @Test
    fun badBundlesAreRefusedByTheirOwnError() {
        val expected = TestData.json("bad/expected.json")
        val names = expected.keys().asSequence().toList().sorted()
        assertTrue(names.size >= 12)
        for (name in names) {
            val (kind, words) =
                expected.getJSONArray(name).let { it.getString(0) to it.getString(1) }
            val error =
                refused<PoseException> {
                    PoseModel.open(
                            PoseBundle.read(TestData.file("bad/$name")),
                            TestData.litert,
                            DesktopPictures,
                        )
                        .close()
                }
            println("refused: $name: ${error.javaClass.simpleName}: ${error.message}")
            assertEquals(name, kind, error.javaClass.simpleName)
            assertTrue("$name: ${error.message}", error.message!!.contains(words))
            assertFalse(error.message!!.contains('\n'))
        }
    }

    @Test
    fun noByteOfABundleCanChangeUnseen() {
        val data = TestData.bundles().first().readBytes()
        val random = java.util.Random(7)
        val places =
            List(60) { random.nextInt(data.size) } +
                listOf(0, 4, 9, 14, 29, data.size - 1, data.size - 20, data.size - 60)
        for (at in places) {
            val changed = data.clone()
            changed[at] = (changed[at].toInt() xor (1 shl random.nextInt(8))).toByte()
            refused<PoseException> { PoseBundle.of(changed) }
        }
        for (size in listOf(0, 1, 21, 22, 30, data.size / 2, data.size - 1)) refused<
            PoseException
        > {
            PoseBundle.of(data.copyOf(size))
        }
        refused<PoseException> { PoseBundle.of(data + 0) }
    }

    @Test
    fun aFileThatIsNotThere() {
        assertTrue(
            refused<BundleUnreadable> { PoseBundle.read(File("/nowhere/app.zip")) }
                .message!!
                .contains("/nowhere/app.zip")
        )
    }

    @Test
    fun streamsOfAnotherLength() {
        val data = TestData.bundles().first().readBytes()
        assertEquals(
            PoseBundle.of(data).sha256,
            PoseBundle.read(data.inputStream(), data.size.toLong()).sha256,
        )
        refused<BundleDamaged> { PoseBundle.read(data.inputStream(), data.size + 1L) }
        refused<BundleDamaged> { PoseBundle.read(data.inputStream(), data.size - 1L) }
    }

    @Test
    fun framesOfAnotherSizeOrRotation() {
        refused<BadFrame> { Frame(4, 4, ByteArray(47)) }
        refused<BadFrame> { Frame(0, 4, ByteArray(0)) }
        refused<BadFrame> { Frame(-1, -1, ByteArray(3)) }
        refused<BadFrame> { Frame(1 shl 16, 1 shl 16, ByteArray(0)) }
        refused<BadFrame> { Frame.ofArgb(4, 4, IntArray(15)) }
        assertTrue(refused<BadFrame> { Frame(4, 4, ByteArray(48), 45) }.message!!.contains("45"))
        val (full, half) =
            Plane(ByteBuffer.allocate(16), 4, 1) to Plane(ByteBuffer.allocate(4), 2, 1)
        refused<BadFrame> { Frame.ofYuv(4, 4, listOf(full, half)) }
        refused<BadFrame> { Frame.ofYuv(4, 5, listOf(full, half, half)) }
        refused<BadFrame> {
            Frame.ofYuv(4, 4, listOf(full, half, Plane(ByteBuffer.allocate(4), 1, 1)))
        }
        refused<BadFrame> { Frame.ofYuv(4, 4, listOf(full, half, half), -90) }
    }

    @Test
    fun aStreamWhoseFramesChange() {
        PoseModel.open(TestData.bundle(), TestData.litert).use { model ->
            val tracker = PoseTracker(model)
            tracker.mark(Frame(8, 6, ByteArray(144)), 1_000)
            assertTrue(
                refused<FrameChanged> { tracker.mark(Frame(6, 8, ByteArray(144)), 2_000) }
                    .message!!
                    .contains("reset()")
            )
            refused<FrameChanged> { tracker.mark(Frame(8, 6, ByteArray(144), 90), 2_000) }
            refused<FrameChanged> { tracker.mark(Frame(8, 6, ByteArray(144)), 1_000) }
            tracker.mark(Frame(8, 6, ByteArray(144)), 2_000)
            tracker.reset()
            tracker.mark(Frame(8, 6, ByteArray(144), 90), 1_000)
        }
    }

    @Test
    fun noCameraPermission() {
        requireCamera(Asked(PackageManager.PERMISSION_GRANTED))
        val error =
            refused<NoCameraPermission> { requireCamera(Asked(PackageManager.PERMISSION_DENIED)) }
        assertTrue(error.message!!.contains("android.permission.CAMERA"))
    }

    @Test
    fun aDeviceWithoutEnoughMemory() {
        val file = TestData.bundles().first()
        refused<NotEnoughMemory> { PoseBundle.read(file) { 0 } }
        val bundle = PoseBundle.read(file)
        assertTrue(
            refused<NotEnoughMemory> {
                    PoseModel.open(bundle, TestData.litert, memory = { 1 shl 20 }).close()
                }
                .message!!
                .contains("MiB")
        )
        var left = Long.MAX_VALUE
        PoseModel.open(bundle, TestData.litert, memory = { left }).use { model ->
            left = 1000
            refused<NotEnoughMemory> { model.mark(Frame(640, 480, ByteArray(640 * 480 * 3))) }
            left = Long.MAX_VALUE
            assertEquals(640, model.mark(Frame(640, 480, ByteArray(640 * 480 * 3))).imageWidth)
        }
        // Java's own heap, which the tests run with little of, is really full.
        val endless =
            object : InputStream() {
                override fun read(): Int = 0
            }
        refused<NotEnoughMemory> { PoseBundle.read(endless, 500L shl 20) { Long.MAX_VALUE } }
    }

    @Test
    fun aClosedModel() {
        val model = PoseModel.open(TestData.bundle(), TestData.litert)
        model.close()
        model.close()
        refused<ModelClosed> { model.mark(Frame(8, 6, ByteArray(144))) }
    }

    private class Asked(private val answer: Int) : ContextWrapper(null) {
        override fun checkSelfPermission(permission: String): Int {
            assertEquals("android.permission.CAMERA", permission)
            return answer
        }
    }
}
