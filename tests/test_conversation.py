"""One conversation, as a frontend has it: over real HTTP and a real socket."""

from client import Api, apply


def test_a_sent_message_is_answered_token_by_token(api: Api) -> None:
    sent = api.send("Hello there")
    events = api.follow(sent["generation"]["id"])
    assert events[0]["__typename"] == "MessageSnapshot"
    assert events[-1]["__typename"] == "GenerationCompleted"
    assert events[-1]["generation"]["stopReason"] == "END_TURN"
    assert "Hello there" in apply(events)[0]


def test_a_second_turn_remembers_the_first(api: Api) -> None:
    conversation = api.send("Hello, my name is Ada")
    api.follow(conversation["generation"]["id"])
    said = api.answer("What is my name?", conversationId=conversation["conversation"]["id"])
    assert "Ada" in said["generation"]["message"]["text"]


def test_the_branch_holds_both_turns_in_order(api: Api) -> None:
    sent = api.send("One")
    api.follow(sent["generation"]["id"])
    api.answer("Two", conversationId=sent["conversation"]["id"])
    messages = api.messages(sent["conversation"]["id"])
    assert [message["role"] for message in messages] == ["USER", "ASSISTANT", "USER", "ASSISTANT"]
    assert [message["text"] for message in messages[::2]] == ["One", "Two"]
    assert [message["parent"] and message["parent"]["id"] for message in messages] == [
        None,
        *[message["id"] for message in messages[:-1]],
    ]
