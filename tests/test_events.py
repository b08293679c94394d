"""The pure rules: merging, folding, translating."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as some

from claude.answer import utf16_length
from resolvers.inputs import MAX_TEXT
from server.accept import preferred
from streams.events import (
    ContentBlockFinished,
    ContentBlockStarted,
    Delta,
    GenerationEvent,
    TextDelta,
    ThinkingDelta,
    fold,
    merge,
)

ID = UUID(int=1)


@some.composite
def streams(draw: some.DrawFn) -> list[GenerationEvent]:
    """A whole stream of some blocks."""
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


@given(streams())
def test_merging_changes_no_text_and_no_order(events: list[GenerationEvent]) -> None:
    merged = merge(events)
    assert fold(merged) == fold(events)
    assert [event.sequence for event in merged] == sorted({event.sequence for event in merged})
    assert [event.sequence for event in merged][-1:] == [event.sequence for event in events][-1:]


@given(streams())
def test_no_two_neighbours_that_are_merged_could_be_merged_again(events: list[GenerationEvent]) -> None:
    merged = merge(events)
    assert merge(merged) == merged
    deltas = [event for event in events if isinstance(event, Delta)]
    assert len({(event.index) for event in deltas}) == len([event for event in merged if isinstance(event, Delta)])


@given(some.text())
def test_utf16_length_is_that_of_javascript(text: str) -> None:
    assert utf16_length(text) == len(text.encode("utf-16-le", "surrogatepass")) // 2


@given(some.text())
def test_any_accept_header_is_read(header: str) -> None:
    assert preferred(header, ("application/json", "text/html")) in ("application/json", "text/html", None)


def test_the_longest_text_fits_into_a_request() -> None:
    from server.graphql import MAX_BODY

    assert MAX_TEXT * 6 < MAX_BODY
