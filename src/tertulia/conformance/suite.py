"""Checks all requirements, and returns what came out."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import aiohttp

from tertulia.conformance import answers, client_tools, control, transports
from tertulia.conformance.client import READ_BUFFER, Client, endpoint
from tertulia.conformance.requirements import Level, Requirement, in_order
from tertulia.conformance.run import Prompts, Run
from tertulia.conformance.verdicts import Failed, NotApplicable, reason

SECTIONS = (answers, control, client_tools, transports)
"""The modules whose import registers the requirements."""


class Outcome(StrEnum):
    """How the check of a requirement ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a requirement. `reason`, `sent` and `received` explain one that has not passed."""

    requirement: Requirement
    outcome: Outcome
    reason: str | None = None
    sent: str | None = None
    received: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The server to check.

    Attributes:
        url: The address of the server or of its GraphQL endpoint.
        token: The token of a viewer. None if the server requires none.
        other_token: The token of another viewer, or None.
        seconds: The longest time to wait for anything.
    """

    url: str
    token: str | None = None
    other_token: str | None = None
    seconds: float = 60.0


async def check(target: Target, prompts: Prompts | None = None) -> list[Result]:
    """Check all requirements of a server, several at a time, and return the results in order."""
    url = endpoint(target.url)
    # Waits are limited one by one, because a stream lives as long as the answer.
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, read_bufsize=READ_BUFFER) as session:
        run = Run(
            Client(session, url, target.token, target.seconds),
            None if target.token is None else Client(session, url, None, target.seconds),
            None if target.other_token is None else Client(session, url, target.other_token, target.seconds),
            prompts or Prompts(),
        )
        tasks: dict[str, asyncio.Task[Result]] = {}
        for requirement in in_order():
            tasks[requirement.id] = asyncio.create_task(_checked(requirement, run, tasks))
        try:
            return list(await asyncio.gather(*tasks.values()))
        finally:
            await run.clean()


def conforms(results: Iterable[Result]) -> bool:
    """Return whether no MUST failed."""
    return not any(result.outcome is Outcome.FAILED and result.requirement.level is Level.MUST for result in results)


async def _checked(requirement: Requirement, run: Run, tasks: dict[str, asyncio.Task[Result]]) -> Result:
    # The tasks of all requirements exist when the first of them runs.
    for needed in requirement.needs:
        if (await tasks[needed]).outcome is not Outcome.PASSED:
            return Result(requirement, Outcome.NOT_APPLICABLE, f"it needs {needed}, which did not pass.")
    try:
        await requirement.check(run)
    except NotApplicable as explanation:
        return Result(requirement, Outcome.NOT_APPLICABLE, str(explanation))
    except Failed as failure:
        return Result(requirement, Outcome.FAILED, str(failure), failure.sent, failure.received)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return Result(requirement, Outcome.FAILED, f"The connection failed: {reason(error)}.")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, StopAsyncIteration) as error:
        # A response may have any form.
        return Result(requirement, Outcome.FAILED, f"The response has an unexpected form: {error!r}.")
    return Result(requirement, Outcome.PASSED)
