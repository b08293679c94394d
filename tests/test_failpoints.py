"""Failpoints: named steps in the code at which tests can run an action."""

import asyncio

import pytest

from tertulia import failpoints
from tertulia.failpoints import Failpoint

STEP = Failpoint("test.step")


def test_a_step_does_nothing_unless_it_is_armed() -> None:
    STEP.hit("item")
    asyncio.run(STEP.reach("item"))


def test_an_armed_step_raises_the_error_of_its_action_and_is_disarmed_afterwards() -> None:
    def fail(item: str) -> None:
        raise KeyError(item)

    with failpoints.armed("test.step", fail), pytest.raises(KeyError, match="this one"):
        STEP.hit("this one")
    STEP.hit("this one")


def test_an_asynchronous_action_is_waited_for() -> None:
    async def work() -> list[str]:
        opened, seen = asyncio.Event(), list[str]()

        async def wait(item: str) -> None:
            await opened.wait()
            seen.append(item)

        with STEP.armed(wait):
            reaching = asyncio.create_task(STEP.reach("item"))
            await asyncio.sleep(0)
            assert not reaching.done()
            opened.set()
            await reaching
        return seen

    assert asyncio.run(work()) == ["item"]


def test_a_synchronous_step_refuses_an_asynchronous_action() -> None:
    async def wait(_item: object) -> None:
        pass

    with STEP.armed(lambda item: asyncio.ensure_future(wait(item))), pytest.raises(TypeError, match=r"test\.step"):
        asyncio.run(_hit())


async def _hit() -> None:
    STEP.hit()


def test_two_steps_cannot_have_the_same_name() -> None:
    with pytest.raises(ValueError, match=r"test\.step"):
        Failpoint("test.step")
    assert failpoints.declared()["test.step"] is STEP
