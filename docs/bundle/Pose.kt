// Android, with org.tensorflow:tensorflow-lite; one model from a bundle of `edgepose bundle`.
class Pose(bundle: File) {
    private val parts = ZipFile(bundle).use { zip ->
        zip.entries().asSequence().associate { it.name to zip.getInputStream(it).readBytes() }
    }
    private val manifest = JSONObject(String(parts.getValue("manifest.json")))
    private fun at(path: String): Any = path.split(".").fold(manifest as Any) { o, key -> (o as JSONObject).get(key) }
    private fun number(path: String) = (at(path) as Number).toFloat()
    private fun numbers(path: String) = (at(path) as JSONArray).let { a -> FloatArray(a.length()) { a.getDouble(it).toFloat() } }
    val names = (at("keypoints.names") as JSONArray).let { a -> List(a.length()) { a.getString(it) } }
    private val model: Interpreter

    init {
        check(at("schema_version") == 1 && at("output.kind") == "maps" && at("output.decode.name") == "taylor")
        for (tensor in listOf("input", "output")) check(at("$tensor.dtype") == if (number("$tensor.scale") == 0f) "float32" else "int8")
        val listed = at("parts") as JSONObject
        check(parts.keys == listed.keys().asSequence().toSet() + "manifest.json") { "a part is missing or extra" }
        for (name in listed.keys()) {
            val hash = MessageDigest.getInstance("SHA-256").digest(parts.getValue(name)).joinToString("") { "%02x".format(it) }
            check(hash == listed.getJSONObject(name).getString("sha256")) { "$name has changed" }
        }
        val bytes = parts.getValue(at("model.file") as String)
        model = Interpreter(ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).apply { put(bytes); rewind() })
    }

    /** x, y in pixels of the image and the confidence, by keypoint; float32 or int8 models. */
    fun mark(image: Bitmap): Map<String, Triple<Float, Float, Float>> {
        val (h, w) = numbers("input.shape").slice(1..2).map { it.toInt() }
        val fit = minOf(w / image.width.toDouble(), h / image.height.toDouble())
        val (cw, ch) = listOf(image.width, image.height).map { maxOf(1, Math.rint(it * fit).toInt()) }
        val (left, top) = listOf((w - cw) / 2, (h - ch) / 2)
        var small = image // halving is a mean of 2 x 2; the rest is bilinear
        while (small.width >= 2 * cw) small = Bitmap.createScaledBitmap(small, small.width / 2, small.height / 2, true)
        val canvas = Bitmap.createBitmap(w, h, Bitmap.Config.ARGB_8888).apply { eraseColor(Color.BLACK) }
        Canvas(canvas).drawBitmap(small, null, Rect(left, top, left + cw, top + ch), Paint(Paint.FILTER_BITMAP_FLAG))
        val (a, b) = listOf(numbers("input.normalisation.scale"), numbers("input.normalisation.offset"))
        val (s, z) = listOf(number("input.scale"), number("input.zero_point"))
        val input = ByteBuffer.allocateDirect(h * w * 3 * if (s == 0f) 4 else 1).order(ByteOrder.nativeOrder())
        for (y in 0 until h) for (x in 0 until w) for (c in 0..2) {
            val value = (canvas.getPixel(x, y) shr (16 - 8 * c) and 255) * a[c] + b[c]
            if (s == 0f) input.putFloat(value) else input.put((Math.rint((value / s).toDouble()).toInt() + z.toInt()).coerceIn(-128, 127).toByte())
        }
        val (mh, mw) = numbers("output.shape").slice(1..2).map { it.toInt() }
        val (os, oz) = listOf(number("output.scale"), number("output.zero_point"))
        val output = ByteBuffer.allocateDirect(mh * mw * names.size * if (os == 0f) 4 else 1).order(ByteOrder.nativeOrder())
        model.runForMultipleInputsOutputs(arrayOf(input.rewind()), mapOf(number("output.index").toInt() to output))
        val cell = numbers("output.decode.cell_px")
        return names.withIndex().associate { (k, name) ->
            val (x, y, top1) = taylor(mw, mh) { i -> (i * names.size + k).let { if (os == 0f) output.getFloat(4 * it) else (output.get(it) - oz) * os } }
            name to Triple((x * cell[0] - left) * image.width / cw, (y * cell[1] - top) * image.height / ch, top1)
        }
    }
}
