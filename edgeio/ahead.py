"""Work done ahead of its consumer, on threads; results come in the order of their items."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(items: Iterator[T], depth: int = 2) -> Generator[T]:
    """The same items, made on a thread up to `depth` ahead of the caller.

    An exception in the thread is raised here, in its place.
    """
    made: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(depth)
    stop = threading.Event()

    def put(entry: tuple[bool, T | BaseException | None]) -> bool:
        while not stop.is_set():
            try:
                made.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def make() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    return
            put((False, None))
        except BaseException as error:
            put((False, error))

    thread = threading.Thread(target=make, name="batches", daemon=True)
    thread.start()
    try:
        while True:
            good, item = made.get()
            if good:
                yield item  # type: ignore[misc]
            elif item is None:
                return
            else:
                raise item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()


def side_by_side(
    items: Iterable[T],
    workers: Sequence[Callable[[T], R]],
    depth: int | Callable[[], int],
    size: Callable[[T], int] = lambda item: 0,
    limit: int = 0,
) -> Generator[R]:
    """The workers' results, in the order of the items.

    An exception of a worker is raised here, in its item's place.

    Args:
        workers: each is called on one thread at a time, so it need not be safe to share.
        depth: items under way at a time, at least 1; a function says it anew after each item.
        size: of an item; those under way are no larger together than
        limit: unless one alone is.
    """
    free: queue.SimpleQueue[Callable[[T], R]] = queue.SimpleQueue()
    for worker in workers:
        free.put(worker)

    def work(item: T) -> R:
        worker = free.get()
        try:
            return worker(item)
        finally:
            free.put(worker)

    under_way: deque[tuple[Future[R], int]] = deque()
    pool = ThreadPoolExecutor(len(workers), thread_name_prefix="work")
    try:
        for item in items:
            own = size(item)
            while under_way and own + sum(each for _, each in under_way) > limit:
                yield under_way.popleft()[0].result()
            under_way.append((pool.submit(work, item), own))
            del item  # a frame is large
            while under_way and len(under_way) >= (depth() if callable(depth) else depth):
                yield under_way.popleft()[0].result()
        while under_way:
            yield under_way.popleft()[0].result()
    finally:
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
