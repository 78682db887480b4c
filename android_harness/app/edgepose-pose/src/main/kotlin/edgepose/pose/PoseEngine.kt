package edgepose.pose

import java.io.Closeable
import java.nio.ByteBuffer

/** What runs a model: TensorFlow Lite's or LiteRT's Interpreter, CompiledModel, or a test's own. */
interface PoseEngine : Closeable {
    /** As the manifest's `golden.allowed` calls it: `litert` or `tflite-runtime`. */
    val runtime: String
    val version: String

    /**
     * The model's tensors; null from a runtime that does not tell, and then the golden vectors
     * decide alone.
     */
    val inputs: List<TensorSpec>?
    val outputs: List<TensorSpec>?

    /** Bytes that each output takes. */
    val outputBytes: List<Int>

    /**
     * One inference.
     *
     * @param input direct, native byte order, from 0 to its limit
     * @param outputs direct, native byte order, one for each of the model's; filled from 0
     * @throws ModelRefused the runtime fails
     */
    fun run(input: ByteBuffer, outputs: List<ByteBuffer>)

    /** Opens a model. */
    fun interface Factory {
        /**
         * @param model direct, native byte order; stays as long as the engine does
         * @throws ModelRefused the runtime does not take it
         */
        fun open(model: ByteBuffer, threads: Int): PoseEngine
    }
}
