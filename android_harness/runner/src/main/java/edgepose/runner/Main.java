package edgepose.runner;

import java.io.File;
import java.io.IOException;
import org.tensorflow.lite.TensorFlowLite;

/**
 * Runs on the phone, started by app_process from a read-only jar; nothing is installed.
 *
 * <pre>
 *   CLASSPATH=DIR/runner.jar app_process DIR edgepose.runner.Main version DIR
 *   CLASSPATH=DIR/runner.jar app_process DIR edgepose.runner.Main run JOB WORKER DIR
 * </pre>
 *
 * DIR holds the native libraries beside the jar.
 */
public final class Main {
  private static final String[] LIBRARIES = {"libtensorflowlite_jni.so", "libtensorflowlite_gpu_jni.so"};

  private Main() {}

  /** Ends the process: 0 when all is done, 3 when it gave up and said why in the job. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    if (arguments.length == 2 && arguments[0].equals("version")) {
      load(new File(arguments[1]));
      System.out.println("edgepose-runner " + Protocol.VERSION);
      System.out.println("runner=" + Worker.RUNNER);
      System.out.println("runtime_version=" + TensorFlowLite.runtimeVersion());
      System.exit(0);
    }
    if (arguments.length != 4 || !arguments[0].equals("run")) {
      System.err.println("usage: version DIR | run JOB WORKER DIR");
      System.exit(2);
    }
    load(new File(arguments[3]));
    System.exit(Worker.run(new File(arguments[1]), arguments[2], new Tflite()));
  }

  /** A class and no lambda: Android's runtime cannot make lambdas of plain class files. */
  private static final class Tflite implements Engine.Factory {
    @Override
    public Engine open(File model, int threads, String delegate) throws Stop {
      return new TfliteEngine(model, threads, delegate);
    }
  }

  /** By full path: the loader's own search finds libraries of installed apps only. */
  private static void load(File folder) {
    for (String library : LIBRARIES) {
      File file = new File(folder, library);
      if (file.exists()) {
        System.load(file.getAbsolutePath());
      }
    }
  }
}
