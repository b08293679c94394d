"""The queries of assistants, and the rules of what clients may set in a conversation."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from strawberry import ID

from tertulia.assistants.definition import Assistant, ClientSetting
from tertulia.assistants.instructions import RenderError, variables
from tertulia.claude.models import Model
from tertulia.db.rows import AnyConversation
from tertulia.db.tables import Conversation, Message, now
from tertulia.generation.contribution import AssistantContribution
from tertulia.json import Json
from tertulia.resolvers.arguments import argument
from tertulia.resolvers.context import Context, Info
from tertulia.resolvers.errors import InvalidInput
from tertulia.resolvers.inputs import ConversationTools, GenerationOptions
from tertulia.resolvers.options import check_for_model, options_to_json

OPTION_FIELDS = {
    "max_tokens": "options.maxTokens",
    "effort": "options.effort",
    "thinking": "options.thinking",
    "output_schema": "options.outputSchema",
    "tool_choice": "options.toolChoice",
    "continue_interrupted": "options.continueInterrupted",
    "stop_sequences": "options.stopSequences",
    "task_budget": "options.taskBudget",
}
"""The GraphQL names of the options other than the model."""

logger = logging.getLogger("tertulia.assistants")


async def assistants(info: Info) -> Sequence[Assistant]:
    """The assistants that the viewer may use, by id. Empty if there are none."""
    return info.context.assistants.all()


async def assistant(
    info: Info, id: Annotated[ID, argument("The id of the assistant, which is the name of its file.")]
) -> Assistant | None:
    """The assistant with this id. Null if there is none."""
    return info.context.assistants.get(id)


async def of_conversation(info: Info, root: AnyConversation) -> Assistant | None:
    """The assistant that answers in the conversation.

    Null for conversations without an assistant, and if it no longer exists or the viewer's plan lacks it: then the
    conversation can be read, but not continued.
    """
    return None if root.assistant is None else info.context.assistants.get(root.assistant)


def settable_in(info: Info, root: AnyConversation) -> list[ClientSetting]:
    """The settings that clients may set in this conversation. Everything else is `InvalidInput`.

    The conversation's assistant decides. In a conversation without one the default assistant does, or the server if it
    has no assistants: then clients may also set `tools.server`. Empty if the assistant no longer exists.
    """
    return _in_order(policy_of(info.context, root).may_set)


def is_default(info: Info, root: Assistant) -> bool:
    """Whether this assistant answers in new conversations that name none."""
    default = info.context.assistants.default
    return default is not None and default.id == root.id


async def model(info: Info, root: Assistant) -> Model:
    """The model that answers, unless the client may choose another one and does."""
    return await info.context.models.get(root.model or info.context.models.default_id)


async def models(info: Info, root: Assistant) -> Sequence[Model]:
    """The models that clients may choose, the assistant's own model first."""
    models = info.context.models
    own_id = root.model or models.default_id
    if ClientSetting.MODEL not in root.clients_may_set:
        return [await models.get(own_id)]
    ids = root.models or [model.id for model in await models.list()]
    return [await models.get(id) for id in dict.fromkeys([own_id, *ids])]


def clients_may_set(root: Assistant) -> list[ClientSetting]:
    """The settings that clients may set in conversations with this assistant. Everything else is `InvalidInput`."""
    return _in_order(root.clients_may_set)


def _in_order(settings: Collection[ClientSetting]) -> list[ClientSetting]:
    return [setting for setting in ClientSetting if setting in settings]


@dataclass(frozen=True, slots=True)
class ClientPolicy:
    """The settings that clients may set in a conversation.

    Attributes:
        may_set: What they may set.
        refusal: The end of an error message: why they must not set anything else.
        assistant: The assistant of the conversation; None for a conversation without one.
        bounds: The assistant that bounds the choice of models and tools; None if only the server bounds it.
    """

    may_set: frozenset[ClientSetting]
    refusal: str
    assistant: Assistant | None = None
    bounds: Assistant | None = None

    @property
    def assistant_id(self) -> str | None:
        """The id that a new conversation stores."""
        return self.assistant.id if self.assistant is not None else None

    def check(self, field: str, setting: ClientSetting) -> None:
        """Raise InvalidInput if clients must not set a field."""
        if setting not in self.may_set:
            raise InvalidInput(field, f"must not be set: {self.refusal}.")

    def check_model(self, field: str, model_id: str, default_id: str) -> None:
        """Raise InvalidInput if clients must not choose a model."""
        self.check(field, ClientSetting.MODEL)
        if self.bounds is not None and not self._is_within(self.bounds, model_id, default_id):
            allowed = ", ".join(dict.fromkeys([self.bounds.model or default_id, *self.bounds.models]))
            raise InvalidInput(field, f"must be one of {allowed}, not {model_id[:100]!r}.")

    def check_options(self, options: GenerationOptions | None, default_id: str) -> None:
        """Raise InvalidInput if clients must not set one of the options."""
        if options is None:
            return
        if options.model is not None:
            self.check_model("options.model", options.model, default_id)
        for name, field in OPTION_FIELDS.items():
            if getattr(options, name) is not None:
                self.check(field, ClientSetting.OPTIONS)

    def check_tools(self, tools: ConversationTools | None) -> None:
        """Raise InvalidInput if clients must not choose these tools."""
        if tools is None:
            return
        if self.bounds is None:
            # Without an assistant, a selection from the server's tools only narrows what Claude may do.
            if tools.client:
                self.check("tools.client", ClientSetting.TOOLS)
            return
        self.check("tools", ClientSetting.TOOLS)
        for index, name in enumerate(tools.server or ()):
            if not self.bounds.offers(name) and not any(fnmatchcase(tool, name) for tool in self.bounds.tools):
                raise InvalidInput(f"tools.server[{index}]", "must be the name of one of the assistant's tools.")

    def model_of(self, conversation: AnyConversation, default_id: str) -> str:
        """Return the model that answers in a conversation: its own one, if the assistant allows it."""
        assistant = self.assistant
        if assistant is None:
            return conversation.model
        is_chosen = ClientSetting.MODEL in self.may_set and self._is_within(assistant, conversation.model, default_id)
        return conversation.model if is_chosen else assistant.model or default_id

    def model_of_new(self, default_id: str) -> str:
        """Return the model of a conversation for which the client chooses none."""
        return (self.assistant.model if self.assistant is not None else None) or default_id

    def importable_model(self, model_id: str | None, default_id: str) -> str:
        """Return the model of an imported conversation: that of the file, if clients may choose it.

        Exports always name a model, so another one is replaced instead of refused.
        """
        own_id = self.model_of_new(default_id)
        if model_id is None or ClientSetting.MODEL not in self.may_set:
            return own_id
        return model_id if self.bounds is None or self._is_within(self.bounds, model_id, default_id) else own_id

    @staticmethod
    def _is_within(assistant: Assistant, model_id: str, default_id: str) -> bool:
        return not assistant.models or model_id in (assistant.model or default_id, *assistant.models)


def policy_of_new(context: Context, assistant_id: str | None, field: str = "assistantId") -> ClientPolicy:
    """Return the policy of a new conversation.

    Args:
        context: The context of the request.
        assistant_id: The assistant that the client names; None for the default one.
        field: The name of the field that names the assistant.

    Raises:
        InvalidInput: There is no such assistant.
    """
    catalog = context.assistants
    if not catalog.is_configured and assistant_id is None:
        return ClientPolicy(catalog.clients_may_set, "this server does not let clients set it")
    assistant = catalog.default if assistant_id is None else catalog.get(assistant_id)
    if assistant is None:
        raise InvalidInput(field, "must be the id of an assistant of `Query.assistants`.")
    return _policy(assistant, assistant)


def policy_of_imported(context: Context, assistant_id: str | None) -> ClientPolicy:
    """Return the policy of a conversation that is imported with this assistant; None for the default one.

    A conversation whose assistant is not available can have any settings. It cannot be continued, and if the assistant
    becomes available, only the settings that it allows have an effect.
    """
    if assistant_id is not None and context.assistants.get(assistant_id) is None:
        return ClientPolicy(frozenset(ClientSetting), "")
    return policy_of_new(context, assistant_id)


def policy_of(context: Context, conversation: AnyConversation) -> ClientPolicy:
    """Return the policy of a conversation that exists.

    A conversation from before the server had assistants continues as it is. Clients can change it only as far as the
    default assistant allows. A conversation cannot be changed if its assistant no longer exists, or if the viewer's
    plan lacks it.
    """
    catalog = context.assistants
    if conversation.assistant is not None:
        assistant = catalog.get(conversation.assistant)
        if assistant is None:
            return ClientPolicy(frozenset(), f"the conversation's assistant {conversation.assistant} is not available")
        return _policy(assistant, assistant)
    if not catalog.is_configured:
        return ClientPolicy(catalog.clients_may_set, "this server does not let clients set it")
    if catalog.default is None:
        return ClientPolicy(frozenset(), "this server has no assistant that lets clients set it")
    return _policy(None, catalog.default)


def _policy(assistant: Assistant | None, bounds: Assistant) -> ClientPolicy:
    refusal = f"the assistant {bounds.id} does not let clients set it"
    return ClientPolicy(bounds.clients_may_set, refusal, assistant, bounds)


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """The settings of one answer, from the conversation, its assistant and the client's input."""

    model: str
    options: Json
    contribution: AssistantContribution | None


def check_allowed(context: Context, conversation: Conversation, options: GenerationOptions | None, field: str) -> None:
    """Check that a client may continue a conversation with these options.

    Args:
        context: The context of the request.
        conversation: The conversation.
        options: The options of the client for the answer.
        field: The field of the input that names the conversation, for errors.

    Raises:
        InvalidInput: The assistant is not available, or an option must not be set.
    """
    _policy_of_continued(context, conversation, field).check_options(options, context.models.default_id)


def _policy_of_continued(context: Context, conversation: Conversation, field: str) -> ClientPolicy:
    """Return the policy of a conversation; raise InvalidInput if its assistant is not available."""
    policy = policy_of(context, conversation)
    if conversation.assistant is not None and policy.assistant is None:
        raise InvalidInput(
            field, f"must not be continued: its assistant {conversation.assistant} is not available. It can be read."
        )
    return policy


def answer_settings(
    context: Context,
    conversation: Conversation,
    question: Message,
    input_options: GenerationOptions | None,
    field: str,
) -> AnswerSettings:
    """Return the settings of an answer.

    Values that the conversation stored before the assistant forbade them have no effect.

    Args:
        context: The context of the request.
        conversation: The conversation.
        question: The message that is answered.
        input_options: The options for this answer, of the client and of the application's hooks.
        field: The field of the input that names the conversation, for errors.

    Raises:
        InvalidInput: The assistant is not available, or its instructions cannot be rendered.
    """
    policy, default_id = _policy_of_continued(context, conversation, field), context.models.default_id
    model_id = (input_options and input_options.model) or policy.model_of(conversation, default_id)
    own_options = conversation.options
    if policy.assistant is None:
        return AnswerSettings(model_id, own_options | options_to_json(input_options), None)
    if ClientSetting.OPTIONS not in policy.may_set:
        own_options = {}
    assistant_options = _supported(policy.assistant.options, context.models.known(model_id))
    options = assistant_options | own_options | options_to_json(input_options)
    return AnswerSettings(model_id, options, _contribution(context, conversation, question, policy.assistant, field))


def _supported(options: Json, model: Model) -> Json:
    """Return the options of an assistant that a model supports: clients may choose a model with fewer features."""
    supported: Json = {}
    for name, value in options.items():
        try:
            check_for_model({name: value}, model)
        except InvalidInput:
            continue
        supported[name] = value
    return supported


def _contribution(
    context: Context, conversation: Conversation, question: Message, assistant: Assistant, field: str
) -> AssistantContribution:
    viewer = context.viewer
    values = variables({"id": viewer.id, "name": viewer.name, "claims": dict(viewer.claims)}, question.context, now())
    try:
        rendered = assistant.instructions.render(values)
    except RenderError as error:
        logger.warning("The instructions of the assistant %s cannot be rendered for a user: %s", assistant.id, error)
        raise InvalidInput(
            field, f"cannot be answered: the assistant {assistant.id} does not support this user. See the server's log."
        ) from error
    variable = rendered.variable
    if conversation.system_prompt and ClientSetting.INSTRUCTIONS in assistant.clients_may_set:
        separator = "\n\n" if rendered.static or variable else ""
        variable = f"{variable}{separator}{conversation.system_prompt}"
    return AssistantContribution(
        static=rendered.static,
        variable=variable,
        tools=assistant.tools,
        conversation_tools=ClientSetting.TOOLS in assistant.clients_may_set,
        memory=assistant.memory,
        web=assistant.web,
    )
