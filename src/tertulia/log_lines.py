"""Log records with fields, which the formats of `tertulia serve` write as `name=value`, or as members of JSON.

The fields are attributes of the record (`extra`), so that formatters of an embedding application find them too. Fields
never contain what users wrote: no texts, no variables, no titles, and no names of files.
"""

import logging


def log_fields(logger: logging.Logger, level: int, message: str, **fields: object) -> None:
    """Log a message with those fields that are not None. The names must not be those of a record's attributes."""
    if logger.isEnabledFor(level):
        present = {name: value for name, value in fields.items() if value is not None}
        logger.log(level, message, extra=present, stacklevel=2)
