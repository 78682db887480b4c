package edgepose.pose

import kotlin.math.abs
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test

/** A stream of frames. */
class TrackerTest {
    private val dark = Frame(32, 24, ByteArray(32 * 24 * 3))
    private val light = Frame(32, 24, ByteArray(32 * 24 * 3) { (it * 37 % 251).toByte() })

    @Test
    fun smoothsFromTheSecondFrameOn() {
        PoseModel.open(TestData.bundle(), TestData.litert).use { model ->
            val (first, second) = model.mark(dark).keypoints to model.mark(light).keypoints
            val tracker = PoseTracker(model)
            assertEquals(first, tracker.mark(dark, 0))
            val smoothed = tracker.mark(light, 33_000_000)
            for (k in first.indices) {
                val point = smoothed[k]!!
                assertTrue(abs(point.x - first[k].x) <= abs(second[k].x - first[k].x) + 1e-9)
                assertEquals(second[k].confidence, point.confidence, 0f)
            }
            assertNotEquals(second, smoothed)
            // Nothing is smoothed over a gap.
            assertEquals(first, tracker.mark(dark, 1_000_000_000))
            assertEquals(
                second,
                PoseTracker(model, smoothing = null).also { it.mark(dark, 0) }.mark(light, 1),
            )
        }
    }

    @Test
    fun leavesOutWhatTheModelIsNotSureOf() {
        PoseModel.open(TestData.bundle(), TestData.litert).use { model ->
            assertTrue(
                PoseTracker(model, minConfidence = Float.MAX_VALUE).mark(dark, 0).all { it == null }
            )
            val found = model.mark(dark).keypoints
            val middle = found.map { it.confidence }.sorted()[found.size / 2]
            val kept = PoseTracker(model, minConfidence = middle).mark(dark, 0)
            for (k in found.indices) if (found[k].confidence < middle) assertNull(kept[k])
            else assertEquals(found[k], kept[k])
        }
    }
}
