"""The input of a run. These are the fields of AG-UI 1.0's `RunAgentInput` that the server reads; others are ignored.

Source: the JSON schema of AG-UI 1.0, `https://ag-ui.com/spec/1.0/schema.json`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

MAX_ID = 255
"""Characters of the ids that are stored."""
MAX_MESSAGES = 10_000
MAX_ITEMS = 1_000
"""The most tools, items of context, answers to interrupts, and parts of a message."""


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True)


class TextPart(_Model):
    """A text."""

    type: Literal["text"]
    text: str


class DataSource(_Model):
    """A file in the request."""

    type: Literal["data"]
    value: str = Field(description="The bytes in base64.")
    mime_type: str


class UrlSource(_Model):
    """A file that was uploaded to this server, or a `data:` address."""

    type: Literal["url"]
    value: str = Field(description="`/attachments/ID` with or without this server's address, or a `data:` address.")
    mime_type: str | None = None


class FileSource(_Model):
    """A file that was uploaded to this server."""

    type: Literal["file"]
    value: str = Field(description="The id of an attachment.")


class MediaPart(_Model):
    """A file."""

    type: Literal["image", "document", "audio", "video"]
    source: Annotated[DataSource | UrlSource | FileSource, Field(discriminator="type")]


Part = Annotated[TextPart | MediaPart, Field(discriminator="type")]
Content = str | Annotated[list[Part], Field(max_length=MAX_ITEMS)]


class UserMessage(_Model):
    """A message of the user. The last ones are sent if they are new."""

    role: Literal["user"]
    id: str = Field(max_length=MAX_ID)
    content: Content


class InstructionMessage(_Model):
    """Instructions. Those of all such messages together are the conversation's system prompt."""

    role: Literal["system", "developer"]
    id: str
    content: str


class ToolMessage(_Model):
    """The result of a client tool. It is submitted if the answer waits for it."""

    role: Literal["tool"]
    id: str
    content: Content
    tool_call_id: str
    error: str | None = None


class OtherMessage(_Model):
    """A message that the server wrote, or that is only for display. Its content is not read."""

    role: Literal["assistant", "reasoning", "activity"]
    id: str


RunMessage = Annotated[UserMessage | InstructionMessage | ToolMessage | OtherMessage, Field(discriminator="role")]


class Tool(_Model):
    """A tool that the client runs."""

    name: str
    description: str
    parameters: Any = Field(default=None, description="The JSON schema of the tool's input.")


class ContextItem(_Model):
    """A fact that the application tells Claude."""

    description: str
    value: str


class ResumeEntry(_Model):
    """The answer to an interrupt."""

    interrupt_id: str
    status: Literal["resolved", "cancelled"]
    payload: Any = Field(default=None, description='`{"approved": true}`, or `false` with an optional `reason`.')


class RunAgentInput(_Model):
    """A thread with new messages of the user to answer, or with results for calls that wait."""

    thread_id: str = Field(
        min_length=1,
        max_length=MAX_ID,
        description="The `externalId` or the `id` of a conversation of the viewer. If there is none, the first message "
        "creates a conversation with this `externalId`.",
    )
    run_id: str = Field(
        min_length=1,
        max_length=MAX_ID,
        description="A run that is repeated within 24 hours with the same id follows the same answer.",
    )
    messages: list[RunMessage] = Field(max_length=MAX_MESSAGES)
    tools: list[Tool] | None = Field(default=None, max_length=MAX_ITEMS)
    context: list[ContextItem] | None = Field(default=None, max_length=MAX_ITEMS)
    state: Any = None
    forwarded_props: Any = Field(
        default=None, description="`assistantId` and `model` choose who answers. Other keys are ignored."
    )
    resume: list[ResumeEntry] | None = Field(default=None, max_length=MAX_ITEMS)

    @property
    def conversation(self) -> list[UserMessage | ToolMessage | OtherMessage]:
        """The messages without instructions and those that are only for display."""
        return [
            message
            for message in self.messages
            if not isinstance(message, InstructionMessage) and message.role not in ("reasoning", "activity")
        ]

    @property
    def last_user_messages(self) -> list[UserMessage]:
        """The user's messages after the last message of another role."""
        last: list[UserMessage] = []
        for message in reversed(self.conversation):
            if not isinstance(message, UserMessage):
                break
            last.insert(0, message)
        return last

    @property
    def instructions(self) -> str:
        """The instructions of all system and developer messages."""
        return "\n\n".join(message.content for message in self.messages if isinstance(message, InstructionMessage))


def text_of(content: str | list[TextPart | MediaPart]) -> str:
    """Return the text of a content, without its files."""
    if isinstance(content, str):
        return content
    return "\n".join(part.text for part in content if isinstance(part, TextPart))
