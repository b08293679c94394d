"""The reducers in JavaScript and Python: any split, merge, repetition and reconnection results in the same message."""

import asyncio
import copy
import json
import re
import subprocess
from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import reduce
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from client import BLOCKS, Api, Json
from hypothesis import given, settings
from hypothesis import strategies as st
from running import tertulia
from tertulia_stream import State, apply, ended, initial, text

ROOT = Path(__file__).parent.parent
PACKAGES = ROOT / "web/packages"
needs_packages = pytest.mark.needs("node", "node_modules")
ENDS = {"GenerationCompleted": "COMPLETED", "GenerationStopped": "STOPPED", "GenerationFailed": "FAILED"}
FIELDS = {"TextDelta": "text", "ThinkingDelta": "text", "ToolInputDelta": "partialJson"}
FAILURE: Json = {"code": "OVERLOADED", "message": "Claude is overloaded.", "retryable": True}


# ---- answers as the server would write them ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A content block before and after its deltas, and the text of the deltas."""

    begun: Json
    whole: Json
    kind: str = "TextDelta"
    pieces: tuple[str, ...] = ()

    def steps(self, index: int) -> list[tuple[Json, Json]]:
        """Return the events without their numbers, each with the block after it."""
        block: Json = {**self.begun, "index": index}
        whole: Json = {**self.whole, "index": index}
        steps = list[tuple[Json, Json]]()
        steps.append(({"__typename": "ContentBlockStarted", "index": index, "block": block}, block))
        field = FIELDS[self.kind]
        text_so_far = block.get(field) or ""
        for piece in self.pieces:
            delta: Json = {"__typename": self.kind, "index": index, "offset": units(text_so_far), field: piece}
            text_so_far = joined(text_so_far, piece)
            steps.append((delta, {**block, field: text_so_far}))
        return [*steps, ({"__typename": "ContentBlockFinished", "index": index, "block": whole}, whole)]


@dataclass(frozen=True)
class Answer:
    """The events of an answer, and the state after each; `written[0]` is the state before the first."""

    events: list[Json]
    written: list[State]

    def snapshot(self, at: int, status: str = "RUNNING") -> Json:
        content = [block for block in self.written[at].blocks if block is not None]
        return {
            "__typename": "MessageSnapshot",
            "sequence": at,
            "generation": {"status": status},
            "message": {"content": content},
        }

    def last_neighbour(self, first: int) -> int:
        """Return the number of the last delta that may be merged with this event."""
        begun = self.events[first - 1]
        last = first
        while begun["__typename"] in FIELDS and all(
            self.events[last].get(name) == begun[name] for name in ("__typename", "index")
        ):
            last += 1
        return last

    def merged(self, first: int, last: int) -> Json:
        begun, field = self.events[first - 1], FIELDS.get(self.events[first - 1]["__typename"], "")
        if first == last:
            return begun
        pieces = [event[field] for event in self.events[first - 1 : last]]
        return {**begun, "sequence": last, field: joined(*pieces)}


def units(written: str) -> int:
    return len(written.encode("utf-16-le", "surrogatepass")) // 2


def joined(*pieces: str) -> str:
    """Join pieces as JSON's UTF-16 escapes do: the two halves of a surrogate pair become one character."""
    return "".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def numbered(steps: list[tuple[Json, Json | None]], last: Json) -> Answer:
    """Number the events and compute the state after each, independently of the reducer."""
    events: list[Json] = []
    written = [initial]
    blocks: dict[int, Json] = {}
    begun: Json = {"__typename": "GenerationStarted"}
    for number, (event, block) in enumerate([(begun, None), *steps, (last, None)], 1):
        events.append({**event, "sequence": number})
        if block is not None:
            blocks[event["index"]] = block
        shown = tuple(blocks.get(index) for index in range(max(blocks, default=-1) + 1))
        waits = events[-1] if event["__typename"] == "ToolResultsRequired" else None
        status = ENDS.get(event["__typename"], "AWAITING_TOOL_RESULTS" if waits else "RUNNING")
        written.append(State(shown, status, event.get("error"), waits, number))
    return Answer(events, written)


TEXTS = st.text(st.sampled_from('ab \n"\\{}é字😀👩\u200d') | st.characters(codec="utf-8"), max_size=30)
CITATIONS: list[Json] = [{"citedText": "so it is", "source": "a.pdf", "startIndex": 1, "endIndex": 2}]


@st.composite
def splits(draw: st.DrawFn, written: str) -> tuple[str, ...]:
    """Split a text anywhere, also in the middle of a surrogate pair."""
    encoded = written.encode("utf-16-le", "surrogatepass")
    cuts = draw(st.sets(st.integers(1, max(units(written) - 1, 1)), max_size=8))
    places = [0, *sorted(cut for cut in cuts if cut < units(written)), units(written)]
    pieces = (encoded[2 * a : 2 * b].decode("utf-16-le", "surrogatepass") for a, b in pairwise(places))
    return tuple(piece for piece in pieces if piece)


BEGUN: list[Json] = [
    {"__typename": "TextBlock", "text": "", "citations": []},
    {"__typename": "TextBlock", "text": "é😀", "citations": []},
    {"__typename": "ThinkingBlock", "text": "", "redacted": False},
    {"__typename": "ThinkingBlock", "text": "", "redacted": True},
    {"__typename": "ToolUseBlock", "toolUseId": "toolu_1", "name": "pay", "input": {}, "partialJson": None},
    {"__typename": "JsonBlock", "text": "", "value": None, "problem": None},
    {"__typename": "ToolResultBlock", "toolUseId": "toolu_1", "output": None, "isError": False},
    {"__typename": "CompactionBlock", "summary": None},
]
"""Blocks of all kinds that an answer can contain, as they begin."""


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    begun, content = draw(st.sampled_from(BEGUN)), draw(TEXTS)
    written, whole, delta = "", dict[str, Any](), "TextDelta"
    match begun:
        case {"__typename": "TextBlock"}:
            written, whole = content, {"text": begun["text"] + content, "citations": CITATIONS}
        case {"__typename": "ThinkingBlock", "redacted": False}:
            written, whole, delta = content, {"text": content}, "ThinkingDelta"
        case {"__typename": "ToolUseBlock"}:
            input, delta = {"for": content}, "ToolInputDelta"
            written, whole = json.dumps(input, ensure_ascii=False), {"input": input}
            if draw(st.booleans()):  # a call that was interrupted
                written = written[:-1]
                whole = {"partialJson": written}
        case {"__typename": "JsonBlock"}:
            written = json.dumps(content, ensure_ascii=False)
            whole = {"text": written, "value": content}
        case {"__typename": "ToolResultBlock"}:
            whole = {"output": content}
        case {"__typename": "CompactionBlock"}:
            whole = {"summary": content}
        case _:
            pass
    return Block(begun, {**begun, **whole}, delta, draw(splits(written)))


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Generate an answer: sequential or interleaved blocks, waits, interruptions, and one of three terminal events."""
    queues = [block.steps(index) for index, block in enumerate(draw(st.lists(blocks(), max_size=5)))]
    together = draw(st.booleans())
    steps: list[tuple[Json, Json | None]] = []
    while queues := [queue for queue in queues if queue]:
        if draw(st.integers(0, 9)) == 0:
            calls: list[Json] = [{"toolUseId": "toolu_1", "name": "pay", "input": {}}]
            steps.append(({"__typename": "ToolResultsRequired", "toolUses": calls, "approvals": calls}, None))
        if draw(st.integers(0, 9)) == 0:
            steps.append(({"__typename": "GenerationContinued", "reason": "INTERRUPTED", "attempt": 1}, None))
        steps.append(draw(st.sampled_from(queues)).pop(0) if together else queues[0].pop(0))
    end = draw(st.sampled_from(list(ENDS)))
    length = len(steps) if end == "GenerationCompleted" else draw(st.integers(0, len(steps)))
    return numbered(steps[:length], {"__typename": end} | ({"error": FAILURE} if end == "GenerationFailed" else {}))


@dataclass(frozen=True)
class ReceivedEvent:
    """An event that a client receives, and the state that it must have afterwards."""

    event: Json
    state: State


@st.composite
def followings(draw: st.DrawFn) -> tuple[Answer, list[ReceivedEvent]]:
    """Follow an answer to its end, with merged and repeated events and with snapshots of any time."""
    answer = draw(answers())
    known, seen = initial, list[ReceivedEvent]()
    for move in draw(st.lists(st.sampled_from(("on", "on", "again", "snapshot")), max_size=30)):
        if move == "snapshot":
            at = draw(st.integers(0, len(answer.events) - 1))
            # The generation's status is the current one, which may be newer than the snapshot's content.
            status = draw(st.sampled_from(("RUNNING", "AWAITING_TOOL_RESULTS", answer.written[-1].status)))
            known = replace(answer.written[at], status="RUNNING", waits=None)
            seen.append(ReceivedEvent(answer.snapshot(at, status), known))
            continue
        first = draw(st.integers(1, max(known.sequence, 1))) if move == "again" else known.sequence + 1
        if first <= len(answer.events):
            last = draw(st.integers(first, answer.last_neighbour(first)))
            known = answer.written[last] if last > known.sequence else known
            seen.append(ReceivedEvent(answer.merged(first, last), known))
    remaining = range(known.sequence + 1, len(answer.events) + 1)
    return answer, seen + [ReceivedEvent(answer.events[number - 1], answer.written[number]) for number in remaining]


# ---- the rule ---------------------------------------------------------------------------------------------------------


def folded(events: list[Json]) -> State:
    return reduce(apply, events, initial)


@given(answers())
def test_a_complete_stream_results_in_what_the_server_has_written(answer: Answer) -> None:
    assert folded(answer.events) == answer.written[-1]


@settings(max_examples=300)
@given(followings())
def test_merges_repetitions_and_reconnections_result_in_the_same_state(
    following: tuple[Answer, list[ReceivedEvent]],
) -> None:
    answer, seen = following
    state = initial
    for received in seen:
        state = apply(state, received.event)
        assert state == received.state
    assert state == answer.written[-1]


@given(st.data(), st.lists(TEXTS, min_size=1, max_size=4))
def test_any_split_of_the_deltas_results_in_the_same_blocks(data: st.DataObject, said: list[str]) -> None:
    begun: Json = {"__typename": "TextBlock", "text": ""}
    cut = [Block(begun, {**begun, "text": piece}, "TextDelta", data.draw(splits(piece))) for piece in said]
    whole = [Block(begun, {**begun, "text": piece}, "TextDelta", (piece,) if piece else ()) for piece in said]
    states: list[State] = []
    for version in (cut, whole):
        steps = [step for index, block in enumerate(version) for step in block.steps(index)]
        states.append(folded(numbered([*steps], {"__typename": "GenerationCompleted"}).events))
    assert replace(states[0], sequence=0) == replace(states[1], sequence=0)
    assert text(states[0]) == "".join(said)


@given(followings())
def test_a_text_only_grows_unless_an_older_snapshot_arrives(following: tuple[Answer, list[ReceivedEvent]]) -> None:
    answer, seen = following
    final = written_in(answer.written[-1])
    state = initial
    for received in seen:
        before, state = state, apply(state, received.event)
        older = received.event["__typename"] == "MessageSnapshot" and state.sequence < before.sequence
        for index, words in written_in(state).items():
            assert final[index].startswith(words)
            assert older or words.startswith(written_in(before).get(index, ""))


def written_in(state: State) -> dict[int, str]:
    """Return the text of each block that has one, without half of a surrogate pair at its end."""
    shown = enumerate(state.blocks)
    texts = {index: block["text"] for index, block in shown if block is not None and "text" in block}
    return {index: re.sub("[\ud800-\udbff]$", "", words) for index, words in texts.items()}


@given(answers())
def test_a_repeated_terminal_event_changes_nothing(answer: Answer) -> None:
    state = folded(answer.events)
    last = len(answer.events)
    again = answer.snapshot(last - 1, answer.written[-1].status) | {"reason": "ENDED"}
    assert apply(state, again) == state
    assert apply(apply(state, again), answer.events[-1]) == state
    # A client that has not received the terminal event reaches the end in this way.
    assert apply(apply(initial, again), answer.events[-1]) == state


@given(answers(), st.sampled_from(("sequence", "none")))
def test_an_event_applied_twice_in_a_row_changes_nothing(answer: Answer, number: str) -> None:
    state = initial
    for event in [answer.snapshot(0), *answer.events]:
        selected = {name: value for name, value in event.items() if name != number}
        state = apply(state, selected)
        assert apply(state, selected) == state


@given(answers(), st.data())
def test_offsets_suffice_for_clients_that_do_not_select_sequence(answer: Answer, data: st.DataObject) -> None:
    events = [without_number(event) for event in answer.events]
    lost = data.draw(st.integers(0, len(events) - 1))
    begun_again = data.draw(st.integers(0, lost))
    state = folded(events[:lost] + events[begun_again:])
    assert replace(state, waits=None) == replace(answer.written[-1], sequence=0)


def without_number(event: Json) -> Json:
    return {name: value for name, value in event.items() if name != "sequence"}


@given(followings())
def test_apply_does_not_change_its_arguments(following: tuple[Answer, list[ReceivedEvent]]) -> None:
    _, seen = following
    state = initial
    for received in seen:
        before, event = copy.deepcopy((state, received.event))
        new = apply(state, received.event)
        assert (state, received.event) == (before, event)
        state = new
    assert initial == State()


@given(answers())
def test_after_the_end_only_a_snapshot_changes_the_state(answer: Answer) -> None:
    state = folded(answer.events)
    for event in answer.events:
        assert apply(state, event) is state
        assert apply(state, without_number(event)) is state
    assert apply(state, answer.snapshot(0)) == initial


def test_the_text_consists_of_text_and_json_blocks() -> None:
    kinds = ("TextBlock", "ThinkingBlock", "JsonBlock", "ToolUseBlock", "TextBlock")
    blocks_ = [{"__typename": kind, "index": index, "text": str(index)} for index, kind in enumerate(kinds)]
    assert text(State(tuple(blocks_))) == "024"


def test_completed_stopped_and_failed_are_the_final_statuses() -> None:
    statuses = ("QUEUED", "RUNNING", "AWAITING_TOOL_RESULTS", "COMPLETED", "STOPPED", "FAILED")
    assert [status for status in statuses if ended(State(status=status))] == list(statuses[3:])


def test_a_queued_answer_is_queued_until_it_starts() -> None:
    queued = apply(initial, Answer([], [initial]).snapshot(0, "QUEUED"))
    assert queued.status == "QUEUED"
    assert apply(queued, {"__typename": "GenerationStarted", "sequence": 1}).status == "RUNNING"


def test_an_unknown_event_changes_only_the_sequence() -> None:
    state = State(({"__typename": "TextBlock", "index": 0, "text": "kept"},), "RUNNING", None, None, 3)
    assert apply(state, {"__typename": "SomethingNew", "sequence": 4}) == replace(state, sequence=4)


def test_an_unselected_kind_of_block_is_none() -> None:
    block = {"__typename": "TextBlock", "index": 1, "text": "b"}
    snapshot = {"__typename": "MessageSnapshot", "sequence": 4, "message": {"content": [block]}}
    assert apply(initial, snapshot).blocks == (None, block)
    assert text(apply(initial, snapshot)) == "b"


@pytest.mark.parametrize("index", [{}, {"index": None}])
def test_blocks_without_a_selected_index_keep_their_order(index: Json) -> None:
    content: list[Json] = [{"__typename": "TextBlock", "text": words, **index} for words in "ab"]
    state = apply(initial, {"__typename": "MessageSnapshot", "sequence": 4, "message": {"content": content}})
    assert list(state.blocks) == content


def test_clients_that_select_only_deltas_get_the_text() -> None:
    pieces: list[Json] = [{"index": 0, "offset": 0, "text": "Hello"}, {"index": 0, "offset": 5, "text": "!"}]
    assert text(folded([{"__typename": "TextDelta", **piece} for piece in pieces])) == "Hello!"


# ---- with a real server -----------------------------------------------------------------------------------------------

CONTENT = f"query ($id: ID!) {{ generation(id: $id) {{ status message {{ text content {{ {BLOCKS} }} }} }} }}"
SUBMIT = "mutation ($input: SubmitToolResultsInput!) { submitToolResults(input: $input) { __typename } }"


@pytest.fixture(scope="module")
def paced(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    """A server with a slow simulator, so that connections can be cut in the middle of answers."""
    folder = tmp_path_factory.mktemp("reducer")
    with tertulia(folder, simulator_pace=0.1, tools=("some_tools:weather",)) as address, Api(address) as api:
        yield api


def follow_with_cuts(api: Api, generation: str, *, resumes: bool) -> State:
    """Follow an answer over successive sockets, each of which is cut one event later than the one before."""
    state = initial
    for size in count(1):
        with api.socket() as socket:
            events = socket.events(generation, state.sequence if resumes else None)
            for _ in range(size):
                event = next(events, None)
                if event is None:
                    return state
                state = apply(state, event)
            socket.connection.socket.close()
    raise AssertionError("unreachable")


@pytest.mark.parametrize("begins", ["after", "snapshot"])
@pytest.mark.parametrize(
    "said",
    [
        "Hello, my name is Ada",
        "/simulate unicode",
        "/simulate thinking",
        "/simulate markdown",
        "/simulate error",
        "/simulate error 1 reject",
        "/simulate max-tokens",
        "/simulate web-search tertulia",
        '/simulate thinking\n/simulate call weather {"place": {"city": "Cádiz 😀"}}',
    ],
)
def test_an_answer_followed_over_cut_connections_equals_the_stored_answer(paced: Api, said: str, begins: str) -> None:
    generation = paced.send(said)["generation"]["id"]
    state = follow_with_cuts(paced, generation, resumes=begins == "after")
    stored = paced.ask(CONTENT, id=generation)["generation"]
    assert ended(state)
    assert state.status == stored["status"]
    assert list(state.blocks) == stored["message"]["content"]
    assert text(state) == stored["message"]["text"]
    assert (state.error is not None) == ("reject" in said)


def test_a_stopped_answer_keeps_the_received_text(paced: Api) -> None:
    generation = paced.send("/simulate long 400")["generation"]["id"]
    state = initial
    with paced.socket() as socket:
        for event in socket.events(generation):
            state = apply(state, event)
            if "word3 " in text(state) and not ended(state):
                paced.stop(generation)
    stored = paced.ask(CONTENT, id=generation)["generation"]
    assert (state.status, list(state.blocks)) == ("STOPPED", stored["message"]["content"])
    assert "word400" not in text(state)


def test_an_answer_continues_after_it_has_waited_for_the_client(paced: Api) -> None:
    tool = {"name": "ask_browser", "description": "Asks the browser.", "inputSchema": {"type": "object"}}
    sent = paced.send("/simulate call ask_browser {}", tools={"client": [tool]})
    generation = sent["generation"]["id"]
    state, waited = initial, list[State]()
    with paced.socket() as socket:
        for event in socket.events(generation):
            state = apply(state, event)
            if state.waits is not None:
                waited.append(state)
                (call,) = (block for block in state.blocks if block is not None)
                results = [{"toolUseId": call["toolUseId"], "output": "seen"}]
                paced.ask(SUBMIT, input={"generationId": generation, "results": results})
    assert [each.status for each in waited] == ["AWAITING_TOOL_RESULTS"]
    assert (state.status, state.waits) == ("COMPLETED", None)
    assert list(state.blocks) == paced.ask(CONTENT, id=generation)["generation"]["message"]["content"]


# ---- the two reducers -------------------------------------------------------------------------------------------------

MAYBE_INDEX = st.none() | st.integers(0, 3)
ANY_BLOCK = st.fixed_dictionaries(
    {"__typename": st.sampled_from(("TextBlock", "JsonBlock", "ToolUseBlock", "SomethingNew"))},
    optional={"index": MAYBE_INDEX, "text": st.none() | TEXTS, "partialJson": st.none() | TEXTS},
)
OTHERS = (
    *("MessageSnapshot", "GenerationStarted", "ContentBlockStarted", "ContentBlockFinished", "ToolResultsRequired"),
    "GenerationContinued",
)
ANY_EVENT = st.fixed_dictionaries(
    {},
    optional={
        "__typename": st.sampled_from((*OTHERS, "SomethingNew", *FIELDS, *FIELDS, *ENDS)),
        "sequence": st.none() | st.integers(0, 9),
        "index": MAYBE_INDEX,
        "offset": st.none() | st.integers(0, 9),
        "text": st.none() | TEXTS,
        "partialJson": st.none() | TEXTS,
        "block": st.none() | ANY_BLOCK,
        "message": st.none()
        | st.fixed_dictionaries({}, optional={"content": st.none() | st.lists(ANY_BLOCK, max_size=3)}),
        "generation": st.none() | st.fixed_dictionaries({}, optional={"status": st.sampled_from(("QUEUED", "FAILED"))}),
        "error": st.none() | st.just(FAILURE),
    },
)
"""Events that no server sends, with fields that are missing, null or misplaced."""


@pytest.mark.needs("node")
def test_both_reducers_agree_on_every_stream(tmp_path: Path) -> None:
    streams: list[list[Json]] = []

    @settings(max_examples=300)
    @given(followings().map(lambda pair: [each.event for each in pair[1]]) | st.lists(ANY_EVENT, max_size=12))
    def collect(events: list[Json]) -> None:
        streams.append(events)

    collect()
    assert len(streams) >= 300
    (tmp_path / "streams.json").write_text(json.dumps(streams))
    program = ROOT / "tests/node/reducer.mjs"
    done = subprocess.run(["node", program, tmp_path / "streams.json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for events, expected_states in zip(streams, json.loads(done.stdout), strict=True):
        states = [initial]
        for event in events:
            states.append(apply(states[-1], event))
        assert [as_json(state) for state in states[1:]] == expected_states


def as_json(state: State) -> Json:
    return {
        "blocks": list(state.blocks),
        "status": state.status,
        "error": state.error,
        "waits": state.waits,
        "sequence": state.sequence,
        "text": joined(text(state)),
        "ended": ended(state),
    }


@needs_packages
def test_the_npm_packages_own_tests_pass() -> None:
    tests = PACKAGES / "stream/test/stream.test.js"
    done = subprocess.run(["node", "--test", tests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout
    assert "# pass 0" not in done.stdout


@needs_packages
def test_generated_event_types_need_no_casts() -> None:
    checked = subprocess.run(
        ["node", ROOT / "node_modules/typescript/bin/tsc", "-p", PACKAGES / "tsconfig.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def code(readme: Path, language: str, address: str) -> str:
    """Return the first code block of a README in this language, with the address of this server."""
    block = re.search(rf"```{language}\n(.*?)```", readme.read_text(), re.DOTALL)
    assert block is not None
    return block[1].replace("127.0.0.1:8000", address.removeprefix("http://"))


@needs_packages
def test_the_code_in_the_npm_packages_readme_follows_an_answer(paced: Api) -> None:
    readme = PACKAGES / "stream/README.md"
    generation = paced.send("/simulate unicode")["generation"]["id"]
    program = [
        'globalThis.WebSocket ??= (await import("ws")).default;',
        f"const FOLLOW = {json.dumps(code(readme, 'graphql', paced.address))};",
        code(readme, "js", paced.address),
        f"const state = await follow({json.dumps(generation)}, () => {{}});",
        "console.log(JSON.stringify(state.blocks));",
        "await client.dispose();",
    ]
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", "\n".join(program)],
        capture_output=True,
        text=True,
        check=False,
        cwd=PACKAGES / "stream",
    )
    assert done.returncode == 0, done.stderr
    (block,) = json.loads(done.stdout)
    assert block["text"] == paced.ask(CONTENT, id=generation)["generation"]["message"]["text"]


def test_the_code_in_the_python_packages_readme_follows_an_answer(
    paced: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    generation = paced.send("/simulate thinking")["generation"]["id"]
    defined: dict[str, Any] = {"FOLLOW": code(PACKAGES / "stream/README.md", "graphql", paced.address)}
    exec(code(PACKAGES / "stream-python/README.md", "python", paced.address), defined)
    state = asyncio.run(defined["follow"](generation))
    stored = paced.ask(CONTENT, id=generation)["generation"]["message"]["text"]
    assert text(state) == stored
    assert capsys.readouterr().out.endswith(f"{stored}\n")


def test_each_reducer_has_fewer_than_100_lines() -> None:
    for path in ("stream/index.js", "stream-python/tertulia_stream/__init__.py"):
        assert len((PACKAGES / path).read_text().splitlines()) < 100
