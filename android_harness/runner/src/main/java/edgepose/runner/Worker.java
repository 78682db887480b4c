package edgepose.runner;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/** Claims the parts of a job and does them. */
final class Worker {
  static final String RUNNER = "edgepose-java 1";
  private static final long POLL_MS = 20;

  private final File folder;
  private final String name;
  private final Map<String, String> job;
  private final Engine engine;
  private final ByteBuffer input;
  private final ByteBuffer[] outputs;
  private boolean fresh = true;

  /**
   * Work on a job; what goes wrong lands in it as the worker's error file.
   *
   * @return 0 when all is done, 3 when it gave up
   */
  static int run(File job, String name, Engine.Factory factory) throws IOException, InterruptedException {
    try {
      new Worker(job, name, factory).work();
      return 0;
    } catch (Stop stop) {
      File error = new File(job, "out/error-" + name + ".txt");
      Protocol.write(error, "error", "kind", stop.kind, "message", String.valueOf(stop.getMessage()));
      return 3;
    }
  }

  /** Set the model up and say who runs it. */
  Worker(File folder, String name, Engine.Factory factory) throws Stop, IOException {
    this.folder = folder;
    this.name = name;
    job = Protocol.read(new File(folder, "job.txt"), "job");
    File model = new File(folder, "model.tflite");
    String sha256 = Protocol.sha256(Files.readAllBytes(model.toPath()));
    if (!sha256.equals(Protocol.text(job, "model_sha256"))) {
      throw new Stop("job", "model.tflite is not the job's (its SHA-256 differs)");
    }
    int threads = Protocol.number(job, "threads");
    String delegate = Protocol.text(job, "delegate");
    long start = System.nanoTime();
    engine = factory.open(model, threads, delegate);
    double initMs = (System.nanoTime() - start) / 1e6;
    input = ByteBuffer.allocateDirect(engine.input().bytes);
    outputs = new ByteBuffer[engine.outputs().length];
    for (int i = 0; i < outputs.length; i++) {
      outputs[i] = ByteBuffer.allocateDirect(engine.outputs()[i].bytes);
    }
    Protocol.write(
        out("runner-" + name + ".txt"), "runner",
        "runner", RUNNER,
        "runtime", engine.runtime(),
        "runtime_version", engine.runtimeVersion(),
        "processor", processor(),
        "model_sha256", sha256,
        "threads", threads,
        "delegate", delegate,
        "init_ms", initMs,
        "model_memory_bytes", engine.modelMemoryBytes(),
        "input", engine.input(),
        "outputs", Protocol.join(engine.outputs()));
  }

  /** Work until the host has said that no more parts will come, or until it is silent for too long. */
  void work() throws Stop, IOException, InterruptedException {
    long idle = 1000000000L * Protocol.number(job, "idle_s");
    long last = System.nanoTime();
    while (System.nanoTime() - last < idle) {
      boolean ended = new File(folder, "in/end").exists();
      File claimed = claim();
      if (claimed != null) {
        part(claimed);
        last = System.nanoTime();
      } else if (ended) {
        return;
      } else {
        Thread.sleep(POLL_MS);
      }
    }
  }

  private File claim() {
    String[] names = new File(folder, "in").list();
    if (names == null) {
      return null;
    }
    Arrays.sort(names);
    for (String part : names) {
      File mine = new File(folder, "in/" + part + "." + name);
      if (part.endsWith(".bin") && new File(folder, "in/" + part).renameTo(mine)) {
        return mine;
      }
    }
    return null;
  }

  private void part(File claimed) throws Stop, IOException {
    String part = claimed.getName().substring(0, claimed.getName().indexOf('.'));
    byte[] data = Files.readAllBytes(claimed.toPath());
    int size = engine.input().bytes;
    if (data.length == 0 || data.length % size != 0 || !Protocol.sha256(data).equals(part)) {
      throw new Stop("input", "part " + part + " is damaged or of another size than the model takes");
    }
    int rows = data.length / size;
    int width = 0;
    for (ByteBuffer output : outputs) {
      width += output.capacity();
    }
    byte[] packed = new byte[rows * width];
    List<Double> warmUp = new ArrayList<Double>();
    List<Double> times = new ArrayList<Double>();
    for (int row = 0, at = 0; row < rows; row++) {
      infer(data, row * size, warmUp, times);
      for (ByteBuffer output : outputs) {
        output.rewind();
        output.get(packed, at, output.capacity());
        at += output.capacity();
      }
    }
    Protocol.land(out(part + ".bin"), packed);
    Protocol.write(
        out(part + ".txt"), "part",
        "name", part,
        "inputs", rows,
        "sha256", Protocol.sha256(packed),
        "warm_up_ms", Protocol.join(warmUp),
        "run_ms", Protocol.join(times));
    if (!claimed.delete()) {
      throw new Stop("run", "cannot delete " + claimed.getName());
    }
  }

  private void infer(byte[] data, int offset, List<Double> warmUp, List<Double> times) throws Stop {
    input.clear();
    input.put(data, offset, input.capacity());
    if (fresh) {
      fresh = false;
      repeat(Protocol.number(job, "warm_up"), warmUp);
    }
    repeat(Protocol.number(job, "runs"), times);
  }

  private void repeat(int count, List<Double> times) throws Stop {
    for (int i = 0; i < count; i++) {
      input.rewind();
      for (ByteBuffer output : outputs) {
        output.clear();
      }
      times.add(engine.invoke(input, outputs));
    }
  }

  private File out(String file) {
    return new File(folder, "out/" + file);
  }

  /** The processor's identity as /proc/cpuinfo has it, after the machine's name. */
  private static String processor() {
    String said = "unknown";
    try {
      byte[] info = Files.readAllBytes(new File("/proc/cpuinfo").toPath());
      for (String line : new String(info, StandardCharsets.UTF_8).split("\n")) {
        if (line.startsWith("CPU part") || line.startsWith("model name")) {
          said = line.substring(line.indexOf(':') + 1).trim();
          break;
        }
      }
    } catch (IOException error) {
      said = "unknown";
    }
    return System.getProperty("os.arch") + " " + said;
  }
}
