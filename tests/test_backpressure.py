"""Backpressure follows the load of the event loop, in a simulation of the loop that needs no clock."""

import asyncio
import heapq
from dataclasses import dataclass, field

import pytest

from tertulia.claude.backpressure import (
    IDLE_SAMPLE_SECONDS,
    LATE,
    LONGEST,
    LOW_USE,
    MANY_LATE,
    SAMPLE_SECONDS,
    SAMPLES,
    SHORTEST,
    Backpressure,
)

TOKEN_SECONDS = 0.02
"""Seconds between two tokens of an answer."""
TURN_US, FRAME_US, TOKEN_US = 30, 50, 12
"""CPU of an iteration of the loop, of a read with its frame, and of each token in it."""


@dataclass
class Loop:
    """An event loop that runs answers, and other work in turns of `turn` seconds every `every` seconds."""

    turn: float = 0.0
    every: float = 0.1
    backpressure: Backpressure = field(default_factory=Backpressure)
    now: float = 0.0
    delays: list[float] = field(default_factory=list[float])
    """The delay after each sample."""
    latencies: list[float] = field(default_factory=list[float])
    frames: int = 0
    _next_turn: float = 0.0

    def run(self, seconds: float, answers: int = 0) -> None:
        """Simulate the loop while some answers are written."""
        self.latencies.clear()
        self.frames = 0
        end, sample, used = self.now + seconds, self.now + SAMPLE_SECONDS, 0.0
        self._next_turn = self.now
        begun = self.now
        tokens = [(self.now + TOKEN_SECONDS * number / answers, number) for number in range(answers)]
        unread = [list[float]() for _ in range(answers)]
        paused = [0.0] * answers
        resumed: list[tuple[float, int]] = []
        while self.now < end:
            ready = set[int]()
            while tokens and tokens[0][0] <= self.now:
                time, number = tokens[0]
                heapq.heapreplace(tokens, (time + TOKEN_SECONDS, number))
                unread[number].append(time)
                if paused[number] <= self.now:
                    ready.add(number)
            while resumed and resumed[0][0] <= self.now:
                ready.add(heapq.heappop(resumed)[1])
            if sample <= self.now:
                self.backpressure.adapt(self.now - sample, used / (self.now - begun))
                self.delays.append(self.backpressure.delay)
                sample, begun, used = self.now + SAMPLE_SECONDS, self.now, 0.0
            cost = self._turn() + self._read(ready, unread, paused, resumed)
            used += cost
            if cost:
                self.now += cost
            else:
                others = [sample, self._next_turn if self.turn else end]
                self.now = min(*others, *(queue[0][0] for queue in (tokens, resumed) if queue))

    def _turn(self) -> float:
        if not self.turn or self._next_turn > self.now:
            return 0.0
        self._next_turn += self.every
        return self.turn

    def _read(
        self, ready: set[int], unread: list[list[float]], paused: list[float], resumed: list[tuple[float, int]]
    ) -> float:
        cost = TURN_US / 1e6 if ready else 0.0
        for number in ready:
            if unread[number]:
                cost += (FRAME_US + TOKEN_US * len(unread[number])) / 1e6
                self.frames += 1
                self.latencies += [self.now + cost - time for time in unread[number]]
                unread[number].clear()
                if self.backpressure.delay:
                    paused[number] = self.now + self.backpressure.delay
                    heapq.heappush(resumed, (paused[number], number))
        return cost

    @property
    def p99(self) -> float:
        return sorted(self.latencies)[int(0.99 * len(self.latencies))]


@pytest.mark.parametrize("answers", [1, 50, 200, 250])
def test_there_is_no_delay_while_the_core_has_spare_capacity(answers: int) -> None:
    loop = Loop()
    loop.run(3, answers)
    assert not any(loop.delays)
    assert loop.p99 < LATE


@pytest.mark.parametrize(("turn", "every"), [(0.4, 3.0), (0.027, 0.1), (0.06, 0.1), (0.010, 0.02)])
def test_long_turns_alone_cause_no_delay(turn: float, every: float) -> None:
    # A token with 1,000 followers, a long conversation, and one client at a time cause such turns.
    loop = Loop(turn, every)
    loop.run(6, 20)
    assert not any(loop.delays)


def test_an_overloaded_core_merges_tokens_until_it_has_spare_capacity(monkeypatch: pytest.MonkeyPatch) -> None:
    def keep_delay(_late: float, _used: float) -> None:
        pass

    merged, unmerged = Loop(), Loop()
    monkeypatch.setattr(unmerged.backpressure, "adapt", keep_delay)
    for loop in (merged, unmerged):
        loop.run(2, 500)  # 50 % more than the core can do without merging
        loop.run(2, 500)
    assert 0 < merged.backpressure.delay <= LONGEST
    assert len(merged.latencies) > 1.5 * merged.frames
    assert merged.p99 < 2 * LONGEST


def test_the_delay_settles() -> None:
    loop = Loop()
    loop.run(3, 500)
    loop.delays.clear()
    loop.run(10, 500)
    changes = sum(before != after for before, after in zip(loop.delays, loop.delays[1:], strict=False))
    assert changes <= 10, loop.delays


@pytest.mark.parametrize("answers", [0, 1, 100])
def test_the_delay_ends_within_a_second_after_the_load(answers: int) -> None:
    loop = Loop()
    loop.backpressure.delay = LONGEST
    loop.run(1, answers)
    assert loop.backpressure.delay == 0


def test_a_delay_is_halved_until_it_is_the_shortest_one() -> None:
    backpressure = Backpressure()
    backpressure.delay = LONGEST
    delays = list[float]()
    while backpressure.delay:
        delays.append(backpressure.delay)
        for _ in range(SAMPLES):
            backpressure.adapt(0.0, 0.0)
    assert delays == [LONGEST / 2**step for step in range(len(delays))]
    assert delays[-1] <= SHORTEST < delays[-2]


def test_a_delay_stays_while_the_core_would_be_full_without_it() -> None:
    backpressure = Backpressure()
    backpressure.delay = SHORTEST
    for _ in range(10 * SAMPLES):
        backpressure.adapt(0.0, LOW_USE)
    assert backpressure.delay == SHORTEST
    for _ in range(SAMPLES):
        backpressure.adapt(0.0, 0.7)
    assert backpressure.delay == 0


def test_a_loop_that_is_late_in_most_samples_is_overloaded_even_if_it_uses_little_of_its_core() -> None:
    # Its container may be limited to a share of the core, or other programs use it.
    backpressure = Backpressure()
    for _ in range(MANY_LATE):
        assert backpressure.delay == 0
        backpressure.adapt(2 * LATE, 0.3)
    assert backpressure.delay == SHORTEST
    for _ in range(10 * MANY_LATE):
        backpressure.adapt(2 * LATE, 0.3)
    assert backpressure.delay == LONGEST


def test_each_sample_is_the_lateness_of_the_loop_and_the_used_share_of_its_core() -> None:
    now, cpu = 100.0, 7.0
    # By how much each wake-up is late, and the CPU time that the loop has used until then.
    turns = iter([(0.0, 0.005), (0.025, 0.025), (0.075, 0.1), (-0.0125, 0.005)])
    samples = list[tuple[float, float]]()

    async def sleep(seconds: float) -> None:
        nonlocal now, cpu
        late, used = next(turns)
        now, cpu = now + seconds + late, cpu + used

    class Recorded(Backpressure):
        def adapt(self, late: float, used: float) -> None:
            samples.append((late, used))

    backpressure = Recorded(clock=lambda: now, cpu_clock=lambda: cpu, sleep=sleep)
    with backpressure.reading(), pytest.raises(RuntimeError):  # there is no further turn
        asyncio.run(backpressure.watch())
    assert samples == [pytest.approx(sample) for sample in [(0.0, 0.2), (0.025, 0.5), (0.075, 1.0), (-0.0125, 0.2)]]


def test_an_idle_process_is_measured_seldom_but_an_overloaded_one_until_its_delay_ends() -> None:
    slept = list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            raise InterruptedError

    def seconds_of_two_samples() -> list[float]:
        slept.clear()
        with pytest.raises(InterruptedError):
            asyncio.run(backpressure.watch())
        return list(slept)

    backpressure = Backpressure(sleep=sleep)
    assert seconds_of_two_samples() == [IDLE_SAMPLE_SECONDS] * 2
    with backpressure.reading():
        with backpressure.reading():
            pass
        assert seconds_of_two_samples() == [SAMPLE_SECONDS] * 2
    backpressure.delay = SHORTEST
    assert seconds_of_two_samples() == [SAMPLE_SECONDS] * 2
