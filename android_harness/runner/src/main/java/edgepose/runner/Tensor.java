package edgepose.runner;

/** An input or output of the model, as {@code DTYPE AxBxC SCALE ZERO_POINT} in a text. */
final class Tensor {
  final String dtype;
  final int[] shape;
  final float scale;
  final int zeroPoint;

  /** Of one tensor's values, little endian and without padding. */
  final int bytes;

  Tensor(String dtype, int[] shape, float scale, int zeroPoint, int bytes) {
    this.dtype = dtype;
    this.shape = shape.clone();
    this.scale = scale;
    this.zeroPoint = zeroPoint;
    this.bytes = bytes;
  }

  @Override
  public String toString() {
    StringBuilder sizes = new StringBuilder();
    for (int size : shape) {
      sizes.append(sizes.length() == 0 ? "" : "x").append(size);
    }
    return dtype + " " + sizes + " " + (double) scale + " " + zeroPoint;
  }
}
