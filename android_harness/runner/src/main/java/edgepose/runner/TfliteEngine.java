package edgepose.runner;

import java.io.File;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import org.tensorflow.lite.Delegate;
import org.tensorflow.lite.Interpreter;
import org.tensorflow.lite.TensorFlowLite;
import org.tensorflow.lite.nnapi.NnApiDelegate;

/** TensorFlow Lite's Java API. Its native library must have been loaded before. */
final class TfliteEngine implements Engine {
  private final Interpreter interpreter;
  private final Tensor input;
  private final Tensor[] outputs;
  private final long memory;

  TfliteEngine(File model, int threads, String delegate) throws Stop {
    Interpreter.Options options = new Interpreter.Options();
    options.setNumThreads(threads);
    delegate(options, delegate);
    long before = allocated();
    try {
      interpreter = new Interpreter(model, options);
      interpreter.allocateTensors();
    } catch (IllegalArgumentException error) {
      throw new Stop("model", error.getMessage());
    } catch (IllegalStateException error) {
      throw new Stop("model", error.getMessage());
    }
    memory = before < 0 ? -1 : allocated() - before;
    if (interpreter.getInputTensorCount() != 1) {
      throw new Stop("model", "it has " + interpreter.getInputTensorCount() + " inputs, not one");
    }
    input = describe(interpreter.getInputTensor(0));
    outputs = new Tensor[interpreter.getOutputTensorCount()];
    for (int i = 0; i < outputs.length; i++) {
      outputs[i] = describe(interpreter.getOutputTensor(i));
    }
  }

  private static void delegate(Interpreter.Options options, String name) throws Stop {
    if (name.equals("nnapi")) {
      options.addDelegate(new NnApiDelegate());
    } else if (name.equals("gpu")) {
      options.addDelegate(gpu());
    } else if (!name.equals("xnnpack") && !name.equals("none")) {
      throw new Stop("job", "this runner has no delegate '" + name + "' (known: xnnpack, none, gpu, nnapi)");
    }
    options.setUseXNNPACK(name.equals("xnnpack"));
  }

  /** By reflection: the GPU delegate is an artifact of its own, which a build may leave out. */
  private static Delegate gpu() throws Stop {
    try {
      Class<?> kind = Class.forName("org.tensorflow.lite.gpu.GpuDelegate");
      return (Delegate) kind.getConstructor().newInstance();
    } catch (ReflectiveOperationException error) {
      Throwable cause = error.getCause() == null ? error : error.getCause();
      throw new Stop("job", "the GPU delegate cannot be made here (" + cause + ")");
    } catch (LinkageError error) {
      throw new Stop("job", "the GPU delegate cannot be made here (" + error + ")");
    }
  }

  private static Tensor describe(org.tensorflow.lite.Tensor tensor) {
    org.tensorflow.lite.Tensor.QuantizationParams quantization = tensor.quantizationParams();
    String dtype = tensor.dataType().name().toLowerCase(Locale.ROOT);
    return new Tensor(
        dtype, tensor.shape(), quantization.getScale(), quantization.getZeroPoint(), tensor.numBytes());
  }

  /** Bytes in use by malloc, where Android's own counter is there; else -1. */
  private static long allocated() {
    try {
      Class<?> debug = Class.forName("android.os.Debug");
      return (Long) debug.getMethod("getNativeHeapAllocatedSize").invoke(null);
    } catch (ReflectiveOperationException error) {
      return -1;
    }
  }

  @Override
  public String runtime() {
    return "tensorflow-lite-java";
  }

  @Override
  public String runtimeVersion() {
    return TensorFlowLite.runtimeVersion();
  }

  @Override
  public long modelMemoryBytes() {
    return memory;
  }

  @Override
  public Tensor input() {
    return input;
  }

  @Override
  public Tensor[] outputs() {
    return outputs;
  }

  @Override
  public double invoke(ByteBuffer values, ByteBuffer[] results) throws Stop {
    Map<Integer, Object> filled = new HashMap<Integer, Object>();
    for (int i = 0; i < results.length; i++) {
      filled.put(i, results[i]);
    }
    try {
      interpreter.runForMultipleInputsOutputs(new Object[] {values}, filled);
    } catch (IllegalArgumentException error) {
      throw new Stop("run", error.getMessage());
    } catch (IllegalStateException error) {
      throw new Stop("run", error.getMessage());
    }
    return interpreter.getLastNativeInferenceDurationNanoseconds() / 1e6;
  }
}
