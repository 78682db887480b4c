package edgepose.pose

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest
import java.util.zip.CRC32

internal const val MANIFEST = "manifest.json"
private const val LOCAL = 0x04034b50
private const val CENTRAL = 0x02014b50
private const val END = 0x06054b50
private const val VERSION_NEEDED: Short = 20
private const val MADE_BY_UNIX: Short = 0x0314
private const val OLDEST_DATE: Short = 0x21 // 1 January 1980
private const val REGULAR_FILE = 0x81a40000.toInt() // mode 0644 of a plain file
private const val LOCAL_BYTES = 30
private const val CENTRAL_BYTES = 46
private const val END_BYTES = 22
private const val MOST_PARTS = 257 // with the manifest
private val PART_NAME = Regex("[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")

/** A part's place in the archive's bytes. */
internal class Slice(private val data: ByteArray, val offset: Int, val length: Int) {
    fun bytes(): ByteArray = data.copyOfRange(offset, offset + length)

    fun sha256(): String {
        val digest = MessageDigest.getInstance("SHA-256")
        digest.update(data, offset, length)
        return digest.digest().joinToString("") { "%02x".format(it) }
    }

    fun crc32(): Int = CRC32().apply { update(data, offset, length) }.value.toInt()

    /** A copy outside the Java heap, as runtimes want it. */
    fun direct(): ByteBuffer {
        val buffer = ByteBuffer.allocateDirect(length).order(ByteOrder.nativeOrder())
        buffer.put(data, offset, length)
        buffer.rewind()
        return buffer
    }
}

/**
 * The parts of a canonical archive, by name: stored, the manifest first, the others sorted, no
 * dates, no byte besides.
 *
 * Nothing is unpacked, so no archive can ask for more memory than it has bytes.
 *
 * @throws BundleUnreadable no zip archive, or one without a manifest
 * @throws BundleDamaged any byte of it is not as a canonical archive has it
 */
internal fun parts(data: ByteArray): Map<String, Slice> {
    val buffer = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN)
    if (data.size < END_BYTES || buffer.getInt(0) != LOCAL)
        throw BundleUnreadable("the bundle is no zip archive")
    val found = LinkedHashMap<String, Slice>()
    var at = 0
    while (at + LOCAL_BYTES <= data.size && buffer.getInt(at) == LOCAL) {
        if (found.size == MOST_PARTS) throw damaged("has more parts than a bundle can have")
        val size = buffer.getInt(at + 22)
        val nameLength = buffer.getShort(at + 26).toInt() and 0xffff
        val content = at.toLong() + LOCAL_BYTES + nameLength
        if (size < 0 || content + size > data.size) throw damaged("ends in the middle of a part")
        val name = String(data, at + LOCAL_BYTES, nameLength, Charsets.ISO_8859_1)
        if (!PART_NAME.matches(name)) throw damaged("has a part whose name might lead out of it")
        if (found.put(name, Slice(data, content.toInt(), size)) != null)
            throw damaged("has a part twice")
        at = content.toInt() + size
    }
    if (MANIFEST !in found)
        throw BundleUnreadable(
            "the archive has no $MANIFEST: give one that `edgepose bundle` wrote"
        )
    val others = found.keys - MANIFEST
    if (found.keys.first() != MANIFEST || others.toList() != others.sorted())
        throw damaged("has been packed again")
    checkFrame(data, found, at)
    return found
}

/** Every byte that belongs to no part: headers, the directory and the end. */
private fun checkFrame(data: ByteArray, found: Map<String, Slice>, directoryAt: Int) {
    val size = directoryAt.toLong() + found.keys.sumOf { CENTRAL_BYTES + it.length } + END_BYTES
    if (size != data.size.toLong())
        throw damaged("has been packed again, or has bytes outside its parts")
    val directory = ByteBuffer.allocate(data.size - directoryAt).order(ByteOrder.LITTLE_ENDIAN)
    var at = 0
    for ((name, slice) in found) {
        val crc = slice.crc32()
        val header = header(LOCAL, name, slice, crc).array()
        val same = header.indices.all { data[at + it] == header[it] }
        if (!same) throw damaged("says something else of $name than it holds: a byte has changed")
        directory.putInt(CENTRAL).putShort(MADE_BY_UNIX).put(header, 4, 26)
        directory.putShort(0).putShort(0).putShort(0).putInt(REGULAR_FILE).putInt(at)
        directory.put(name.toByteArray(Charsets.ISO_8859_1))
        at = slice.offset + slice.length
    }
    val length = directory.position()
    directory.putInt(END).putInt(0).putShort(found.size.toShort()).putShort(found.size.toShort())
    directory.putInt(length).putInt(directoryAt).putShort(0)
    if (!data.copyOfRange(directoryAt, data.size).contentEquals(directory.array())) {
        throw damaged("has a directory that does not fit its parts: a byte has changed")
    }
}

private fun header(signature: Int, name: String, slice: Slice, crc: Int): ByteBuffer {
    val header = ByteBuffer.allocate(LOCAL_BYTES).order(ByteOrder.LITTLE_ENDIAN)
    header
        .putInt(signature)
        .putShort(VERSION_NEEDED)
        .putShort(0)
        .putShort(0)
        .putShort(0)
        .putShort(OLDEST_DATE)
    return header
        .putInt(crc)
        .putInt(slice.length)
        .putInt(slice.length)
        .putShort(name.length.toShort())
        .putShort(0)
}

private fun damaged(what: String) =
    BundleDamaged("the bundle $what: get it again from where it was made")
