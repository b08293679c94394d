"""The conformance suite: Tertulia passes it, and each wrong server fails the requirement that names its fault."""

import asyncio
import json
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from client import Api
from people import MODE, register
from running import tertulia
from typer.testing import CliRunner
from wrong_servers import (
    AcceptsOtherInput,
    AcceptsOtherResults,
    CountsCharacters,
    DropsAnEvent,
    EndsBeforeTheLastText,
    Fault,
    GivesAReasonAlways,
    IgnoresStop,
    IgnoresWhenBusy,
    LosesStoppedTexts,
    LosesTheKey,
    LosesTheReason,
    MixesUpEventsOverHttp,
    NeverEndsMultipart,
    NeverSaysComplete,
    Proxy,
    QueuesAlways,
    RefusesRepeatedResults,
    Renumbers,
    RepeatsAnEvent,
    RepeatsChanges,
    ResumesFromTheStart,
    SavesTheEndLate,
    TakesAllForOneUser,
    Together,
)

from tertulia.cli.main import app
from tertulia.conformance.requirements import in_order
from tertulia.conformance.run import Prompts
from tertulia.conformance.suite import Outcome, Result, Target, check, conforms

PROTOCOL = Path(__file__).parent.parent / "PROTOCOL.md"
PROMPTS = Prompts(long="/simulate long 60", stopped="/simulate hang")
WITHOUT_TOKENS = {"security.2", "security.3"}
TOO_FAST = {"3.1"}
"""With a simulated Claude that does not pause, the answer may end before its reader can leave."""


def checked(fault: Fault, *addresses: str, token: str | None = None, other_token: str | None = None) -> list[Result]:
    """Check servers through a proxy that can falsify what they send, and return the results."""

    async def work() -> list[Result]:
        async with Proxy(fault, *addresses).serve() as address:
            return await check(Target(address, token, other_token), PROMPTS)

    return asyncio.run(work())


def failed(results: list[Result]) -> dict[str, Any]:
    return {
        result.requirement.id: (result.reason, result.sent, result.received)
        for result in results
        if result.outcome is Outcome.FAILED
    }


def not_applicable(results: list[Result]) -> set[str]:
    return {result.requirement.id for result in results if result.outcome is Outcome.NOT_APPLICABLE}


def test_tertulia_conforms(api: Api) -> None:
    prompts = ["--prompt", PROMPTS.long, "--stop-prompt", PROMPTS.stopped]
    printed = CliRunner().invoke(app, ["conformance", api.address, "--json", *prompts])
    report = json.loads(printed.stdout)
    found = report["requirements"]
    assert [item for item in found if item["outcome"] == "failed"] == []
    assert {item["id"] for item in found if item["outcome"] != "passed"} - TOO_FAST == WITHOUT_TOKENS
    assert (report["conforms"], printed.exit_code) == (True, 0)


def test_a_server_that_does_not_answer_fails_what_does_not_need_another_requirement() -> None:
    printed = CliRunner().invoke(app, ["conformance", "http://127.0.0.1:1"])
    assert printed.exit_code == 1
    assert re.search(r"FAILED +websocket\.1 .*\n +The socket was not opened: ", printed.stdout)
    assert "it needs websocket.1, which did not pass." in printed.stdout
    assert printed.stdout.endswith("The server does not conform.\n")


def test_an_address_without_a_scheme_is_refused() -> None:
    printed = CliRunner().invoke(app, ["conformance", "127.0.0.1:8000"])
    assert printed.exit_code == 2
    assert "must begin with http:// or https://" in printed.stderr


def test_the_protocol_lists_the_requirements() -> None:
    listed = re.findall(r"^\| (\S+\.\d+) \| (MUST|SHOULD) \| (.*) \|$", PROTOCOL.read_text(), re.MULTILINE)
    assert listed == [(item.id, item.level, item.title) for item in in_order()]


def test_a_server_with_users_conforms_and_one_that_mixes_them_does_not(tmp_path: Path) -> None:
    with tertulia(tmp_path, **MODE) as address:
        token, other = (register(address, name)["access_token"] for name in ("ada", "bob"))
        separate = checked(Fault(), address, token=token, other_token=other)
        # As the other user, because the rate limit counts the messages of each.
        mixed = checked(TakesAllForOneUser(other), address, token=other, other_token=token)
    assert (failed(separate), not_applicable(separate) - TOO_FAST) == ({}, set())
    assert failed(mixed).keys() == WITHOUT_TOKENS, failed(mixed)


@pytest.mark.joined
def test_two_replicas_conform(setup: str, tmp_path: Path, place: dict[str, Any]) -> None:
    with ExitStack() as stack:
        addresses = [stack.enter_context(tertulia(tmp_path, **place)) for _ in range(2)]
        results = checked(Fault(), *addresses)
    assert failed(results) == {}
    assert not_applicable(results) - TOO_FAST == WITHOUT_TOKENS


FAULTS: dict[type[Fault], str] = {
    DropsAnEvent: "7.3",
    RepeatsAnEvent: "7.4",
    Renumbers: "5.1",
    ResumesFromTheStart: "7.2",
    EndsBeforeTheLastText: "6.1",
    IgnoresStop: "4.1",
    LosesTheKey: "10.1",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_wrong_server_fails_exactly_the_requirement_that_names_its_fault(api: Api, fault: type[Fault]) -> None:
    results = checked(fault(), api.address)
    assert failed(results).keys() == {FAULTS[fault]}, failed(results)
    assert not conforms(results)


INDEPENDENT: list[dict[type[Fault], set[str]]] = [
    {
        GivesAReasonAlways: {"7.1"},
        LosesTheReason: {"8.1", "8.2"},
        CountsCharacters: {"9.1"},
        AcceptsOtherInput: {"10.2"},
        QueuesAlways: {"15.1"},
        AcceptsOtherResults: {"17.3"},
        RepeatsChanges: {"changes.1"},
        NeverSaysComplete: {"sse.1"},
    },
    {
        SavesTheEndLate: {"2.1"},
        LosesStoppedTexts: {"4.2"},
        IgnoresWhenBusy: {"15.2"},
        RefusesRepeatedResults: {"17.2"},
        MixesUpEventsOverHttp: {"21.1"},
        NeverEndsMultipart: {"multipart.1"},
    },
]


@pytest.mark.parametrize("faults", INDEPENDENT, ids=["first", "second"])
def test_independent_faults_are_found_together(api: Api, faults: dict[type[Fault], set[str]]) -> None:
    results = checked(Together(*(fault() for fault in faults)), api.address)
    assert failed(results).keys() == set[str]().union(*faults.values()), failed(results)
