"""Claude's own data export: `conversations.json`, alone or in its archive.

Its conversations are trees or plain lists of messages; files are named, not contained, but for the text of some.
Thinking bears no signature there, so that it can be read, and not sent again.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from db.tables import Role
from resolvers.errors import InvalidInput
from resolvers.inputs import MAX_TITLE, check_text
from resolvers.transfer import Bundle, ConversationLine, MessageLine, Name

Json = dict[str, Any]

_LIST: TypeAdapter[list[Any]] = TypeAdapter(list[Any])
ROLES = {"human": Role.USER, "assistant": Role.ASSISTANT}


class _Lenient(BaseModel):
    # Theirs to add to.
    model_config = ConfigDict(extra="ignore")


class _Attached(_Lenient):
    file_name: str | None = None
    extracted_content: str | None = None


class _Said(_Lenient):
    uuid: Name
    sender: str
    text: str | None = None
    content: list[Json] = []
    created_at: AwareDatetime
    attachments: list[_Attached] = []
    files: list[_Attached] = []
    parent_message_uuid: str | None = None


class _Conversation(_Lenient):
    uuid: Name
    name: str | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    chat_messages: list[_Said]


def bundles_of(exported: Any, model: str) -> Iterator[Bundle]:
    """Give the conversations of an export; raise InvalidInput, which names the conversation."""
    try:
        conversations = _LIST.validate_python(exported)
    except ValidationError:
        raise InvalidInput("file", "is neither an export of Tertulia nor Claude's `conversations.json`.") from None
    for number, one in enumerate(conversations):
        try:
            yield _bundle(_Conversation.model_validate(one), model)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise InvalidInput("file", f"conversation {number}: {place}: {first['msg']}") from None


def _bundle(found: _Conversation, model: str) -> Bundle:
    title = " ".join((found.name or "").replace("\0", "").split())[:MAX_TITLE] or None
    bundle = Bundle(
        ConversationLine(
            id=found.uuid,
            title=check_text("title", title, MAX_TITLE) if title else None,
            model=model,
            created_at=found.created_at,
            updated_at=found.updated_at,
        )
    )
    known = set[str]()
    for said in found.chat_messages:
        if said.sender not in ROLES or said.uuid in known:
            bundle.blocks_left_out += max(len(said.content), 1)
            continue
        previous = bundle.messages[-1].id if bundle.messages else None
        parent = said.parent_message_uuid if said.parent_message_uuid in known else None
        blocks, left_out = _blocks(said)
        bundle.blocks_left_out += left_out
        bundle.messages.append(
            MessageLine(
                id=said.uuid,
                # Older exports name no parents: each message stands behind the one before it.
                parent_id=parent if said.parent_message_uuid else previous,
                role=ROLES[said.sender],
                content=blocks,
                created_at=said.created_at,
            )
        )
        known.add(said.uuid)
    return bundle


def _blocks(said: _Said) -> tuple[list[Json], int]:
    """Give what can be kept of a message, and how many blocks cannot."""
    kept: list[Json] = []
    for attached in (*said.attachments, *said.files):
        name = attached.file_name or "a file"
        kept.append(_text(f"[{name}]\n\n{attached.extracted_content}" if attached.extracted_content else f"[{name}]"))
    theirs = [found for block in said.content if (found := _block(block)) is not None]
    if not theirs and said.text:
        theirs = [_text(said.text)]
    return [*kept, *theirs], len(said.content) - len([block for block in said.content if _block(block) is not None])


def _block(block: Json) -> Json | None:
    match block.get("type"):
        case "text" if isinstance(block.get("text"), str) and block["text"]:
            return _text(block["text"])
        case "thinking" if isinstance(block.get("thinking"), str):
            return {"type": "thinking", "thinking": block["thinking"], "partial": True}
        case _:
            return None


def _text(text: str) -> Json:
    return {"type": "text", "text": text}
