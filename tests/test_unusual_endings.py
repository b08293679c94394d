"""Answers with unencodable tool results, tools that ignore cancellation or excessive prices end and can be stopped."""

import odd_tools
import pytest
from client import Api
from conftest import Staged
from scripted import says, uses

TOOLS = [
    name for name in vars(odd_tools) if name.islower() and callable(getattr(odd_tools, name)) and name != "stubborn"
]


@pytest.mark.both
def test_an_unencodable_tool_result_does_not_fail_the_answer(staged: Staged) -> None:
    replies = [reply for name in TOOLS for reply in (uses((name, {})), says("done"))]
    stage = staged(*replies, tools=("odd_tools",))
    for name in TOOLS:
        ended = stage.api.answer("Call it")
        assert (name, ended["generation"]["message"]["text"]) == (name, "done")
    assert stage.api.http.get("/readyz").status_code == 200


def test_a_tool_that_ignores_its_cancellation_does_not_delay_a_stop(staged: Staged) -> None:
    stage = staged(uses(("stubborn", {})), says("well"), tools=("odd_tools",))
    sent = stage.api.send("Call it")
    generation = sent["generation"]["id"]
    with stage.api.socket() as socket:
        for event in socket.events(generation, 0):
            if event["__typename"] == "ContentBlockStarted" and event["block"]["__typename"] == "ToolResultBlock":
                break
    assert stage.api.stop(generation)["generation"]["status"] == "STOPPED"
    assert stage.api.follow(generation)[-1]["__typename"] == "GenerationStopped"
    after = stage.api.answer("And now?", conversationId=sent["conversation"]["id"])
    assert after["generation"]["message"]["text"] == "well"
    odd_tools.released.set()


@pytest.mark.both
def test_a_cost_beyond_the_range_of_the_column_does_not_prevent_an_answer_from_ending(staged: Staged) -> None:
    dear = {"claude-opus-5-5": {"input": 10**20, "output": 10**20}}
    stage = staged(says("well"), prices=dear, models=("claude-opus-5-5",), default_model="claude-opus-5-5")
    sent = stage.api.send("Hello")
    assert stage.api.follow(sent["generation"]["id"])[-1]["generation"]["status"] == "COMPLETED"
    for _ in range(3):
        more = stage.api.answer("More", conversationId=sent["conversation"]["id"])
        assert more["generation"]["status"] == "COMPLETED"
    assert usage(stage.api, sent["conversation"]["id"]) == "400000"


def usage(api: Api, conversation: str) -> str:
    return str(api.conversation(conversation)["usage"]["costUsd"])
