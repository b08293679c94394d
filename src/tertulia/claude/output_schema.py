"""Structured output: what Claude is sent of a JSON schema. `tools.json_schema` checks schemas, and answers by them.

Source: "Structured outputs" in the Claude API documentation.
"""

from collections.abc import Sequence

from tertulia.json import Json


def output_format(schema: Json) -> Json:
    """Give what is sent: closed objects, and what the API does not take of a schema as words for Claude."""
    import anthropic

    try:
        taken = anthropic.transform_schema(schema)
    except (ValueError, AssertionError, TypeError):
        # Newer than the SDK, perhaps; the API says what it does not take.
        taken = schema
    return {"type": "json_schema", "schema": taken}


def split_before_stops(events: Sequence[Json]) -> list[list[Json]]:
    """Split events so that each one that ends a block is the first of its part: its text is validated before."""
    parts: list[list[Json]] = [[]]
    for event in events:
        if event.get("type") == "content_block_stop" and parts[-1]:
            parts.append([])
        parts[-1].append(event)
    return parts
