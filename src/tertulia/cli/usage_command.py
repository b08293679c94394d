"""The command `tertulia usage`. It imports its modules when it runs."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from tertulia.cli.running import prepare_database, print_result, read_settings, refuse


class UsageKey(StrEnum):
    """The key of a report's rows. `db.usage_reports.KEYS` has the columns."""

    USER = "user"
    GROUP = "group"
    ASSISTANT = "assistant"
    MODEL = "model"
    DAY = "day"
    MONTH = "month"


class ReportFormat(StrEnum):
    """How a report is written."""

    TABLE = "table"
    CSV = "csv"


DAY = ["%Y-%m-%d"]


def usage(
    *,
    month: Annotated[
        str | None, typer.Option(help="The month in UTC, such as 2026-11; by default the current one.")
    ] = None,
    since: Annotated[datetime | None, typer.Option(formats=DAY, help="The first day, instead of --month.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=DAY, help="The last day, instead of --month.")] = None,
    by: Annotated[
        list[UsageKey] | None,
        typer.Option(help="The key to sum by; by default users. Can be repeated: --by user --by model."),
    ] = None,
    report_format: Annotated[
        ReportFormat, typer.Option("--format", help="A table for people, or CSV for spreadsheets.")
    ] = ReportFormat.TABLE,
) -> None:
    """Report the tokens and the cost of all users: by user, group, assistant, model, day or month."""
    from tertulia.cli.usage import period_of, report_usage
    from tertulia.cli.users import CommandError

    settings = read_settings()
    try:
        period = period_of(month, since, until)
    except CommandError as error:
        refuse(str(error))
    prepare_database(settings, migrates=False)
    print_result(report_usage(settings, by or [UsageKey.USER], period, report_format))
