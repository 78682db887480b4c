package edgepose.sample

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.ImageFormat
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.media.ImageReader
import android.os.Handler
import android.util.Size
import android.view.Surface
import edgepose.pose.Frame
import edgepose.pose.frame
import edgepose.pose.requireCamera
import java.io.Closeable

/**
 * Frames of the camera at the back, by Camera2: it is Android's own, so this compiles without
 * Google's repository.
 *
 * @param displayDegrees how far the display is turned from its natural way up
 * @param onFrame gets each frame and its time in nanoseconds, on [handler]'s thread; what comes
 *   meanwhile is dropped
 * @param onFailure gets one sentence
 */
class CameraStream(
    context: Context,
    private val handler: Handler,
    private val displayDegrees: Int,
    private val onFrame: (Frame, Long) -> Unit,
    private val onFailure: (String) -> Unit,
) : Closeable {
    private val manager = context.getSystemService(CameraManager::class.java)
    private var device: CameraDevice? = null
    private var reader: ImageReader? = null
    private var closed = false

    init {
        requireCamera(context)
        open()
    }

    @SuppressLint("MissingPermission") // requireCamera has asked
    private fun open() = guarded {
        val id =
            manager.cameraIdList.firstOrNull {
                facing(it) == CameraCharacteristics.LENS_FACING_BACK
            }
        if (id != null) manager.openCamera(id, Opened(id), handler)
        else onFailure("this device has no camera at its back: take a picture instead")
    }

    /** What other apps or the system do to a camera in use is told. */
    private inline fun guarded(work: () -> Unit) {
        try {
            work()
        } catch (error: CameraAccessException) {
            onFailure("the camera cannot be used (${error.message})")
        } catch (error: IllegalStateException) {
            onFailure("the camera was closed meanwhile (${error.message})")
        }
    }

    /** Ends the stream once the frame at hand is done. */
    override fun close() {
        closed = true
        handler.post {
            device?.close()
            reader?.close()
        }
    }

    private fun facing(id: String) =
        manager.getCameraCharacteristics(id).get(CameraCharacteristics.LENS_FACING)

    private fun read(id: String): ImageReader {
        val facts = manager.getCameraCharacteristics(id)
        val sizes =
            facts
                .get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP)!!
                .getOutputSizes(ImageFormat.YUV_420_888)
        val size =
            sizes.minByOrNull {
                kotlin.math.abs(it.width * it.height - WANTED.width * WANTED.height)
            }!!
        val rotation =
            (facts.get(CameraCharacteristics.SENSOR_ORIENTATION)!! - displayDegrees + 360) % 360
        val made = ImageReader.newInstance(size.width, size.height, ImageFormat.YUV_420_888, 2)
        made.setOnImageAvailableListener(
            { source ->
                source.acquireLatestImage()?.use { image ->
                    onFrame(frame(image, rotation), image.timestamp)
                }
            },
            handler,
        )
        return made
    }

    private inner class Opened(private val id: String) : CameraDevice.StateCallback() {
        override fun onOpened(camera: CameraDevice) {
            device = camera
            if (closed) return camera.close()
            val surface = read(id).also { reader = it }.surface
            guarded {
                @Suppress(
                    "DEPRECATION"
                ) // its successor came with Android 9, and this is for Android 8 too
                camera.createCaptureSession(listOf(surface), Configured(surface), handler)
            }
        }

        override fun onDisconnected(camera: CameraDevice) = camera.close()

        override fun onError(camera: CameraDevice, error: Int) {
            camera.close()
            onFailure("the camera stopped (error $error): close other apps that use it")
        }
    }

    private inner class Configured(private val surface: Surface) :
        CameraCaptureSession.StateCallback() {
        override fun onConfigured(session: CameraCaptureSession) = guarded {
            val request = session.device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW)
            request.addTarget(surface)
            session.setRepeatingRequest(request.build(), null, handler)
        }

        override fun onConfigureFailed(session: CameraCaptureSession) =
            onFailure("the camera gives no frames of this size")
    }

    private companion object {
        val WANTED = Size(640, 480)
    }
}
