package edgepose.pose

import java.io.File
import java.io.IOException
import java.io.InputStream

/**
 * A bundle of `edgepose bundle`, every byte of it checked; no model is open yet.
 *
 * @property sha256 of the whole archive
 */
class PoseBundle
private constructor(
    val manifest: Manifest,
    val sha256: String,
    private val parts: Map<String, Slice>,
    internal val archiveBytes: Int,
) {
    internal fun part(name: String): Slice = parts[name] ?: throw PartMissing(name)

    /** `model-card.md`: what the model is, what was measured, what it must not be used for. */
    fun modelCard(): String = String(part("model-card.md").bytes(), Charsets.UTF_8)

    companion object {
        private const val MOST_BYTES = 512L shl 20
        private const val MANIFEST_BYTES = 4 shl 20

        /**
         * Read a bundle from a file.
         *
         * @throws BundleUnreadable, BundleDamaged, PartMissing, BundleTooNew, BundleUnsupported it
         *   is not whole or not for us
         * @throws NotEnoughMemory the device cannot hold it
         */
        fun read(file: File, memory: Memory = Memory.Heap): PoseBundle {
            val size = file.length()
            if (!file.isFile) throw BundleUnreadable("$file is not there or is no file")
            if (size > MOST_BYTES)
                throw BundleUnreadable(
                    "$file is larger than ${mebibytes(MOST_BYTES)}, so it is no bundle"
                )
            return memory.holding(2 * size, "the bundle $file") {
                try {
                    of(file.readBytes())
                } catch (error: IOException) {
                    throw BundleUnreadable("$file cannot be read (${error.message})")
                }
            }
        }

        /** Read a bundle from an app's assets or a document; [size] bytes at most are taken. */
        fun read(stream: InputStream, size: Long, memory: Memory = Memory.Heap): PoseBundle {
            if (size !in 0..MOST_BYTES) {
                throw BundleUnreadable(
                    "a stream of $size bytes is no bundle: in an app's assets it must lie uncompressed"
                )
            }
            return memory.holding(2 * size, "the bundle") {
                try {
                    val data = ByteArray(size.toInt())
                    var filled = 0
                    while (filled < data.size) {
                        val came = stream.read(data, filled, data.size - filled)
                        if (came < 0)
                            throw BundleDamaged(
                                "the bundle ends after $filled of $size bytes: get it again"
                            )
                        filled += came
                    }
                    if (stream.read() >= 0)
                        throw BundleDamaged(
                            "the bundle is longer than the $size bytes it was said to have"
                        )
                    of(data)
                } catch (error: IOException) {
                    throw BundleUnreadable("the bundle cannot be read (${error.message})")
                }
            }
        }

        /** A bundle that is in memory already; the bytes are kept, not copied. */
        fun of(data: ByteArray): PoseBundle {
            val parts = parts(data)
            val slice = parts.getValue(MANIFEST)
            if (slice.length > MANIFEST_BYTES)
                throw BundleDamaged(
                    "$MANIFEST is larger than ${mebibytes(MANIFEST_BYTES.toLong())}"
                )
            val plain = json(slice.bytes(), MANIFEST)
            val version = plain.whole("schema_version")
            if (version > SCHEMA_VERSION)
                throw BundleTooNew(version) // before fields that we may not know
            checkParts(plain.of("parts"), parts)
            val manifest = manifest(plain)
            for (name in listOf(manifest.modelFile, manifest.goldenFile)) if (name !in parts)
                throw PartMissing(name)
            return PoseBundle(manifest, Slice(data, 0, data.size).sha256(), parts, data.size)
        }

        private fun checkParts(listed: Fields, held: Map<String, Slice>) {
            for (name in listed.keys()) if (name !in held) throw PartMissing(name)
            for ((name, slice) in held) {
                if (name == MANIFEST) continue
                if (name !in listed.keys())
                    throw BundleDamaged("$name is in no manifest: get the bundle again")
                val said = listed.of(name)
                if (
                    said.whole("bytes") != slice.length.toLong() ||
                        said.text("sha256") != slice.sha256()
                ) {
                    throw BundleDamaged(
                        "$name has changed (its SHA-256 differs): get the bundle again"
                    )
                }
            }
        }
    }
}
