"""`tertulia usage`: report who has used how much, directly from the database."""

import csv
import io
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from tertulia.cli.usage_command import ReportFormat, UsageKey
from tertulia.cli.users import CommandError
from tertulia.db.database import Database
from tertulia.db.ledger import Period, month_of
from tertulia.db.tables import now
from tertulia.db.usage_reports import TOKENS, ReportedUsage, columns_of, usage_report
from tertulia.server.settings import Settings

MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
SUMS = ("requests", *TOKENS, "cost_usd", "unpriced_requests")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a cell begins that a spreadsheet may run as a formula."""


def period_of(month: str | None, since: datetime | None, until: datetime | None) -> Period:
    """Return the period of a report: a month, or days of which both are included, or else the current month. In UTC.

    Raises:
        CommandError: The month or the days are wrong.
    """
    if month is not None and (since is not None or until is not None):
        raise CommandError("--month: cannot be used with --since or --until.")
    if since is not None and until is not None and until < since:
        raise CommandError(f"--until: must not be before --since, {since.date()}.")
    if since is None and until is None:
        if month is not None and not MONTH.fullmatch(month):
            raise CommandError(f"--month: must be a month such as 2026-11, not {month!r}.")
        return Period(*month_of(now() if month is None else datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)))
    end = None if until is None or until.date() == date.max else _midnight(until.date()) + timedelta(days=1)
    return Period(None if since is None else _midnight(since.date()), end)


async def report_usage(
    settings: Settings, keys: Sequence[UsageKey], period: Period, report_format: ReportFormat
) -> str:
    """Return the usage of all users in a period.

    Args:
        settings: The settings of the server.
        keys: The keys to sum by.
        period: The period.
        report_format: The format of the report.
    """
    keys = list(dict.fromkeys(keys))
    database = Database(settings.database_url)
    try:
        async with database.read() as session:
            rows = await usage_report(session, keys, period)
    finally:
        await database.close()
    header = [*columns_of(keys), *SUMS]
    cells = [[*row.keys.values(), *_sums(row)] for row in rows]
    if report_format is ReportFormat.CSV:
        return write_csv([header, *cells])
    if not rows:
        return "There is no usage in this period."
    total = ["total", *[""] * (len(columns_of(keys)) - 1), *_sums(_total(rows))]
    return write_table([header, *cells, total], len(columns_of(keys)))


def write_csv(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as CSV (RFC 4180). Cells that a spreadsheet may run as a formula begin with an apostrophe."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([_unformula(cell) for cell in row] for row in rows)
    return file.getvalue().removesuffix("\n")


def write_table(rows: Sequence[Sequence[str]], names: int) -> str:
    """Return rows as aligned text. The first `names` columns contain names, and the others numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index < names else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _sums(row: ReportedUsage) -> list[str]:
    return [
        str(row.requests),
        *(str(row.tokens[name]) for name in TOKENS),
        f"{row.cost_usd:f}",
        str(row.unpriced_requests),
    ]


def _total(rows: Sequence[ReportedUsage]) -> ReportedUsage:
    return ReportedUsage(
        {},
        sum(row.requests for row in rows),
        {name: sum(row.tokens[name] for row in rows) for name in TOKENS},
        sum((row.cost_usd for row in rows), Decimal(0)),
        sum(row.unpriced_requests for row in rows),
    )


def _unformula(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
