"""Properties of pure functions: merging, folding, encoding and parsing of events."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as some

from tertulia.claude.deltas import utf16_length
from tertulia.claude.sse import EventReader
from tertulia.resolvers.inputs import MAX_TEXT
from tertulia.server.http.negotiation import preferred
from tertulia.streams.codec import decode, encode
from tertulia.streams.events import (
    ContentBlockFinished,
    ContentBlockStarted,
    Delta,
    GenerationEvent,
    TextDelta,
    ThinkingDelta,
    fold,
)
from tertulia.streams.stream import Stream

ID = UUID(int=1)


@some.composite
def streams(draw: some.DrawFn) -> list[GenerationEvent]:
    """Draw all events of an answer with up to three blocks."""
    events: list[GenerationEvent] = []
    for index in range(draw(some.integers(0, 3))):
        kind = draw(some.sampled_from(["text", "thinking"]))
        pieces = draw(some.lists(some.text(min_size=1, max_size=5), max_size=6))
        events.append(ContentBlockStarted(ID, len(events) + 1, index, {"type": kind, kind: ""}))
        offset = 0
        for piece in pieces:
            delta = TextDelta if kind == "text" else ThinkingDelta
            events.append(delta(ID, len(events) + 1, index, offset, piece))
            offset += utf16_length(piece)
        if draw(some.booleans()):
            whole = {"type": kind, kind: "".join(pieces)}
            events.append(ContentBlockFinished(ID, len(events) + 1, index, whole))
    return events


@given(streams(), some.sampled_from(["open", "sealed"]))
def test_a_stream_returns_all_events_after_a_number(events: list[GenerationEvent], state: str) -> None:
    stream = Stream(ID, events)
    if state == "sealed":
        stream.seal()
    for after in range(len(events) + 1):
        assert list(stream.iter_events(after)) == events[after:]


@given(streams(), some.sampled_from(["open", "sealed"]))
def test_merging_deltas_changes_neither_text_nor_order(events: list[GenerationEvent], state: str) -> None:
    stream = Stream(ID, events)
    if state == "sealed":
        stream.seal()
    for after in range(len(events) + 1):
        merged = stream.events_after(after)
        assert fold([*events[:after], *merged]) == fold(events)
        assert [event.sequence for event in merged] == sorted({event.sequence for event in merged})
        assert [event.sequence for event in merged][-1:] == [event.sequence for event in events[after:]][-1:]
        assert all(event.offset == first_offset(events, after, event) for event in merged if isinstance(event, Delta))


def first_offset(events: list[GenerationEvent], after: int, delta: Delta) -> int:
    """Return the offset of the first delta that was merged into `delta`."""
    return min(event.offset for event in events[after:] if isinstance(event, Delta) and event.index == delta.index)


@given(streams())
def test_adjacent_deltas_of_a_block_are_merged_into_one(events: list[GenerationEvent]) -> None:
    merged = Stream(ID, events).events_after(0)
    deltas = [event for event in events if isinstance(event, Delta)]
    assert len({event.index for event in deltas}) == len([event for event in merged if isinstance(event, Delta)])


@given(streams(), some.integers(0, 30))
def test_events_that_are_not_visible_yet_are_not_returned(events: list[GenerationEvent], shown: int) -> None:
    stream = Stream(ID)
    for event in events:
        stream.append(event)
    stream.last_visible = min(shown, len(events))
    assert fold(stream.events_after(0)) == fold(events[: stream.last_visible])
    assert list(stream.iter_events()) == events[: stream.last_visible]
    assert list(stream.iter_events(0, len(events))) == events


@given(streams(), some.integers(1, 5))
def test_encoded_events_are_decoded_unchanged(events: list[GenerationEvent], number: int) -> None:
    batches = [events[begin : begin + number] for begin in range(0, len(events), number)]
    assert [event for batch in batches for event in decode(ID, encode(batch))] == events


@given(
    some.lists(some.tuples(some.sampled_from(["", "ping", "error"]), some.text(alphabet="abc: \u00e9")), max_size=5),
    some.data(),
)
def test_server_sent_events_are_parsed_however_the_bytes_are_split(
    sent: list[tuple[str, str]], data: some.DataObject
) -> None:
    newline = data.draw(some.sampled_from(["\n", "\r\n", "\r"]))
    lines = [f"event: {name}{newline}data: {text}{newline}{newline}" for name, text in sent]
    body = f": a comment{newline}{newline}".encode() + "".join(lines).encode()
    cuts = sorted(data.draw(some.lists(some.integers(0, len(body)), max_size=8)))
    reader = EventReader()
    pieces = [body[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    events = [event for piece in pieces for event in reader.feed(piece)]
    assert events == [(name.encode(), text.encode()) for name, text in sent if text]


@given(some.text())
def test_utf16_length_is_the_length_of_a_javascript_string(text: str) -> None:
    assert utf16_length(text) == len(text.encode("utf-16-le", "surrogatepass")) // 2


@given(some.text())
def test_any_accept_header_is_accepted(header: str) -> None:
    assert preferred(header, ("application/json", "text/html")) in ("application/json", "text/html", None)


def test_the_longest_text_fits_into_a_request() -> None:
    from tertulia.server.http.graphql_request import MAX_BODY

    assert MAX_TEXT * 6 < MAX_BODY
