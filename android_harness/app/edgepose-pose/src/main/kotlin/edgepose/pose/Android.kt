package edgepose.pose

import android.Manifest.permission.CAMERA
import android.app.ActivityManager
import android.content.Context
import android.content.pm.PackageManager
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.ImageFormat
import android.media.Image

/**
 * Whether the camera may be used.
 *
 * @throws NoCameraPermission it may not
 */
fun requireCamera(context: Context) {
    if (context.checkSelfPermission(CAMERA) != PackageManager.PERMISSION_GRANTED)
        throw NoCameraPermission()
}

/** What Android says that is left, less what it keeps for itself. */
class AndroidMemory(private val manager: ActivityManager) : Memory {
    constructor(context: Context) : this(context.getSystemService(ActivityManager::class.java))

    override fun availableBytes(): Long {
        val told = ActivityManager.MemoryInfo()
        manager.getMemoryInfo(told)
        val system = if (told.lowMemory) 0L else told.availMem - told.threshold
        return minOf(system, Memory.Heap.availableBytes())
    }
}

/** Decodes golden frames with Android's own decoder. */
object AndroidPictures : PictureDecoder {
    override fun decode(png: ByteArray): Frame {
        val options = BitmapFactory.Options()
        options.inPreferredConfig = Bitmap.Config.ARGB_8888
        options.inScaled = false
        val bitmap =
            BitmapFactory.decodeByteArray(png, 0, png.size, options)
                ?: throw BadFrame("a golden frame is no picture")
        return frame(bitmap)
    }
}

/** A frame of a bitmap, whatever its configuration. */
fun frame(bitmap: Bitmap, rotation: Int = 0): Frame {
    val readable =
        if (bitmap.config == Bitmap.Config.HARDWARE) bitmap.copy(Bitmap.Config.ARGB_8888, false)
        else bitmap
    val pixels = IntArray(readable.width * readable.height)
    readable.getPixels(pixels, 0, readable.width, 0, 0, readable.width, readable.height)
    return Frame.ofArgb(readable.width, readable.height, pixels, rotation)
}

/**
 * A frame of a camera's image; CameraX's ImageProxy holds one too (`proxy.image`), and its rotation
 * beside it.
 *
 * @param rotation clockwise degrees that make it upright
 * @throws BadFrame not YUV_420_888
 */
fun frame(image: Image, rotation: Int): Frame {
    if (image.format != ImageFormat.YUV_420_888)
        throw BadFrame("a camera image of format ${image.format}: ask for YUV_420_888")
    return Frame.ofYuv(
        image.width,
        image.height,
        image.planes.map { Plane(it.buffer, it.rowStride, it.pixelStride) },
        rotation,
    )
}
