"""The GraphQL names and descriptions of enums, most of which are declared in other modules."""

from enum import Enum

from tertulia.claude import errors, prompt
from tertulia.db import conversations, tables
from tertulia.resolvers import inputs, replay
from tertulia.schema.declare import graphql_enum


class StopReason(Enum):
    """The stop reasons of the Messages API."""

    END_TURN = "end_turn"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    TOOL_USE = "tool_use"
    PAUSE_TURN = "pause_turn"
    REFUSAL = "refusal"
    MODEL_CONTEXT_WINDOW_EXCEEDED = "model_context_window_exceeded"


graphql_enum(
    StopReason,
    "StopReason",
    "Why Claude ended, in the Messages API's words.",
    END_TURN="Claude had said all that it wanted to say.",
    MAX_TOKENS="The answer reached `maxTokens`; what was written stays.",
    STOP_SEQUENCE="Claude wrote a text that was to end the answer. This server asks for none.",
    TOOL_USE="Claude called a tool, and was not asked again with its result.",
    PAUSE_TURN="Claude paused a long turn with tools of its own, and was not asked to go on.",
    REFUSAL="Claude declined to answer, or to go on.",
    MODEL_CONTEXT_WINDOW_EXCEEDED="The model's context window is full: go on in a new conversation.",
)
graphql_enum(
    tables.Role,
    "MessageRole",
    "Who wrote a message.",
    USER="The viewer, or a program in their name.",
    ASSISTANT="Claude.",
)
graphql_enum(
    tables.Status,
    "GenerationStatus",
    "Where a generation stands. COMPLETED, STOPPED and FAILED are final.",
    QUEUED="It waits in line behind another answer of its conversation; Claude was not asked yet.",
    RUNNING="Claude is being asked, or writes, or a tool of the server runs.",
    AWAITING_TOOL_RESULTS="It waits for the client: answer with `submitToolResults`, as `ToolResultsRequired` says.",
    COMPLETED="Claude came to an end; `stopReason` says why.",
    STOPPED="Somebody stopped it, or a new message took its place; what was written stays.",
    FAILED="It failed, and `error` says why; what was written stays.",
)
graphql_enum(
    errors.ErrorCode,
    "GenerationErrorCode",
    "Why an answer failed: Claude's own failures as the Messages API names them, and some of this server's own.",
    AUTHENTICATION="Claude refused the server's key. It says nothing of the client's own sign-in.",
    PERMISSION="The server's key may not use what was asked for.",
    BILLING="Claude's API asks the server's operator to pay.",
    INVALID_REQUEST="Claude's API did not take the request; asking the same again will not help.",
    NOT_FOUND="Claude's API does not know the model.",
    REQUEST_TOO_LARGE="The conversation with its attachments is more than Claude's API takes in one request.",
    RATE_LIMITED="The server's key has asked too much of Claude in too little time; see `retryAfterSeconds`.",
    OVERLOADED="Claude is overloaded; try again later.",
    API_ERROR="Something went wrong on Claude's side, or what it sent could not be understood.",
    TIMEOUT="Claude was silent for too long (90 seconds unless the server says otherwise), or the results of tools did "
    "not come in time.",
    CONNECTION="The connection to Claude was lost.",
    INTERRUPTED="The server that wrote the answer went away. Regenerate it.",
    BUDGET_EXCEEDED="The viewer's budget, or the server's, was spent while Claude wrote.",
)
graphql_enum(
    prompt.LeftOut,
    "LeftOutReason",
    "Why blocks of earlier messages were not sent to Claude.",
    THINKING_OF_ANOTHER_PREFIX="Thinking is bound to the model, system prompt and tools that it was written with, and "
    "these have changed.",
    THINKING_REFUSED="Claude refused its thinking of earlier messages, and was asked again without.",
    UNFINISHED="Thinking or a call that was cut off when its answer ended early.",
    REFUSED="A message that Claude refused to answer, and what it wrote of the answer. Claude would refuse all that "
    "follows.",
    ATTACHMENT_REFUSED="Claude refused an attachment of an earlier message, and was asked again without.",
    SUMMARY_OF_ANOTHER_MODEL="A `CompactionBlock`, which this model does not take; it reads the messages themselves.",
)
graphql_enum(
    replay.SnapshotReason,
    "SnapshotReason",
    "Why a snapshot comes in place of the events that were asked for.",
    EXPIRED="The events are no longer kept: 15 minutes past the answer's end, or less on a server that is short of "
    "memory. It also comes in the middle of a stream, when the process or the Redis that had them was lost.",
    UNKNOWN_SEQUENCE="There is no event with the number that `after` gave.",
    ENDED="`after` gave the number of the terminal event. It is sent again, because the server cannot know whether the "
    "client has seen it.",
)
graphql_enum(
    tables.ChangeKind,
    "ConversationChangeKind",
    "What happened to a conversation.",
    CREATED="It was made: by `createConversation`, a send, a fork or an import.",
    UPDATED="Its title, model, marks, options, tools or active branch may have changed, or an answer in it waits for "
    "the client.",
    DELETED="It is gone, by `deleteConversation` or because its time was up.",
    GENERATION_STARTED="An answer in it has started.",
    GENERATION_ENDED="An answer in it has ended: completed, stopped or failed.",
)
graphql_enum(
    inputs.Effort,
    "Effort",
    "How much work Claude puts into an answer: more effort takes more tokens. `Model.efforts` says what a model takes.",
    LOW="Short and fast: the fewest tokens.",
    MEDIUM="Between LOW and HIGH.",
    HIGH="Thorough.",
    XHIGH="More than HIGH, for long and hard work.",
    MAX="As much as the model can, without regard to tokens.",
)
graphql_enum(
    inputs.WhenBusy,
    "WhenBusy",
    "What a send does when its branch of the conversation is being answered already, or four branches are.",
    REJECT="It gives `ConversationBusy` with the answer to follow. An answer that waits for results of tools "
    "is stopped instead, and the send goes on.",
    QUEUE="It waits in line, first in, first out, at most ten in a conversation; it is QUEUED until its turn comes.",
    INTERRUPT="It stops all answers of the conversation, keeps what they wrote, and goes on.",
)
graphql_enum(
    conversations.Order,
    "ConversationOrder",
    "What a list of conversations is ordered by. A cursor belongs to its order.",
    LAST_ACTIVE="By `updatedAt`, the latest first.",
    LEAST_ACTIVE="By `updatedAt`, the earliest first.",
    NEWEST="By `createdAt`, the latest first.",
    OLDEST="By `createdAt`, the earliest first.",
    TITLE="By title in lower case; those without one stand first.",
)
