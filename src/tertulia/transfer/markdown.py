"""Conversations as Markdown, the active branch only, and memories."""

import re
from collections.abc import Iterator, Sequence

from tertulia.attachments.files import attachment_of
from tertulia.db.generated_files import GeneratedFile
from tertulia.db.memories import Memory
from tertulia.db.tables import Generation, Message, Role, Status
from tertulia.db.transfer import ConversationContents
from tertulia.json import Json, dumps_spaced
from tertulia.resolvers.content import citations_of, cited_text_of, place_of, text_of

SPEAKERS = {Role.USER: "You", Role.ASSISTANT: "Claude"}
UNFINISHED_ANSWERS = {
    "refusal": "Claude declined to answer or to continue (stop reason: refusal).",
    "max_tokens": "This answer was cut off at its token limit (stop reason: max_tokens).",
    "model_context_window_exceeded": (
        "This answer was cut off because the model's context window is full "
        "(stop reason: model_context_window_exceeded)."
    ),
    "pause_turn": "Claude paused and was not asked to continue (stop reason: pause_turn).",
}
"""The sentences below incomplete answers, by stop reason."""


def as_markdown(contents: ConversationContents) -> str:
    """Return the active branch of a conversation, under a heading."""
    conversation = contents.conversation
    names = {str(attachment.id): attachment.filename for attachment in contents.attachments}
    body = "\n\n".join(
        _message(message, generation, names, contents.files.get(message.id, ()))
        for message, generation in _active(contents)
    )
    subtitle = f"{conversation.created_at:%Y-%m-%d %H:%M} UTC, {conversation.model}"
    return f"# {_line(conversation.title or 'Untitled')}\n\n_{subtitle}_\n\n{body}\n\n"


def memory_as_markdown(memory: Memory) -> str:
    """Return the section of a memory, whose text is indented as code."""
    lines = "\n".join(f"    {line}" for line in memory.content.rstrip("\n").split("\n"))
    subtitle = f"Memory of {memory.assistant}, {memory.updated_at:%Y-%m-%d %H:%M} UTC"
    return f"# {_line(memory.path)}\n\n_{_line(subtitle)}_\n\n{lines}\n\n"


def left_out_as_markdown(id: str, reason: str) -> str:
    """Return the section of a conversation that could not be exported."""
    return f"# Conversation {id}\n\n_Left out of this export. {reason}_\n\n"


def _active(contents: ConversationContents) -> list[tuple[Message, Generation | None]]:
    messages = {message.id: (message, generation) for message, generation in contents.messages}
    branch: list[tuple[Message, Generation | None]] = []
    message_id = contents.conversation.active_leaf_id
    while message_id is not None and message_id in messages:
        branch.append(messages[message_id])
        message_id = messages[message_id][0].parent_id
    return branch[::-1]


def _message(
    message: Message, generation: Generation | None, names: dict[str, str], files: Sequence[GeneratedFile]
) -> str:
    heading = f"## {SPEAKERS[message.role]}, {message.created_at:%Y-%m-%d %H:%M}"
    notes = [f"Claude made the file {_line(file.filename)}" if file.filename else None for file in files]
    notes += [_ending(generation) if generation is not None else None, _rating(message.rating)]
    return "\n\n".join([heading, *_blocks(message.content, names), *(f"_{note}_" for note in notes if note)])


def _rating(rating: Json | None) -> str | None:
    """Return a sentence about the rating of an answer, or None if it is not rated."""
    if rating is None:
        return None
    tags = f" ({', '.join(_line(tag) for tag in rating['tags'])})" if rating["tags"] else ""
    comment = f": {_line(rating['comment'])}" if rating["comment"] else "."
    return f"Rated as {rating['rating']}{tags}{comment}"


def _ending(generation: Generation) -> str | None:
    """Return a sentence about why an answer is incomplete, or None if it is complete."""
    if generation.status is Status.STOPPED:
        return "This answer was stopped before it was complete."
    if generation.status is Status.FAILED:
        return "This answer failed before it was complete."
    sentence = UNFINISHED_ANSWERS.get(generation.stop_reason or "")
    explanation = _line(text_of((generation.refusal or {}).get("explanation")))
    return f"{sentence} {explanation}" if sentence and explanation else sentence


def _blocks(content: list[Json], names: dict[str, str]) -> Iterator[str]:
    for block in content:
        kind = str(block.get("type"))
        if kind == "text":
            yield text_of(block.get("text")).strip()
            yield from map(_quotation, citations_of(block))
        elif kind == "thinking" and block.get("thinking"):
            yield f"<details><summary>Thinking</summary>\n\n{text_of(block['thinking']).strip()}\n\n</details>"
        elif kind == "compaction" and block.get("content"):
            yield f"<details><summary>Summary of the earlier conversation</summary>\n\n{block['content']}\n\n</details>"
        elif kind in ("image", "document"):
            yield f"_Attached: {_line(names.get(_attachment(block), kind))}_"
        elif kind.endswith("tool_use"):
            yield f"Called `{_line(text_of(block.get('name')))}`:\n\n{_code_block(block.get('input'))}"
        elif kind.endswith("tool_result"):
            yield f"Result:\n\n{_code_block(block.get('content'))}"


def _quotation(citation: Json) -> str:
    """Return what Claude quotes, with the title and the address or name of its source."""
    names = [text_of(citation.get(name)) for name in ("title", "document_title", "url", "source")]
    names.append(place_of(citation) or "")
    source = ", ".join(dict.fromkeys(_line(name) for name in names if name))
    return f"> {_line(cited_text_of(citation))}{f' ({source})' if source else ''}"


def _attachment(block: Json) -> str:
    try:
        return str(attachment_of(block))
    except (KeyError, TypeError, ValueError, AttributeError):
        # Earlier versions imported blocks with sources of other types.
        return ""


def _code_block(value: object) -> str:
    text = value if isinstance(value, str) else dumps_spaced(value, indent=2)
    longest = max((len(backticks) for backticks in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}json\n{text}\n{fence}"


def _line(text: str) -> str:
    return " ".join(text.split())
