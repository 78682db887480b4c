package edgepose.runner;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Device protocol 1, from the device's side: {@code key=value} files that land whole, and hashes. */
final class Protocol {
  static final int VERSION = 1;

  private Protocol() {}

  /** The fields of a file of one kind. */
  static Map<String, String> read(File file, String kind) throws Stop, IOException {
    String[] lines = new String(Files.readAllBytes(file.toPath()), StandardCharsets.UTF_8).split("\n");
    String[] head = lines[0].trim().split(" ");
    if (!head[0].equals("edgepose-" + kind)) {
      throw new Stop("job", file.getName() + " is no " + kind + " file");
    }
    if (head.length != 2 || !head[1].equals(String.valueOf(VERSION))) {
      String version = head.length > 1 ? head[1] : "none";
      throw new Stop("protocol", "the job is of protocol " + version + ", the runner of " + VERSION);
    }
    Map<String, String> fields = new HashMap<String, String>();
    for (String line : lines) {
      int equals = line.indexOf('=');
      if (equals > 0) {
        fields.put(line.substring(0, equals), line.substring(equals + 1).trim());
      }
    }
    return fields;
  }

  static String text(Map<String, String> fields, String name) throws Stop {
    String value = fields.get(name);
    if (value == null) {
      throw new Stop("job", "job.txt lacks " + name);
    }
    return value;
  }

  static int number(Map<String, String> fields, String name) throws Stop {
    String value = text(fields, name);
    try {
      return Integer.parseInt(value);
    } catch (NumberFormatException error) {
      throw new Stop("job", "job.txt has " + name + "=" + value);
    }
  }

  /** Write a file of one kind; `fields` are key, value, key, value. */
  static void write(File file, String kind, Object... fields) throws IOException {
    StringBuilder text = new StringBuilder("edgepose-" + kind + " " + VERSION + "\n");
    for (int i = 0; i < fields.length; i += 2) {
      text.append(fields[i]).append('=').append(oneLine(String.valueOf(fields[i + 1]))).append('\n');
    }
    land(file, text.toString().getBytes(StandardCharsets.UTF_8));
  }

  /** Write under a temporary name and rename, so that a file that is there is whole. */
  static void land(File file, byte[] data) throws IOException {
    File temporary = new File(file.getPath() + ".tmp");
    Files.write(temporary.toPath(), data);
    Files.move(
        temporary.toPath(),
        file.toPath(),
        StandardCopyOption.ATOMIC_MOVE,
        StandardCopyOption.REPLACE_EXISTING);
  }

  static String sha256(byte[] data) {
    MessageDigest digest;
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException error) {
      throw new AssertionError(error); // every Java has it
    }
    StringBuilder hex = new StringBuilder();
    for (byte value : digest.digest(data)) {
      hex.append(Character.forDigit((value >> 4) & 15, 16)).append(Character.forDigit(value & 15, 16));
    }
    return hex.toString();
  }

  static String join(List<Double> values) {
    StringBuilder text = new StringBuilder();
    for (double value : values) {
      text.append(text.length() == 0 ? "" : ",").append(value);
    }
    return text.toString();
  }

  static String join(Tensor[] tensors) {
    StringBuilder text = new StringBuilder();
    for (Tensor tensor : tensors) {
      text.append(text.length() == 0 ? "" : "|").append(tensor);
    }
    return text.toString();
  }

  private static String oneLine(String text) {
    return text.trim().replaceAll("\\s*[\\r\\n]+\\s*", " ");
  }
}
