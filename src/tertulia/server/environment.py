"""Check the names of settings in the environment and in `.env`, so that no misspelled name is ignored."""

import difflib
import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import parse_stream

from tertulia.extras import MissingExtraError, require_extra

PREFIX = "TERTULIA_"
ENV_FILE = ".env"
ENV_FILE_VARIABLE = f"{PREFIX}ENV_FILE"
"""The variable that names another file than `.env`, which `tertulia --env-file` sets for the processes of a server."""
ENCODING = "utf-8-sig"
"""UTF-8; editors on Windows begin files with a byte order mark, which would become part of the first name."""
SIMILAR_PREFIX = 0.8
"""How similar the first word of a name must be to TERTULIA to be a misspelling of it, such as TERTULA or TERTULLIA."""
SIMILAR_NAME = 0.85
"""How similar a name in `.env` without the prefix must be to a setting to be reported."""
PROXIES = "FORWARDED_ALLOW_IPS"
"""The addresses of proxies whose `X-Forwarded-For` uvicorn trusts."""
COLLECTORS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Variables with the address of an OpenTelemetry collector."""
OF_PROVIDERS = (
    *("AWS_", "ANTHROPIC_AWS_", "ANTHROPIC_BEDROCK_"),
    *("CLOUD_ML_REGION", "GOOGLE_", "ANTHROPIC_VERTEX_", "ANTHROPIC_GOOGLE_CLOUD_"),
    *("AZURE_", "ANTHROPIC_FOUNDRY_"),
)
"""Variables of the clouds that serve Claude."""
PASSED_ON = ("OTEL_", PROXIES, *OF_PROVIDERS)
"""Variables that libraries read only from the environment. Those in `.env` are copied to it."""


class WrongSetting(Exception):
    """A setting is wrong. The message is one line with its name, its value and what would be accepted.

    Values that may contain secrets are left out.
    """


@dataclass(frozen=True, slots=True)
class Entry:
    """A variable with its value. `line` is its line in `.env`; None if it is in the environment."""

    name: str
    value: str | None
    line: int | None = None

    @property
    def location(self) -> str:
        """Where the variable is set, for an error message."""
        return "the environment" if self.line is None else f"{env_file()}, line {self.line}"


def check_names(setting_names: Iterable[str]) -> list[str]:
    """Check all names that are set in the environment and in `.env` against the names of the settings.

    Returns:
        Warnings about names in `.env` that have another prefix, or none, and resemble a setting.

    Raises:
        WrongSetting: An unknown name has the prefix of the settings, or nearly; or a name is set twice with different
            values; or `.env` cannot be read.
    """
    names = {name.casefold(): name for name in (*setting_names, ENV_FILE_VARIABLE)}
    warnings: list[str] = []
    for entries in (_environment(), read_env_file()):
        entries_by_key: dict[str, Entry] = {}
        for entry in entries:
            key = entry.name.casefold()
            if key in names:
                _refuse_contradiction(names[key], entries_by_key.setdefault(key, entry), entry)
            elif _has_prefix(entry.name):
                raise WrongSetting(_no_such_setting(entry, names))
            elif entry.name.startswith(OF_PROVIDERS):
                continue
            elif entry.line is not None and _nearest(entry.name, names, SIMILAR_NAME):
                warnings.append(_no_such_setting(entry, names))
    return warnings


def pass_on() -> None:
    """Copy the variables of `.env` that libraries read to the environment, unless they are set there."""
    for entry in read_env_file():
        if entry.name.startswith(PASSED_ON) and entry.value:
            os.environ.setdefault(entry.name, entry.value)


def collector_variable() -> str | None:
    """Return the name of the variable with the address of a trace collector; None if traces are not exported."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    return None if off else next((name for name in COLLECTORS if os.environ.get(name)), None)


def check_tracing() -> None:
    """Raise WrongSetting if traces should be exported, but OpenTelemetry's SDK is not installed."""
    variable = collector_variable()
    try:
        if variable is not None:
            require_extra("otel", "Tracing")
    except MissingExtraError as missing:
        raise WrongSetting(f"{variable}: {missing}") from None


def env_file() -> str:
    """Return the path of the file of settings: `.env`, or that of `tertulia --env-file`."""
    return os.environ.get(ENV_FILE_VARIABLE) or ENV_FILE


def read_env_file() -> list[Entry]:
    """Return the variables of `.env` in the working directory; raise WrongSetting if it cannot be read."""
    name = env_file()
    try:
        text = Path(name).read_text(encoding=ENCODING)
    except FileNotFoundError:
        if name == ENV_FILE:
            return []
        raise WrongSetting(f"--env-file: {name} does not exist.") from None
    except UnicodeDecodeError:
        raise WrongSetting(f"{name}: is not encoded in UTF-8.") from None
    except OSError as error:
        raise WrongSetting(f"{name}: cannot be read: {error.strerror}.") from None
    entries: list[Entry] = []
    for binding in parse_stream(io.StringIO(text)):
        skipped = len(binding.original.string) - len(binding.original.string.lstrip())
        line = binding.original.line + binding.original.string[:skipped].count("\n")
        if binding.error or (binding.key is not None and binding.value is None):
            # The line may contain a secret, so it is not shown.
            raise WrongSetting(f"{name}: line {line} cannot be read; it must be NAME=VALUE, with quotes closed.")
        if binding.key is not None:
            entries.append(Entry(binding.key, binding.value, line))
    return entries


def _environment() -> list[Entry]:
    return [Entry(name, value) for name, value in sorted(os.environ.items())]


def _has_prefix(name: str) -> bool:
    # In PowerShell, variables are set by `$env:NAME=...`, which python-dotenv parses as a name.
    letters = name.upper().removeprefix("$ENV:")
    first_word = next(iter("".join(letter if letter.isalnum() else " " for letter in letters).split()), "")
    prefix = PREFIX.rstrip("_")
    return first_word.startswith(prefix) or difflib.SequenceMatcher(None, first_word, prefix).ratio() >= SIMILAR_PREFIX


def _refuse_contradiction(name: str, first: Entry, second: Entry) -> None:
    if first.value != second.value:
        locations = f"as {first.name} in {first.location} and as {second.name} in {second.location}"
        raise WrongSetting(f"{name}: is set twice with different values, {locations}; keep one.")


def _no_such_setting(entry: Entry, names: Mapping[str, str]) -> str:
    where = "" if entry.line is None else f" ({entry.location})"
    suggestion = _nearest(entry.name, names, 0.6)
    return f"{entry.name}: there is no such setting{where}" + (f"; did you mean {suggestion}?" if suggestion else ".")


def _nearest(name: str, names: Mapping[str, str], similarity: float) -> str | None:
    matches = difflib.get_close_matches(name.casefold(), names, 1, similarity)
    return names[matches[0]] if matches else None
