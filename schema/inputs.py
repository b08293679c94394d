"""The GraphQL names of what mutations take."""

from inspect import getdoc

import strawberry

from db import conversations
from resolvers import inputs

strawberry.enum(inputs.Effort, name="Effort", description=inputs.Effort.__doc__)
strawberry.enum(conversations.Order, name="ConversationOrder", description=conversations.Order.__doc__)
strawberry.enum(inputs.WhenBusy, name="WhenBusy", description=inputs.WhenBusy.__doc__)

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
    strawberry.input(_source, name=f"{_source.__name__}Input", description=getdoc(_source))
strawberry.input(inputs.ConversationFilter, description=inputs.ConversationFilter.__doc__)
