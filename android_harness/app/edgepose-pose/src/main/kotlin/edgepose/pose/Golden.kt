package edgepose.pose

import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.abs
import kotlin.math.hypot

/** Makes a frame of a PNG file's bytes: Android's own, or a desktop's in tests. */
fun interface PictureDecoder {
    /** @throws BadFrame it is no picture */
    fun decode(png: ByteArray): Frame
}

/**
 * How this device met the golden vectors; the worst of all frames.
 *
 * @property letterboxSteps grey levels that the letterbox differs by; null where no picture was
 *   decoded
 * @property outputMaxAbs difference of any output value
 * @property keypointPx distance of any keypoint, in pixels of the input
 * @property keypointShare of keypoints within [allowedPx], in the worst frame
 */
class Replay(
    val runtime: String,
    val frames: Int,
    val letterboxSteps: Double?,
    val outputMaxAbs: Float,
    val keypointPx: Double,
    val allowedPx: Double,
    val keypointShare: Double,
)

private const val LETTERBOX_STEPS = 2.0 // grey levels that another letterbox may differ by

/** One golden frame as golden.json has it. */
private class GoldenFrame(plain: Fields, manifest: Manifest) {
    val image = plain.text("image")
    val imageSize = plain.ints("image_size")
    val content = plain.ints("content")
    val offset = plain.ints("offset")
    val input = plain.text("input")
    val output = plain.text("output")
    val keypoints =
        plain.pairs("keypoints_input_px").map { p ->
            p.map { (it as? Number)?.toDouble() ?: Double.NaN }
        }

    init {
        val pairs = listOf(imageSize, content, offset)
        if (
            pairs.any { it.size != 2 } ||
                keypoints.size != manifest.keypointNames.size ||
                keypoints.any { it.size != 2 }
        ) {
            throw BundleUnsupported(
                "${manifest.goldenFile} does not fit the keypoints of $MANIFEST"
            )
        }
    }
}

/**
 * Letterbox, run and decode the golden vectors, each step by itself, and hold them against what
 * they must be.
 *
 * @param pictures decodes the frames; null leaves the letterbox out
 * @throws GoldenMismatch a step differs by more than the manifest allows this runtime
 */
fun PoseModel.replay(pictures: PictureDecoder?): Replay {
    val file = manifest.goldenFile
    val allowed =
        allowances
            ?: throw GoldenMismatch("$MANIFEST allows nothing for $runtime: take another runtime")
    val frames = frames()
    var steps = if (pictures == null) null else 0.0
    var worst = 0f
    var farthest = 0.0
    var share = 1.0
    for (frame in frames) {
        val stored = tensor(frame.input, manifest.input)
        if (pictures != null) steps = maxOf(steps!!, letterboxed(frame, stored, pictures))
        val wanted =
            FloatArray(manifest.output.size).also {
                manifest.output.read(tensor(frame.output, manifest.output), it)
            }
        val found = run(stored)
        val difference = found.indices.maxOf { abs(found[it] - wanted[it]) }
        if (!(difference <= allowed.outputMaxAbs)) {
            throw GoldenMismatch(
                "${frame.output}: $runtime gives values that differ by $difference, " +
                    "and ${allowed.outputMaxAbs} is allowed"
            )
        }
        val points = decoded(found)
        val distances =
            frame.keypoints.mapIndexed { k, (x, y) -> hypot(points.x[k] - x, points.y[k] - y) }
        val within = distances.count { it <= allowed.keypointPx } / distances.size.toDouble()
        if (within < allowed.keypointShare) {
            throw GoldenMismatch(
                "$file: $runtime places ${(100 * within).toInt()} % of the keypoints " +
                    "within ${allowed.keypointPx} px of ${frame.image}'s, " +
                    "not ${(100 * allowed.keypointShare).toInt()} %: " +
                    "do not use this model on this device"
            )
        }
        worst = maxOf(worst, difference)
        farthest = maxOf(farthest, distances.max())
        share = minOf(share, within)
    }
    return Replay(runtime, frames.size, steps, worst, farthest, allowed.keypointPx, share)
}

private fun PoseModel.frames(): List<GoldenFrame> {
    val file = manifest.goldenFile
    val plain = json(bundle.part(file).bytes(), file)
    if (plain.text("model_sha256") != bundle.part(manifest.modelFile).sha256()) {
        throw GoldenMismatch("$file is of another model than ${manifest.modelFile}")
    }
    val frames = plain.objects("frames").map { GoldenFrame(it, manifest) }
    if (frames.isEmpty() || frames.size != manifest.goldenFrames) {
        throw GoldenMismatch("$file holds ${frames.size} frames, not ${manifest.goldenFrames}")
    }
    return frames
}

/** How many grey levels the frame's letterbox differs from the golden input. */
private fun PoseModel.letterboxed(
    frame: GoldenFrame,
    stored: ByteBuffer,
    pictures: PictureDecoder,
): Double {
    val picture = pictures.decode(bundle.part(frame.image).bytes())
    val placed = placed(picture)
    val sizes =
        listOf(
            listOf(picture.height, picture.width) to frame.imageSize,
            listOf(placed.contentHeight, placed.contentWidth) to frame.content,
            listOf(placed.top, placed.left) to frame.offset,
        )
    val made = direct(manifest.input.bytes)
    fill(made, placed.draw(picture.upright()))
    val (found, wanted) =
        listOf(made, stored).map { buffer ->
            FloatArray(manifest.input.size).also { manifest.input.read(buffer, it) }
        }
    val difference = found.indices.maxOf { abs(found[it] - wanted[it]) }
    val level = manifest.channelScale.max()
    if (
        sizes.any { (here, there) -> here != there } ||
            !(difference <= level * LETTERBOX_STEPS + manifest.input.scale)
    ) {
        throw GoldenMismatch("${frame.image} does not letterbox to ${frame.input} on this device")
    }
    return (difference / level).toDouble()
}

/** A raw little-endian tensor of the bundle. */
private fun PoseModel.tensor(part: String, spec: TensorSpec): ByteBuffer {
    val bytes = bundle.part(part).bytes()
    if (bytes.size != spec.bytes) throw BundleUnsupported("$part does not hold a tensor of $spec")
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
}
