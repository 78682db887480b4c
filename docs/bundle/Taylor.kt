/** The manifest's decoder "taylor" on one map: x and y in cells, and the highest value. */
fun taylor(w: Int, h: Int, map: (Int) -> Float): Triple<Float, Float, Float> {
    val peak = (0 until w * h).maxByOrNull(map)!! // the first of equals
    val (px, py) = peak % w to peak / w
    val (mx, my) = px.coerceIn(1, w - 2) to py.coerceIn(1, h - 2)
    val top = maxOf(map(peak), 1e-12f)
    fun log(dx: Int, dy: Int) = ln(maxOf(map((my + dy) * w + mx + dx) / top, 1e-8f))
    val (gx, gy) = (log(1, 0) - log(-1, 0)) / 2 to (log(0, 1) - log(0, -1)) / 2
    val dxx = log(-1, 0) + log(1, 0) - 2 * log(0, 0)
    val dyy = log(0, -1) + log(0, 1) - 2 * log(0, 0)
    val dxy = (log(1, 1) + log(-1, -1) - log(-1, 1) - log(1, -1)) / 4
    val d = dxx * dyy - dxy * dxy
    var (ox, oy) = 0f to 0f
    if (d > 1e-9f && dxx < 0) {
        ox = ((dxy * gy - dyy * gx) / d + mx - px).coerceIn(-0.5f, 0.5f)
        oy = ((dxy * gx - dxx * gy) / d + my - py).coerceIn(-0.5f, 0.5f)
    }
    return Triple((px + 0.5f + ox).coerceIn(0f, w.toFloat()), (py + 0.5f + oy).coerceIn(0f, h.toFloat()), map(peak))
}
