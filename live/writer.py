"""The one thread in which all of the log's work is done, and whose turn it is to have a transaction open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class Writer:
    """`turn` is held from a transaction's begin to its end: the desks of several events share one log."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "writer")

    async def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """The work's result, without holding up the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def close(self) -> None:
        """Wait for what is under way."""
        self._thread.shutdown()
