package edgepose.pose

/**
 * What went wrong, in one sentence that says what to do; whatever this library throws is one of
 * these.
 *
 * No pose is ever given instead.
 */
sealed class PoseException(message: String, cause: Throwable? = null) :
    RuntimeException(message, cause)

/** The file is not there, is too large, or is no zip archive. */
class BundleUnreadable(message: String) : PoseException(message)

/** A byte differs from what was bundled, or the archive was packed again. */
class BundleDamaged(message: String) : PoseException(message)

/** A part that the manifest names is not in the archive. */
class PartMissing(val part: String) :
    PoseException("the bundle lacks $part: get it again from where it was made")

/** The bundle was written by a newer edgepose than this library knows. */
class BundleTooNew(val version: Long) :
    PoseException(
        "the bundle has schema version $version and this library reads $SCHEMA_VERSION: update the library"
    )

/** The manifest is whole but asks for what this library cannot do, or contradicts itself. */
class BundleUnsupported(message: String) : PoseException(message)

/** The runtime does not load or run the model. */
class ModelRefused(message: String, cause: Throwable? = null) : PoseException(message, cause)

/** The model's tensors are not those that the manifest describes. */
class ModelMismatch(message: String) : PoseException(message)

/** This device does not give the golden vectors within what the manifest allows. */
class GoldenMismatch(message: String) : PoseException(message)

/** The model gave NaN or infinity. */
class BadOutput(message: String) : PoseException(message)

/**
 * A frame that cannot be: its size does not fit its bytes, or its rotation is none of 0, 90, 180
 * and 270.
 */
class BadFrame(message: String) : PoseException(message)

/** A frame of another size or rotation than the ones before it, or one that is not later. */
class FrameChanged(message: String) : PoseException(message)

/** The device has less memory to spare than is needed. */
class NotEnoughMemory(message: String, cause: Throwable? = null) : PoseException(message, cause)

/** The user has not allowed the camera. */
class NoCameraPermission :
    PoseException(
        "the app may not use the camera: ask for android.permission.CAMERA, or take a file instead"
    )

/** The model was closed. */
class ModelClosed : PoseException("the model is closed: open it again")
