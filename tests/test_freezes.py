"""The same guarantees hold when a process is frozen for longer than its lease, at each step at which it waits.

Two servers share a storage, each in a thread. The first one that reaches a step sleeps there, with its whole event
loop. To the other server and by the clock, that is the same as a process that is suspended and resumed.

`make test` freezes at a few steps of each kind, and `make chaos` at all of them.
"""

import threading
import time
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
from client import TERMINAL, WAIT, Api, sleep_between_polls
from conftest import EMBEDDED, SECRET
from faults import CountingClaude, Reader, counting, hold
from running import tertulia

from tertulia import failpoints

pytestmark = pytest.mark.both
JOINED, ALONE = (pytest.mark.joined,), (pytest.mark.embedded,)

Json = dict[str, Any]
LEASE, FROZEN = 1.0, 2.5
"""The length of a lease and of a freeze, in seconds."""
REDIS_WRITES, JOURNAL_WRITES = ("redis.sending", "redis.sent"), ("journal.writing",)
WRITES = ("round.heard", "checkpoint.renewing", "checkpoint.save", "checkpoint.renewed")
ENDS = ("end.begin", "end.save", "end.saved", "end.announce")
TAKEOVERS = ("takeover.claimed", "takeover.read")
REDIS_TAKEOVERS = ("redis.taking", "redis.taken")
CHOSEN = (
    "round.heard",
    "end.save",
    "redis.sent",
    "journal.writing",
    "continuation.begin",
    "takeover.read",
    "redis.taking",
)
"""The steps of `make test`."""
ATTEMPTS, FREEZE_BEGINS = 5, 8.0
LONG, SHORT, BREAKS = "/simulate long 120", "/simulate long 30", "/simulate break-at 1200"


def at(*steps: str, only: tuple[pytest.MarkDecorator, ...] = ()) -> list[Any]:
    """Return steps as parameters, with the mark of the setup if only one has them."""
    return [pytest.param(step, marks=only if step in CHOSEN else (*only, pytest.mark.chaos)) for step in steps]


class Freeze:
    """Puts the first thread that reaches a step to sleep, once."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.begun = threading.Event()
        self.over = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, _item: object) -> None:
        if self._lock.acquire(blocking=False):
            self.begun.set()
            time.sleep(self.seconds)
            self.over.set()


@pytest.fixture(scope="module")
def claude() -> Generator[CountingClaude]:
    with counting() as counting_claude:
        yield counting_claude


@pytest.fixture(scope="module")
def pair(
    setup: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, claude: CountingClaude
) -> Generator[list[Api]]:
    """Two servers on one storage, with short leases."""
    folder = tmp_path_factory.mktemp("pair")
    place = {} if setup == EMBEDDED else request.getfixturevalue("servers").settings()
    keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address, "lease_seconds": LEASE}
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("tertulia.generation.manager.CHECKPOINT_SECONDS", LEASE / 4)
        for module in ("memory", "redis.reader"):
            patch.setattr(f"tertulia.streams.{module}.SILENCE", 1.0)
        addresses = [stack.enter_context(tertulia(folder, **place, **keyed)) for _ in range(2)]
        yield [stack.enter_context(Api(address)) for address in addresses]


def send(pair: list[Api], command: str = LONG) -> tuple[str, Json, list[Reader]]:
    """Send to the first server, and follow on both, with `after` and without, until some text has arrived."""
    for _ in range(ATTEMPTS):
        message = f"{command}\n{uuid4().hex}"
        sent = pair[0].send(message)
        generation = sent["generation"]["id"]
        readers = [
            Reader(apis, generation, exact=exact)
            for apis, exact in ((pair, True), ([pair[1]], True), ([pair[1]], False), ([pair[0]], True))
        ]
        while not readers[0].longest and readers[0].is_alive():
            sleep_between_polls()
        # On a busy machine a lease of one second may lapse by itself before any text is written.
        if readers[0].longest:
            return message, sent, readers
    raise AssertionError("no answer has any text")


def frozen(
    pair: list[Api], claude: CountingClaude, steps: dict[str, float], command: str = LONG
) -> tuple[str, Json, list[Reader], int]:
    """Send, freeze at each step for its number of seconds, and wait for all readers. Retry if a step is not reached.

    An answer may end before the freeze is armed, and an answer whose writer is frozen inside a transaction cannot be
    taken over. The last returned value is the number of requests to Claude before the freeze: more than one if a lease
    lapsed before any text was written.
    """
    for _ in range(ATTEMPTS):
        message, sent, readers = send(pair, command)
        asked = claude.asked[message]
        freezes = {step: Freeze(seconds) for step, seconds in steps.items()}
        with ExitStack() as stack:
            for step, freeze in freezes.items():
                stack.enter_context(failpoints.armed(step, freeze))
            begun = all(freeze.begun.wait(FREEZE_BEGINS) for freeze in freezes.values())
            for reader in readers:
                reader.result()
            if begun:
                assert all(freeze.over.wait(WAIT) for freeze in freezes.values())
                return message, sent, readers, asked
    raise AssertionError(f"no server reached {', '.join(steps)}")


def assert_nothing_follows_the_end(readers: list[Reader]) -> None:
    """Assert that no other event has the number of the terminal event or a later one."""
    for reader in readers:
        last = reader.events[-1]["sequence"]
        assert all(event["sequence"] < last for event in reader.events if event["__typename"] not in TERMINAL)


@pytest.mark.parametrize(
    "step",
    [*at(*WRITES, *ENDS), *at(*REDIS_WRITES, only=JOINED), *at(*JOURNAL_WRITES, only=ALONE)],
)
def test_a_frozen_writer_sends_nothing_that_is_not_stored(pair: list[Api], claude: CountingClaude, step: str) -> None:
    message, sent, readers, asked = frozen(pair, claude, {step: FROZEN}, SHORT if step in ENDS else LONG)
    ended = hold(pair[1], claude, sent, message, readers, most=asked)
    assert ended == "GenerationCompleted", readers[0].events[-1]
    assert_nothing_follows_the_end(readers)
    assert_the_terminal_event_is_repeated(pair, sent["generation"]["id"])


@pytest.mark.parametrize("step", at("continuation.recorded", "continuation.begin"))
def test_a_process_frozen_while_it_continues_an_answer_leaves_it_to_the_other(
    pair: list[Api], claude: CountingClaude, step: str
) -> None:
    message, sent, readers, asked = frozen(pair, claude, {step: FROZEN}, BREAKS)
    ended = hold(pair[1], claude, sent, message, readers, most=asked)
    assert ended == "GenerationCompleted", readers[0].events[-1]
    assert_nothing_follows_the_end(readers)
    assert_the_terminal_event_is_repeated(pair, sent["generation"]["id"])


def assert_the_terminal_event_is_repeated(pair: list[Api], generation: str) -> None:
    for api in pair:
        last = api.follow(generation)[-1]
        again = api.follow(generation, last["sequence"])
        assert [event["__typename"] for event in again] == ["MessageSnapshot", last["__typename"]]
        assert again[-1] == last


@pytest.mark.parametrize("step", [*at(*TAKEOVERS), *at(*REDIS_TAKEOVERS, only=JOINED)])
def test_a_process_frozen_during_a_takeover_leaves_the_answer_to_the_other(
    pair: list[Api], claude: CountingClaude, step: str
) -> None:
    message, sent, readers, asked = frozen(pair, claude, {"round.heard": FROZEN, step: 2 * FROZEN})
    ended = hold(pair[0], claude, sent, message, readers, most=asked)
    assert ended == "GenerationCompleted", readers[0].events[-1]
    assert_nothing_follows_the_end(readers)
    assert_the_terminal_event_is_repeated(pair, sent["generation"]["id"])
