"""The inputs of mutations as Python classes. `schema.inputs` assigns their GraphQL names."""

from dataclasses import dataclass
from enum import StrEnum

from strawberry import ID, UNSET
from strawberry.scalars import JSON

from tertulia.resolvers.errors import InvalidInput
from tertulia.resolvers.tool_choice import ToolChoice

MAX_TEXT = 200_000
"""Characters of one message."""
MAX_TITLE = 200
"""The longest title, in characters."""
MAX_SYSTEM_PROMPT = 100_000
"""Characters."""


class WhenBusy(StrEnum):
    """How to handle a new message while its conversation is being answered."""

    REJECT = "reject"
    QUEUE = "queue"
    INTERRUPT = "interrupt"
    STEER = "steer"


QUEUED = (WhenBusy.QUEUE, WhenBusy.STEER)
"""The values with which a message waits for the answer that is being written."""


class Rating(StrEnum):
    """Whether an answer was good."""

    GOOD = "good"
    BAD = "bad"


class Effort(StrEnum):
    """How much effort Claude puts into an answer."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


@dataclass
class Thinking:
    """Options for thinking. `Model.thinking` lists what a model supports; some models always think."""

    enabled: bool
    """Whether Claude thinks before it answers."""
    budget_tokens: int | None = None
    """The maximum number of tokens for thinking: 1,024 or more, and less than `maxTokens`.

    Only for models whose `Model.thinking` contains `enabled`. Null if the server chooses it.
    """


@dataclass
class GenerationOptions:
    """Options for answers. Options that are not set come from the conversation, and otherwise from the server."""

    model: str | None = None
    """The id of the model that answers (`Query.models`). Not accepted in the options of a conversation, which has a
    `model` field.
    """
    max_tokens: int | None = None
    """The maximum number of tokens of an answer, including thinking: 1 to the model's `maxOutputTokens`. The default is
    32,000, or the model's maximum if it is lower.
    """
    effort: Effort | None = None
    """How much effort Claude puts into the answer. The model must support the level."""
    thinking: Thinking | None = None
    """Whether and how much Claude thinks before it answers. The default depends on the model."""
    output_schema: JSON | None = None
    """A JSON schema that the answer must match, of at most 65,536 bytes and 64 levels. The answer is then a
    `JsonBlock`.
    """
    tool_choice: ToolChoice | None = None
    """Whether Claude must, may or must not call tools. By default, Claude decides."""
    continue_interrupted: bool | None = None
    """Whether an answer that is interrupted is continued (see `GenerationContinued`). The default is true, unless the
    server's owner has disabled it.
    """
    stop_sequences: list[str] | None = None
    """At most 16 texts that are not blank, of at most 200 characters. Claude ends the answer before it writes one of
    them: see `Generation.stopSequence`.
    """
    task_budget: int | None = None
    """The number of tokens, 20,000 or more, within which Claude tries to finish the answer, including its tools. It is
    advice to Claude and not a limit: see `maxTokens`. A model that does not support it ignores it.
    """


@dataclass
class ClientTool:
    """A tool that the client runs.

    The client receives the calls as `ToolResultsRequired`, and submits the results with `submitToolResults`.
    """

    name: str
    """The tool's name: 1 to 128 letters, digits, `_` and `-`. It must be unique, also among the server's tools."""
    description: str
    """A description of the tool for Claude, 1 to 10,000 characters."""
    input_schema: JSON
    """The JSON schema of the tool's input, which is an object. At most 65,536 bytes."""


@dataclass
class ConversationTools:
    """The tools that Claude may call in a conversation."""

    server: list[str] | None = None
    """At most 100 names of server tools (`Query.tools`), or patterns such as `github__*`. Null for all server tools,
    `[]` for none.
    """
    client: list[ClientTool] | None = None
    """The client tools, at most 100."""


@dataclass
class ToolResult:
    """The result of one tool call: the output of a client tool, or the user's decision on a call to approve."""

    tool_use_id: ID
    """The id of the call, from `ToolResultsRequired`."""
    output: JSON | None = None
    """The output of the client tool: any JSON of at most 200,000 bytes. With `approved: false`, a string that tells
    Claude the reason.
    """
    is_error: bool = False
    """Whether the client tool failed. `output` then tells Claude the reason."""
    approved: bool | None = None
    """Whether the user approves the call. Required for tools that require approval; must be null for client tools."""


@dataclass
class SubmitToolResults:
    """The results of tool calls. The generation continues when every call has a result."""

    generation_id: ID
    """The id of the generation that waits for the results."""
    results: list[ToolResult]
    """One or more results of different calls. Either all of them are stored, or none."""


@dataclass
class SendMessage:
    """A message of the user, and how it should be answered."""

    text: str
    """The text of the message, at most 200,000 characters. It may be blank only if the message has attachments."""
    conversation_id: ID | None = None
    """The id of the conversation. Null creates a conversation."""
    attachment_ids: list[ID] | None = None
    """At most 100 ids of files that were uploaded to `/attachments`. Claude reads them before the text."""
    parent_id: ID | None = None
    """The id of the message of the conversation to continue from. Null for the last message of the active branch."""
    options: GenerationOptions | None = None
    """Options for this answer. The conversation's options apply to those that are not set."""
    idempotency_key: ID | None = None
    """A UUID that the client creates. Within 24 hours, a repeated request with the same key returns the first result,
    and Claude is asked only once.

    A repeated request does not count towards the rate limit. The same key with other input is `InvalidInput`.
    """
    when_busy: WhenBusy = WhenBusy.REJECT
    """How to handle the message while the branch is already being answered."""
    temporary: bool = False
    """Whether the new conversation is temporary: see `Conversation.temporary`. Not accepted with `conversationId`."""
    tools: ConversationTools | None = None
    """The tools that Claude may call in the new conversation. Null for all server tools. Not accepted with
    `conversationId`.
    """
    context: JSON | None = None
    """JSON that tells Claude what the application knows now, such as the open page: at most 32,768 bytes. Null or `{}`
    for none.

    Claude receives it beside the text, marked as data of the application. It is `Message.context`.
    """
    metadata: JSON | None = None
    """The `Message.metadata` of the message: a JSON object, see `UpdateMessageInput.metadata`. Null for none."""
    external_id: str | None = None
    """The application's id of the conversation, 1 to 255 characters. The message is sent to the viewer's conversation
    with this id. If there is none, it is created, once also for concurrent requests. Not accepted with
    `conversationId`.

    The fields for new conversations are ignored if the conversation exists.
    """
    assistant_id: ID | None = None
    """The id of the assistant that answers in the new conversation. Null for the default assistant, if there is one.
    Not accepted with `conversationId`.
    """
    conversation_metadata: JSON | None = None
    """The `Conversation.metadata` of the new conversation: a JSON object, see `UpdateConversationInput.metadata`. Null
    for none. Not accepted with `conversationId`.
    """


@dataclass
class EditMessage:
    """A new version of a message of the user."""

    message_id: ID
    """The id of the user's message to edit."""
    text: str
    """The new text, at most 200,000 characters. It may be blank only if the message has attachments."""
    attachment_ids: list[ID] | None = None
    """At most 100 ids of uploaded files. Null keeps those of the old version, `[]` removes them."""
    options: GenerationOptions | None = None
    """Options for this answer. The conversation's options apply to those that are not set."""
    idempotency_key: ID | None = None
    """A UUID that the client creates. Within 24 hours, a repeated request with the same key returns the first result,
    and Claude is asked only once.
    """
    when_busy: WhenBusy = WhenBusy.REJECT
    """How to handle the edit while an answer before the message is still being written."""
    context: JSON | None = None
    """JSON that tells Claude what the application knows now, at most 32,768 bytes. Null keeps that of the old version,
    `{}` removes it.
    """
    metadata: JSON | None = None
    """The `Message.metadata` of the new version. Null keeps that of the old version, `{}` removes it."""


@dataclass
class RegenerateMessage:
    """A request for another version of an answer."""

    message_id: ID
    """The id of the assistant's message to regenerate."""
    options: GenerationOptions | None = None
    """Options for this answer, such as another model. The conversation's options apply to those that are not set."""
    idempotency_key: ID | None = None
    """A UUID that the client creates. Within 24 hours, a repeated request with the same key returns the first result,
    and Claude is asked only once.
    """
    when_busy: WhenBusy = WhenBusy.REJECT
    """How to handle the request while an answer before the message is still being written."""


@dataclass
class RateMessage:
    """The viewer's rating of an answer, which replaces the previous one."""

    message_id: ID
    """The id of the assistant's message to rate."""
    rating: Rating | None = UNSET
    """Whether the answer was good. Must not be omitted. Null removes the rating with its comment and tags."""
    comment: str | None = None
    """The reason, at most 2,000 characters. Null or blank for none."""
    tags: list[str] | None = None
    """At most 20 different tags of the application, such as `outdated`, each of at most 50 characters."""


@dataclass
class ForkConversation:
    """A new conversation that continues from a message of another conversation."""

    message_id: ID
    """The id of the last message to copy. All earlier messages of its branch are copied too."""
    title: str | None = None
    """The title of the new conversation, at most 200 characters. Null copies the title of the other conversation."""


@dataclass
class CreateConversation:
    """A new conversation."""

    title: str | None = None
    """The title, at most 200 characters. If it is null, a small model writes one after the first answer."""
    system_prompt: str | None = None
    """The instructions that Claude receives before the messages, at most 100,000 characters. Null for none."""
    model: str | None = None
    """The id of the model that answers, from `Query.models`. Null for the server's default model."""
    options: GenerationOptions | None = None
    """The options of the conversation. Requests for answers can override each of them."""
    temporary: bool = False
    """Whether the conversation is temporary: see `Conversation.temporary`. The server writes no title for it."""
    tools: ConversationTools | None = None
    """The tools that Claude may call. Null for all server tools."""
    metadata: JSON | None = None
    """The `Conversation.metadata`: a JSON object, see `UpdateConversationInput.metadata`. Null for none."""
    external_id: str | None = None
    """The application's id of the conversation, 1 to 255 characters, unique per viewer. If the viewer already has a
    conversation with this id, it is returned unchanged, with `created: false`.
    """
    assistant_id: ID | None = None
    """The id of the assistant that answers (`Query.assistants`). Null for the default assistant, if there is one."""


@dataclass
class UpdateConversation:
    """The changes to a conversation. Omitted fields keep their values."""

    id: ID
    """The id of the conversation."""
    title: str | None = UNSET
    """The new title, at most 200 characters. Null removes the title."""
    system_prompt: str | None = UNSET
    """The new instructions, at most 100,000 characters. Null removes them.

    Claude's earlier thinking is only valid with the previous instructions, and is not sent to Claude any more.
    """
    model: str | None = UNSET
    """The id of the model that answers from now on, from `Query.models`. Must not be null."""
    assistant_id: ID | None = UNSET
    """The id of the assistant that answers from now on, with its model unless `model` is set too. Must not be null, and
    cannot change while an answer is running or queued.
    """
    archived: bool | None = UNSET
    """Whether the conversation is archived. Must not be null."""
    pinned: bool | None = UNSET
    """Whether the conversation is pinned. Must not be null."""
    options: GenerationOptions | None = UNSET
    """The new options, which replace all previous ones. Null removes all options."""
    tools: ConversationTools | None = UNSET
    """The tools that Claude may call, which replace the previous choice. Null for all server tools."""
    metadata: JSON | None = UNSET
    """Keys to set in `Conversation.metadata`, and keys to remove, whose value is null. The other keys do not change.
    Null removes all keys.

    Metadata has at most 16,384 bytes of JSON, 8 levels, and 100 keys and list items on all levels together. A key has 1
    to 100 characters.
    """


@dataclass
class UpdateMessage:
    """The changes to a message of either role."""

    id: ID
    """The id of the message."""
    metadata: JSON | None = UNSET
    """Keys to set in `Message.metadata`, and keys to remove, whose value is null. The other keys do not change. Null
    removes all keys.

    Metadata has at most 16,384 bytes of JSON, 8 levels, and 100 keys and list items on all levels together. A key has 1
    to 100 characters.
    """


@dataclass
class MetadataFilter:
    """A filter by `Conversation.metadata`."""

    contains: JSON
    """A JSON object: all of its keys must be in the metadata with the same values. An object must contain the object at
    the same place, and a list must contain all items of the list. Lists must not contain objects or lists.
    """


@dataclass
class ConversationFilter:
    """A filter for a list of conversations. Conversations must match all of its fields."""

    archived: bool | None = None
    """True for archived conversations, false for the others, null for both."""
    pinned: bool | None = None
    """True for pinned conversations, false for the others, null for both."""
    title_contains: str | None = None
    """A text that the title must contain, ignoring case. Null or empty for all titles."""
    temporary: bool = False
    """True for temporary conversations only. Otherwise none of them is listed."""
    metadata: MetadataFilter | None = None
    """A condition on the metadata. Null for all conversations."""
    assistant_id: ID | None = None
    """The id of the assistant that answers in the conversations. Null for all conversations."""


def check_text(field: str, text: str, limit: int) -> str:
    """Return the text.

    Args:
        field: The path of the text in the input.
        text: The text from the client.
        limit: The maximum number of characters.

    Raises:
        InvalidInput: The text is too long, or contains U+0000 or an unpaired surrogate, which cannot be stored.
    """
    if len(text) > limit:
        raise InvalidInput(field, f"must have at most {limit:,} characters, not {len(text):,}.")
    if "\0" in text:
        raise InvalidInput(field, "must not contain the character U+0000.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidInput(field, "must not contain an unpaired surrogate (half of a UTF-16 pair).")
    return text


def blank_error(field: str) -> InvalidInput:
    """Return the error for a blank message, which Claude's API does not accept."""
    return InvalidInput(field, "must not be blank.")
