package edgepose.sample

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Matrix
import android.graphics.Paint
import android.view.View
import edgepose.pose.Keypoint

/** An image and the skeleton on it, as large as fits. */
class PoseView(context: Context) : View(context) {
    private val line = Paint(Paint.ANTI_ALIAS_FLAG).apply { strokeWidth = 6f }
    private var image: Bitmap? = null
    private var points: List<Keypoint?> = emptyList()
    private var skeleton: List<Pair<Int, Int>> = emptyList()

    /** @param points in pixels of [image] */
    fun show(image: Bitmap, points: List<Keypoint?>, skeleton: List<Pair<Int, Int>>) {
        this.image = image
        this.points = points
        this.skeleton = skeleton
        postInvalidate()
    }

    override fun onDraw(canvas: Canvas) {
        val shown = image ?: return
        val scale = minOf(width / shown.width.toFloat(), height / shown.height.toFloat())
        val placed = Matrix().apply { setScale(scale, scale) }
        canvas.drawBitmap(shown, placed, null)
        line.color = Color.YELLOW
        for ((from, to) in skeleton) {
            val (a, b) = points[from] to points[to]
            if (a == null || b == null) continue
            canvas.drawLine(
                a.x.toFloat() * scale,
                a.y.toFloat() * scale,
                b.x.toFloat() * scale,
                b.y.toFloat() * scale,
                line,
            )
        }
        line.color = Color.CYAN
        for (point in points) if (point != null)
            canvas.drawCircle(point.x.toFloat() * scale, point.y.toFloat() * scale, 9f, line)
    }
}
