"""The GraphQL names and descriptions of enums. Most of their classes are in other modules."""

from enum import Enum

from tertulia.assistants import definition
from tertulia.claude import errors, providers, repairs
from tertulia.db import conversations, tables
from tertulia.resolvers import inputs, replay, tool_choice
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
    COMPACTION = "compaction"


graphql_enum(
    StopReason,
    "StopReason",
    "Why Claude stopped writing, as named by the Messages API.",
    END_TURN="Claude finished its answer.",
    MAX_TOKENS="The answer reached `maxTokens`. The text written until then is kept.",
    STOP_SEQUENCE="Claude wrote a stop sequence of `options.stopSequences` or of the assistant: see `stopSequence`.",
    TOOL_USE="Claude called a tool, and the generation ended without sending the result to Claude.",
    PAUSE_TURN="Claude paused a long turn with tools of Claude's API, and the generation ended without continuing it.",
    REFUSAL="Claude refused to answer, or to continue.",
    MODEL_CONTEXT_WINDOW_EXCEEDED="The model's context window is full. Continue in a new conversation.",
    COMPACTION="Claude has summarized the conversation, as `compactConversation` requested.",
)
graphql_enum(
    tables.Role,
    "MessageRole",
    "The author of a message.",
    USER="The viewer, or a program on the viewer's behalf.",
    ASSISTANT="Claude.",
)
graphql_enum(
    tables.Status,
    "GenerationStatus",
    "The status of a generation. COMPLETED, STOPPED and FAILED are final.",
    QUEUED="The generation waits for an earlier generation of its conversation to end.",
    RUNNING="The server is sending a request to Claude, Claude is writing, or a tool of the server is running.",
    AWAITING_TOOL_RESULTS="The generation waits for the client: see `ToolResultsRequired` and `submitToolResults`.",
    COMPLETED="Claude has finished the answer. `stopReason` is the reason.",
    STOPPED="The generation was stopped by a client or replaced by a new message. The text written until then is kept.",
    FAILED="The generation has failed. `error` is the reason. The text written until then is kept.",
)
graphql_enum(
    errors.ErrorCode,
    "GenerationErrorCode",
    "Why a generation failed: the errors of the Messages API under its names, and those of this server.",
    AUTHENTICATION="Claude's API refused the server's API key. The client's own token is not the reason.",
    PERMISSION="The server's API key lacks the permission for the requested resource.",
    BILLING="The server's Claude account has a billing problem, which its operator must fix.",
    INVALID_REQUEST="Claude's API rejected the request. Retrying the same request does not help.",
    NOT_FOUND="The model, or another resource in the request, does not exist.",
    REQUEST_TOO_LARGE="The conversation with its attachments exceeds the size limit of a request to Claude's API.",
    RATE_LIMITED="The server's API key has exceeded its rate limit. See `retryAfterSeconds`.",
    OVERLOADED="Claude's API is overloaded. Retry later.",
    API_ERROR="Claude's API had an internal error, or its response could not be read.",
    TIMEOUT="Claude's API sent nothing for too long (90 seconds by default), or the tool results were not submitted in "
    "time.",
    CONNECTION="The connection to Claude's API was lost.",
    INTERRUPTED="The server process that wrote the answer was stopped or lost.",
    REFUSED="Claude declined to answer. Only in `GenerationContinued`, when a fallback model answers instead.",
    BUDGET_EXCEEDED="The budget of the viewer or of the server was used up while Claude wrote.",
)
graphql_enum(
    repairs.LeftOut,
    "LeftOutReason",
    "Why a part of the conversation was not sent to Claude.",
    THINKING_OF_ANOTHER_PREFIX="Thinking that was written with another model, system prompt or set of tools. It is "
    "only valid with the same ones.",
    THINKING_REFUSED="Thinking that Claude's API refused or left out, because it is bound to another conversation.",
    THINKING_FILTERED="Thinking that the application has changed with a filter. Claude accepts its thinking only "
    "unchanged.",
    UNFINISHED="Thinking or a tool call that was cut off because its answer ended early.",
    REFUSED="A message that Claude refused to answer, and the part of the answer that it wrote. If they were sent, "
    "Claude would refuse all later messages too.",
    ATTACHMENT_REFUSED="An attachment of an earlier message, or a picture from a tool, that Claude's API refused.",
    TOOL_REFUSED="The definition of a tool that Claude's API refused. Claude cannot call the tool.",
    SUMMARY_OF_ANOTHER_MODEL="A `CompactionBlock`, which this model does not support. The summarized messages were "
    "sent instead.",
    SUMMARY_FILTERED="A `CompactionBlock` that the application has changed with a filter. The summarized messages were "
    "sent instead.",
)
graphql_enum(
    replay.SnapshotReason,
    "SnapshotReason",
    "Why a snapshot is sent instead of the requested events.",
    EXPIRED="The events are no longer stored. They are deleted 15 minutes after the end of the generation, or earlier "
    "if the server is short of memory. This can also happen in the middle of a stream, when the process that wrote "
    "the answer or Redis is lost.",
    UNKNOWN_SEQUENCE="The generation has no event with the number in `after`.",
    ENDED="`after` is the number of the terminal event. The event is sent again, because the server cannot know "
    "whether the client has received it.",
)
graphql_enum(
    tables.ChangeKind,
    "ConversationChangeKind",
    "The kind of a change to a conversation.",
    CREATED="The conversation was created: by `createConversation`, `sendMessage`, `forkConversation` or an import.",
    UPDATED="Its title, model, options, tools, active branch, `archived` or `pinned` may have changed, a message was "
    "rated or deleted, or a generation waits for the client.",
    DELETED="The conversation was deleted: by `deleteConversation`, or because its retention time has passed.",
    GENERATION_STARTED="A generation of the conversation has started.",
    GENERATION_ENDED="A generation of the conversation was completed, stopped or has failed.",
)
graphql_enum(
    providers.Provider,
    "ModelProvider",
    "The service that runs a model.",
    ANTHROPIC="Anthropic's own API, or the gateway or simulator in its place.",
    AWS="Claude Platform on AWS.",
    BEDROCK="Amazon Bedrock, by its operation `InvokeModel`.",
    BEDROCK_MANTLE="Amazon Bedrock, by its Messages API.",
    VERTEX="Google's Vertex AI.",
    GOOGLE_CLOUD="Claude on Google Cloud, which Anthropic operates.",
    FOUNDRY="Microsoft Foundry.",
)
graphql_enum(
    inputs.Effort,
    "Effort",
    "How much effort Claude puts into an answer. More effort uses more tokens. `Model.efforts` lists the supported "
    "levels.",
    LOW="Short and fast answers with the fewest tokens.",
    MEDIUM="A balance between LOW and HIGH.",
    HIGH="Thorough answers.",
    XHIGH="More effort than HIGH, for long and difficult tasks.",
    MAX="The model's maximum, without regard to the number of tokens.",
)
graphql_enum(
    tool_choice.ToolChoiceMode,
    "ToolChoiceMode",
    "Whether Claude must, may or must not call tools.",
    AUTO="Claude decides.",
    ANY="Claude first calls one of the tools, and then decides. Claude does not think in such an answer, as far as the "
    "model allows that.",
    TOOL="Claude first calls the tool with the name `name`, and then decides, as with ANY.",
    NONE="Claude calls no tools.",
)
graphql_enum(
    inputs.Rating,
    "Rating",
    "Whether an answer was good.",
    GOOD="The answer was good.",
    BAD="The answer was bad.",
)
graphql_enum(
    definition.ClientSetting,
    "ClientSetting",
    "A group of settings of a conversation that clients can set if its assistant allows it.",
    INSTRUCTIONS="`systemPrompt`, which follows the assistant's instructions.",
    MODEL="`model` and `options.model`, to one of `Assistant.models`.",
    OPTIONS="`options`, except for the model.",
    TOOLS="`tools`: client tools, and a selection from the assistant's tools.",
)
graphql_enum(
    inputs.WhenBusy,
    "WhenBusy",
    "How to handle a new message while its branch is being answered, or while four branches of its conversation are.",
    REJECT="Return `ConversationBusy` with the running generation. A generation that waits for tool results is stopped "
    "instead, and the new message is answered.",
    QUEUE="Queue the message. Messages are answered in the order of arrival, and at most ten wait in a conversation. "
    "The status of the generation is QUEUED until it starts.",
    INTERRUPT="Stop all generations of the conversation, keep their text, and answer the new message.",
    STEER="End the running generation as soon as a round of its tools has ended, and answer the message together with "
    "the results of the tools: see `GenerationSteered`. If no round ends, the message waits as with QUEUE.",
)
graphql_enum(
    conversations.Order,
    "ConversationOrder",
    "The order of a list of conversations. A cursor is only valid for the order in which it was returned.",
    LAST_ACTIVE="By `updatedAt`, latest first.",
    LEAST_ACTIVE="By `updatedAt`, earliest first.",
    NEWEST="By `createdAt`, latest first.",
    OLDEST="By `createdAt`, earliest first.",
    TITLE="By title in lower case. Conversations without a title come first.",
)
