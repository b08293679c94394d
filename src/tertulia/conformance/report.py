"""The report of a run, for people and for programs."""

import json
from collections.abc import Sequence

from tertulia.conformance.requirements import Level
from tertulia.conformance.suite import Outcome, Result, conforms
from tertulia.json import Json

MARKS = {Outcome.PASSED: "passed", Outcome.FAILED: "FAILED", Outcome.NOT_APPLICABLE: "n/a"}


def as_text(url: str, results: Sequence[Result]) -> str:
    """Return the results by level, with what was sent and received where a requirement failed."""
    lines = [f"Conformance of {url} to the generation stream protocol"]
    for level in Level:
        found = [result for result in results if result.requirement.level is level]
        lines += ["", f"{level}: {_counts(found)}"]
        for result in found:
            lines.append(f"  {MARKS[result.outcome]:<7} {result.requirement.id:<12} {result.requirement.title}")
            if result.reason is not None:
                lines.append(f"{'':23}{result.reason}")
            if result.sent is not None:
                lines.append(f"{'':23}sent:     {result.sent}")
            if result.received is not None:
                lines.append(f"{'':23}received: {result.received}")
    lines += ["", "The server conforms." if conforms(results) else "The server does not conform."]
    return "\n".join(lines)


def as_json(url: str, results: Sequence[Result]) -> str:
    """Return the same as JSON."""
    document: Json = {
        "url": url,
        "conforms": conforms(results),
        "requirements": [
            {
                "id": result.requirement.id,
                "level": result.requirement.level,
                "title": result.requirement.title,
                "outcome": result.outcome,
                "reason": result.reason,
                "sent": result.sent,
                "received": result.received,
            }
            for result in results
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2)


def _counts(results: Sequence[Result]) -> str:
    counts = {outcome: sum(result.outcome is outcome for result in results) for outcome in Outcome}
    return ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
