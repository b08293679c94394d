"""The GraphQL names of what mutations take."""

from tertulia.resolvers import inputs
from tertulia.schema.declare import takes

for _source in (
    inputs.Thinking,
    inputs.GenerationOptions,
    inputs.ClientTool,
    inputs.ConversationTools,
    inputs.ToolResult,
    inputs.SubmitToolResults,
    inputs.SendMessage,
    inputs.EditMessage,
    inputs.RegenerateMessage,
    inputs.ForkConversation,
    inputs.CreateConversation,
    inputs.UpdateConversation,
):
    takes(_source, f"{_source.__name__}Input")
takes(inputs.ConversationFilter, "ConversationFilter")
