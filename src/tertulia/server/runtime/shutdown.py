"""Graceful shutdown: after SIGTERM, the application is drained before the server stops."""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def drained_on_sigterm(drain: Callable[[], Awaitable[None]]) -> Generator[None]:
    """Drain on SIGTERM, while all sockets are open, and then pass the signal to the server's handler.

    A second SIGTERM is passed to it at once. Ctrl+C is unchanged: at a terminal, the server stops at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    server_handler = signal.getsignal(signal.SIGTERM)
    drain_tasks: list[asyncio.Task[None]] = []

    def hand_over(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, server_handler)
        if callable(server_handler):
            server_handler(number, frame)
        else:
            signal.raise_signal(number)

    async def leave(number: int) -> None:
        try:
            await drain()
        finally:
            hand_over(number, None)

    def on_signal(number: int, frame: FrameType | None) -> None:
        if drain_tasks:
            hand_over(number, frame)
        else:
            loop.call_soon_threadsafe(lambda: drain_tasks.append(loop.create_task(leave(number))))

    signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, server_handler)
