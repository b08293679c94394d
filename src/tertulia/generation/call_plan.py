"""Decide how to handle each tool call of a round: run it, answer it at once, or wait for its result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tertulia.db.tool_calls import CallStatus, ToolCall
from tertulia.json import Json
from tertulia.tools import execution
from tertulia.tools.base import Result, Tool
from tertulia.tools.execution import failed, submitted
from tertulia.tools.registry import Selection


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run the tool in this process."""

    tool: Tool
    input: Json


@dataclass(frozen=True, slots=True)
class Answered:
    """Answer the call at once with a known result."""

    result: Result
    status: CallStatus


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until the client submits the result or, if `requires_approval`, the user approves or denies the call."""

    requires_approval: bool


Decision = RunTool | Answered | Wait


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A `tool_use` block of the answer, its index, and the decision about it."""

    index: int
    block: Json
    decision: Decision

    @property
    def tool_use_id(self) -> str:
        """The id of the `tool_use` block."""
        return str(self.block["id"])


@dataclass(frozen=True, slots=True)
class CallPlan:
    """The decisions about all calls of a round."""

    calls: Sequence[PlannedCall]

    @property
    def calls_to_run(self) -> dict[str, RunTool]:
        """The calls that this process runs, by id."""
        return {call.tool_use_id: call.decision for call in self.calls if isinstance(call.decision, RunTool)}

    @property
    def answered(self) -> dict[str, Answered]:
        """The calls that are answered at once, by id."""
        return {call.tool_use_id: call.decision for call in self.calls if isinstance(call.decision, Answered)}

    @property
    def waiting(self) -> dict[int, Json]:
        """The blocks of the calls that wait for the client or the user, by block index."""
        return {call.index: call.block for call in self.calls if isinstance(call.decision, Wait)}

    @property
    def approvals(self) -> list[int]:
        """The block indexes of the calls that wait for the user's approval."""
        return [
            call.index for call in self.calls if isinstance(call.decision, Wait) and call.decision.requires_approval
        ]


def plan_calls(
    open_calls: Mapping[int, Json],
    rows: Mapping[str, ToolCall],
    tools: Selection,
    *,
    unreadable: set[str],
    limit_reached: bool,
) -> CallPlan:
    """Decide on all calls of a round.

    Args:
        open_calls: The `tool_use` blocks without a result, by block index.
        rows: The database rows of these calls, by id.
        tools: The tools of the conversation.
        unreadable: The ids of calls whose input was not a JSON object.
        limit_reached: Whether no more calls are allowed. This applies to all calls of the round or to none of them.
    """
    planned: list[PlannedCall] = []
    for index, block in open_calls.items():
        row, tool = rows.get(block["id"]), tools.running.get(block["name"])
        if row is not None:
            decision = classify_recorded_call(row, tool, block["input"])
        elif block["id"] in unreadable:
            decision = _failure(execution.NOT_JSON)
        elif limit_reached:
            decision = _failure(execution.TOO_MANY)
        else:
            decision = classify_new_call(block, tools)
        planned.append(PlannedCall(index, block, decision))
    return CallPlan(planned)


def classify_new_call(block: Json, tools: Selection) -> Decision:
    """Decide on a call that is not recorded yet."""
    name = block["name"]
    if name in tools.client:
        return Wait(requires_approval=False)
    tool = tools.running.get(name)
    if tool is None:
        return _failure(execution.NO_SUCH.format(name[:100]))
    return Wait(requires_approval=True) if name in tools.requires_approval else RunTool(tool, block["input"])


def classify_recorded_call(row: ToolCall, tool: Tool | None, input: Json) -> Decision:
    """Decide on a recorded call. It runs only if no process can have run it before, or if the tool is idempotent."""
    if row.status is CallStatus.WAITING:
        return Wait(row.asks_first)
    if row.status is CallStatus.RUNNING and tool is not None and tool.idempotent:
        return RunTool(tool, input)
    if row.status is not CallStatus.ANSWERED or row.answer is None:
        return Answered(failed(execution.UNKNOWN), CallStatus.UNKNOWN)
    if not row.asks_first:
        result = submitted(row.answer)
        return Answered(result, CallStatus.FAILED if result.is_error else CallStatus.SUCCEEDED)
    if not row.answer["approved"]:
        return _failure(" ".join(filter(None, (execution.DENIED, row.answer.get("output")))))
    return _failure(execution.NO_SUCH.format(row.name)) if tool is None else RunTool(tool, input)


def _failure(error_text: str) -> Answered:
    return Answered(failed(error_text), CallStatus.FAILED)
