package edgepose.pose.compiled

import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.LiteRtException
import com.google.ai.edge.litert.TensorBuffer
import edgepose.pose.Manifest
import edgepose.pose.ModelRefused
import edgepose.pose.PoseEngine
import edgepose.pose.TensorSpec
import edgepose.pose.TensorType
import java.io.File
import java.nio.ByteBuffer

/**
 * LiteRT 2's CompiledModel, in place of the Interpreter. Never compiled by edgepose's own tests:
 * see README.md.
 *
 * It does not tell scales and zero points, so that a model of other tensors shows only by the
 * golden vectors, which PoseModel.open replays on whatever accelerator was chosen.
 */
class CompiledModelEngine
private constructor(
    private val model: CompiledModel,
    private val file: File,
    private val input: TensorSpec,
    private val output: TensorSpec,
) : PoseEngine {
    private val inputBuffers = model.createInputBuffers()
    private val outputBuffers = model.createOutputBuffers()
    override val runtime = "litert"
    override val version = "2"
    override val inputs: List<TensorSpec>? = null
    override val outputs: List<TensorSpec>? = null

    init {
        if (inputBuffers.size != 1 || outputBuffers.size != 1) {
            throw ModelRefused(
                "CompiledModel runs models of one input and one output: export with output maps"
            )
        }
    }

    override val outputBytes = listOf(output.bytes)

    override fun run(input: ByteBuffer, outputs: List<ByteBuffer>) {
        try {
            write(input, inputBuffers[0])
            model.run(inputBuffers, outputBuffers)
            read(outputBuffers[0], outputs[0])
        } catch (error: LiteRtException) {
            throw ModelRefused("the model fails in CompiledModel (${error.message})", error)
        }
    }

    override fun close() {
        (inputBuffers + outputBuffers).forEach { it.close() }
        model.close()
        file.delete()
    }

    private fun write(from: ByteBuffer, to: TensorBuffer) =
        when (input.type) {
            TensorType.FLOAT32 ->
                to.writeFloat(FloatArray(input.size).also { from.asFloatBuffer().get(it) })
            else -> to.writeInt8(ByteArray(input.size).also { from.get(it) })
        }

    private fun read(from: TensorBuffer, to: ByteBuffer) {
        when (output.type) {
            TensorType.FLOAT32 -> to.asFloatBuffer().put(from.readFloat())
            else -> to.put(from.readInt8())
        }
    }

    /**
     * @param folder of the app's cache: CompiledModel opens files
     * @param manifest of the bundle that is opened with it
     * @param accelerator the processor, unless a measurement on the very phone says otherwise
     */
    class Factory(
        private val folder: File,
        private val manifest: Manifest,
        private val accelerator: Accelerator = Accelerator.CPU,
    ) : PoseEngine.Factory {
        override fun open(model: ByteBuffer, threads: Int): PoseEngine {
            val file = File.createTempFile("edgepose", ".tflite", folder)
            file.writeBytes(ByteArray(model.remaining()).also { model.get(it) })
            try {
                val options = CompiledModel.Options(accelerator)
                if (accelerator == Accelerator.CPU)
                    options.cpuOptions = CompiledModel.CpuOptions(threads, null, null)
                val compiled = CompiledModel.create(file.absolutePath, options, null)
                return CompiledModelEngine(compiled, file, manifest.input, manifest.output)
            } catch (error: LiteRtException) {
                file.delete()
                throw ModelRefused(
                    "CompiledModel does not load the model (${error.message})",
                    error,
                )
            }
        }
    }
}
