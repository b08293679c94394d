"""The text of spreadsheets (XLSX, XLSM, XLSB, XLS, ODS) and of tables in text (CSV, TSV)."""

import csv
import itertools
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from importlib import import_module
from io import BytesIO, StringIO
from typing import Any

from tertulia.attachments.documents.errors import DAMAGED, PROTECTED, UnfitMedia
from tertulia.attachments.documents.passages import LENGTH, Passage, Unit, clean, named

MAX_CELLS = 2_000_000
"""The most cells of a spreadsheet, including empty ones between others."""
DELIMITERS = ",;\t|"
SAMPLE_LINES = 20
MAX_INTEGER = 1e15
"""Spreadsheets store numbers as floats. Larger ones are not exact."""
MIN_COLUMNS = 3
"""The fewest columns of a text that is recognized as a table without the name of one."""


def workbook_passages(data: bytes) -> Iterator[Passage]:
    """Yield the rows of all sheets, with the values of their formulas. Macros are never read."""
    calamine: Any = import_module("python_calamine")
    try:
        workbook = calamine.CalamineWorkbook.from_filelike(BytesIO(data))
        names: list[str] = workbook.sheet_names
    except calamine.PasswordError as error:
        raise UnfitMedia(PROTECTED) from error
    except Exception as error:
        # Calamine has errors for each format, some of which have no common class.
        raise UnfitMedia(DAMAGED) from error
    cells = 0
    for name in names:
        try:
            sheet = workbook.get_sheet_by_name(name)
        except calamine.WorksheetNotFound:
            continue  # A chart, which has no cells.
        except Exception as error:
            raise UnfitMedia(DAMAGED) from error
        cells += int(sheet.height) * int(sheet.width)
        if cells > MAX_CELLS:
            raise UnfitMedia(f"the spreadsheet must have at most {MAX_CELLS:,} cells.")
        first_row, first_column = sheet.start or (0, 0)
        rows = sheet.to_python(skip_empty_area=True)
        yield from _table_passages(f"sheet {named(name)}", rows, int(first_row), int(first_column))


def delimited_units(text: str, delimiter: str) -> Iterator[Unit]:
    """Yield the rows of a table in text."""
    try:
        for number, row in enumerate(csv.reader(StringIO(text, newline=""), delimiter=delimiter), start=1):
            yield Unit("", "row", number, " | ".join(row) if any(cell.strip() for cell in row) else "")
    except csv.Error as error:
        raise UnfitMedia("the table has a cell that is too long, or a quotation mark that is not closed.") from error


def delimiter_of(text: str, *, is_named_table: bool) -> str | None:
    """Return the character that separates the cells of a table in text; None if the text is no table.

    Args:
        text: The text.
        is_named_table: Whether the name of the file is that of a table, so that less regular rows are enough.
    """
    sample = list(itertools.islice((line for line in StringIO(text) if line.strip()), SAMPLE_LINES))
    best: str | None = "," if is_named_table else None
    most = 1 if is_named_table else MIN_COLUMNS - 1
    for delimiter in DELIMITERS:
        try:
            widths = {len(row) for row in csv.reader(sample, delimiter=delimiter)}
        except csv.Error:
            continue
        width = min(widths, default=0)
        if width > most and (is_named_table or (len(widths) == 1 and len(sample) >= MIN_COLUMNS)):
            best, most = delimiter, width
    return best


def _table_passages(
    section: str, rows: Sequence[Sequence[Any]], first_row: int, first_column: int
) -> Iterator[Passage]:
    waiting: list[str] = []
    size = start = end = width = 0
    for number, row in enumerate(rows, start=first_row + 1):
        cells = [_shown(cell) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            continue
        line = clean(" | ".join(cells))
        if waiting and size + len(line) > LENGTH:
            yield Passage(f"{section}, {_area(start, end, first_column, width)}", "\n".join(waiting))
            waiting, size, width = [], 0, 0
        start = start if waiting else number
        waiting.append(line)
        size, end, width = size + len(line), number, max(width, len(cells))
    if waiting:
        yield Passage(f"{section}, {_area(start, end, first_column, width)}", "\n".join(waiting))


def _area(first_row: int, last_row: int, first_column: int, width: int) -> str:
    return f"{_letters(first_column)}{first_row}:{_letters(first_column + width - 1)}{last_row}"


def _letters(column: int) -> str:
    """Return the name of a column, which is counted from 0: A to Z, AA to AZ and so on."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _shown(cell: object) -> str:
    match cell:
        case bool():
            return "TRUE" if cell else "FALSE"
        case float():
            return str(int(cell)) if cell.is_integer() and abs(cell) < MAX_INTEGER else repr(cell)
        case datetime() | date() | time():
            return cell.isoformat(" ") if isinstance(cell, datetime) else cell.isoformat()
        case timedelta():
            return str(cell)
        case _:
            return " ".join(str(cell).split())
