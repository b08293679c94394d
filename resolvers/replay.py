"""How a stream begins, and how it goes on after silence: a pure function of what the client, the log and the row have.

Rules 6 to 8 of PROTOCOL.md. The log is what was sent, and may be gone, late, or left behind by a process that was
lost. The row is as old as its last checkpoint, and final once the answer has ended.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class SnapshotReason(StrEnum):
    """Why a snapshot comes in place of the events that were asked for."""

    EXPIRED = "expired"
    UNKNOWN_SEQUENCE = "unknown_sequence"
    ENDED = "ended"


class Phase(Enum):
    """What a row says of its generation."""

    RUNNING = auto()
    WAITING = auto()
    ENDED = auto()


class Source(Enum):
    """Where a snapshot comes from."""

    LOG = auto()
    ROW = auto()


@dataclass(frozen=True, slots=True)
class LogState:
    """What a log has: the events 1 to `last`; `ended`: the last one is terminal."""

    last: int
    ended: bool = False


@dataclass(frozen=True, slots=True)
class RowState:
    """What a row has: the text up to `sequence`, or, unless it is RUNNING, up to the one before.

    Its own last event has the number `sequence` then: the terminal event, or ToolResultsRequired.
    """

    sequence: int
    phase: Phase = Phase.RUNNING

    @property
    def text(self) -> int:
        """The number of the last event that its text contains."""
        return self.sequence - (self.phase is not Phase.RUNNING)


@dataclass(frozen=True, slots=True)
class Replay:
    """What a client gets: a snapshot, if any, up to `after`; the row's last event, if `row_event`; then the log.

    With `row_event`, what follows are the events of the log after the row's. After a terminal event nothing follows.
    """

    after: int
    snapshot: Source | None = None
    reason: SnapshotReason | None = None
    row_event: bool = False


def plan_replay(after: int | None, log: LogState | None, row: RowState, *, waited: bool) -> Replay:
    """Decide how a client goes on that has seen the events up to `after`, or, with None, nothing.

    Args:
        after: The number of the last event that the client has seen.
        log: None where the log is gone, does not begin at 1, or cannot be reached.
        row: Read before the log; read again after it where the log is None, ends, or waits for the client.
        waited: Whether the log had the time to bring what the row proves to exist: it may be a little late.
    """
    if row.phase is Phase.ENDED and log is not None and not _is_of(log, row):
        log = None
    if after is None or after < 0:
        return _snapshot(log, row, None if after is None else SnapshotReason.UNKNOWN_SEQUENCE)
    if row.phase is Phase.ENDED and after == row.sequence:
        return _snapshot(log, row, SnapshotReason.ENDED)
    if row.phase is not Phase.RUNNING and after == row.text:
        return Replay(after, row_event=True)
    if after < (0 if log is None else log.last) or after == row.sequence:
        return Replay(after)
    if after < row.sequence:
        is_late = log is not None and not waited
        return Replay(after) if is_late else _snapshot(log, row, SnapshotReason.EXPIRED)
    # The row does not know the number. It may be older than what was sent, which only the log can tell.
    may_exist = row.phase is not Phase.ENDED and (not waited if log is None else after == log.last)
    return Replay(after) if may_exist else _snapshot(log, row, SnapshotReason.UNKNOWN_SEQUENCE)


def _is_of(log: LogState, row: RowState) -> bool:
    """Return whether a log belongs to the end that the row has: all of it, or a part that lacks its last event.

    Another one was left behind by a process that had lost its lease.
    """
    return log.last == row.sequence if log.ended else log.last < row.sequence


def _snapshot(log: LogState | None, row: RowState, reason: SnapshotReason | None) -> Replay:
    """Take whichever is ahead: the log was sent, and the row may be of a process that could not read the log."""
    is_older = (
        log is not None and row.phase is not Phase.ENDED and row.sequence < log.last + (row.phase is Phase.RUNNING)
    )
    if log is not None and is_older:
        # The terminal event is no part of a snapshot: it always comes by itself, last.
        return Replay(log.last - log.ended, Source.LOG, reason)
    return Replay(row.text, Source.ROW, reason, row_event=row.phase is not Phase.RUNNING)
