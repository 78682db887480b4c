package edgepose.pose

/** How much memory there is to spare; asked before anything large is taken. */
fun interface Memory {
    /** Bytes that can still be taken without the app being ended. */
    fun availableBytes(): Long

    /** The Java heap alone, where nothing better is known. */
    object Heap : Memory {
        override fun availableBytes(): Long {
            val runtime = Runtime.getRuntime()
            return runtime.maxMemory() - (runtime.totalMemory() - runtime.freeMemory())
        }
    }
}

/**
 * Run [block] if [bytes] are there to be taken.
 *
 * @throws NotEnoughMemory they are not, or the block ran out of memory all the same
 */
internal inline fun <T> Memory.holding(bytes: Long, what: String, block: () -> T): T {
    val available = availableBytes()
    if (available < bytes) {
        throw NotEnoughMemory(
            "$what needs ${mebibytes(bytes)} and ${mebibytes(available)} are left: close other apps"
        )
    }
    try {
        return block()
    } catch (error: OutOfMemoryError) {
        throw NotEnoughMemory("$what ran out of memory: close other apps", error)
    }
}

internal fun mebibytes(bytes: Long): String = "${(maxOf(bytes, 0) + (1 shl 20) - 1) shr 20} MiB"
