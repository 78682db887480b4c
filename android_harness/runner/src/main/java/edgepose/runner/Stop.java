package edgepose.runner;

/** The runner gives up: why, as the protocol's error file says it. */
final class Stop extends Exception {
  private static final long serialVersionUID = 1L;

  /** One of the protocol's kinds: protocol, job, model, input, run. */
  final String kind;

  Stop(String kind, String message) {
    super(message);
    this.kind = kind;
  }
}
