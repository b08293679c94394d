"""Loops that retry wait for random times, so that many processes do not retry at once."""

from tertulia.backoff import Backoff


def test_each_delay_is_random_up_to_a_bound_that_doubles_and_is_limited() -> None:
    drawn: list[tuple[float, float]] = []

    def middle(low: float, high: float) -> float:
        drawn.append((low, high))
        return (low + high) / 2

    backoff = Backoff(1, 5, middle)
    assert [backoff.next() for _ in range(5)] == [0.5, 1, 2, 2.5, 2.5]
    assert drawn == [(0, 1), (0, 2), (0, 4), (0, 5), (0, 5)]
    backoff.reset()
    assert backoff.next() == 0.5


def test_two_processes_that_failed_together_do_not_retry_together() -> None:
    here, elsewhere = Backoff(1, 60), Backoff(1, 60)
    assert [here.next() for _ in range(5)] != [elsewhere.next() for _ in range(5)]
