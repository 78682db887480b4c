package edgepose.pose

import java.nio.ByteBuffer
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.Tensor
import org.tensorflow.lite.TensorFlowLite

/**
 * The Interpreter of TensorFlow Lite 2.16 and of LiteRT 1.x, which keeps its name; on the
 * processor, by XNNPACK.
 *
 * No NNAPI: Android 15 and newer deprecate it. No GPU: a pose model of half a megabyte in 8 bits is
 * faster without.
 */
class InterpreterEngine
private constructor(private val interpreter: Interpreter, override val runtime: String) :
    PoseEngine {
    override val version: String = TensorFlowLite.runtimeVersion()
    override val inputs =
        List(interpreter.inputTensorCount) { spec(interpreter.getInputTensor(it)) }
    override val outputs =
        List(interpreter.outputTensorCount) { spec(interpreter.getOutputTensor(it)) }
    override val outputBytes =
        List(interpreter.outputTensorCount) { interpreter.getOutputTensor(it).numBytes() }

    override fun run(input: ByteBuffer, outputs: List<ByteBuffer>) {
        val filled: Map<Int, Any> = outputs.withIndex().associate { (i, buffer) -> i to buffer }
        try {
            interpreter.runForMultipleInputsOutputs(arrayOf(input), filled)
        } catch (error: IllegalArgumentException) {
            throw ModelRefused(
                "the model fails in TensorFlow Lite $version (${error.message})",
                error,
            )
        } catch (error: IllegalStateException) {
            throw ModelRefused(
                "the model fails in TensorFlow Lite $version (${error.message})",
                error,
            )
        }
    }

    override fun close() = interpreter.close()

    /**
     * @param runtime whose allowances count: `litert` for 2.16 and newer, whose kernels are
     *   LiteRT's; `tflite-runtime` for older ones. The stricter one unless the app says otherwise.
     */
    class Factory(private val runtime: String = "litert") : PoseEngine.Factory {
        override fun open(model: ByteBuffer, threads: Int): PoseEngine {
            val options = Interpreter.Options()
            options.setNumThreads(threads)
            options.setUseXNNPACK(true)
            var interpreter: Interpreter? = null
            try {
                interpreter = Interpreter(model, options)
                interpreter.allocateTensors()
                return InterpreterEngine(interpreter, runtime)
            } catch (error: IllegalArgumentException) {
                throw refused(interpreter, error)
            } catch (error: IllegalStateException) {
                throw refused(interpreter, error)
            } catch (error: LinkageError) { // no native library for this kind of phone
                throw refused(interpreter, error)
            }
        }

        private fun refused(interpreter: Interpreter?, error: Throwable): PoseException {
            interpreter?.close()
            return error as? PoseException
                ?: ModelRefused("TensorFlow Lite does not load the model (${error.message})", error)
        }
    }

    private companion object {
        fun spec(tensor: Tensor): TensorSpec {
            val name = tensor.dataType().name.lowercase()
            val type =
                TensorType.values().firstOrNull { it.text == name }
                    ?: throw ModelMismatch(
                        "the model has a tensor of type $name, which no pose model of edgepose has"
                    )
            val quantization = tensor.quantizationParams()
            return TensorSpec(
                type,
                tensor.shape().toList(),
                quantization.scale,
                quantization.zeroPoint,
            )
        }
    }
}
