"""The GraphQL names of the inputs of mutations and lists."""

from tertulia.resolvers import compaction, inputs, memories, tool_choice
from tertulia.schema.declare import graphql_input

for _source in (
    inputs.Thinking,
    tool_choice.ToolChoice,
    inputs.GenerationOptions,
    inputs.ClientTool,
    inputs.ConversationTools,
    inputs.ToolResult,
    inputs.SubmitToolResults,
    inputs.SendMessage,
    inputs.EditMessage,
    inputs.RegenerateMessage,
    inputs.RateMessage,
    compaction.CompactConversation,
    inputs.ForkConversation,
    inputs.CreateConversation,
    inputs.UpdateConversation,
    inputs.UpdateMessage,
    memories.UpdateMemory,
):
    graphql_input(_source, f"{_source.__name__}Input")
graphql_input(inputs.MetadataFilter, "MetadataFilter")
graphql_input(inputs.ConversationFilter, "ConversationFilter")
