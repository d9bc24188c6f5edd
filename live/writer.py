"""The one thread in which all of the log's work is done, and whose turn it is to have a transaction open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple["asyncio.Future[Any]", Callable[..., Any], tuple[Any, ...]]


class Writer:
    """`turn` is held from a transaction's begin to its end: the desks of several events share one log.

    A queue and a thread of our own: every commit goes there and back twice, and an executor's futures cost three times as much.
    """

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    async def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """The work's result, without holding up the loop. Work that was begun is finished even if nobody waits for it any more."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put((done, work, arguments))
        return await done

    async def close(self) -> None:
        """Wait for what is under way."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            done, work, arguments = job
            try:
                result = work(*arguments)
            except BaseException as error:
                done.get_loop().call_soon_threadsafe(_fail, done, error)
            else:
                done.get_loop().call_soon_threadsafe(_finish, done, result)


def _finish(done: asyncio.Future[T], result: T) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[Any], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)
