"""Keep Python's garbage collector from stopping a worker.

A full collection looks at every object of the process, about 300,000 once the model and the modules
are loaded: up to half a second in which nobody is answered, every few seconds under load. Those
objects stay for as long as the worker, so they are taken out of all later collections.
"""

from __future__ import annotations

import asyncio
import gc

SETTLED = 10.0  # seconds after the start, when what is loaded at the first use is there too
# New objects after which the youngest are looked at (Python's default is 700), and how many such
# looks make one at the older ones. A thousand requests under way have tens of thousands of objects.
THRESHOLDS = (20_000, 20, 20)


def spare_loaded_objects() -> None:
    """Take all present objects out of later collections, now and once more when settled."""
    gc.set_threshold(*THRESHOLDS)
    _freeze()
    asyncio.get_running_loop().call_later(SETTLED, _freeze)


def _freeze() -> None:
    gc.collect()
    gc.freeze()
