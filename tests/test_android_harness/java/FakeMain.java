package edgepose.runner;

import java.io.File;
import java.nio.ByteBuffer;

/** The runner's core over an engine that needs no TensorFlow Lite: outputs are the input, and its sum. */
public final class FakeMain {
  private FakeMain() {}

  public static void main(String[] arguments) throws Exception {
    System.exit(Worker.run(new File(arguments[0]), arguments[1], new Fake()));
  }

  private static final class Fake implements Engine, Engine.Factory {
    private int calls;

    @Override
    public Engine open(File model, int threads, String delegate) throws Stop {
      if (model.length() == 0) {
        throw new Stop("model", "it is empty,\n  and that\r\nover three lines");
      }
      if (!delegate.equals("none")) {
        throw new Stop("job", "no delegate '" + delegate + "'");
      }
      return this;
    }

    @Override
    public String runtime() {
      return "fake";
    }

    @Override
    public String runtimeVersion() {
      return "1";
    }

    @Override
    public long modelMemoryBytes() {
      return -1;
    }

    @Override
    public Tensor input() {
      return new Tensor("uint8", new int[] {1, 3}, 0.1f, 128, 3);
    }

    @Override
    public Tensor[] outputs() {
      return new Tensor[] {input(), new Tensor("uint8", new int[0], 0f, 0, 1)};
    }

    @Override
    public double invoke(ByteBuffer input, ByteBuffer[] outputs) throws Stop {
      byte sum = 0;
      while (input.hasRemaining()) {
        byte value = input.get();
        outputs[0].put(value);
        sum += value;
      }
      outputs[1].put(sum);
      if (sum == 99) {
        throw new Stop("run", "99");
      }
      return ++calls;
    }
  }
}
