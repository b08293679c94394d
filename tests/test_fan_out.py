"""Many followers of one answer: an event is read, encoded and framed once for those that get the same bytes."""

import struct
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from tertulia.schema.subscription_fast_path import NEWEST
from tertulia.server.http.socket_results import ResultWriter
from tertulia.server.runtime.socket_protocol import WritableFlag, frame
from tertulia.streams.events import ContentBlockFinished, GenerationEvent, GenerationStarted, TextDelta
from tertulia.streams.stream import PREPARED_AT_ONCE, Follower, Push, Stream

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


class Client(Push):
    """A client that accepts events while it is ready, and what it has received."""

    def __init__(self) -> None:
        super().__init__(self.receive)
        self.events: list[GenerationEvent] = []
        self.writes: list[bytes] = []
        self.is_ready = True

    def message(self, event: GenerationEvent) -> bytes | None:
        if self.is_ready:
            self.events.append(event)
        return b"%d " % event.sequence if self.is_ready else None

    def receive(self, messages: bytes) -> None:
        self.writes.append(messages)

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, TextDelta)]


class Lost(Client):
    """A client whose socket is lost."""

    def receive(self, messages: bytes) -> None:
        raise RuntimeError("lost")


@pytest.mark.anyio
async def test_followers_that_lack_the_same_events_get_the_same_objects() -> None:
    stream, clients = Stream(ID), [Client() for _ in range(3)]
    followers = [Follower(after, one) for after, one in zip((0, 0, 1), clients, strict=True)]
    with ExitStack() as stack:
        for one in followers:
            stack.enter_context(stream.notifications_for(one))
        for sequence in (1, 2, 3):
            stream.append(delta(sequence))
        stream.show(3)
    first, second, ahead = clients
    assert first.events[0] is second.events[0]
    assert (first.texts, ahead.texts) == (["aaa"], ["aa"])
    assert [one.after for one in followers] == [3, 3, 3]


@pytest.mark.anyio
async def test_a_follower_that_does_not_accept_an_event_is_woken_and_the_others_get_it() -> None:
    stream, slow, fast = Stream(ID), Client(), Client()
    slow.is_ready = False
    followers = Follower(0, slow), Follower(0, fast)
    with stream.notifications_for(followers[0]) as woken, stream.notifications_for(followers[1]) as still:
        stream.append(delta(1))
        stream.show(1)
        assert woken.done()
        assert not still.done()
        # The task that was woken has not run yet. It delivers the new events in their order.
        slow.is_ready = True
        stream.append(delta(2))
        stream.show(2)
    assert ([one.after for one in followers], slow.events, len(fast.events)) == ([0, 2], [], 2)


@pytest.mark.anyio
async def test_the_events_of_one_turn_are_one_write() -> None:
    stream, client = Stream(ID), Client()
    with stream.notifications_for(Follower(0, client)):
        for event in (GenerationStarted(ID, 1), delta(2), ContentBlockFinished(ID, 3, 0, {})):
            stream.append(event)
        stream.show(3)
    assert client.writes == [b"1 2 3 "]


@pytest.mark.anyio
@pytest.mark.parametrize("count", [2, 2 * PREPARED_AT_ONCE + 1])
async def test_a_lost_socket_does_not_affect_the_other_followers(count: int) -> None:
    stream, clients = Stream(ID), [Lost() if number % 2 == 0 else Client() for number in range(count)]
    with ExitStack() as stack:
        for one in clients:
            stack.enter_context(stream.notifications_for(Follower(0, one)))
        stream.append(delta(1))
        stream.show(1)
    assert [one.writes for one in clients] == [[] if isinstance(one, Lost) else [b"1 "] for one in clients]


def test_nothing_is_written_at_once_to_a_client_that_does_not_read_or_that_was_sent_a_close_frame() -> None:
    flag = WritableFlag()
    assert flag.is_open
    flag.clear()
    assert not flag.is_open
    flag.set()
    assert flag.is_open
    flag.close()
    flag.set()
    assert not flag.is_open
    assert flag.is_set()


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


@given(LENGTHS, LENGTHS)
def test_a_result_is_framed_like_a_message_in_parts(prefix: int, result: int) -> None:
    socket: Any = SimpleNamespace(flag=WritableFlag(), transport=SimpleNamespace(write=print))
    writer = ResultWriter(socket, b"a" * prefix)
    assert writer.frame(b"b" * result) == frame(b"a" * prefix, b"b" * result, b"}")
    socket.flag.clear()
    assert writer.frame(b"b" * result) is None
