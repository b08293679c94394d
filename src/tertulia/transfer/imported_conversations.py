"""The rows of imported conversations, whose settings are validated as those of new ones."""

import re
from typing import Any, cast

from tertulia.assistants.definition import ClientSetting
from tertulia.db.tables import Conversation, new_id
from tertulia.json import Json
from tertulia.resolvers import options, tools
from tertulia.resolvers.assistants import ClientPolicy, policy_of_imported
from tertulia.resolvers.context import Context
from tertulia.resolvers.errors import InvalidInput
from tertulia.resolvers.inputs import ClientTool, ConversationTools, Effort, GenerationOptions, Thinking
from tertulia.resolvers.tool_choice import stored_tool_choice
from tertulia.transfer.format import ConversationItem, ConversationLine, Options


async def conversation_of(context: Context, item: ConversationItem) -> Conversation:
    """Return the new row of a conversation in a file, which is validated like the input of `createConversation`.

    Raises:
        InvalidInput: The conversation is not valid. The error names its place in the file.
    """
    line = item.line
    policy = policy_of_imported(context, line.assistant or None)
    # A file cannot grant access to a model.
    allowed = await context.models.allows(line.model)
    model = policy.importable_model(line.model if allowed else None, context.models.default_id)
    try:
        if line.system_prompt is not None:
            policy.check("systemPrompt", ClientSetting.INSTRUCTIONS)
        conversation_options = await _options(context, policy, line.options, model, allowed=model == line.model)
        tool_settings = await _tools(context, policy, line)
    except InvalidInput as error:
        raise InvalidInput("file", f"{item.error_prefix}{error}") from None
    same = ("title", "system_prompt", "archived", "pinned", "created_at", "updated_at")
    values: Json = {name: getattr(line, name) for name in same}
    usage = line.usage.model_dump()
    return Conversation(
        id=new_id(),
        owner_id=context.viewer.user_id,
        model=model,
        options=conversation_options,
        tools=tool_settings,
        external_id=line.external_id,
        app_metadata=line.metadata,
        # The assistant of the file may be one of another server.
        assistant=line.assistant or policy.assistant_id,
        **values,
        **usage,
    )


async def _options(context: Context, policy: ClientPolicy, line: Options, model: str, *, allowed: bool) -> Json:
    thinking = Thinking(line.thinking.enabled, line.thinking.budget_tokens) if line.thinking else None
    effort = Effort(line.effort) if line.effort else None
    schema: Any = line.output_schema
    generation_options = GenerationOptions(
        max_tokens=line.max_tokens,
        effort=effort,
        thinking=thinking,
        output_schema=schema,
        tool_choice=stored_tool_choice(line.tool_choice.model_dump() if line.tool_choice else None),
        continue_interrupted=line.continue_interrupted,
        stop_sequences=line.stop_sequences,
        task_budget=line.task_budget,
    )
    policy.check_options(generation_options, context.models.default_id)
    try:
        return await options.of_conversation(context, generation_options, model)
    except InvalidInput:
        if allowed:
            raise
        # The options are for a model that is not available.
        return {}


async def _tools(context: Context, policy: ClientPolicy, line: ConversationLine) -> Json:
    for index, pattern in enumerate(line.tools.server or []):
        # Only the syntax is checked, because the server that exported the file may have tools that this one lacks.
        if not re.fullmatch(tools.PATTERN, pattern):
            raise InvalidInput(
                f"tools.server[{index}]", "must be the name of a tool, or a pattern such as `github__*`."
            )
    declared = [(tool, cast("Any", tool.input_schema)) for tool in line.tools.client]
    client = [ClientTool(tool.name, tool.description, schema) for tool, schema in declared]
    await tools.check_tools(context, ConversationTools(client=client))
    choice = ConversationTools(server=line.tools.server, client=client)
    if choice.server is not None or choice.client:
        policy.check_tools(choice)
    return tools.tools_to_json(choice)
