"""Deciding what becomes of the tool calls of a round: each is made here, answered at once, or waited for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tertulia.db.tool_calls import CallStatus, ToolCall
from tertulia.json import Json
from tertulia.tools import execution
from tertulia.tools.base import Result, Tool
from tertulia.tools.execution import failed, submitted
from tertulia.tools.registry import Selection


@dataclass(frozen=True, slots=True)
class Make:
    """The call is made here."""

    tool: Tool
    input: Json


@dataclass(frozen=True, slots=True)
class Answered:
    """The call has its result already."""

    result: Result
    status: CallStatus


@dataclass(frozen=True, slots=True)
class Wait:
    """The client gives the result; with `asks_first`, the user decides whether the call is made."""

    asks_first: bool


Decision = Make | Answered | Wait


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One `tool_use` block of the answer, by its index, and what becomes of it."""

    index: int
    block: Json
    decision: Decision

    @property
    def tool_use_id(self) -> str:
        """The id that Claude gave to the call."""
        return str(self.block["id"])


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What becomes of the calls of a round."""

    calls: Sequence[PlannedCall]

    @property
    def made(self) -> dict[str, Make]:
        """The calls that are made here, by their ids."""
        return {call.tool_use_id: call.decision for call in self.calls if isinstance(call.decision, Make)}

    @property
    def answered(self) -> dict[str, Answered]:
        """The calls that have their results already, by their ids."""
        return {call.tool_use_id: call.decision for call in self.calls if isinstance(call.decision, Answered)}

    @property
    def waiting(self) -> dict[int, Json]:
        """The blocks of the calls that wait for the client or the user, by their indexes."""
        return {call.index: call.block for call in self.calls if isinstance(call.decision, Wait)}

    @property
    def approvals(self) -> list[int]:
        """The indexes of the calls that wait for the user's decision."""
        return [call.index for call in self.calls if isinstance(call.decision, Wait) and call.decision.asks_first]


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
        open_calls: The `tool_use` blocks without a result, by their indexes.
        rows: What the database has of these calls, by their ids.
        tools: The tools of the conversation.
        unreadable: The ids of calls whose input was not a JSON object.
        limit_reached: Whether the answer may make no more calls. Calls of one round are made together or not at all.
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
    """Decide on a call that Claude has just made."""
    name = block["name"]
    if name in tools.client:
        return Wait(asks_first=False)
    tool = tools.running.get(name)
    if tool is None:
        return _failure(execution.NO_SUCH.format(name[:100]))
    return Wait(asks_first=True) if name in tools.asking else Make(tool, block["input"])


def classify_recorded_call(row: ToolCall, tool: Tool | None, input: Json) -> Decision:
    """Decide on a call that was recorded before: it is made only if no process can have made it."""
    if row.status is CallStatus.WAITING:
        return Wait(row.asks_first)
    if row.status is not CallStatus.ANSWERED or row.answer is None:
        return Answered(failed(execution.UNKNOWN), CallStatus.UNKNOWN)
    if not row.asks_first:
        result = submitted(row.answer)
        return Answered(result, CallStatus.FAILED if result.is_error else CallStatus.SUCCEEDED)
    if not row.answer["approved"]:
        return _failure(" ".join(filter(None, (execution.DENIED, row.answer.get("output")))))
    return _failure(execution.NO_SUCH.format(row.name)) if tool is None else Make(tool, input)


def _failure(words: str) -> Answered:
    return Answered(failed(words), CallStatus.FAILED)
