"""The periodic tasks of a server process, checkpoints and sweeps, with a clock that the test controls."""

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from client import WAIT, Api, Json, wait_until
from conftest import Staged
from running import execute, forget_logs, tertulia
from scripted import Gate, says
from sqlalchemy.exc import OperationalError

from tertulia import failpoints
from tertulia.db import leases
from tertulia.generation import manager, retry
from tertulia.generation.state import ActiveGeneration
from tertulia.streams import lease

pytestmark = pytest.mark.both


class StoppedClock:
    """Replaces the sleep between two runs of a background task. It lasts until the test moves the time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0.0
        self._sleeping: list[tuple[float, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self.begun = Counter[float]()
        """The number of sleeps that have begun, by their length in seconds."""

    async def sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        waking: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._sleeping.append((self._now + seconds, loop, waking))
            self.begun[seconds] += 1
        await waking

    def skip(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds
            due = [sleep for sleep in self._sleeping if sleep[0] <= self._now]
            self._sleeping = [sleep for sleep in self._sleeping if sleep[0] > self._now]
        for _, loop, waking in due:
            loop.call_soon_threadsafe(_wake, waking)


def _wake(waking: "asyncio.Future[None]") -> None:
    if not waking.done():
        waking.set_result(None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StoppedClock:
    stopped_clock = StoppedClock()
    monkeypatch.setattr(retry, "asyncio", SimpleNamespace(sleep=stopped_clock.sleep))
    return stopped_clock


def test_after_one_second_the_text_is_saved_and_the_lease_is_renewed(
    staged: Staged, place: Json, clock: StoppedClock
) -> None:
    gate = Gate()
    stage = staged(says("so far", gate, " and on"))
    sent = stage.api.send("Hello")
    generation = sent["generation"]["id"]
    stage.api.wait_for_text(generation, "so far")

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


@pytest.mark.joined
def test_the_texts_of_all_answers_are_saved_together(staged: Staged, clock: StoppedClock) -> None:
    texts = ["of one", 'of \N{EARTH GLOBE EUROPE-AFRICA} "another"']
    gates = [Gate(), Gate()]
    stage = staged(*(says(text, gate, " and on") for text, gate in zip(texts, gates, strict=True)))
    conversations: list[str] = []
    for text in texts:
        sent = stage.api.send("Hello")
        conversations.append(sent["conversation"]["id"])
        stage.api.wait_for_text(sent["generation"]["id"], text)

    def stored() -> list[str]:
        return [stage.api.messages(id)[-1]["text"] for id in conversations]

    assert stored() == ["", ""]
    clock.skip(1.0)
    wait_until(lambda: stored() == texts)
    for gate in gates:
        gate.open.set()
    wait_until(lambda: stored() == [f"{text} and on" for text in texts])


def test_the_lease_is_renewed_while_a_takeover_reads_the_answer_for_longer_than_a_lease(
    staged: Staged, tmp_path: Path, place: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager, "CHECKPOINT_SECONDS", 0.05)
    skipped, saved, read = SimpleNamespace(seconds=0.0), threading.Event(), list[object]()
    time = lease.clock
    monkeypatch.setattr(lease, "clock", lambda: time() + skipped.seconds)

    async def read_for_long(id: object) -> None:
        read.append(id)
        # Two thirds of a lease pass, then a checkpoint is written, then two thirds more pass.
        for _ in range(2):
            skipped.seconds += 40
            saved.clear()
            await asyncio.to_thread(saved.wait, WAIT)

    with tertulia(tmp_path, **place) as address, Api(address) as api:
        sent = api.send("Hello")["generation"]["id"]
        api.follow(sent)
    forget_logs(place)
    execute(place, "UPDATE messages SET content = '[]' WHERE role = 'assistant'")
    lost = f"status = 'running', sequence = 0, holder = '{uuid4().hex}', lease_until = created_at, finished_at = NULL"
    execute(place, f"UPDATE generations SET {lost}")
    with (
        failpoints.armed("takeover.read", read_for_long),
        failpoints.armed("checkpoint.renewed", lambda _: saved.set()),
    ):
        ended = staged(says("Again"), lease_seconds=60).api.follow(sent)[-1]
    assert (ended["__typename"], ended["generation"]["message"]["text"]) == ("GenerationCompleted", "Again")
    assert len(read) == 1


def test_an_answer_whose_lease_lapsed_continues_when_the_lease_is_renewed(
    staged: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    skipped, gate, lapsed = SimpleNamespace(seconds=0.0), Gate(), threading.Event()
    time, fast_time = lease.clock, lease.fast_clock
    monkeypatch.setattr(lease, "clock", lambda: time() + skipped.seconds)
    monkeypatch.setattr(lease, "fast_clock", lambda: fast_time() + skipped.seconds)
    monkeypatch.setattr(manager, "CHECKPOINT_SECONDS", 0.05)

    may_write = ActiveGeneration.may_write

    async def noted(job: ActiveGeneration) -> None:
        if not job.lease.holds:
            lapsed.set()
        await may_write(job)

    async def hold(_item: object) -> None:
        await asyncio.to_thread(lapsed.wait, WAIT)

    monkeypatch.setattr(ActiveGeneration, "may_write", noted)
    stage = staged(says("One ", gate, "two"), lease_seconds=60)
    sent = stage.api.send("Hello")["generation"]["id"]
    stage.api.wait_for_text(sent, "One ")
    with failpoints.armed("checkpoint.renewing", hold):
        skipped.seconds = 61
        gate.open.set()
        ended = stage.api.follow(sent)[-1]
    assert (lapsed.is_set(), ended["generation"]["message"]["text"]) == (True, "One two")


def test_a_checkpoint_that_takes_longer_than_a_lease_keeps_the_answer(
    staged: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    skipped, gate, finished = SimpleNamespace(seconds=0.0), Gate(), threading.Event()
    time = lease.clock
    monkeypatch.setattr(lease, "clock", lambda: time() + skipped.seconds)
    monkeypatch.setattr(manager, "CHECKPOINT_SECONDS", 0.05)

    async def lapse_once(_item: object) -> None:
        if skipped.seconds:
            await asyncio.to_thread(finished.wait, WAIT)
        skipped.seconds = 61.0
        gate.open.set()

    stage = staged(says("One ", gate, "two"), lease_seconds=60)
    sent = stage.api.send("Hello")["generation"]["id"]
    stage.api.wait_for_text(sent, "One ")
    with failpoints.armed("checkpoint.renewing", lapse_once):
        assert stage.api.follow(sent)[-1]["generation"]["message"]["text"] == "One two"
        finished.set()


def wait_for_sweep(clock: StoppedClock, number: int) -> None:
    """Wait for the end of a sweep. With a lease of 9 seconds a process sweeps every 3 seconds."""
    wait_until(lambda: clock.begun[3.0] == number)


@pytest.fixture
def generators(monkeypatch: pytest.MonkeyPatch) -> list[manager.GenerationManager]:
    """Collect the generation managers of the servers that start, because servers that tests share sweep too."""
    created = list[manager.GenerationManager]()

    def make(*arguments: Any, **more: Any) -> manager.GenerationManager:
        created.append(manager.GenerationManager(*arguments, **more))
        return created[-1]

    monkeypatch.setattr("tertulia.server.services.GenerationManager", make)
    return created


def test_after_a_database_outage_nothing_is_taken_over_for_the_length_of_a_lease(
    staged: Staged,
    clock: StoppedClock,
    generators: list[manager.GenerationManager],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claim, swept, now = leases.claim_lapsed, list[float](), SimpleNamespace(seconds=0.0)

    async def claim_lapsed(session: Any, holder: UUID, *arguments: Any, **more: Any) -> Sequence[UUID]:
        if any(generator.holder == holder for generator in generators):
            swept.append(now.seconds)
            if len(swept) == 1:
                raise OperationalError("SELECT", {}, Exception("The database is away."))
        return await claim(session, holder, *arguments, **more)

    monkeypatch.setattr(leases, "claim_lapsed", claim_lapsed)
    monkeypatch.setattr(manager, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    now.seconds = 1_000.0
    staged(says("Hello"), lease_seconds=9)
    wait_for_sweep(clock, 1)
    for number, seconds in enumerate((1_003.0, 1_008.9, 1_009.1), 2):
        now.seconds = seconds
        clock.skip(3.0)
        wait_for_sweep(clock, number)
    assert swept == [1_000.0, 1_009.1]


def test_a_draining_server_takes_no_answers_over(
    staged: Staged,
    clock: StoppedClock,
    generators: list[manager.GenerationManager],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    swept, claim = list[UUID](), leases.claim_lapsed

    async def claim_lapsed(session: Any, holder: UUID, *arguments: Any, **more: Any) -> Sequence[UUID]:
        swept.append(holder)
        return await claim(session, holder, *arguments, **more)

    monkeypatch.setattr(leases, "claim_lapsed", claim_lapsed)
    staged(says("Hello"), lease_seconds=9)
    wait_for_sweep(clock, 1)
    generators[0].draining = True
    clock.skip(3.0)
    wait_for_sweep(clock, 2)
    assert swept.count(generators[0].holder) == 1
