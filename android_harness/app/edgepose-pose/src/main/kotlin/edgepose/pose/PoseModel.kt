package edgepose.pose

import java.io.Closeable
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** A body point in continuous pixels of the upright image; pixel i covers [i, i + 1). */
data class Keypoint(val name: String, val x: Double, val y: Double, val confidence: Float)

/** The keypoints of one image, in the manifest's order. */
class Pose(val imageWidth: Int, val imageHeight: Int, val keypoints: List<Keypoint>)

/**
 * A pose model on this device: images in, keypoints out. One thread at a time.
 *
 * It says nothing about a child: see the manifest's `notice`.
 */
class PoseModel
private constructor(
    val bundle: PoseBundle,
    private val engine: PoseEngine,
    private val memory: Memory,
) : Closeable {
    val manifest: Manifest
        get() = bundle.manifest

    val runtime: String
        get() = "${engine.runtime} ${engine.version}"

    internal val allowances: Allowed?
        get() = manifest.allowed.firstOrNull { it.runtime == engine.runtime }

    private val input = direct(manifest.input.bytes)
    private val outputs = engine.outputBytes.map(::direct)
    private val values = FloatArray(manifest.output.size)
    private val reals = manifest.pixelTable()
    private val steps = reals.map { table -> ByteArray(256) { manifest.stored(table[it]) } }
    private var closed = false

    /**
     * The pose on one image.
     *
     * @throws BadFrame, BadOutput, ModelRefused, ModelClosed, NotEnoughMemory
     */
    fun mark(frame: Frame): Pose {
        val placed = placed(frame)
        return memory.holding(placed.bytes, "a frame of ${frame.width} x ${frame.height} pixels") {
            fill(input, placed.draw(frame.upright()))
            infer()
            decoded().on(placed)
        }
    }

    override fun close() {
        if (!closed) engine.close()
        closed = true
    }

    internal fun placed(frame: Frame) =
        Letterbox(
            frame.uprightWidth,
            frame.uprightHeight,
            manifest.inputWidth,
            manifest.inputHeight,
        )

    /** The canvas of a frame as the model takes it. */
    internal fun fill(buffer: ByteBuffer, canvas: ByteArray) {
        buffer.clear()
        val real = manifest.input.type == TensorType.FLOAT32
        var channel = 0
        for (pixel in canvas) {
            val level = pixel.toInt() and 0xff
            if (real) buffer.putFloat(reals[channel][level]) else buffer.put(steps[channel][level])
            channel = (channel + 1) % 3
        }
        buffer.rewind()
    }

    /** Output values of a stored input. */
    internal fun run(tensor: ByteBuffer): FloatArray {
        input.clear()
        input.put(tensor)
        input.rewind()
        infer()
        return values
    }

    private fun infer() {
        if (closed) throw ModelClosed()
        outputs.forEach { it.clear() }
        input.rewind()
        engine.run(input, outputs)
        manifest.output.read(outputs[manifest.outputIndex], values)
        if (!values.all { it.isFinite() })
            throw BadOutput("the model gave NaN or infinity: do not use it on this device")
    }

    internal fun decoded(from: FloatArray = values): Decoded {
        val found = Decoded(manifest.keypointNames.size)
        manifest.decoder.decode(from, found.x, found.y, found.confidence)
        return found
    }

    private fun Decoded.on(placed: Letterbox) =
        Pose(
            placed.imageWidth,
            placed.imageHeight,
            manifest.keypointNames.mapIndexed { k, name ->
                Keypoint(name, placed.imageX(x[k]), placed.imageY(y[k]), confidence[k])
            },
        )

    companion object {
        /**
         * Open a bundle's model, and prove on its golden vectors that this device gives what was
         * measured.
         *
         * @param threads of the runtime
         * @param pictures decodes the golden frames; null leaves the letterbox's proof out, not the
         *   model's
         * @throws ModelRefused, ModelMismatch, GoldenMismatch, NotEnoughMemory
         */
        fun open(
            bundle: PoseBundle,
            engines: PoseEngine.Factory,
            pictures: PictureDecoder? = null,
            threads: Int = 2,
            memory: Memory = Memory.Heap,
        ): PoseModel {
            val manifest = bundle.manifest
            // The model, what the runtime lays out beside it, and the tensors in and out.
            val needed =
                3L * bundle.archiveBytes + 8L * (manifest.input.bytes + manifest.output.bytes)
            return memory.holding(needed, "the model") {
                val engine = engines.open(bundle.part(manifest.modelFile).direct(), threads)
                var opened: PoseModel? = null
                try {
                    checkTensors(manifest, engine)
                    opened = PoseModel(bundle, engine, memory)
                    opened.replay(pictures)
                    opened
                } catch (error: Throwable) {
                    engine.close()
                    throw error
                }
            }
        }

        private fun checkTensors(manifest: Manifest, engine: PoseEngine) {
            val count = engine.outputBytes.size
            if (manifest.outputIndex !in 0 until count)
                throw ModelMismatch(
                    "the model has $count outputs, " +
                        "and the manifest reads number ${manifest.outputIndex}"
                )
            engine.inputs?.let { inputs ->
                if (inputs.size != 1)
                    throw ModelMismatch("the model has ${inputs.size} inputs, not one")
                same("input", inputs[0], manifest.input)
            }
            engine.outputs?.let { same("output", it[manifest.outputIndex], manifest.output) }
            if (engine.outputBytes[manifest.outputIndex] != manifest.output.bytes) {
                throw ModelMismatch(
                    "the model's output has ${engine.outputBytes[manifest.outputIndex]} bytes, " +
                        "not ${manifest.output.bytes}"
                )
            }
        }

        private fun same(what: String, found: TensorSpec, said: TensorSpec) {
            if (found != said)
                throw ModelMismatch("the model's $what is $found, and the manifest says $said")
        }
    }
}

/** What the decoder found, in pixels of the input. */
internal class Decoded(keypoints: Int) {
    val x = DoubleArray(keypoints)
    val y = DoubleArray(keypoints)
    val confidence = FloatArray(keypoints)
}

internal fun direct(bytes: Int): ByteBuffer =
    ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())

/** By channel: each grey level as the network's normalisation has it. */
private fun Manifest.pixelTable() =
    List(3) { channel -> FloatArray(256) { it * channelScale[channel] + channelOffset[channel] } }

/** A value as an integer input holds it; of no use for a float one. */
private fun Manifest.stored(value: Float): Byte =
    if (input.type == TensorType.FLOAT32) 0 else input.quantise(value)
