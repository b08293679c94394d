"""The tools of this image. All public functions of `__all__` are tools: docs/tools.md."""

from xlsxwriter.utility import xl_col_to_name

__all__ = ["spreadsheet_column"]


def spreadsheet_column(number: int) -> str:
    """Return the letters of a column of a spreadsheet, such as AB.

    Args:
        number: The column, counted from 1.
    """
    return str(xl_col_to_name(number - 1))
