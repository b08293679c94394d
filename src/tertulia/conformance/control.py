"""Requirements about leaving, stopping, and messages to a conversation that is being answered."""

from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from tertulia.conformance.documents import FOLLOW, STOP
from tertulia.conformance.events import Stream, text_of
from tertulia.conformance.recording import record
from tertulia.conformance.requirements import must, should
from tertulia.conformance.run import Run, final
from tertulia.conformance.verdicts import Failed, NotApplicable
from tertulia.json import Json

STOPS = ("1.1", "4.1")
TOO_SHORT = "the answer had ended before: see --prompt."


async def _stop(run: Run, generation: str) -> Json:
    result: Json = (await run.client.ask(STOP, id=generation))["stopGeneration"]
    if result["__typename"] != "GenerationPayload":
        raise Failed("The generation was not stopped.", sent={"stopGeneration": generation}, received=result)
    state: Json = result["generation"]
    return state


async def _first_text(run: Run, generation: str, *, leave: bool = False) -> str:
    """Follow a generation until it ends or has a text, and return that. With `leave`, cut the connection then."""
    stream = Stream("WebSocket", None, live=True)
    text = ""
    async with run.client.socket() as socket, aclosing(stream.record(_follow(socket, generation))) as events:
        async for event in events:
            text = event["text"] if event["__typename"] == "TextDelta" else _snapshot_text(event)
            if text:
                if leave:
                    socket.abort()
                return text
    if stream.problem is not None:
        raise stream.problem
    return text


def _follow(socket: Any, generation: str) -> Any:
    return socket.subscribe(FOLLOW, {"id": generation, "after": None})


def _snapshot_text(event: Json) -> str:
    return str(event["message"]["text"]) if event["__typename"] == "MessageSnapshot" else ""


# ---- leaving -----------------------------------------------------------------------------------


@must("3.1", "A generation continues when its readers disconnect.", needs=("1.1",))
async def continues(run: Run) -> None:
    """Cut the connection of the only reader after the first text, and wait for the end."""
    await run.observe(_abandon)


async def _abandon(run: Run) -> None:
    generation = (await run.start(run.prompts.long))["generation"]["id"]
    seen = await _first_text(run, generation, leave=True)
    left_at = await run.generation(generation)
    after = await run.ended(generation)
    if after["status"] != "COMPLETED" or not after["message"]["text"].startswith(seen):
        sent = "a subscription whose connection was cut after the first text"
        raise Failed("The answer was not completed.", sent=sent, received=[left_at, after])
    if left_at["status"] == "COMPLETED":
        raise NotApplicable(TOO_SHORT)


# ---- stopping ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stopped:
    """A generation that was stopped after its first text.

    Attributes:
        seen: The text that a reader had received before.
        first, second: The results of two stops.
        stream: A reader that followed until the end. None if the first stop did not end the generation.
        later: The generation as queried afterwards.
    """

    seen: str
    first: Json
    second: Json
    stream: Stream | None
    later: Json


async def stopped(run: Run) -> Stopped:
    """Stop an answer after its first text, twice."""
    generation = (await run.start(run.prompts.stopped))["generation"]["id"]
    stream = Stream("WebSocket, while the answer was stopped", None, live=True)
    seen = ""
    first: Json | None = None
    second: Json = {}
    async with run.client.socket() as socket, aclosing(stream.record(_follow(socket, generation))) as events:
        async for event in events:
            text = event["text"] if event["__typename"] == "TextDelta" else _snapshot_text(event)
            if text and first is None:
                seen = text
                first, second = await _stop(run, generation), await _stop(run, generation)
                if not final(first["status"]):
                    return Stopped(seen, first, second, None, await run.generation(generation))
    if first is None:
        raise NotApplicable("the answer had no text.")
    return Stopped(seen, first, second, stream, await run.generation(generation))


@must("4.1", "After `stopGeneration` has returned, the answer does not grow.", needs=("1.1",))
async def does_not_grow(run: Run) -> None:
    """Compare the text of the result with what the reader and later queries show."""
    observed = await run.observe(stopped)
    first = observed.first
    if first["status"] in ("COMPLETED", "FAILED"):
        raise NotApplicable(TOO_SHORT)
    if first["status"] != "STOPPED" or observed.stream is None:
        raise Failed("The generation was not stopped.", sent="stopGeneration", received=first)
    if observed.stream.problem is not None:
        raise observed.stream.problem
    text, kept = text_of(observed.stream.events, {}), first["message"]["text"]
    # If the result has not even the text that the reader had seen, the text was lost: see 4.2.
    sent_later = kept.startswith(observed.seen) and text != kept
    if (observed.later["status"], observed.later["message"]["text"]) != ("STOPPED", kept) or sent_later:
        received = {"result": first, "later": observed.later, "stream": text}
        raise Failed("The answer grew after the stop.", sent="stopGeneration", received=received)


@must("4.2", "The text that was written before the stop is kept.", needs=STOPS)
async def keeps_text(run: Run) -> None:
    """Find the text that the reader had seen."""
    observed = await run.observe(stopped)
    if not observed.first["message"]["text"].startswith(observed.seen):
        raise Failed("The text was lost.", sent=f"a stop after the text {observed.seen!r}", received=observed.first)


@must("4.3", "A repeated or late stop returns the final state.", needs=STOPS)
async def late_stop(run: Run) -> None:
    """Stop the stopped answer again, and the answer that has ended."""
    observed, recording = await run.observe(stopped), await run.observe(record)
    if observed.first != observed.second:
        raise Failed("The second stop returned another state.", received=[observed.first, observed.second])
    late = await _stop(run, recording.generation)
    if late["status"] != recording.stored["status"] or late["message"]["text"] != recording.stored["message"]["text"]:
        raise Failed("A late stop returned another state.", received=[recording.stored, late])


@must("4.4", "A generation that is stopped before its first token ends as `STOPPED` without text.", needs=("15.2",))
async def stopped_early(run: Run) -> None:
    """Stop a message that waits."""
    state = (await run.observe(queue)).stopped_while_queued
    if state["status"] != "STOPPED" or state["message"]["text"]:
        raise Failed("The generation is not STOPPED and empty.", sent="stopGeneration", received=state)


# ---- busy conversations ------------------------------------------------------------------------


@must(
    "15.1",
    "A second message to a branch that is being answered is refused and names the running generation.",
    needs=("1.1",),
)
async def refuses_a_second_message(run: Run) -> None:
    """Send a second message."""
    await run.observe(_busy)


async def _busy(run: Run) -> None:
    sent = await run.start(run.prompts.stopped)
    generation = sent["generation"]["id"]
    second = await run.send("A second message.", conversationId=sent["conversation"]["id"])
    state = await run.generation(generation)
    running = second["__typename"] != "ConversationBusy" and final(state["status"])
    await run.client.ask(STOP, id=generation)
    if running:
        raise NotApplicable(TOO_SHORT)
    if second["__typename"] != "ConversationBusy" or second["generation"]["id"] != generation:
        request = {"sendMessage": "a second message", "running": generation}
        raise Failed("The result is not a ConversationBusy with the generation.", sent=request, received=second)


@dataclass(frozen=True, slots=True)
class Queue:
    """A conversation in which messages waited.

    Attributes:
        queued: The result of the first message that waited.
        stopped_while_queued: A generation that was stopped while it waited.
        started: The text of the waiting message's answer, after the running answer was stopped.
        seen: That answer's text before it was interrupted, and its state afterwards.
        interrupting: The text of the answer to the message that interrupted it.
    """

    queued: Json
    stopped_while_queued: Json
    started: str
    interrupted: Json
    interrupting: str


async def queue(run: Run) -> Queue:
    """Queue two messages, stop the second of them and the running answer, and interrupt the next."""
    running = await run.start(run.prompts.stopped)
    conversation = running["conversation"]["id"]

    async def send(when_busy: str) -> Json:
        sent = await run.send(run.prompts.stopped, conversationId=conversation, whenBusy=when_busy)
        if sent["__typename"] != "SendMessagePayload":
            raise Failed("The message was refused.", sent={"whenBusy": when_busy}, received=sent)
        return sent

    first, second = await send("QUEUE"), await send("QUEUE")
    stopped_while_queued = await _stop(run, second["generation"]["id"])
    await _stop(run, running["generation"]["id"])
    started = await _first_text(run, first["generation"]["id"])
    interrupting = await send("INTERRUPT")
    interrupted = await run.ended(first["generation"]["id"])
    text = await _first_text(run, interrupting["generation"]["id"])
    await _stop(run, interrupting["generation"]["id"])
    return Queue(first, stopped_while_queued, started, interrupted, text)


@should(
    "15.2", "With `whenBusy: QUEUE` a message waits and is answered after the running answer.", needs=("15.1", "4.1")
)
async def queues(run: Run) -> None:
    """Check the status of the waiting message, and at its answer after the running one was stopped."""
    observed = await run.observe(queue)
    if observed.queued["generation"]["status"] != "QUEUED":
        raise Failed("The message did not wait.", sent={"whenBusy": "QUEUE"}, received=observed.queued)
    if not observed.started:
        raise Failed("The message was not answered.", sent={"whenBusy": "QUEUE"}, received=observed.interrupted)


@should(
    "15.3",
    "With `whenBusy: INTERRUPT` the running answer keeps its text and the new message is answered.",
    needs=("15.2",),
)
async def interrupts(run: Run) -> None:
    """Compare the interrupted answer with what a reader had seen."""
    observed = await run.observe(queue)
    state = observed.interrupted
    if state["status"] == "COMPLETED":
        raise NotApplicable(TOO_SHORT)
    if state["status"] != "STOPPED" or not state["message"]["text"].startswith(observed.started):
        raise Failed("The interrupted answer lost its text.", sent={"whenBusy": "INTERRUPT"}, received=state)
    if not observed.interrupting:
        raise Failed("The new message was not answered.", sent={"whenBusy": "INTERRUPT"}, received=state)
