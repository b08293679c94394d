"""The rules of PROTOCOL.md, over real sockets. The number in a test's name is the number of the rule."""

from contextlib import ExitStack
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from client import TERMINAL, WAIT, Api, Json, apply, wait_until
from conftest import SECRET, Staged
from running import execute, forget_logs, tertulia
from scripted import START, Cut, Gate, Reply, begin, delta, end, finish, says, scripted, text

from tertulia.db.tables import now


def numbers(events: list[Json]) -> list[int]:
    return [event["sequence"] for event in events]


def types(events: list[Json]) -> list[str]:
    return [event["__typename"] for event in events]


def test_01_a_generation_is_stored_before_claude_is_asked(staged: Staged, place: Json) -> None:
    stage = staged(says("Hi"))
    stored: list[Any] = []
    stage.claude.when_asked = lambda: stored.extend(execute(place, "SELECT status FROM generations"))
    sent = stage.api.send("Hello")
    assert stage.api.follow(sent["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"
    assert [status.lower() for (status,) in stored] == ["running"]


def test_02_the_whole_text_can_be_queried_once_the_terminal_event_has_arrived(api: Api) -> None:
    for _ in range(10):
        sent = api.send("/simulate long 50")
        stored: Json = {}
        with api.socket() as socket:
            for event in socket.events(sent["generation"]["id"]):
                if event["__typename"] in TERMINAL:
                    stored = api.messages(sent["conversation"]["id"])[-1]
        assert stored["text"].endswith("word50.")
        assert stored["generation"]["status"] == "COMPLETED"


def test_03_a_client_that_leaves_does_not_stop_claude(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("first ", gate, "second"))
    sent = stage.api.send("Hello")
    with stage.api.socket() as socket:
        next(socket.events(sent["generation"]["id"]))
        socket.connection.socket.close()
    gate.open.set()
    assert apply(stage.api.follow(sent["generation"]["id"])) == ["first second"]


def test_04_after_stop_returns_no_content_follows_and_the_text_is_kept(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("kept", gate, " never"))
    sent = stage.api.send("Hello")
    stage.api.wait_for_text(sent["generation"]["id"], "kept")
    stopped = stage.api.stop(sent["generation"]["id"])
    gate.open.set()
    assert stopped["generation"]["status"] == "STOPPED"
    assert stopped["generation"]["message"]["text"] == "kept"
    events = stage.api.follow(sent["generation"]["id"])
    assert apply(events) == ["kept"]
    assert types(events)[-1] == "GenerationStopped"


def test_04_a_repeated_or_late_stop_returns_the_final_state(api: Api) -> None:
    ended = api.answer("Hello")["generation"]
    assert api.stop(ended["id"])["generation"]["status"] == "COMPLETED"
    assert api.stop(ended["id"])["generation"] == api.stop(ended["id"])["generation"]


def test_04_a_generation_stopped_before_its_first_token_ends_as_stopped_and_empty(api: Api) -> None:
    sent = api.send("/simulate hang")
    assert api.stop(sent["generation"]["id"])["generation"]["status"] == "STOPPED"
    assert api.try_send("And now?", conversationId=sent["conversation"]["id"])["__typename"] == "SendMessagePayload"


def test_05_sequence_numbers_start_at_one_and_have_no_gaps(api: Api) -> None:
    sent = api.send("/simulate thinking")
    api.follow(sent["generation"]["id"])
    sequences = [edge["node"]["sequence"] for edge in all_events(api, sent["generation"]["id"])]
    assert sequences == list(range(1, len(sequences) + 1))


def test_05_sequence_numbers_rise_with_every_event_of_a_stream(api: Api) -> None:
    sequences = numbers(api.follow(api.send("/simulate long 300")["generation"]["id"]))
    assert sequences == sorted(set(sequences))


@pytest.mark.parametrize("scenario", ["thinking", "error", "cut", "no-stop", "refusal", "max-tokens", "server-error"])
def test_06_there_is_exactly_one_terminal_event_and_it_comes_last(api: Api, scenario: str) -> None:
    sent = api.send(f"/simulate {scenario}")
    for after in (None, 0):
        names = types(api.follow(sent["generation"]["id"], after))
        assert [name for name in names if name in TERMINAL] == names[-1:]


def test_06_a_subscription_to_an_ended_answer_completes_at_once(api: Api) -> None:
    sent = api.send("Hello")
    whole = api.follow(sent["generation"]["id"])
    again = api.follow(sent["generation"]["id"])
    assert types(again) == ["MessageSnapshot", "GenerationCompleted"]
    assert apply(again) == apply(whole)
    assert numbers(again) == [whole[-1]["sequence"] - 1, whole[-1]["sequence"]]


def test_07_stored_and_live_events_join_without_a_gap(staged: Staged) -> None:
    gates = [Gate() for _ in range(4)]
    pieces = [piece for number, gate in enumerate(gates) for piece in (f"piece{number} ", gate)]
    stage = staged(says(*pieces, "end"))
    generation = stage.api.send("Hello")["generation"]["id"]
    with ExitStack() as stack:
        readers: list[list[Json]] = []
        streams = []
        for gate in gates:
            assert gate.reached.wait(WAIT)
            # At each gate, one follower begins with a snapshot and one with the first event.
            streams += [stack.enter_context(stage.api.socket()).events(generation, after) for after in (None, 0)]
            readers += [[next(streams[-2])], [next(streams[-1])]]
            gate.open.set()
        for reader, stream in zip(readers, streams, strict=True):
            reader += list(stream)
    expected = ["piece0 piece1 piece2 piece3 end"]
    assert [apply(reader) for reader in readers] == [expected] * 8


@pytest.mark.parametrize("scenario", ["long 40", "thinking", "tool-use", "unicode"])
def test_07_after_returns_exactly_the_later_events(api: Api, scenario: str) -> None:
    sent = api.send(f"/simulate {scenario}")
    last = api.follow(sent["generation"]["id"])[-1]["sequence"]
    whole = [edge["node"] for edge in all_events(api, sent["generation"]["id"])]
    texts = apply(api.follow(sent["generation"]["id"], 0))
    for after in range(last):
        later_events = api.follow(sent["generation"]["id"], after)
        assert all(event["sequence"] > after for event in later_events)
        assert "MessageSnapshot" not in types(later_events)
        assert apply(whole[:after] + later_events) == texts


def test_08_after_the_terminal_event_the_end_is_sent_again(api: Api) -> None:
    generation = api.send("Hello")["generation"]["id"]
    whole = api.follow(generation)
    last = whole[-1]["sequence"]
    again = api.follow(generation, last)
    assert types(again) == ["MessageSnapshot", "GenerationCompleted"]
    assert (again[0]["reason"], numbers(again)) == ("ENDED", [last - 1, last])
    assert apply(again) == apply(whole)


@pytest.mark.parametrize("after", [-1, 10_000, 2**31 - 1])
def test_08_an_unknown_number_returns_a_snapshot_with_that_reason(api: Api, after: int) -> None:
    sent = api.send("Hello")
    whole = api.follow(sent["generation"]["id"])
    events = api.follow(sent["generation"]["id"], after)
    assert types(events) == ["MessageSnapshot", "GenerationCompleted"]
    assert events[0]["reason"] == "UNKNOWN_SEQUENCE"
    assert apply(events) == apply(whole)


def test_08_a_request_for_expired_events_returns_a_snapshot_with_that_reason(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as before:
        sent = before.send("Hello")["generation"]["id"]
        whole = before.follow(sent)
    forget_logs(place)
    with tertulia(tmp_path, **place) as address, Api(address) as after:
        events = after.follow(sent, 1)
        assert types(events) == ["MessageSnapshot", "GenerationCompleted"]
        assert events[0]["reason"] == "EXPIRED"
        assert apply(events) == apply(whole)
        assert numbers(events)[-1] == numbers(whole)[-1]
        assert after.follow(sent)[0]["reason"] is None
        assert types(after.follow(sent, numbers(whole)[-2])) == ["GenerationCompleted"]
        assert after.follow(sent, numbers(whole)[-1])[0]["reason"] == "ENDED"


def test_09_applying_events_twice_changes_nothing(api: Api) -> None:
    sent = api.send("/simulate unicode")
    events = api.follow(sent["generation"]["id"], 0)
    twice = [event for event in events for _ in range(2)]
    assert apply(twice) == apply(events)
    for begin_again in range(len(events)):
        assert apply(events[: begin_again + 1] + events[begin_again // 2 :]) == apply(events)


def test_09_offsets_count_utf16_code_units(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("a😀", gate, "é", "👩‍👩‍👧"))
    generation = stage.api.send("Hello")["generation"]["id"]
    with stage.api.socket() as socket:
        stream = socket.events(generation, 0)
        seen = [next(stream)]
        while seen[-1]["__typename"] != "TextDelta":
            seen.append(next(stream))
        gate.open.set()
        seen += list(stream)
    deltas = [event for event in seen if event["__typename"] == "TextDelta"]
    assert [event["offset"] for event in deltas][:2] == [0, 3]
    assert apply(seen) == ["a😀é👩‍👩‍👧"]


def test_10_the_same_key_returns_the_same_answer_and_asks_claude_once(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says(gate, "once"))
    key = str(uuid4())
    first = stage.api.send("Hello", idempotencyKey=key)
    assert gate.reached.wait(WAIT)
    second = stage.api.send("Hello", idempotencyKey=key)
    gate.open.set()
    stage.api.follow(first["generation"]["id"])
    third = stage.api.send("Hello", idempotencyKey=key)
    assert [sent["replayed"] for sent in (first, second, third)] == [False, True, True]
    assert len({sent["generation"]["id"] for sent in (first, second, third)}) == 1
    assert len({sent["userMessage"]["id"] for sent in (first, second, third)}) == 1
    assert len(stage.claude.requests) == 1


def test_10_a_key_is_valid_for_24_hours_and_can_then_be_reused(staged: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = staged(says("once"), says("again"))
    key = str(uuid4())

    def send(hours: float, text: str) -> Json:
        later = now() + timedelta(hours=hours)
        monkeypatch.setattr("tertulia.db.generations.now", lambda: later)
        return stage.api.send(text, idempotencyKey=key)

    first = send(0, "Hello")
    stage.api.follow(first["generation"]["id"])
    assert send(23.9, "Hello")["replayed"]
    second = send(24.1, "Something else")
    assert not second["replayed"]
    assert stage.api.follow(second["generation"]["id"])[-1]["generation"]["message"]["text"] == "again"


def test_10_a_key_with_other_input_is_refused(api: Api) -> None:
    key = str(uuid4())
    sent = api.send("Hello", idempotencyKey=key)
    refused = api.try_send("Something else", idempotencyKey=key)
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "idempotencyKey")
    api.follow(sent["generation"]["id"])


def test_11_no_transaction_is_open_while_claude_writes_and_sockets_wait(staged: Staged, place: Json) -> None:
    gate = Gate()
    stage = staged(says("first", gate, "second"))
    generation = stage.api.send("Hello")["generation"]["id"]
    with stage.api.socket() as socket:
        stream = socket.events(generation)
        next(stream)
        assert gate.reached.wait(WAIT)
        # This succeeds only if no transaction is open.
        if place["database_url"].startswith("sqlite"):
            execute(place, "PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            execute(place, "LOCK TABLE generations, messages, conversations, users IN ACCESS EXCLUSIVE MODE")
        gate.open.set()
        assert list(stream)[-1]["__typename"] == "GenerationCompleted"


def test_12_text_is_saved_while_it_is_written(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("so far", gate, " and on"))
    sent = stage.api.send("Hello")
    assert gate.reached.wait(WAIT)
    wait_until(lambda: stage.api.messages(sent["conversation"]["id"])[-1]["text"] == "so far")
    gate.open.set()
    stage.api.follow(sent["generation"]["id"])


def test_12_an_answer_whose_server_died_fails_and_keeps_its_text(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        generation = api.send("Hello")["generation"]["id"]
        api.follow(generation)
    # A crash leaves a row with the status RUNNING and the text of the last checkpoint.
    crashed = "status = 'running', sequence = 5, finished_at = NULL, stop_reason = NULL, lease_until = created_at"
    execute(place, f"UPDATE generations SET {crashed}")
    forget_logs(place)
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        events = api.follow(generation)
        assert types(events) == ["MessageSnapshot", "GenerationFailed"]
        assert events[-1]["error"]["code"] == "INTERRUPTED"
        assert "Hello" in apply(events)[0]
        conversation = api.ask("query ($id: ID!) { generation(id: $id) { conversation { id } } }", id=generation)
        again = api.try_send("Go on", conversationId=conversation["generation"]["conversation"]["id"])
        assert again["__typename"] == "SendMessagePayload"


def test_12_a_long_answer_keeps_its_last_second_if_its_server_and_its_log_are_lost(tmp_path: Path, place: Json) -> None:
    gates, long = [Gate() for _ in range(3)], "long " * 80_000
    with ExitStack() as server:
        claude = server.enter_context(scripted(says(long, gates[0], "first ", gates[1], "second ", gates[2], "third")))
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address}
        before = server.enter_context(Api(server.enter_context(tertulia(tmp_path, **(place | keyed)))))
        sent = before.send("Hello")
        generation, conversation = sent["generation"]["id"], sent["conversation"]["id"]
        assert gates[0].reached.wait(WAIT)
        wait_until(lambda: before.messages(conversation)[-1]["text"] == long)
        for gate, next_gate in pairwise(gates):
            gate.open.set()
            assert next_gate.reached.wait(WAIT)
        # A content of this length is saved every 25 seconds, and what follows it every second.
        wait_until(lambda: "second " in str(execute(place, "SELECT content FROM answer_tails")))
        assert before.messages(conversation)[-1]["text"] == long
        for table in ("messages", "generations", "answer_tails"):
            execute(place, f"CREATE TABLE crashed_{table} AS SELECT * FROM {table}")
        gates[2].open.set()
        before.follow(generation)
        assert execute(place, "SELECT content FROM answer_tails") == []
    # A crash leaves the rows of the last checkpoint.
    forget_logs(place)
    content = "(SELECT content FROM crashed_messages AS crashed WHERE crashed.id = messages.id)"
    execute(place, f"UPDATE messages SET content = {content}")
    execute(place, "INSERT INTO answer_tails SELECT * FROM crashed_answer_tails")
    crashed = "status = 'running', finished_at = NULL, stop_reason = NULL, lease_until = created_at"
    execute(place, f"UPDATE generations SET {crashed}, sequence = (SELECT sequence FROM crashed_generations)")
    with tertulia(tmp_path, **place) as address, Api(address) as after:
        assert after.follow(generation)[-1]["error"]["code"] == "INTERRUPTED"
        assert after.messages(conversation)[-1]["text"] == f"{long}first second "
        assert execute(place, "SELECT content FROM answer_tails") == []


@pytest.mark.joined
def test_12_without_the_log_of_a_running_answer_followers_get_the_text_of_the_last_checkpoint(
    tmp_path: Path, place: Json
) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        generation = api.send("Hello")["generation"]["id"]
        saved = apply(api.follow(generation))[0]
    forget_logs(place)
    held = f"holder = '{uuid4()}', lease_until = '2100-01-01'"
    execute(place, f"UPDATE generations SET status = 'running', sequence = 5, finished_at = NULL, {held}")
    tail = '{"kept"\\:1,"grown"\\:null,"blocks"\\:[{"type"\\:"text","text"\\:" More"}]}'
    values = f"SELECT message_id, 5, 7, '{tail}' FROM generations"
    execute(place, f"INSERT INTO answer_tails (message_id, base, sequence, content) {values}")
    query = "query ($id: ID!) { generation(id: $id) { events { edges { node { sequence ...S } } } } } "
    query += "fragment S on MessageSnapshot { message { text } }"
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        (edge,) = api.ask(query, id=generation)["generation"]["events"]["edges"]
        snapshot = edge["node"]
        assert (snapshot["sequence"], snapshot["message"]["text"]) == (7, f"{saved} More")
        with api.socket() as socket:
            assert next(socket.events(generation))["sequence"] == 7


def test_13_a_request_that_fails_after_content_is_not_repeated_if_it_must_not_be_continued(staged: Staged) -> None:
    cut = Reply([START, begin(0, type="text", text=""), delta(0, "text_delta", text="half"), Cut])
    stage = staged(cut)
    failed = stage.api.answer("Hello", options={"continueInterrupted": False})
    assert failed["error"]["code"] == "CONNECTION"
    assert failed["generation"]["message"]["text"] == "half"
    assert len(stage.claude.requests) == 1


def test_13_a_request_that_fails_before_the_first_event_is_repeated(staged: Staged) -> None:
    busy = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    stage = staged(Reply(status=529, body=busy), says("well"))
    assert stage.api.answer("Hello")["generation"]["message"]["text"] == "well"
    assert len(stage.claude.requests) == 2


def test_14_a_shutdown_ends_running_answers_that_must_not_be_continued(tmp_path: Path, place: Json) -> None:
    with ExitStack() as server:
        address = server.enter_context(tertulia(tmp_path, **place))
        api = server.enter_context(Api(address))
        sent = api.send("/simulate hang", options={"continueInterrupted": False})
    with tertulia(tmp_path, **place) as address, Api(address) as again:
        events = again.follow(sent["generation"]["id"])
        assert events[-1]["error"]["code"] == "INTERRUPTED"


def test_15_a_busy_conversation_names_the_running_generation(api: Api) -> None:
    sent = api.send("/simulate hang")
    busy = api.try_send("Me too", conversationId=sent["conversation"]["id"])
    assert busy["__typename"] == "ConversationBusy"
    assert busy["generation"]["id"] == sent["generation"]["id"]
    assert len(api.messages(sent["conversation"]["id"])) == 2
    api.stop(sent["generation"]["id"])


def test_15_queued_messages_are_answered_first_in_first_out(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says(gate, "one"), says("two"), says("three"))
    first = stage.api.send("1")
    assert gate.reached.wait(WAIT)
    conversation = first["conversation"]["id"]
    waiting = [stage.api.send(text, conversationId=conversation, whenBusy="QUEUE") for text in ("2", "3")]
    assert [sent["generation"]["status"] for sent in waiting] == ["QUEUED", "QUEUED"]
    gate.open.set()
    ended = [stage.api.follow(sent["generation"]["id"])[-1] for sent in (first, *waiting)]
    assert [event["generation"]["message"]["text"] for event in ended] == ["one", "two", "three"]
    sent_texts = [[turn["content"][0]["text"] for turn in request["messages"]] for request in stage.claude.requests]
    assert sent_texts == [["1"], ["1", "one", "2"], ["1", "one", "2", "two", "3"]]


def test_15_at_most_ten_messages_wait_and_each_can_be_stopped(api: Api) -> None:
    first = api.send("/simulate hang")
    conversation = first["conversation"]["id"]
    waiting = [api.send(f"{number}", conversationId=conversation, whenBusy="QUEUE") for number in range(10)]
    assert api.try_send("11", conversationId=conversation, whenBusy="QUEUE")["__typename"] == "ConversationBusy"
    for sent in reversed(waiting):
        assert api.stop(sent["generation"]["id"])["generation"]["status"] == "STOPPED"
    assert api.stop(first["generation"]["id"])["generation"]["status"] == "STOPPED"


def test_15_interrupt_keeps_the_written_text_and_answers_the_new_message(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("half", gate, " never"), says("new"))
    first = stage.api.send("1")
    stage.api.wait_for_text(first["generation"]["id"], "half")
    second = stage.api.send("2", conversationId=first["conversation"]["id"], whenBusy="INTERRUPT")
    gate.open.set()
    assert stage.api.follow(second["generation"]["id"])[-1]["generation"]["message"]["text"] == "new"
    assert stage.api.follow(first["generation"]["id"])[-1]["__typename"] == "GenerationStopped"
    assert [turn["content"][0]["text"] for turn in stage.claude.requests[1]["messages"]] == ["1", "half", "2"]


def test_19_any_number_of_clients_receive_the_same_text(api: Api) -> None:
    generation = api.send("/simulate long 200")["generation"]["id"]
    with ExitStack() as stack:
        streams = [stack.enter_context(api.socket()).events(generation) for _ in range(10)]
        texts_received = [apply(list(stream)) for stream in streams]
    assert texts_received == [texts_received[0]] * 10


def test_19_one_socket_carries_several_answers_at_once(staged: Staged) -> None:
    gates = [Gate(), Gate()]
    stage = staged(says("a", gates[0], "A"), says("b", gates[1], "B"))
    first = stage.api.send("1")["generation"]["id"]
    assert gates[0].reached.wait(WAIT)
    second = stage.api.send("2")["generation"]["id"]
    assert gates[1].reached.wait(WAIT)
    with stage.api.socket() as socket:
        query = "subscription ($id: ID!) { generationEvents(generationId: $id) { __typename } }"
        socket.subscribe(query, {"id": first}, "first")
        socket.subscribe(query, {"id": second}, "second")
        gates[1].open.set()
        order: list[str] = []
        while len(order) < 2:
            message = socket.receive()
            if message["type"] == "complete":
                order.append(message["id"])
                gates[0].open.set()
    assert order == ["second", "first"]


def test_20_the_history_is_sent_to_claude_byte_for_byte(staged: Staged) -> None:
    thought = [
        begin(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="Let me "),
        delta(0, "thinking_delta", thinking="think."),
        delta(0, "signature_delta", signature="c2lnbmVk"),
        finish(0),
        begin(1, type="redacted_thinking", data="b3BhcXVl"),
        finish(1),
    ]
    stage = staged(Reply([START, *thought, *text("Hé 👋 ", "there", index=2), *end()]), says("again"))
    sent = stage.api.send("Hello")
    stage.api.follow(sent["generation"]["id"])
    stage.api.answer("Go on", conversationId=sent["conversation"]["id"])
    assert stage.claude.requests[1]["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Let me think.", "signature": "c2lnbmVk"},
                {"type": "redacted_thinking", "data": "b3BhcXVl"},
                {"type": "text", "text": "Hé 👋 there"},
            ],
        },
        {"role": "user", "content": [{"type": "text", "text": "Go on"}]},
    ]


EVENTS = """
  query ($id: ID!, $after: Int, $first: Int) { generation(id: $id) { events(after: $after, first: $first) {
    edges { cursor node { __typename sequence
      ... on ContentBlockStarted { index block { __typename ... on TextBlock { text } ... on ThinkingBlock { text }
        ... on ToolUseBlock { input partialJson } } }
      ... on ContentBlockFinished { index block { __typename ... on TextBlock { text } ... on ThinkingBlock { text }
        ... on ToolUseBlock { input partialJson } } }
      ... on TextDelta { index offset text } ... on ThinkingDelta { index offset text }
      ... on ToolInputDelta { index offset partialJson } } }
    pageInfo { hasNextPage endCursor } } } }
"""


def all_events(api: Api, generation: str) -> list[Json]:
    """Poll the list of events to its end."""
    edges: list[Json] = []
    while True:
        after = int(edges[-1]["cursor"]) if edges else None
        page = api.ask(EVENTS, id=generation, after=after, first=7)["generation"]["events"]
        edges += page["edges"]
        if not page["pageInfo"]["hasNextPage"]:
            return edges


def test_21_polling_returns_the_same_events_with_the_same_numbers(api: Api) -> None:
    generation = api.send("/simulate thinking")["generation"]["id"]
    streamed = api.follow(generation, 0)
    polled = [edge["node"] for edge in all_events(api, generation)]
    assert apply(polled) == apply(streamed)
    assert numbers(polled)[-1] == numbers(streamed)[-1]
    assert [edge["cursor"] for edge in all_events(api, generation)] == [str(number) for number in numbers(polled)]
