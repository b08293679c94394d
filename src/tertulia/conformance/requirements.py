"""The requirements, each of which a decorated function checks."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from tertulia.conformance.run import Run

Check = Callable[[Run], Awaitable[None]]


class Level(StrEnum):
    """How binding a requirement is, by BCP 14."""

    MUST = "MUST"
    SHOULD = "SHOULD"


@dataclass(frozen=True, slots=True)
class Requirement:
    """A requirement of PROTOCOL.md.

    Attributes:
        id: The number of the rule, a dot and a number within the rule; or the name of a section instead of the number.
        title: What the server does.
        needs: Requirements without which this one cannot be checked.
        check: Returns if the server fulfills the requirement, and raises `Failed` or `NotApplicable` otherwise.
    """

    id: str
    level: Level
    title: str
    needs: tuple[str, ...]
    check: Check


REQUIREMENTS: dict[str, Requirement] = {}
"""All requirements, by id."""


def in_order() -> list[Requirement]:
    """Return all requirements: those of the rules by number, then those of the sections."""
    return sorted(REQUIREMENTS.values(), key=_position)


def _position(requirement: Requirement) -> tuple[int, str, int]:
    rule, _, number = requirement.id.partition(".")
    return (int(rule), "", int(number)) if rule.isdigit() else (1_000, rule, int(number))


def must(id: str, title: str, *, needs: tuple[str, ...] = ()) -> Callable[[Check], Check]:
    """Register the check of a requirement that every server must fulfill."""
    return _registering(id, Level.MUST, title, needs)


def should(id: str, title: str, *, needs: tuple[str, ...] = ()) -> Callable[[Check], Check]:
    """Register the check of a requirement that a server may not fulfill for a good reason."""
    return _registering(id, Level.SHOULD, title, needs)


def _registering(id: str, level: Level, title: str, needs: tuple[str, ...]) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        REQUIREMENTS[id] = Requirement(id, level, title, needs, check)
        return check

    return register
