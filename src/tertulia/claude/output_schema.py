"""Structured output: the JSON schema in a request. `tools.json_schema` validates schemas and answers.

Source: "Structured outputs" in the Claude API documentation.
"""

from collections.abc import Sequence

from tertulia.json import Json


def output_format(schema: Json) -> Json:
    """Return the output format of a request. Objects are closed, and unsupported keywords become descriptions."""
    import anthropic

    try:
        supported_schema = anthropic.transform_schema(schema)
    except (ValueError, AssertionError, TypeError):
        # The SDK may not know a new keyword. The API reports what it does not accept.
        supported_schema = schema
    return {"type": "json_schema", "schema": supported_schema}


def ends_block(events: Sequence[Json]) -> bool:
    """Return whether one of the events ends a block."""
    return any(event.get("type") == "content_block_stop" for event in events)


def split_before_stops(events: Sequence[Json]) -> list[list[Json]]:
    """Split events before each one that ends a block, because the block is validated before that event is processed."""
    parts: list[list[Json]] = [[]]
    for event in events:
        if event.get("type") == "content_block_stop" and parts[-1]:
            parts.append([])
        parts[-1].append(event)
    return parts
