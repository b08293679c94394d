"""Checkpoints: what is written reaches the row once a second, by a clock that the test moves."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from client import Json, wait_until
from conftest import Staged
from running import execute
from scripted import Gate, says

from claude import patience

pytestmark = pytest.mark.both


class StoppedClock:
    """Replaces the sleep between two runs of a background task: it lasts until the test lets time pass."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0.0
        self._sleeping: list[tuple[float, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        waking: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._sleeping.append((self._now + seconds, loop, waking))
        await waking

    def skip(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds
            due = [one for one in self._sleeping if one[0] <= self._now]
            self._sleeping = [one for one in self._sleeping if one[0] > self._now]
        for _, loop, waking in due:
            loop.call_soon_threadsafe(_wake, waking)


def _wake(waking: "asyncio.Future[None]") -> None:
    if not waking.done():
        waking.set_result(None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StoppedClock:
    found = StoppedClock()
    monkeypatch.setattr(patience, "asyncio", SimpleNamespace(sleep=found.sleep))
    return found


def test_after_one_second_the_row_has_the_text_and_a_later_end_of_the_lease(
    staged: Staged, place: Json, clock: StoppedClock
) -> None:
    gate = Gate()
    stage = staged(says("so far", gate, " and on"))
    sent = stage.api.send("Hello")
    generation = sent["generation"]["id"]
    assert gate.reached.wait(20)

    def stored() -> tuple[str, Any]:
        ((lease_until,),) = execute(place, "SELECT lease_until FROM generations")
        return stage.api.messages(sent["conversation"]["id"])[-1]["text"], lease_until

    text, lease_until = stored()
    assert text == ""
    clock.skip(1.0)
    wait_until(lambda: stored()[0] == "so far")
    assert stored()[1] > lease_until
    gate.open.set()
    assert stage.api.follow(generation)[-1]["__typename"] == "GenerationCompleted"
