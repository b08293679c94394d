"""The commands of `tertulia chat`, which begin with a slash and are not sent to Claude."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from tertulia.cli.terminal import operations
from tertulia.cli.terminal.answer import Kind, usage_text
from tertulia.cli.terminal.conversation import YES, Conversation, title_of
from tertulia.cli.terminal.server import RefusedError

LISTED = 20
EFFORTS = ("low", "medium", "high", "xhigh", "max")
DEFAULT = "default"
KEYS = (
    ("Enter", "sends the message"),
    ("Alt+Enter, or \\ and Enter", "begins a new line"),
    ("↑ ↓, Ctrl+R", "return to earlier messages, and search them"),
    ("Ctrl+X Ctrl+E", "opens the message in $EDITOR"),
    ("Ctrl+C", "stops an answer; at the prompt, clears the message"),
    ("Ctrl+D", "exits"),
)


class ExitChat(Exception):
    """The user wants to exit."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command.

    Attributes:
        name: The word with which it begins, such as `/help`.
        argument: What may follow, for the help.
        purpose: A phrase for the help.
        run: Runs the command with its argument, which is empty if there is none.
    """

    name: str
    argument: str
    purpose: str
    run: Callable[[Conversation, str], Awaitable[None]]


def command_of(text: str, *, is_simulated: bool) -> tuple[Command, str] | str:
    """Return the command in a text with its argument, or the message to send.

    Args:
        text: What the user has written.
        is_simulated: Whether the simulated Claude answers, which understands messages that begin with `/simulate`.

    Raises:
        RefusedError: There is no such command.
    """
    if not text.startswith("/"):
        return text
    if text.startswith("//"):
        return text[1:]
    name, _, argument = text.strip().partition(" ")
    if name == "/simulate" and is_simulated:
        return text
    if (command := BY_NAME.get(name)) is not None:
        return command, argument.strip()
    close = get_close_matches(name, BY_NAME, 1)
    hint = f"Did you mean {close[0]}? " if close else ""
    raise RefusedError(
        f"{name} is not a command, and was not sent. {hint}/help lists all commands. "
        "To send a text that begins with a slash, begin it with two."
    )


async def _help(chat: Conversation, _argument: str) -> None:
    commands = [(f"{command.name} {command.argument}".strip(), command.purpose) for command in COMMANDS]
    rows = [*commands, ("//TEXT", "sends a text that begins with a slash"), *KEYS]
    width = max(len(name) for name, _ in rows)
    chat.screen.say("\n".join(f"{name:{width}}  {purpose}" for name, purpose in rows), Kind.TEXT)


async def _quit(_chat: Conversation, _argument: str) -> None:
    raise ExitChat


async def _new(chat: Conversation, _argument: str) -> None:
    chat.begin_new(None)
    chat.screen.say("The next message begins a new conversation.")


async def _open(chat: Conversation, argument: str) -> None:
    if argument.count("-") == 4 and " " not in argument:  # noqa: PLR2004 - a UUID
        await chat.open(argument)
        return
    number = int(argument) if argument.isdecimal() else None
    words = {"titleContains": argument} if argument and number is None else None
    data = await chat.server.execute(operations.CONVERSATIONS, first=LISTED, filter=words)
    nodes = [edge["node"] for edge in data["conversations"]["edges"]]
    if number is not None:
        if not 1 <= number <= len(nodes):
            raise RefusedError(
                f"The number must be from 1 to {len(nodes)}." if nodes else "There are no conversations."
            )
        await chat.open(nodes[number - 1]["id"])
    elif len(nodes) == 1 and words:
        await chat.open(nodes[0]["id"])
    elif nodes:
        listed = "\n".join(f"{place:2}  {_date(node)}  {title_of(node)}" for place, node in enumerate(nodes, 1))
        usage = (
            "/open WORDS opens or lists those with these words in their title." if words else "/open NUMBER opens one."
        )
        chat.screen.say(listed, Kind.TEXT)
        chat.screen.say(usage, Kind.HINT)
    else:
        raise RefusedError("No title contains these words." if words else "There are no conversations.")


def _date(node: dict[str, Any]) -> str:
    return f"{datetime.fromisoformat(node['updatedAt']).astimezone():%Y-%m-%d %H:%M}"


async def _resume(chat: Conversation, _argument: str) -> None:
    await _find_running(chat)
    await chat.follow()


async def _find_running(chat: Conversation) -> None:
    """Select the answer that is being written, which another client may have requested."""
    if chat.node is None:
        raise RefusedError("There is no conversation yet.")
    conversation = (await chat.server.execute(operations.CONVERSATION, id=chat.node["id"], last=1))["conversation"]
    if conversation is not None and conversation["activeGeneration"] is not None:
        chat.generation = conversation["activeGeneration"]


async def _model(chat: Conversation, argument: str) -> None:
    if not argument:
        current = chat.model or {}
        rows = [
            f"{'*' if model['id'] == current.get('id') else ' '} {model['id']}  {model['displayName']}"
            for model in chat.models
        ]
        chat.screen.say("\n".join(rows), Kind.TEXT)
        chat.screen.say("/model ID chooses one.", Kind.HINT)
        return
    _check_choice("model", argument, [model["id"] for model in chat.models])
    if chat.node is None:
        chat.choices.model = argument
    else:
        await _update(chat, model=argument)
        chat.choices.model = None
    chat.screen.say(f"{(chat.model or {}).get('displayName', argument)} answers from now on.")


async def _effort(chat: Conversation, argument: str) -> None:
    allowed = [*(effort.lower() for effort in _efforts(chat)), DEFAULT]
    if not argument:
        current = (chat.choices.effort or DEFAULT).lower()
        chat.screen.say(f"The effort is {current}. /effort accepts {', '.join(allowed)}.")
        return
    _check_choice("effort", argument.lower(), allowed)
    chat.choices.effort = None if argument.lower() == DEFAULT else argument.upper()
    chat.screen.say(f"The effort is {argument.lower()} from now on.")


def _efforts(chat: Conversation) -> Iterable[str]:
    current = (chat.model or {}).get("id")
    supported = next((model["efforts"] for model in chat.models if model["id"] == current), None)
    return EFFORTS if supported is None else supported


async def _assistant(chat: Conversation, argument: str) -> None:
    if not argument:
        show_assistants(chat)
        return
    _check_choice("assistant", argument, [assistant["id"] for assistant in chat.assistants])
    chat.begin_new(argument)
    chat.screen.say(f"The next message begins a new conversation with the assistant {argument}.")


def show_assistants(chat: Conversation) -> None:
    """List the assistants that the user may choose."""
    rows: list[str] = []
    for assistant in chat.assistants:
        name = f"{assistant['name']} (default)" if assistant["isDefault"] else assistant["name"]
        description = f": {assistant['description']}" if assistant["description"] else ""
        rows.append(f"{assistant['id']}  {name}{description}")
    chat.screen.say("\n".join(rows) or "This server has no assistants that you may use.", Kind.TEXT)


async def _attach(chat: Conversation, argument: str) -> None:
    if not argument:
        names = ", ".join(attachment["filename"] for attachment in chat.choices.attachments)
        chat.screen.say(f"Attached to the next message: {names or 'nothing'}. /attach PATH adds a file.")
        return
    # Terminals quote the path of a file that is dropped on them, or escape its spaces.
    path = argument.strip("'\"").replace("\\ ", " ")
    attachment = await chat.server.upload(path)
    chat.choices.attachments.append(attachment)
    chat.screen.say(f"{attachment['filename']} is attached to the next message. /detach removes it.")


async def _detach(chat: Conversation, _argument: str) -> None:
    chat.choices.attachments = []
    chat.screen.say("Nothing is attached to the next message.")


async def _retry(chat: Conversation, _argument: str) -> None:
    await chat.retry()


async def _stop(chat: Conversation, _argument: str) -> None:
    await _find_running(chat)
    await chat.stop()


async def _title(chat: Conversation, argument: str) -> None:
    if chat.node is None:
        raise RefusedError("There is no conversation yet.")
    if argument:
        await _update(chat, title=argument)
    chat.screen.say(f"The title is: {title_of(chat.node)}")


async def _delete(chat: Conversation, _argument: str) -> None:
    if chat.node is None:
        raise RefusedError("There is no conversation yet.")
    reply = await chat.reader.ask(f"Delete “{title_of(chat.node)}” with all its messages? [y/N] ")
    if (reply or "").strip().lower() not in YES:
        chat.screen.say("Nothing was deleted.")
        return
    await chat.server.mutate(operations.DELETE, id=chat.node["id"])
    chat.begin_new(None)
    chat.screen.say("The conversation was deleted. The next message begins a new one.")


async def _usage(chat: Conversation, _argument: str) -> None:
    if chat.node is None:
        raise RefusedError("There is no conversation yet.")
    data = (await chat.server.execute(operations.USAGE, id=chat.node["id"]))["conversation"]
    if data is None:
        raise RefusedError("The conversation was deleted.")
    context = data["context"]
    window = f" of {context['limit']:,}" if context["limit"] else ""
    chat.screen.say(f"{usage_text(data['usage'])}. The context has {context['usedTokens']:,}{window} tokens.")


async def _update(chat: Conversation, **changes: Any) -> None:
    assert chat.node is not None
    payload = await chat.server.mutate(operations.UPDATE, input={"id": chat.node["id"], **changes})
    chat.node = payload["conversation"]


def _check_choice(name: str, value: str, allowed: list[str]) -> None:
    if value not in allowed:
        raise RefusedError(f"There is no {name} {value}. Choose one of: {', '.join(allowed) or 'none'}.")


COMMANDS = (
    Command("/help", "", "lists the commands and keys", _help),
    Command("/new", "", "begins a new conversation", _new),
    Command("/open", "[NUMBER, WORDS or ID]", "lists the conversations, or opens one", _open),
    Command("/resume", "", "follows an answer that is still being written", _resume),
    Command("/retry", "", "requests another answer to the last message", _retry),
    Command("/stop", "", "stops an answer that this terminal does not follow", _stop),
    Command("/attach", "PATH", "attaches a file to the next message", _attach),
    Command("/detach", "", "removes the attached files", _detach),
    Command("/model", "[ID]", "lists the models, or chooses one", _model),
    Command("/effort", "[LEVEL]", "shows or sets how much effort Claude puts into answers", _effort),
    Command("/assistant", "[ID]", "lists the assistants, or begins a conversation with one", _assistant),
    Command("/title", "[TEXT]", "shows or changes the title", _title),
    Command("/usage", "", "shows the tokens and the cost of the conversation", _usage),
    Command("/delete", "", "deletes the conversation", _delete),
    Command("/quit", "", "exits", _quit),
)
BY_NAME = {command.name: command for command in COMMANDS} | {"/exit": COMMANDS[-1]}


def values_of(chat: Conversation, name: str) -> list[str]:
    """Return the values of a command's argument, for completion."""
    match name:
        case "/model":
            return [model["id"] for model in chat.models]
        case "/effort":
            return [*(effort.lower() for effort in _efforts(chat)), DEFAULT]
        case "/assistant":
            return [assistant["id"] for assistant in chat.assistants]
        case _:
            return []
