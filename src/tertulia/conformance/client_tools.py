"""Requirements about tools that the client runs."""

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from tertulia.conformance.documents import FOLLOW_TOOLS, SUBMIT
from tertulia.conformance.events import TERMINAL, Stream
from tertulia.conformance.requirements import must
from tertulia.conformance.run import TOOL, Run
from tertulia.conformance.verdicts import Failed, NotApplicable
from tertulia.json import Json

WAITS = "ToolResultsRequired"
MOST_ROUNDS = 5
DEFINITION: Json = {
    "name": TOOL,
    "description": "Returns a color for a word.",
    "inputSchema": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}


@dataclass(slots=True)
class Calls:
    """A generation that waited for the results of its calls.

    Attributes:
        status: Its status while it waited.
        late: The events that a subscriber received who came while it waited.
        submitted, repeated, different: The results of submitting the results, of submitting them again, and of
            submitting others for the same calls.
        ends: The terminal events that arrived until the stream completed.
        problem: Why the stream broke off.
    """

    status: str = ""
    late: list[Json] = field(default_factory=list[Json])
    submitted: Json = field(default_factory=dict[str, Any])
    repeated: Json = field(default_factory=dict[str, Any])
    different: Json = field(default_factory=dict[str, Any])
    ends: list[Json] = field(default_factory=list[Json])
    problem: Failed | None = None


async def calls(run: Run) -> Calls:
    """Request a call of a client tool, and submit its result."""
    sent = await run.send(run.prompts.tool, tools={"client": [DEFINITION]})
    if sent["__typename"] != "SendMessagePayload":
        raise NotApplicable(f"the server does not accept client tools: {sent.get('message')}")
    generation = sent["generation"]["id"]
    observed = Calls()
    stream = Stream("WebSocket", None, live=True)
    async with run.client.socket() as socket:
        payloads = socket.subscribe(FOLLOW_TOOLS, {"id": generation, "after": None})
        async with aclosing(stream.record(payloads)) as events:
            rounds = 0
            async for event in events:
                if event["__typename"] in TERMINAL:
                    observed.ends.append(event)
                if event["__typename"] == WAITS and rounds < MOST_ROUNDS:
                    rounds += 1
                    await _answer(run, generation, event, observed, first=rounds == 1)
    if not observed.status:
        raise NotApplicable("Claude called no tool: see --tool-prompt.")
    observed.problem = stream.problem
    return observed


async def _answer(run: Run, generation: str, event: Json, observed: Calls, *, first: bool) -> None:
    if first:
        observed.status = (await run.generation(generation))["status"]
        observed.late = await _subscribe_late(run, generation)
    submitted = await _submit(run, generation, event, "sky")
    if first:
        observed.submitted = submitted
        observed.repeated = await _submit(run, generation, event, "sky")
        observed.different = await _submit(run, generation, event, "grass")


async def _submit(run: Run, generation: str, event: Json, output: str) -> Json:
    results = [{"toolUseId": use["toolUseId"], "output": output} for use in event["toolUses"]]
    answer = await run.client.ask(SUBMIT, input={"generationId": generation, "results": results})
    result: Json = answer["submitToolResults"]
    return result


async def _subscribe_late(run: Run, generation: str) -> list[Json]:
    """Return the first two events of a new subscription."""
    stream = Stream("WebSocket, joined while the generation waits", None)
    async with run.client.socket() as socket:
        payloads = socket.subscribe(FOLLOW_TOOLS, {"id": generation, "after": None})
        async for _event in stream.record(payloads, at_most=2):
            pass
    if stream.problem is not None:
        raise stream.problem
    return stream.events


@must(
    "17.1",
    "A generation that needs the client waits, and a new subscriber gets `ToolResultsRequired` after the snapshot.",
    needs=("1.1",),
)
async def waits(run: Run) -> None:
    """Check the status and at the late subscriber."""
    observed = await run.observe(calls)
    if observed.status != "AWAITING_TOOL_RESULTS":
        raise Failed("The status is another.", received=observed.status)
    if [event["__typename"] for event in observed.late] != ["MessageSnapshot", WAITS]:
        raise Failed("A new subscriber received other events.", sent="generationEvents", received=observed.late)


@must("17.2", "Submitting the same result again changes nothing.", needs=("17.1",))
async def repeated_result(run: Run) -> None:
    """Check both results."""
    observed = await run.observe(calls)
    for result in (observed.submitted, observed.repeated):
        if result["__typename"] != "GenerationPayload":
            raise Failed("The result was refused.", sent="submitToolResults", received=result)


@must("17.3", "A different result for the same call is refused.", needs=("17.1",))
async def different_result(run: Run) -> None:
    """Check the result."""
    observed = await run.observe(calls)
    if observed.different["__typename"] == "GenerationPayload":
        raise Failed("The result was accepted.", sent="submitToolResults", received=observed.different)


@must(
    "17.4",
    "The generation continues once when every call has a result, and ends with one terminal event.",
    needs=("17.1",),
)
async def continues_once(run: Run) -> None:
    """Check the terminal events of the stream that waited."""
    observed = await run.observe(calls)
    if observed.problem is not None:
        raise observed.problem
    if [event["__typename"] for event in observed.ends] != ["GenerationCompleted"]:
        raise Failed("The generation was not completed once.", sent="submitToolResults", received=observed.ends)
