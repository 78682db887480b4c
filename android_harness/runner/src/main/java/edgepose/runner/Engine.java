package edgepose.runner;

import java.nio.ByteBuffer;

/** What runs a model: one input, some outputs. */
interface Engine {
  /** Name of the runtime, for the host to print beside every millisecond. */
  String runtime();

  String runtimeVersion();

  /** What opening the model took from malloc, in bytes; -1 where it cannot be told. */
  long modelMemoryBytes();

  Tensor input();

  Tensor[] outputs();

  /**
   * One inference.
   *
   * @param input direct, from its position to its limit
   * @param outputs direct, one for each output; filled from 0
   * @return milliseconds that the runtime took, without the copies
   * @throws Stop when the runtime fails
   */
  double invoke(ByteBuffer input, ByteBuffer[] outputs) throws Stop;

  /** Opens a model. */
  interface Factory {
    /**
     * @throws Stop of kind model when the runtime refuses the file, job when it has no such delegate
     */
    Engine open(java.io.File model, int threads, String delegate) throws Stop;
  }
}
