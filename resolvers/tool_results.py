"""The mutation that submits results of client tools and the user's approvals."""

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
    info: Info, input: Annotated[SubmitToolResults, argument("The generation, and the results of its tool calls.")]
) -> GenerationPayload:
    """Submit results of client tools, or the user's decisions on tools that require approval.

    The generation continues when every call has a result, on any replica. Submitting the same result again changes
    nothing.

    - `InvalidInput`: The list is empty, a call does not wait for a result or already has a different one, or an output
      has more than 200,000 bytes of JSON (the default limit). None of the results is stored then.
    - `NotFound`: The generation does not exist.
    """
    return await submit(info.context, input)


async def submit(context: Context, input: SubmitToolResults) -> GenerationPayload:
    """Submit results of tool calls, for `submitToolResults` and AG-UI; raise InvalidInput or NotFound."""
    generation_id = as_uuid(input.generation_id)
    if not input.results:
        raise InvalidInput("results", "must not be empty.")
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
            raise InvalidInput(
                f"{field}.toolUseId", "must be the id of a call that waits for a result, and must not be repeated."
            )
        submitted_ids.add(result.tool_use_id)
        value = _result_value(field, call, result, context.services.generation_manager.bounds.result_bytes)
        result_fingerprint = fingerprint(value)
        if call.fingerprint is not None:
            if call.fingerprint != result_fingerprint:
                raise InvalidInput(f"{field}.toolUseId", "is the id of a call that already has a different result.")
            continue
        if not accepts_results:
            raise InvalidInput(
                "generationId",
                f"must be a generation that waits for results. The status of this one is {generation.status.upper()}.",
            )
        await tool_calls.submit(session, call, value, result_fingerprint)


def _is_submittable(call: ToolCall) -> bool:
    return call.status is CallStatus.WAITING or call.finished_at is not None


def _result_value(field: str, call: ToolCall, result: ToolResult, max_bytes: int) -> Json:
    output: Any = result.output
    if call.asks_first:
        if result.approved is None:
            raise InvalidInput(f"{field}.approved", f"must be true or false: {call.name} requires approval.")
        if output is not None and (result.approved or not isinstance(output, str)):
            raise InvalidInput(
                f"{field}.output",
                "must be null, or a string with the reason if `approved` is false: the server runs the tool.",
            )
    elif result.approved is not None:
        raise InvalidInput(f"{field}.approved", f"must be null: {call.name} is a client tool.")
    try:
        size = len(json.dumps(output).encode())
    except (ValueError, RecursionError):
        raise InvalidInput(f"{field}.output", "must be JSON.") from None
    if size > max_bytes:
        raise InvalidInput(f"{field}.output", f"must have at most {max_bytes:,} bytes of JSON, not {size:,}.")
    if isinstance(output, str):
        check_text(f"{field}.output", output, max_bytes)
    return {"output": output, "is_error": result.is_error, "approved": result.approved}
