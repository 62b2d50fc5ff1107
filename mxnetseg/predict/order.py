"""Work spread over devices, results in the order of the work."""

from __future__ import annotations

import queue
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterable, Iterator, List, Tuple


def in_order(
    items: Iterable[Any], work: Callable[[Any, int], Any], devices: int
) -> Iterator[Tuple[Any, Any]]:
    """Pairs (item, `work(item, device)`) in the order of the items, on `devices` devices at the same time.

    Items are taken as they are needed: at most one more than there are devices is waiting.
    """
    if devices == 1:
        for item in items:
            yield item, work(item, 0)
        return
    free: queue.Queue[int] = queue.Queue()
    for device in range(devices):
        free.put(device)

    def on_a_free_device(item):
        device = free.get()
        try:
            return work(item, device)
        finally:
            free.put(device)

    with ThreadPoolExecutor(devices) as pool:
        pending: List[tuple] = []
        try:
            for item in items:
                pending.append((item, pool.submit(on_a_free_device, item)))
                if len(pending) > devices:
                    first, future = pending.pop(0)
                    yield first, future.result()
            while pending:
                first, future = pending.pop(0)
                yield first, future.result()
        finally:
            for _, future in pending:
                future.cancel()
