package edgepose.pose

import org.json.JSONArray
import org.json.JSONException
import org.json.JSONObject

/** The newest manifest that this library reads. */
const val SCHEMA_VERSION = 1

/** How far one runtime may be from the golden vectors. */
class Allowed(
    val runtime: String,
    val outputMaxAbs: Float,
    val keypointPx: Double,
    val keypointShare: Double,
)

/** What manifest.json says, as far as an app needs it. */
class Manifest
internal constructor(
    val name: String,
    val notice: String,
    /** Of the model as it was scored, before metadata went into it. */
    val sourceSha256: String,
    val keypointNames: List<String>,
    /** Pairs of keypoint numbers to draw lines between. */
    val skeleton: List<Pair<Int, Int>>,
    val input: TensorSpec,
    val output: TensorSpec,
    internal val outputIndex: Int,
    internal val decoder: Decoder,
    internal val channelScale: FloatArray,
    internal val channelOffset: FloatArray,
    internal val modelFile: String,
    internal val goldenFile: String,
    internal val goldenFrames: Int,
    val allowed: List<Allowed>,
) {
    /** Of the model's input, pixels. */
    val inputWidth: Int
        get() = input.shape[2]

    val inputHeight: Int
        get() = input.shape[1]
}

/**
 * A JSON object whose fields are there and of the right kind, or this library's own error.
 *
 * @param where what it is called in the error
 */
internal class Fields(private val plain: JSONObject, private val where: String) {
    private fun wrong(key: String) = BundleUnsupported("$where: $key is missing or of another kind")

    fun of(key: String) = Fields(plain.opt(key) as? JSONObject ?: throw wrong(key), "$where: $key")

    fun text(key: String): String = plain.opt(key) as? String ?: throw wrong(key)

    fun number(key: String): Double =
        (plain.opt(key) as? Number)?.toDouble()?.takeIf { it.isFinite() } ?: throw wrong(key)

    fun whole(key: String): Long {
        val value = number(key)
        if (value != Math.rint(value) || Math.abs(value) > 1L shl 53) throw wrong(key)
        return value.toLong()
    }

    fun int(key: String): Int =
        whole(key).also { if (it.toInt().toLong() != it) throw wrong(key) }.toInt()

    fun keys(): Set<String> = plain.keys().asSequence().toSet()

    fun numbers(key: String): List<Double> = list(key) { (it as? Number)?.toDouble() }

    fun ints(key: String): List<Int> = list(key) { (it as? Int) }

    fun texts(key: String): List<String> = list(key) { it as? String }

    fun objects(key: String): List<Fields> =
        list(key) { (it as? JSONObject)?.let { o -> Fields(o, "$where: $key") } }

    fun pairs(key: String): List<List<Any>> =
        list(key) { (it as? JSONArray)?.let { a -> List(a.length()) { i -> a.get(i) } } }

    private fun <T : Any> list(key: String, item: (Any) -> T?): List<T> {
        val array = plain.opt(key) as? JSONArray ?: throw wrong(key)
        return List(array.length()) { item(array.get(it)) ?: throw wrong(key) }
    }
}

/** A JSON file of the bundle; [part] is its name. */
internal fun json(bytes: ByteArray, part: String): Fields {
    try {
        return Fields(JSONObject(String(bytes, Charsets.UTF_8)), part)
    } catch (error: JSONException) {
        throw BundleDamaged("$part is no JSON object: get the bundle again from where it was made")
    } catch (error: StackOverflowError) {
        throw BundleDamaged("$part nests too deeply: get the bundle again from where it was made")
    }
}

/**
 * The manifest of a bundle.
 *
 * @throws BundleTooNew of a newer schema
 * @throws BundleUnsupported a field is missing, contradicts another, or asks for what this library
 *   cannot do
 */
internal fun manifest(plain: Fields): Manifest {
    val version = plain.whole("schema_version")
    if (version > SCHEMA_VERSION) throw BundleTooNew(version)
    if (version < 1)
        throw BundleUnsupported("$MANIFEST has schema version $version, which never was")
    val input = plain.of("input")
    val output = plain.of("output")
    val names = plain.of("keypoints").texts("names")
    val inputSpec = tensor(input)
    val outputSpec = tensor(output)
    if (inputSpec.shape.size != 4 || inputSpec.shape[0] != 1 || inputSpec.shape[3] != 3) {
        throw BundleUnsupported(
            "$MANIFEST: input.shape is ${inputSpec.shape}, not (1, height, width, 3)"
        )
    }
    if (input.text("colour") != "RGB") throw BundleUnsupported("$MANIFEST: input.colour is not RGB")
    if (input.of("letterbox").int("padding") != 0)
        throw BundleUnsupported("$MANIFEST: the letterbox does not pad with 0")
    val normalisation = input.of("normalisation")
    val golden = plain.of("golden")
    return Manifest(
        plain.text("name"),
        plain.text("notice"),
        plain.of("model").text("source_sha256"),
        names,
        skeleton(plain.of("keypoints"), names),
        inputSpec,
        outputSpec,
        output.int("index"),
        decoder(output, inputSpec, outputSpec, names.size),
        channels(normalisation, "scale"),
        channels(normalisation, "offset"),
        plain.of("model").text("file"),
        golden.text("file"),
        golden.int("frames"),
        golden.objects("allowed").map {
            Allowed(
                it.text("runtime"),
                it.number("output_max_abs").toFloat(),
                it.number("keypoint_px"),
                it.number("keypoint_share"),
            )
        },
    )
}

private fun tensor(plain: Fields): TensorSpec {
    val type = TensorType.named(plain.text("dtype"))
    val shape = plain.ints("shape")
    val values =
        shape.fold(1L) { product, size ->
            if (size < 1 || product > MOST_VALUES) MOST_VALUES + 1 else product * size
        }
    if (shape.isEmpty() || values > MOST_VALUES)
        throw BundleUnsupported("$MANIFEST: a shape of $shape is no model's")
    val spec = TensorSpec(type, shape, plain.number("scale").toFloat(), plain.int("zero_point"))
    val integer = type != TensorType.FLOAT32
    if (integer != (spec.scale > 0f)) {
        throw BundleUnsupported("$MANIFEST: a ${type.text} tensor cannot have scale ${spec.scale}")
    }
    return spec
}

private fun channels(plain: Fields, key: String): FloatArray {
    val values = plain.numbers(key)
    if (values.size != 3 || values.any { !it.isFinite() })
        throw BundleUnsupported("$MANIFEST: $key is not one for each of R, G and B")
    return FloatArray(3) { values[it].toFloat() }
}

private fun skeleton(plain: Fields, names: List<String>): List<Pair<Int, Int>> =
    plain.pairs("skeleton").map { pair ->
        val ends = pair.map { names.indexOf(it) }
        if (ends.size != 2 || -1 in ends)
            throw BundleUnsupported("$MANIFEST: skeleton names no keypoint")
        ends[0] to ends[1]
    }

private fun decoder(output: Fields, input: TensorSpec, spec: TensorSpec, keypoints: Int): Decoder {
    val decode = output.of("decode")
    val name = decode.text("name")
    val known = Decoder.KNOWN.joinToString()
    if (name !in Decoder.KNOWN)
        throw BundleUnsupported(
            "$MANIFEST: no decoder '$name' here (known: $known); update the library"
        )
    val shape = spec.shape
    if (output.text("kind") == "keypoints") {
        if (shape != listOf(1, keypoints, 3) || name != Decoder.IN_GRAPH) {
            throw BundleUnsupported("$MANIFEST: output.shape does not fit keypoints.names")
        }
        return InGraph(keypoints)
    }
    if (shape.size != 4 || shape[0] != 1 || shape[3] != keypoints || name == Decoder.IN_GRAPH) {
        throw BundleUnsupported("$MANIFEST: output.shape does not fit keypoints.names")
    }
    val cell = decode.numbers("cell_px")
    val expected =
        listOf(input.shape[2].toDouble() / shape[2], input.shape[1].toDouble() / shape[1])
    if (cell != expected)
        throw BundleUnsupported(
            "$MANIFEST: output.decode.cell_px is not the input's size by the map's"
        )
    return MapDecoder(name, shape[1], shape[2], keypoints, cell[0], cell[1])
}

private const val MOST_VALUES = 1L shl 26
