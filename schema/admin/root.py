"""The GraphQL type of `Query.admin`."""

from tertulia.resolvers.admin import audit, generations, operations, reading, root
from tertulia.resolvers.admin import usage as usages
from tertulia.resolvers.admin import users as accounts
from tertulia.schema.admin.audit import AdminAuditConnection
from tertulia.schema.admin.generations import AdminGenerationConnection
from tertulia.schema.admin.operations import (
    AdminAssistant,
    AdminSetting,
    AdminToolServer,
    AdminWebhook,
    AdminWebhookEvent,
)
from tertulia.schema.admin.usage import AdminLimitHits, AdminOverview, AdminUsage, ServerBudget
from tertulia.schema.admin.users import AdminUser, AdminUserConnection
from tertulia.schema.declare import field, graphql_type
from tertulia.schema.tools import ToolUsage


@graphql_type(root.Admin)
class Admin:
    """The data of the whole server for its operators. No field returns text of users."""

    overview: AdminOverview = field(usages.overview)
    users: AdminUserConnection = field(accounts.users)
    user: AdminUser | None = field(accounts.user)
    may_read: bool = field(reading.may_read)
    plans: list[str] = field(root.plans)
    usage: list[AdminUsage] = field(usages.usage)
    budgets: list[ServerBudget] = field(usages.budgets)
    limit_hits: list[AdminLimitHits] = field(usages.limit_hits)
    answers: AdminGenerationConnection = field(generations.answers)
    failures: AdminGenerationConnection = field(generations.failures)
    audit_log: AdminAuditConnection = field(audit.audit_log)
    audit_days: float | None = field(operations.audit_days)
    webhooks: list[AdminWebhook] = field(operations.webhooks)
    webhook_failures: list[AdminWebhookEvent] = field(operations.webhook_failures)
    tool_servers: list[AdminToolServer] = field(operations.tool_servers)
    tool_usage: list[ToolUsage] = field(operations.tool_usage)
    assistants: list[AdminAssistant] = field(operations.assistants)
    settings: list[AdminSetting] = field(operations.settings)
