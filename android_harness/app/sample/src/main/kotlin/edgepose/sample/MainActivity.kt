package edgepose.sample

import android.Manifest.permission.CAMERA
import android.app.Activity
import android.content.Intent
import android.content.pm.PackageManager
import android.graphics.Bitmap
import android.graphics.ImageDecoder
import android.graphics.Matrix
import android.net.Uri
import android.os.Build
import android.os.Bundle
import android.os.Handler
import android.os.HandlerThread
import android.provider.MediaStore
import android.widget.Button
import android.widget.LinearLayout
import android.widget.LinearLayout.LayoutParams
import android.widget.TextView
import edgepose.pose.AndroidMemory
import edgepose.pose.AndroidPictures
import edgepose.pose.Frame
import edgepose.pose.InterpreterEngine
import edgepose.pose.NoCameraPermission
import edgepose.pose.PoseBundle
import edgepose.pose.PoseException
import edgepose.pose.PoseModel
import edgepose.pose.PoseTracker
import edgepose.pose.frame
import java.io.IOException

/**
 * Marks an infant's pose on the camera's frames or on a picture that the user chooses; nothing
 * leaves the device.
 */
class MainActivity : Activity() {
    private val thread = HandlerThread("pose")
    private lateinit var worker: Handler
    private lateinit var view: PoseView
    private lateinit var said: TextView
    private var model: PoseModel? = null
    private var camera: CameraStream? = null

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        view = PoseView(this)
        said = TextView(this)
        val column = LinearLayout(this).apply { orientation = LinearLayout.VERTICAL }
        column.addView(said)
        column.addView(button("Camera") { startCamera() })
        column.addView(button("Picture") { choosePicture() })
        column.addView(view, LayoutParams(LayoutParams.MATCH_PARENT, 0, 1f))
        setContentView(column)
        thread.start()
        worker = Handler(thread.looper)
        worker.post { guarded { open() } }
    }

    override fun onStop() {
        camera?.close()
        camera = null
        super.onStop()
    }

    override fun onDestroy() {
        worker.post { model?.close() }
        thread.quitSafely()
        super.onDestroy()
    }

    override fun onRequestPermissionsResult(
        code: Int,
        permissions: Array<String>,
        results: IntArray,
    ) {
        if (results.contains(PackageManager.PERMISSION_GRANTED)) startCamera()
        else say(NoCameraPermission().message!!)
    }

    override fun onActivityResult(code: Int, result: Int, data: Intent?) {
        val uri = data?.data ?: return
        worker.post { guarded { markPicture(uri) } }
    }

    /** On the worker: the bundle lies in the app's assets, uncompressed. */
    private fun open() {
        val memory = AndroidMemory(this)
        val bundle =
            assets.openFd("app.zip").use {
                PoseBundle.read(it.createInputStream(), it.length, memory)
            }
        val opened =
            PoseModel.open(bundle, InterpreterEngine.Factory(), AndroidPictures, memory = memory)
        model = opened
        say("${opened.manifest.name}, ${opened.runtime}. ${opened.manifest.notice}")
    }

    private fun startCamera() {
        val opened = model ?: return say("the model is not open")
        val tracker = PoseTracker(opened)
        camera?.close()
        try {
            camera =
                CameraStream(
                    this,
                    worker,
                    displayDegrees(),
                    { frame, time -> markFrame(tracker, frame, time) },
                    ::say,
                )
        } catch (error: NoCameraPermission) {
            requestPermissions(arrayOf(CAMERA), 0)
        }
    }

    private fun markFrame(tracker: PoseTracker, frame: Frame, time: Long) = guarded {
        view.show(upright(frame), tracker.mark(frame, time), model!!.manifest.skeleton)
    }

    private fun choosePicture() {
        val intent =
            Intent(Intent.ACTION_OPEN_DOCUMENT)
                .addCategory(Intent.CATEGORY_OPENABLE)
                .setType("image/*")
        startActivityForResult(intent, 0)
    }

    private fun markPicture(uri: Uri) {
        val opened = model ?: return say("the model is not open")
        val picture = decode(uri)
        view.show(picture, opened.mark(frame(picture)).keypoints, opened.manifest.skeleton)
    }

    /**
     * Upright: ImageDecoder follows the file's orientation; before Android 9 the file's own pixels
     * are shown.
     */
    private fun decode(uri: Uri): Bitmap {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.P) {
            @Suppress("DEPRECATION")
            return MediaStore.Images.Media.getBitmap(contentResolver, uri)
        }
        return ImageDecoder.decodeBitmap(ImageDecoder.createSource(contentResolver, uri)) {
            decoder,
            _,
            _ ->
            decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
        }
    }

    /** The frame as it is to be seen. */
    private fun upright(frame: Frame): Bitmap {
        val pixels =
            IntArray(frame.width * frame.height) { i ->
                val (r, g, b) = List(3) { frame.rgb[3 * i + it].toInt() and 0xff }
                (0xff shl 24) or (r shl 16) or (g shl 8) or b
            }
        val sensor = Bitmap.createBitmap(pixels, frame.width, frame.height, Bitmap.Config.ARGB_8888)
        val turn = Matrix().apply { setRotate(frame.rotation.toFloat()) }
        return Bitmap.createBitmap(sensor, 0, 0, frame.width, frame.height, turn, false)
    }

    @Suppress("DEPRECATION") // its successor came with Android 11
    private fun displayDegrees(): Int = 90 * windowManager.defaultDisplay.rotation

    /** Whatever the library refuses is told, and no pose is drawn. */
    private fun guarded(work: () -> Unit) {
        try {
            work()
        } catch (error: PoseException) {
            say(error.message!!)
        } catch (error: IOException) {
            say("the file cannot be read (${error.message})")
        }
    }

    private fun say(text: String) = runOnUiThread { said.text = text }

    private fun button(label: String, action: () -> Unit) =
        Button(this).apply {
            text = label
            setOnClickListener { action() }
        }
}
