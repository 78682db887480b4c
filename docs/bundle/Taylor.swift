/// The manifest's decoder "taylor" on one map: x and y in cells, and the highest value.
func taylor(_ w: Int, _ h: Int, _ map: (Int) -> Float) -> SIMD3<Float> {
    var peak = 0
    for i in 1..<w * h where map(i) > map(peak) { peak = i }  // the first of equals
    let px = peak % w, py = peak / w
    let mx = min(max(px, 1), w - 2), my = min(max(py, 1), h - 2)
    let top = max(map(peak), 1e-12)
    func log(_ dx: Int, _ dy: Int) -> Float { Foundation.log(max(map((my + dy) * w + mx + dx) / top, 1e-8)) }
    let gx = (log(1, 0) - log(-1, 0)) / 2, gy = (log(0, 1) - log(0, -1)) / 2
    let dxx = log(-1, 0) + log(1, 0) - 2 * log(0, 0)
    let dyy = log(0, -1) + log(0, 1) - 2 * log(0, 0)
    let dxy = (log(1, 1) + log(-1, -1) - log(-1, 1) - log(1, -1)) / 4
    let d = dxx * dyy - dxy * dxy
    var ox: Float = 0, oy: Float = 0
    if d > 1e-9 && dxx < 0 {
        ox = min(0.5, max(-0.5, (dxy * gy - dyy * gx) / d + Float(mx - px)))
        oy = min(0.5, max(-0.5, (dxy * gx - dxx * gy) / d + Float(my - py)))
    }
    let x = min(Float(w), max(0, Float(px) + 0.5 + ox)), y = min(Float(h), max(0, Float(py) + 0.5 + oy))
    return SIMD3(x, y, map(peak))
}
