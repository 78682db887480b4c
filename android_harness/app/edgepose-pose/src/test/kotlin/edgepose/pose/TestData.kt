package edgepose.pose

import java.io.ByteArrayInputStream
import java.io.DataInputStream
import java.io.DataOutputStream
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import javax.imageio.ImageIO
import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.fail
import org.junit.Assume.assumeTrue

/**
 * What edgepose's own tests put there: bundles, bad bundles, and what Python computes for the same
 * inputs.
 */
internal object TestData {
    private val folder: String? = System.getProperty("edgepose.tests")

    fun file(name: String): File {
        assumeTrue("made by edgepose's tests: see android_harness/app/README.md", folder != null)
        return File(folder, name)
    }

    fun json(name: String) = JSONObject(file(name).readText())

    fun bundles(): List<File> = file("bundles").listFiles()!!.sorted()

    fun bundle(): PoseBundle = PoseBundle.read(bundles().first())

    /** LiteRT of this machine's Python, in a process of its own. */
    val litert: PoseEngine.Factory = SubprocessEngine
}

/** A desktop's own PNG decoder. */
internal object DesktopPictures : PictureDecoder {
    override fun decode(png: ByteArray): Frame {
        val picture = ImageIO.read(ByteArrayInputStream(png)) ?: throw BadFrame("no picture")
        return Frame.ofArgb(
            picture.width,
            picture.height,
            picture.getRGB(0, 0, picture.width, picture.height, null, 0, picture.width),
        )
    }
}

/**
 * The interpreter of another process, by its standard input and output; no desktop build of
 * LiteRT's Java API is published.
 */
internal class SubprocessEngine(
    private val process: Process,
    private val out: DataOutputStream,
    private val said: DataInputStream,
    hello: JSONObject,
) : PoseEngine {
    override val runtime = "litert"
    override val version: String = hello.getString("version")
    override val inputs = specs(hello.getJSONArray("inputs"))
    override val outputs = specs(hello.getJSONArray("outputs"))
    override val outputBytes = outputs.map { it.bytes }

    override fun run(input: ByteBuffer, outputs: List<ByteBuffer>) {
        out.write(ByteArray(input.remaining()).also { input.get(it) })
        out.flush()
        for (buffer in outputs) buffer.put(
            ByteArray(buffer.remaining()).also { said.readFully(it) }
        )
    }

    override fun close() {
        out.close()
        process.waitFor()
    }

    companion object : PoseEngine.Factory {
        override fun open(model: ByteBuffer, threads: Int): PoseEngine {
            val command = System.getProperty("edgepose.engine").split('\n')
            val process =
                ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
            val out = DataOutputStream(process.outputStream)
            out.writeInt(model.remaining())
            out.write(ByteArray(model.remaining()).also { model.get(it) })
            out.flush()
            val said = DataInputStream(process.inputStream)
            val hello = JSONObject(String(ByteArray(said.readInt()).also { said.readFully(it) }))
            if (hello.has("error")) throw ModelRefused(hello.getString("error"))
            return SubprocessEngine(process, out, said, hello)
        }

        private fun specs(plain: JSONArray) =
            List(plain.length()) {
                val tensor = plain.getJSONObject(it)
                val shape = tensor.getJSONArray("shape")
                TensorSpec(
                    TensorType.named(tensor.getString("dtype")),
                    List(shape.length()) { i -> shape.getInt(i) },
                    tensor.getDouble("scale").toFloat(),
                    tensor.getInt("zero_point"),
                )
            }
    }
}

internal fun floats(file: File): FloatArray {
    val buffer = ByteBuffer.wrap(file.readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
    return FloatArray(buffer.remaining()).also { buffer.get(it) }
}

internal fun JSONArray.doubles() = DoubleArray(length()) { getDouble(it) }

internal fun JSONArray.objects() = List(length()) { getJSONObject(it) }

/** The exception of a kind that [block] throws. */
internal inline fun <reified T : PoseException> refused(block: () -> Unit): T {
    try {
        block()
    } catch (error: PoseException) {
        if (error is T) return error
        throw AssertionError("expected ${T::class.java.simpleName}", error)
    }
    fail("expected ${T::class.java.simpleName}, and nothing was thrown")
    throw AssertionError()
}
