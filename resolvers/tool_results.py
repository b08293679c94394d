"""Results of tools that a client runs, and the user's yes or no: kept, and the answer goes on."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

from tertulia.db import leases, tool_calls
from tertulia.db.database import AsyncSession
from tertulia.db.tables import Generation, Status
from tertulia.db.tool_calls import CallStatus, ToolCall
from tertulia.json import Json
from tertulia.resolvers.arguments import argument
from tertulia.resolvers.context import Context, Info, as_uuid
from tertulia.resolvers.errors import InvalidInput, NotFound
from tertulia.resolvers.inputs import SubmitToolResults, ToolResult, check_text
from tertulia.resolvers.send import GenerationPayload
from tertulia.tools.execution import fingerprint


async def submit_tool_results(
    info: Info, input: Annotated[SubmitToolResults, argument("Which answer, and what came of its calls.")]
) -> GenerationPayload:
    """Hands back what the client's own tools returned, or the user's yes or no to a tool that asks first.

    The answer goes on once all of its calls are answered, in whichever process this is. Each call is answered once:
    repeating what was submitted changes nothing.

    - `InvalidInput`: no results, a call that does not wait, one that was answered otherwise, or an output of more than
      200,000 bytes of JSON (unless the server says otherwise). None of the results is taken then.
    - `NotFound`: there is no such answer.
    """
    context, wanted = info.context, as_uuid(input.generation_id)
    if not input.results:
        raise InvalidInput("results", "is empty.")
    taken = False
    async with context.database.write() as session:
        await leases.lock_owner(session, context.viewer.user_id)
        owner = context.viewer.user_id
        generation = await tool_calls.owned_generation(session, owner, wanted) if wanted else None
        if generation is None:
            raise NotFound(input.generation_id, "generation")
        await _take(session, context, generation, input.results)
        calls = await tool_calls.of_generation(session, generation.id)
        waits = any(call.status is CallStatus.WAITING for call in calls.values())
        if not waits and not context.generation_manager.draining:
            holder, until = context.generation_manager.holder, context.generation_manager.lease_end()
            taken = await tool_calls.resume(session, generation.id, holder, until)
    if taken:
        await context.generation_manager.resume(generation.id)
    found = await context.loaders.generations.load(generation.id)
    return GenerationPayload(found or generation)


async def _take(session: AsyncSession, context: Context, generation: Generation, results: Sequence[ToolResult]) -> None:
    """Keep all results, or none: raise InvalidInput for the first that cannot be taken."""
    calls = await tool_calls.of_generation(session, generation.id)
    open_still = generation.status is Status.AWAITING_TOOL_RESULTS and generation.holder is None
    seen = set[str]()
    for place, result in enumerate(results):
        field = f"results[{place}]"
        call = calls.get(result.tool_use_id)
        if call is None or result.tool_use_id in seen or (call.fingerprint is None and not _waits(call)):
            raise InvalidInput(f"{field}.toolUseId", "is no call that this answer waits for, or was named before.")
        seen.add(result.tool_use_id)
        answer = _answer(field, call, result, context.services.generation_manager.bounds.result_bytes)
        mark = fingerprint(answer)
        if call.fingerprint is not None:
            if call.fingerprint != mark:
                raise InvalidInput(f"{field}.toolUseId", "was answered already, with something else.")
            continue
        if not open_still:
            raise InvalidInput("generationId", f"waits for nothing any more: it is {generation.status.upper()}.")
        await tool_calls.submit(session, call, answer, mark)


def _waits(call: ToolCall) -> bool:
    return call.status is CallStatus.WAITING or call.finished_at is not None


def _answer(field: str, call: ToolCall, result: ToolResult, most: int) -> Json:
    output: Any = result.output
    if call.asks_first:
        if result.approved is None:
            raise InvalidInput(f"{field}.approved", f"is needed: {call.name} asks first.")
        if output is not None and (result.approved or not isinstance(output, str)):
            raise InvalidInput(f"{field}.output", "is only the reason for a no, and a string: the server runs it.")
    elif result.approved is not None:
        raise InvalidInput(f"{field}.approved", f"makes no sense: {call.name} is a tool of the client's.")
    try:
        size = len(json.dumps(output).encode())
    except (ValueError, RecursionError):
        raise InvalidInput(f"{field}.output", "takes JSON.") from None
    if size > most:
        raise InvalidInput(f"{field}.output", f"takes at most {most:,} bytes of JSON, not {size:,}.")
    if isinstance(output, str):
        check_text(f"{field}.output", output, most)
    return {"output": output, "is_error": result.is_error, "approved": result.approved}
