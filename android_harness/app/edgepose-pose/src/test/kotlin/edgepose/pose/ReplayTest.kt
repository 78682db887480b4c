package edgepose.pose

import java.nio.ByteBuffer
import kotlin.math.hypot
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Test

/** The golden vectors of real bundles, through the whole library. */
class ReplayTest {
    @Test
    fun litertGivesTheBundlesKeypoints() {
        for (file in TestData.bundles()) {
            PoseModel.open(PoseBundle.read(file), TestData.litert, DesktopPictures).use { model ->
                val replay = model.replay(DesktopPictures)
                tell(file.name, replay)
                assertEquals(0.0, replay.letterboxSteps!!, 1e-3) // not one grey level
                assertEquals(0f, replay.outputMaxAbs, 0f) // the runtime that made the vectors
                assertTrue(replay.keypointPx < 1e-4)
                assertEquals(3, replay.frames)
                for (golden in golden(model)) marksAsGolden(model, golden, 1e-3)
            }
        }
    }

    @Test
    fun tensorFlowLitesJavaApiGivesTheBundlesKeypoints() {
        assumeTrue(
            "a desktop's native library is given",
            System.getProperty("edgepose.tflite") != null,
        )
        for (file in TestData.bundles()) {
            try {
                PoseModel.open(
                        PoseBundle.read(file),
                        InterpreterEngine.Factory("tflite-runtime"),
                        DesktopPictures,
                    )
                    .use { model ->
                        val replay = model.replay(DesktopPictures)
                        tell(file.name, replay)
                        assertTrue(model.runtime.startsWith("tflite-runtime 2."))
                        if ("fp16" in file.name)
                            for (golden in golden(model)) marksAsGolden(model, golden, 1.0)
                    }
            } catch (
                error: GoldenMismatch) { // kernels of 2021: refused is right, a wrong pose is not
                println("replay: ${file.name}: ${error.message}")
                assertTrue("int8" in file.name)
            }
        }
    }

    @Test
    fun aFrameTurnedAnyWayGivesTheSamePose() {
        PoseModel.open(TestData.bundle(), TestData.litert).use { model ->
            val (picture, _) = golden(model).first()
            val upright = model.mark(picture)
            for (rotation in listOf(90, 180, 270)) {
                // Turned back, so that turning it by `rotation` makes it upright.
                val back = Frame(picture.width, picture.height, picture.rgb, (360 - rotation) % 360)
                val sensor = Frame(back.uprightWidth, back.uprightHeight, back.upright(), rotation)
                val turned = model.mark(sensor)
                assertEquals(upright.keypoints, turned.keypoints)
                assertEquals(upright.imageWidth, turned.imageWidth)
            }
        }
    }

    @Test
    fun aDeviceThatGivesOtherValuesIsRefused() {
        val bundle = TestData.bundle()
        PoseModel.open(bundle, TestData.litert).use { model ->
            val off = Off(TestData.litert, 1f)
            val error = refused<GoldenMismatch> { PoseModel.open(bundle, off).close() }
            assertTrue(error.message!!.contains("output.bin"))
            assertTrue(model.runtime.startsWith("litert "))
        }
        val unknown = PoseEngine.Factory { m, t -> Named(TestData.litert.open(m, t), "another") }
        assertTrue(
            refused<GoldenMismatch> { PoseModel.open(bundle, unknown).close() }
                .message!!
                .contains("another")
        )
        assertTrue(
            refused<BadOutput> { PoseModel.open(bundle, Off(TestData.litert, Float.NaN)).close() }
                .message!!
                .contains("NaN")
        )
    }

    private fun marksAsGolden(
        model: PoseModel,
        golden: Pair<Frame, List<DoubleArray>>,
        within: Double,
    ) {
        val pose = model.mark(golden.first)
        pose.keypoints.forEachIndexed { k, point ->
            val (x, y) = golden.second[k]
            assertTrue(
                "${point.name}: ${point.x}, ${point.y} for $x, $y",
                hypot(point.x - x, point.y - y) < within,
            )
        }
    }

    private fun tell(name: String, replay: Replay) =
        println(
            "replay: $name on ${replay.runtime}: ${replay.frames} frames, " +
                "letterbox ${replay.letterboxSteps} levels, " +
                "outputs ${replay.outputMaxAbs}, keypoints ${replay.keypointPx} px, " +
                "${100 * replay.keypointShare} % within ${replay.allowedPx} px"
        )

    /** The golden frames and their keypoints in pixels of the image. */
    private fun golden(model: PoseModel): List<Pair<Frame, List<DoubleArray>>> {
        val file = model.manifest.goldenFile
        val plain = JSONObject(String(model.bundle.part(file).bytes()))
        return plain.getJSONArray("frames").objects().map { frame ->
            val points = frame.getJSONArray("keypoints_px")
            DesktopPictures.decode(model.bundle.part(frame.getString("image")).bytes()) to
                List(points.length()) { points.getJSONArray(it).doubles() }
        }
    }
}

private open class Through(protected val engine: PoseEngine) : PoseEngine by engine

private class Named(engine: PoseEngine, override val runtime: String) : Through(engine)

/** An engine whose first output value is off. */
private class Off(private val engines: PoseEngine.Factory, private val by: Float) :
    PoseEngine.Factory {
    override fun open(model: ByteBuffer, threads: Int): PoseEngine =
        object : Through(engines.open(model, threads)) {
            override fun run(input: ByteBuffer, outputs: List<ByteBuffer>) {
                engine.run(input, outputs)
                outputs[0].putFloat(0, outputs[0].getFloat(0) + by)
            }
        }
}
