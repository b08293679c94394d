"""The answers of all users, without their content, and how operators stop one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from strawberry import ID

from tertulia.claude.errors import GenerationError
from tertulia.db.admin import generations as rows
from tertulia.db.admin.generations import AnswerSummary
from tertulia.db.identities import Action
from tertulia.db.ledger import UsageSum
from tertulia.db.paging import Connection, Edge, Page
from tertulia.db.tables import Generation, Status
from tertulia.resolvers.admin.access import audit, require_operator
from tertulia.resolvers.admin.users import Account, AccountLoaders
from tertulia.resolvers.arguments import After, Before, First, Last, argument
from tertulia.resolvers.context import Context, Info, as_uuid
from tertulia.resolvers.errors import BadUserInput, NotFound

OfUser = Annotated[ID | None, argument("The id of the only user to list. Null lists all users.")]


@dataclass(frozen=True, slots=True)
class AdminAnswer:
    """An answer as operators see it."""

    id: UUID
    user: Account
    conversation_id: UUID
    assistant_id: str | None
    model_id: str
    status: Status
    error: GenerationError | None
    usage: UsageSum | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class AdminGenerationPayload:
    """The stopped answer."""

    generation: AdminAnswer


async def answers(
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    user_id: OfUser = None,
) -> Connection[AdminAnswer]:
    """The answers that are being written, wait for results of tools or are queued, newest first.

    A page has at most 100 answers, and 50 by default.
    """
    page, owner = Page(first, after, last, before), id_of_user(user_id)
    async with info.context.read() as session:
        return _answers(info.context, await rows.unfinished(session, page, owner))


async def failures(
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    user_id: OfUser = None,
) -> Connection[AdminAnswer]:
    """The answers that have failed, newest first, except those of deleted conversations.

    A page has at most 100 answers, and 50 by default.
    """
    page, owner = Page(first, after, last, before), id_of_user(user_id)
    async with info.context.read() as session:
        return _answers(info.context, await rows.failed(session, page, owner))


async def admin_stop_generation(
    info: Info, id: Annotated[ID, argument("The id of the answer, from `Admin.answers`.")]
) -> AdminGenerationPayload:
    """Stop an answer of any user, on whichever replica it is written. The text written until then is kept.

    If the answer has already ended, its final state is returned.

    - `NotFound`: There is no such answer.
    - `Forbidden`: The viewer is not an operator.
    """
    context, generation_id = require_operator(info), as_uuid(id)
    async with context.database.write() as session:
        found = None if generation_id is None else await rows.find(session, generation_id)
        if found is None:
            raise NotFound(id, "answer")
        if found.row.finished_at is None:
            await audit(session, context, Action.GENERATION_STOPPED, found.user, generation=str(found.row.id))
    await context.generation_manager.stop(found.row.id)
    async with context.database.read() as session:
        stopped = await rows.find(session, found.row.id)
    return AdminGenerationPayload(_answer(stopped or found, AccountLoaders(context)))


def id_of_user(text: str | None) -> UUID | None:
    """Return the id of a user that an argument names; raise BadUserInput if it is not an id."""
    if text is None:
        return None
    user_id = as_uuid(text)
    if user_id is None:
        raise BadUserInput("userId", "must be the id of a user.")
    return user_id


def _answers(context: Context, found: Connection[AnswerSummary]) -> Connection[AdminAnswer]:
    loaders = AccountLoaders(context)
    return Connection([Edge(edge.cursor, _answer(edge.node, loaders)) for edge in found.edges], found.page_info)


def _answer(summary: AnswerSummary, loaders: AccountLoaders) -> AdminAnswer:
    row = summary.row
    return AdminAnswer(
        row.id,
        Account(summary.user, loaders),
        row.conversation_id,
        summary.assistant,
        row.model,
        row.status,
        None if row.error is None else GenerationError.from_json(row.error),
        _usage(row),
        row.created_at,
        row.started_at,
        row.finished_at,
    )


def _usage(row: Generation) -> UsageSum | None:
    """Return the usage of an answer; None if it is not known yet."""
    if row.input_tokens is None or row.output_tokens is None:
        return None
    cached = row.cache_read_tokens or 0, row.cache_write_tokens or 0
    return UsageSum(row.input_tokens, row.output_tokens, *cached, row.amount)
