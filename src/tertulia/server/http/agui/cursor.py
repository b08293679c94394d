"""The ids of a run's events, from which a client continues after a lost connection.

An event of the answer can become several events of AG-UI. So an id names the last event of the answer that the client
has completely, and how many events of the next one it also has.
"""

import re
from dataclasses import dataclass
from uuid import UUID

_FORMAT = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):(?:(\d{1,9})\.(\d{1,3})|(start|end))")
START, END = "start", "end"


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in the events of an answer.

    Attributes:
        generation_id: The answer.
        after: The last event of the answer that the client has; None if it has none, so that a snapshot is sent.
        skip: The number of AG-UI events that it has of the next event.
        is_end: Whether it has the last event of the run.
    """

    generation_id: UUID
    after: int | None
    skip: int = 0
    is_end: bool = False

    def __str__(self) -> str:
        position = f"{self.after}.{self.skip}" if self.after is not None else START
        return f"{self.generation_id}:{END if self.is_end else position}"


def parse_cursor(text: str) -> Cursor | None:
    """Parse the header `Last-Event-ID`; return None if it is not the id of an event of a run."""
    match = _FORMAT.fullmatch(text)
    if match is None:
        return None
    id, after, skip, word = match.groups()
    return Cursor(UUID(id), int(after) if after else None, int(skip or 0), is_end=word == END)
