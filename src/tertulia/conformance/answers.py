"""Requirements about one answer: how it is stored, numbered, followed, resumed and sent again."""

from itertools import pairwise

from tertulia.conformance.documents import FOLLOW
from tertulia.conformance.events import (
    DELTAS,
    TERMINAL,
    Blocks,
    Stream,
    advance,
    same,
    states,
    text_of,
    units,
    whole,
)
from tertulia.conformance.recording import BEYOND, Recording, record
from tertulia.conformance.requirements import must
from tertulia.conformance.run import Run, final
from tertulia.conformance.verdicts import Failed, NotApplicable, member
from tertulia.json import Json

ONE_TURN = 2
"""Messages of a conversation with one answer."""
SENT = ("1.1",)
LISTED = ("1.1", "5.1")


# ---- starting and ending -----------------------------------------------------------------------


@must(
    "1.1", "When `sendMessage` has returned, the user's message and the answer can be queried.", needs=("websocket.1",)
)
async def stored_first(run: Run) -> None:
    """Find both messages in the conversation."""
    recording = await run.observe(record)
    first = recording.sends[0]
    expected = [first["userMessage"]["id"], first["generation"]["message"]["id"]]
    found = [message["id"] for message in recording.first_stored]
    if found[:2] != expected:
        raise Failed("The conversation does not contain both messages.", sent=first, received=recording.first_stored)


@must("2.1", "A client that has received the terminal event can query the whole answer.", needs=SENT)
async def saved_before_the_end(run: Run) -> None:
    """Compare the answer at the terminal event with the answer later."""
    recording = await run.observe(record)
    if recording.at_end is None:
        raise NotApplicable("no reader received a terminal event.")
    if recording.at_end != recording.stored or not final(recording.at_end["status"]):
        raise Failed("The answer changed after its terminal event.", received=[recording.at_end, recording.stored])


# ---- numbers -----------------------------------------------------------------------------------


@must("5.1", "The list of events is numbered from 1 in steps of one.", needs=SENT)
async def numbered(run: Run) -> None:
    """Read the numbers of the list."""
    recording = await run.observe(record)
    numbers = [event["sequence"] for event in recording.events]
    if not numbers or numbers != list(range(1, len(numbers) + 1)):
        raise Failed("The numbers are not 1, 2, 3 and so on.", sent="generation.events", received=numbers)


@must("5.2", "An event has the same number for every reader.", needs=LISTED)
async def same_numbers(run: Run) -> None:
    """Compare the type of each event with that of the listed event with its number."""
    recording = await run.observe(record)
    _compare_with_list(recording, recording.sockets)


@must("5.3", "The numbers of a stream do not fall.", needs=SENT)
async def rising(run: Run) -> None:
    """Compare neighbors, except for terminal events, of which 6.1 says that they are last."""
    recording = await run.observe(record)
    for stream in recording.streams:
        events = [event for event in stream.events if event["__typename"] not in TERMINAL]
        for position, (event, following) in enumerate(pairwise(events)):
            if following["sequence"] < event["sequence"]:
                raise stream.failed(f"{following['sequence']} follows {event['sequence']}.", position)


# ---- the end of a stream -----------------------------------------------------------------------


@must("6.1", "A stream has exactly one terminal event, and it is the last event.", needs=SENT)
async def one_terminal_event(run: Run) -> None:
    """Find terminal events in each stream that was read to its end."""
    recording = await run.observe(record)
    for stream in _with_content(recording):
        ends = [number for number, event in enumerate(stream.events) if event["__typename"] in TERMINAL]
        if not stream.left and ends != [len(stream.events) - 1]:
            raise stream.failed("The terminal event is missing, repeated or not the last event.", (ends or [-1])[-1])


@must(
    "6.2", "The subscription completes after the terminal event, also if the generation had ended before.", needs=SENT
)
async def completes(run: Run) -> None:
    """Find WebSocket streams that broke off."""
    recording = await run.observe(record)
    for stream in recording.sockets:
        if stream.problem is not None:
            raise stream.problem


# ---- following ---------------------------------------------------------------------------------


@must("7.1", "Without `after`, the first event is a `MessageSnapshot` with the reason null.", needs=SENT)
async def begins_with_a_snapshot(run: Run) -> None:
    """Check the first event of each stream without `after`."""
    recording = await run.observe(record)
    for stream in recording.streams:
        if stream.after is None:
            first = stream.events[0] if stream.events else None
            if first is None or first["__typename"] != "MessageSnapshot" or first["reason"] is not None:
                raise stream.failed("The first event is not a snapshot without a reason.", 0)


@must("7.2", "With `after`, only events with a higher number are sent, and no snapshot instead.", needs=("1.1", "5.3"))
async def only_later_events(run: Run) -> None:
    """Check all streams with a number that exists. A snapshot because of `EXPIRED` is allowed by rule 8."""
    recording = await run.observe(record)
    resumed = [stream for stream in recording.streams if stream.after is not None and _exists(recording, stream.after)]
    exact = [stream for stream in resumed if not _expired(stream)]
    for stream in exact:
        for position, event in enumerate(stream.events):
            if event["sequence"] <= (stream.after or 0):
                raise stream.failed(f"The event {event['sequence']} is not after {stream.after}.", position)
            if event["__typename"] == "MessageSnapshot":
                raise stream.failed("The server sent a snapshot instead of the events.", position)
    if not exact:
        raise NotApplicable("the server answers every resume with a snapshot, and says that the events are EXPIRED.")


@must("7.3", "No event is missing, also where stored events and live ones meet.", needs=LISTED)
async def no_gap(run: Run) -> None:
    """After each event, a reader must hold what the list of events contains up to its number."""
    recording = await run.observe(record)
    expected = states(recording.events)
    for stream in recording.streams:
        _check_gaps(stream, recording.events, expected)


def _check_gaps(stream: Stream, log: list[Json], expected: dict[int, Blocks]) -> None:
    reached = stream.after or 0
    blocks = expected.get(reached, {})
    for position, event in enumerate(stream.events):
        number, kind = event["sequence"], event["__typename"]
        before, blocks = blocks, advance(blocks, event)
        if kind in TERMINAL or (number <= reached and kind != "MessageSnapshot"):
            continue
        skipped = [missed for missed in log if reached < missed["sequence"] < number]
        if kind != "MessageSnapshot" and any(missed["__typename"] not in DELTAS for missed in skipped):
            raise stream.failed(f"Events between {reached} and {number} are missing.", position)
        # The end of a block contains its whole text, and would hide that a part of it was missing.
        complete = kind in (*DELTAS, "MessageSnapshot") or same(
            before, expected[skipped[-1]["sequence"] if skipped else reached]
        )
        if not complete or (number in expected and not same(blocks, expected[number])):
            raise stream.failed(f"A part of the answer is missing at the event {number}.", position)
        reached = number


@must("7.4", "No event is sent twice on one subscription.", needs=SENT)
async def no_repetition(run: Run) -> None:
    """Find equal numbers in each stream. A terminal event is repeated only after a snapshot."""
    recording = await run.observe(record)
    for stream in recording.streams:
        for position, (event, following) in enumerate(pairwise(stream.events)):
            if event["sequence"] == following["sequence"] and event["__typename"] == following["__typename"]:
                raise stream.failed(f"The event {event['sequence']} was sent twice.", position)


@must(
    "8.1",
    "After the terminal event, a snapshot with the reason `ENDED` and the terminal event are sent.",
    needs=("7.2",),
)
async def ended(run: Run) -> None:
    """Check the stream with the last number."""
    recording = await run.observe(record)
    last = _last(recording)
    _check_reason(recording, last, "ENDED")


@must(
    "8.2", "After a number that does not exist, a snapshot with the reason `UNKNOWN_SEQUENCE` is sent.", needs=("7.2",)
)
async def unknown_sequence(run: Run) -> None:
    """Check the stream with a number beyond the last."""
    recording = await run.observe(record)
    _check_reason(recording, _last(recording) + BEYOND, "UNKNOWN_SEQUENCE")


def _check_reason(recording: Recording, after: int, reason: str) -> None:
    stream = next((stream for stream in recording.sockets if stream.after == after), None)
    if stream is None or not recording.stored:
        raise NotApplicable("no reader received a terminal event.")
    first = stream.events[0] if stream.events else {}
    if first.get("__typename") != "MessageSnapshot" or first["reason"] != reason:
        raise stream.failed(f"The first event is not a snapshot with the reason {reason}.", 0)
    if first["message"]["text"] != recording.stored["message"]["text"]:
        raise stream.failed("The snapshot does not contain the whole answer.", 0)


# ---- sending -----------------------------------------------------------------------------------


@must(
    "10.1",
    "The same idempotency key returns the same result, at once, while the answer is written and after.",
    needs=SENT,
)
async def one_result(run: Run) -> None:
    """Compare the results of three requests."""
    recording = await run.observe(record)
    results = [*recording.sends, recording.again]
    ids = [(member(sent, "userMessage", "id"), member(sent, "generation", "id")) for sent in results]
    sent = {"sendMessage": recording.text, "idempotencyKey": "the same UUID three times"}
    if len(set(ids)) != 1:
        raise Failed("The results differ.", sent=sent, received=results)
    if recording.messages != ONE_TURN:
        raise Failed(f"The conversation has {recording.messages} messages instead of {ONE_TURN}.", sent=sent)


@must("10.2", "The same idempotency key with other input is refused.", needs=("10.1",))
async def other_input_is_refused(run: Run) -> None:
    """Check the result of the request with another text."""
    recording = await run.observe(record)
    if recording.other_input["__typename"] == "SendMessagePayload":
        sent = {"sendMessage": "another text", "idempotencyKey": "the same UUID"}
        raise Failed("The message was accepted.", sent=sent, received=recording.other_input)


# ---- reading -----------------------------------------------------------------------------------


@must("19.1", "All readers receive the same text as the stored answer.", needs=("1.1", "5.1", "7.3"))
async def same_text(run: Run) -> None:
    """Apply each stream and compare the result with the list and with the stored message."""
    recording = await run.observe(record)
    expected = states(recording.events)
    final_blocks = expected[recording.events[-1]["sequence"]]
    text, stored = text_of(recording.events, {}), recording.stored["message"]["text"]
    if text != stored:
        raise Failed("The stored text is not that of the events.", received={"stored": stored, "events": text})
    for stream in _with_content(recording):
        if not stream.left and not same(whole(stream, expected.get(stream.after or 0, {})), final_blocks):
            raise stream.failed("The text differs from that of other readers.")


@must("19.2", "One socket carries several operations at the same time.", needs=SENT)
async def several_operations(run: Run) -> None:
    """Check the three live streams of one socket."""
    recording = await run.observe(record)
    for stream in recording.sockets[:3]:
        if stream.problem is not None or not stream.events:
            raise stream.problem or stream.failed("Nothing arrived.")


@must("21.1", "Streams over HTTP contain the events of the list, with the same numbers.", needs=(*LISTED, "sse.1"))
async def same_over_http(run: Run) -> None:
    """Compare the streams over HTTP with the list."""
    recording = await run.observe(record)
    _compare_with_list(recording, [*recording.sse, *recording.multipart])


def _compare_with_list(recording: Recording, streams: list[Stream]) -> None:
    kinds = {event["sequence"]: event["__typename"] for event in recording.events}
    for stream in streams:
        for position, event in enumerate(stream.events):
            number, kind = event["sequence"], event["__typename"]
            if kind != "MessageSnapshot" and kinds.get(number) != kind:
                raise stream.failed(f"In the list, the event {number} is {kinds.get(number)}.", position)


# ---- offsets -----------------------------------------------------------------------------------


async def unicode_log(run: Run) -> list[Json]:
    """Return the events of an answer with characters outside the basic multilingual plane."""
    sent = await run.start(run.prompts.unicode)
    generation = sent["generation"]["id"]
    stream = Stream("WebSocket", None, live=True)
    async with run.client.socket() as socket:
        async for _event in stream.record(socket.subscribe(FOLLOW, {"id": generation, "after": None})):
            pass
    return await run.log(generation)


@must("9.1", "`offset` counts UTF-16 code units.", needs=LISTED)
async def offsets(run: Run) -> None:
    """Compare each offset with the length of the block before the delta."""
    blocks: Blocks = {}
    telling = False
    for event in await run.observe(unicode_log):
        if event["__typename"] in DELTAS:
            before = blocks.get(event["index"], "")
            telling = telling or units(before) != len(before)
            if event["offset"] != units(before):
                message = f"The offset is not {units(before)}, the length of the text before it."
                raise Failed(message, sent=run.prompts.unicode, received=event)
        blocks = advance(blocks, event)
    if not telling:
        raise NotApplicable("no delta follows a character outside the basic multilingual plane: see --unicode-prompt.")


def _expired(stream: Stream) -> bool:
    return any(event.get("reason") == "EXPIRED" for event in stream.events)


def _last(recording: Recording) -> int:
    return max((event["sequence"] for stream in recording.streams for event in stream.events), default=0)


def _with_content(recording: Recording) -> list[Stream]:
    """Return the streams with events to send. 8.1 and 8.2 are about the others."""
    return [stream for stream in recording.streams if stream.after is None or _exists(recording, stream.after)]


def _exists(recording: Recording, after: int) -> bool:
    return after < _last(recording)
