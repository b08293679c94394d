"""Settings: unknown names and invalid values, in the environment or in `.env`, stop every command with one line."""

from pathlib import Path
from typing import Any

import pytest
from test_command import run_here


def refusal(folder: Path, *arguments: str, **environment: str) -> str:
    """Run a command that must refuse its settings; return its error line."""
    done: Any = run_here(folder, *(arguments or ("migrate",)), **environment)
    assert done.exit_code == 2, done.output
    assert done.output.count("\n") == 1, done.output
    line: str = done.output
    return line


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("TERTULIA_REGISTRATON=closed", "did you mean TERTULIA_REGISTRATION?"),
        ("TERTULIA_MONTHLY_BUDGET=5", "did you mean TERTULIA_MONTHLY_BUDGET_USD?"),
        ("tertulia_registraton=closed", "did you mean TERTULIA_REGISTRATION?"),
        ("export TERTULIA_REGISTRATON='closed'", "did you mean TERTULIA_REGISTRATION?"),
        ("TERTULIA-REGISTRATION=closed", "did you mean TERTULIA_REGISTRATION?"),
        ("TERTULIAREGISTRATION=closed", "did you mean TERTULIA_REGISTRATION?"),
        ("TERTULLIA_REGISTRATION=closed", "did you mean TERTULIA_REGISTRATION?"),
        ("$env:TERTULIA_REGISTRATION='closed'", "did you mean TERTULIA_REGISTRATION?"),
        ("TERTULIA_REGISTRATON=", "did you mean TERTULIA_REGISTRATION?"),
        ("\ufeffTERTULIA_REGISTRATON=closed", "did you mean TERTULIA_REGISTRATION?"),
        ("TERTULIA_NONSENSE=1", "there is no such setting"),
        ("TERTULIA_REGISTRATION closed", ".env: line 2 cannot be read"),
        ("TERTULIA_REGISTRATION: closed", ".env: line 2 cannot be read"),
        ("TERTULIA_REGISTRATION", ".env: line 2 cannot be read"),
        ('TERTULIA_REGISTRATION="closed', ".env: line 2 cannot be read"),
        ("TERTULIA_AUTH=local\nTERTULIA_AUTH=password", "TERTULIA_AUTH: is set twice"),
        ("TERTULIA_AUTH=local\ntertulia_auth=password", "TERTULIA_AUTH: is set twice"),
        ("TERTULIA_REGISTRATION=", "TERTULIA_REGISTRATION: got ''"),
        ("TERTULIA_REGISTRATION=close", "TERTULIA_REGISTRATION: got 'close'"),
    ],
)
def test_an_invalid_line_of_the_env_file_is_refused(tmp_path: Path, line: str, says: str) -> None:
    mark = "\ufeff" if line.startswith("\ufeff") else ""
    (tmp_path / ".env").write_text(f"{mark}\n{line.removeprefix(mark)}\n", encoding="utf-8")
    assert says in refusal(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "TERTULIA_REGISTRATON",
        "tertulia_registraton",
        "Tertulia_Registraton",
        "TERTULLIA_REGISTRATION",
        "TERTULIA__AUTH",
    ],
)
def test_a_misspelled_name_in_the_environment_is_refused(tmp_path: Path, name: str) -> None:
    line = refusal(tmp_path, **{name: "closed"})
    assert line.startswith(f"{name}: there is no such setting; did you mean TERTULIA_")


def test_doctor_reports_a_misspelled_name_in_the_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("\n\nTERTULIA_MONTHLY_BUDGET=5\n")
    done = run_here(tmp_path, "doctor")
    assert (done.exit_code, "TERTULIA_MONTHLY_BUDGET_USD" in done.output, ".env, line 3" in done.output) == (
        1,
        True,
        True,
    )


@pytest.mark.parametrize(
    "line",
    [
        "TERTULIA_LOG_LEVEL=loud",
        "export TERTULIA_LOG_LEVEL=loud",
        "tertulia_log_level='loud'",
        '  TERTULIA_LOG_LEVEL = "loud"  # a comment',
        "\ufeffTERTULIA_LOG_LEVEL=loud",
        "TERTULIA_LOG_LEVEL=loud\r\nTERTULIA_LOG_LEVEL=loud",
        "NAME_OF_ANOTHER_PROGRAM=1\n# a comment\nTERTULIA_LOG_LEVEL=loud",
    ],
)
def test_every_valid_form_of_a_line_in_the_env_file_is_read(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_bytes(line.encode())
    assert refusal(tmp_path).startswith("TERTULIA_LOG_LEVEL: got 'loud'")


def test_the_environment_overrides_the_env_file_even_with_an_empty_value(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REDIS_URL=nonsense\nTERTULIA_LOG_LEVEL=loud\n")
    assert run_here(tmp_path, "migrate", REDIS_URL="", TERTULIA_LOG_LEVEL="info").exit_code == 0


def test_an_unreadable_env_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("TERTULIA_REGISTRATION=closed".encode("utf-16"))
    assert refusal(tmp_path) == ".env: is not encoded in UTF-8.\n"
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()
    assert refusal(tmp_path).startswith(".env: cannot be read")


def test_a_refused_line_of_the_env_file_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ANTHROPIC_API_KEY: sk-ant-secret\n")
    assert "sk-ant-secret" not in refusal(tmp_path)


def test_a_name_in_the_env_file_that_resembles_a_setting_without_prefix_is_reported(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URI=postgresql://db/tertulia\nPOSTGRES_PASSWORD=x\n")
    done = run_here(tmp_path, "doctor")
    assert (done.exit_code, "did you mean DATABASE_URL?" in done.output, "POSTGRES" in done.output) == (1, True, False)
