"""Leaving without losing anything: what SIGTERM begins before the server hears of it."""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def drained_on_sigterm(drain: Callable[[], Awaitable[None]]) -> Generator[None]:
    """Let SIGTERM drain first, with all sockets open, and reach the server afterwards; a second one reaches it at once.

    Ctrl+C is left as it is: whoever sits at the terminal waits for nobody.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    server = signal.getsignal(signal.SIGTERM)
    begun: list[asyncio.Task[None]] = []

    def hand_over(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, server)
        if callable(server):
            server(number, frame)
        else:
            signal.raise_signal(number)

    async def leave(number: int) -> None:
        try:
            await drain()
        finally:
            hand_over(number, None)

    def on_signal(number: int, frame: FrameType | None) -> None:
        if begun:
            hand_over(number, frame)
        else:
            loop.call_soon_threadsafe(lambda: begun.append(loop.create_task(leave(number))))

    signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, server)
