"""Many followers of one answer: an event is read, encoded and framed once for those that get the same bytes."""

import struct
from contextlib import ExitStack
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from tertulia.schema.subscription_fast_path import NEWEST
from tertulia.server.runtime.socket_protocol import frame
from tertulia.streams.events import GenerationEvent, TextDelta
from tertulia.streams.stream import Follower, Stream

ID = UUID(int=7)


def delta(sequence: int, text: str = "a") -> TextDelta:
    return TextDelta(ID, sequence, 0, sequence - 1, text)


def test_an_event_is_encoded_once_for_each_selection() -> None:
    encoded: list[object] = []

    def text(event: TextDelta) -> bytes:
        encoded.append(event)
        return event.text.encode()

    def number(event: TextDelta) -> bytes:
        return b"%d" % event.sequence

    first, second = delta(1, "one"), delta(2, "two")
    assert [NEWEST.of(first, text) for _ in range(3)] == [b"one"] * 3
    assert NEWEST.of(first, number) == b"1"
    assert [NEWEST.of(second, text), NEWEST.of(second, number), NEWEST.of(first, text)] == [b"two", b"2", b"one"]
    assert encoded == [first, second, first]


@pytest.mark.anyio
async def test_followers_that_lack_the_same_events_get_the_same_objects() -> None:
    stream, pushed = Stream(ID), dict[str, list[GenerationEvent]]()

    def follower(name: str, after: int) -> Follower:
        def push(event: GenerationEvent) -> bool:
            pushed.setdefault(name, []).append(event)
            return True

        return Follower(after, push)

    followers = [follower("one", 0), follower("two", 0), follower("ahead", 1)]
    with ExitStack() as stack:
        for one in followers:
            stack.enter_context(stream.notifications_for(one))
        for sequence in (1, 2, 3):
            stream.append(delta(sequence))
        stream.show(3)
    assert pushed["one"][0] is pushed["two"][0]
    assert [event.text for event in pushed["one"] if isinstance(event, TextDelta)] == ["aaa"]
    assert [event.text for event in pushed["ahead"] if isinstance(event, TextDelta)] == ["aa"]
    assert [one.after for one in followers] == [3, 3, 3]


@pytest.mark.anyio
async def test_a_follower_that_does_not_accept_an_event_is_woken_and_the_others_get_it() -> None:
    stream, pushed = Stream(ID), list[GenerationEvent]()

    def accept(event: GenerationEvent) -> bool:
        pushed.append(event)
        return True

    slow, fast = Follower(0, lambda _: False), Follower(0, accept)
    with stream.notifications_for(slow) as woken, stream.notifications_for(fast) as still:
        stream.append(delta(1))
        stream.show(1)
        assert woken.done()
        assert not still.done()
    assert (slow.after, fast.after, len(pushed)) == (0, 1, 1)


LENGTHS = some.sampled_from([0, 1, 100, 125, 126, 127, 65_000, 65_535, 65_536, 70_000])


@given(LENGTHS, LENGTHS)
def test_a_message_in_parts_is_one_frame(first: int, second: int) -> None:
    written = frame(b"a" * first, b"b" * second)
    reader = StreamReader()
    reader.feed_data(written)
    parsing = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    assert parsed.value.value == Frame(Opcode.TEXT, b"a" * first + b"b" * second)
    assert struct.unpack("!B", written[:1]) == (0x81,)
