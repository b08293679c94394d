"""Results of tools that a client runs, and the user's approvals: they are stored, and the generation resumes."""

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
    context, generation_id = info.context, as_uuid(input.generation_id)
    if not input.results:
        raise InvalidInput("results", "is empty.")
    resumed = False
    async with context.database.write() as session:
        await leases.lock_owner(session, context.viewer.user_id)
        owner = context.viewer.user_id
        generation = await tool_calls.owned_generation(session, owner, generation_id) if generation_id else None
        if generation is None:
            raise NotFound(input.generation_id, "generation")
        await _store_results(session, context, generation, input.results)
        calls = await tool_calls.of_generation(session, generation.id)
        is_waiting = any(call.status is CallStatus.WAITING for call in calls.values())
        if not is_waiting and not context.generation_manager.draining:
            holder, lease_until = context.generation_manager.holder, context.generation_manager.lease_end()
            resumed = await tool_calls.resume(session, generation.id, holder, lease_until)
    if resumed:
        await context.generation_manager.resume(generation.id)
    current = await context.loaders.generations.load(generation.id)
    return GenerationPayload(current or generation)


async def _store_results(
    session: AsyncSession, context: Context, generation: Generation, results: Sequence[ToolResult]
) -> None:
    """Store all results, or none: raise InvalidInput for the first that is not accepted."""
    calls = await tool_calls.of_generation(session, generation.id)
    accepts_results = generation.status is Status.AWAITING_TOOL_RESULTS and generation.holder is None
    submitted_ids = set[str]()
    for position, result in enumerate(results):
        field = f"results[{position}]"
        call = calls.get(result.tool_use_id)
        if (
            call is None
            or result.tool_use_id in submitted_ids
            or (call.fingerprint is None and not _is_submittable(call))
        ):
            raise InvalidInput(f"{field}.toolUseId", "is no call that this answer waits for, or was named before.")
        submitted_ids.add(result.tool_use_id)
        value = _result_value(field, call, result, context.services.generation_manager.bounds.result_bytes)
        result_fingerprint = fingerprint(value)
        if call.fingerprint is not None:
            if call.fingerprint != result_fingerprint:
                raise InvalidInput(f"{field}.toolUseId", "was answered already, with something else.")
            continue
        if not accepts_results:
            raise InvalidInput("generationId", f"waits for nothing any more: it is {generation.status.upper()}.")
        await tool_calls.submit(session, call, value, result_fingerprint)


def _is_submittable(call: ToolCall) -> bool:
    return call.status is CallStatus.WAITING or call.finished_at is not None


def _result_value(field: str, call: ToolCall, result: ToolResult, max_bytes: int) -> Json:
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
    if size > max_bytes:
        raise InvalidInput(f"{field}.output", f"takes at most {max_bytes:,} bytes of JSON, not {size:,}.")
    if isinstance(output, str):
        check_text(f"{field}.output", output, max_bytes)
    return {"output": output, "is_error": result.is_error, "approved": result.approved}
