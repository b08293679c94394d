"""`tertulia import`: the counterpart of `tertulia export`."""

import json
from pathlib import Path

import pytest
from client import Api, Json
from media import image
from test_attachments import uploaded
from test_command import run_here
from test_transfer import CLAUDE_AI_EXPORT, archived, export, without_ids
from typer.testing import Result

from tertulia.db import metadata
from tertulia.transfer import importer


@pytest.fixture
def exported(api: Api) -> list[str]:
    """The lines of an export: the header, a conversation, an attachment and two messages."""
    sent = api.send("What is it?", attachmentIds=[uploaded(api, image(), "red.png")])
    api.follow(sent["generation"]["id"])
    return export(api, f"/export/{sent['conversation']['id']}").decode().splitlines()


class Importing:
    """Runs the command on the database of a running server."""

    def __init__(self, folder: Path, place: Json) -> None:
        self._folder = folder
        self._settings = {name.upper(): str(value) for name, value in place.items()}

    def __call__(self, content: str | bytes, *options: str, user: str = "local") -> Result:
        file = self._folder / "export"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        variables = {**self._settings, "TERTULIA_ATTACHMENTS": str(self._folder / "files")}
        return run_here(self._folder, "import", user, "export", *options, **variables)


@pytest.fixture
def importing(tmp_path: Path, place: Json) -> Importing:
    return Importing(tmp_path, place)


@pytest.mark.both
def test_an_export_is_imported_once_and_a_wrong_one_not_at_all(
    fresh: Api, exported: list[str], importing: Importing
) -> None:
    whole = "\n".join(exported)
    wrong = importing("\n".join([*exported[:-1], exported[-1].replace('"assistant"', '"system"')]))
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "FILE: export: " in wrong.stderr
    assert "line 5: role" in wrong.stderr
    checked = importing(whole, "--dry-run")
    assert checked.stdout == (
        "The file is valid. It contains 1 conversations with 2 messages and 1 attachments, and 0 memories. "
        "Nothing was stored.\n"
    )
    assert without_ids(export(fresh)) == []
    first = importing(whole)
    assert first.stdout == "Imported 1 conversations with 2 messages and 1 attachments, and 0 memories.\n"
    assert first.stderr.startswith("Database: ")
    after = without_ids(export(fresh))
    assert after == without_ids(whole.encode())
    assert "Skipped 1 conversations that the user has already." in importing(whole).stdout
    # An export of the copy contains the same conversation.
    assert "Skipped 1 conversations" in importing(export(fresh)).stdout
    assert without_ids(export(fresh)) == after


def test_an_interrupted_import_continues_when_it_is_repeated(
    fresh: Api, exported: list[str], importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(importer, "ITEMS_AT_ONCE", 1)
        broken.setattr(metadata, "add", break_off)
        assert importing("\n".join(exported)).exit_code != 0
    assert importing("\n".join(exported)).stdout.startswith("Imported 1 conversations with 2 messages")
    assert without_ids(export(fresh)) == without_ids("\n".join(exported).encode())


def test_claudes_export_is_imported_once(fresh: Api, importing: Importing) -> None:
    archive = archived(json.dumps(CLAUDE_AI_EXPORT).encode())
    expected = (
        "Imported 2 conversations with 5 messages and 0 attachments, and 0 memories. "
        "Left out 1 content blocks that exist only in the other service.\n"
    )
    assert importing(archive).stdout == expected
    lines = len(export(fresh).splitlines())
    assert "Skipped 2 conversations" in importing(archive).stdout
    assert len(export(fresh).splitlines()) == lines


def test_a_missing_user_or_file_is_refused(fresh: Api, importing: Importing, tmp_path: Path, place: Json) -> None:
    missing = importing("", user="nobody")
    assert (missing.exit_code, "USER: there is no user named 'nobody'" in missing.stderr) == (2, True)
    assert "FILE: export: `file` must not be empty." in importing("").stderr
    done = run_here(tmp_path, "import", "local", "nowhere.jsonl", DATABASE_URL=place["database_url"])
    assert (done.exit_code, "FILE: cannot read nowhere.jsonl: No such file" in done.stderr) == (2, True)
    assert without_ids(export(fresh)) == []
