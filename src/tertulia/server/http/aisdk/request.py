"""The body that `DefaultChatTransport` of the AI SDK sends. Source: `http-chat-transport.ts` of the package `ai`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tertulia.json import Json, is_list, is_object
from tertulia.resolvers.inputs import WhenBusy

MAX_ID = 255
"""Characters of the ids of chats and messages."""
MAX_MESSAGES = 10_000
MAX_TOOLS = 100


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True)


class UIMessage(_Model):
    """A message. Only the parts of the last one are read."""

    id: str = Field(max_length=MAX_ID)
    role: Literal["user", "assistant", "system"]
    parts: list[Any]
    metadata: Any = None

    @property
    def text(self) -> str:
        """The text of all text parts."""
        texts = [part.get("text") for part in self.objects if part.get("type") == "text"]
        return "".join(text for text in texts if isinstance(text, str))

    @property
    def objects(self) -> list[Json]:
        """The parts that are objects."""
        return [part for part in self.parts if is_object(part)]

    @property
    def tool_parts(self) -> list[Json]:
        """The parts of tool calls."""
        return [
            part
            for part in self.objects
            if str(part.get("type")).startswith(("tool-", "dynamic-tool")) and isinstance(part.get("toolCallId"), str)
        ]


class AiSdkTool(_Model):
    """A tool that the page runs."""

    name: str
    description: str
    input_schema: Any = Field(description="The JSON schema of the tool's input.")


def _last_first(messages: Any) -> Any:
    """Leave out the parts of all messages but the last one, because the conversation is the server's own."""
    if not is_list(messages):
        return messages
    none: Json = {"parts": [], "metadata": None}
    return [*(message | none if is_object(message) else message for message in messages[:-1]), *messages[-1:]]


class AiSdkRequest(_Model):
    """A message of a chat to answer, results of its tools, or a request to answer its last question again."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(
        min_length=1,
        max_length=MAX_ID,
        description="The `externalId` or the `id` of a conversation of the viewer. If there is none, the first message "
        "creates a conversation with this `externalId`.",
    )
    messages: Annotated[list[UIMessage], BeforeValidator(_last_first)] = Field(
        min_length=1,
        max_length=MAX_MESSAGES,
        description="The messages of the chat. The last one is sent; the server has the others.",
    )
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    message_id: str | None = Field(
        default=None, max_length=MAX_ID, description="The message that is edited, or whose answer is written again."
    )
    model: str | None = Field(default=None, description="The id of the model that answers this message.")
    when_busy: WhenBusy = Field(
        default=WhenBusy.REJECT, description="The same as in `sendMessage`, with lowercase values."
    )
    context: Any = Field(default=None, description="JSON that the application knows now, as in `sendMessage`.")
    assistant_id: str | None = Field(
        default=None, max_length=64, description="The assistant that answers in a new conversation."
    )
    tools: list[AiSdkTool] | None = Field(
        default=None, max_length=MAX_TOOLS, description="The tools that the page runs in a new conversation."
    )
    conversation_metadata: Any = Field(
        default=None, description="The JSON object that the application stores with a new conversation."
    )

    @property
    def last(self) -> UIMessage:
        """The message to answer, or the answer whose calls have results."""
        return self.messages[-1]
