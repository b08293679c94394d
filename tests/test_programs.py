"""A test that needs a missing program is skipped on a developer's machine, and fails in continuous integration."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from programs import NEED_ALL, ROOT, require


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A PATH with only the programs that `.ci/run` itself uses; `make` does nothing, and `id` reports a normal user."""
    for name in ("sh", "cut", "dirname"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    for name, script in (("make", "exit 0"), ("id", "echo 1000")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(NEED_ALL, raising=False)
    return tmp_path


@pytest.mark.usefixtures("bare")
def test_a_test_that_needs_a_missing_program_is_skipped_and_names_it() -> None:
    with pytest.raises(pytest.skip.Exception, match=r"needs promtool.*Debian's package is prometheus"):
        require("promtool")


@pytest.mark.usefixtures("bare")
def test_a_test_that_needs_a_missing_program_fails_if_all_programs_are_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(NEED_ALL, "1")
    with pytest.raises(pytest.fail.Exception, match=r"needs promtool.*Debian's package is prometheus"):
        require("promtool")


def test_continuous_integration_fails_and_names_the_missing_programs(bare: Path) -> None:
    for name in ("chromium", "caddy", "nginx", "node", "npm", "curl", "git", "bash"):
        (bare / name).symlink_to("/bin/true")
    run = subprocess.run([ROOT / ".ci" / "run"], env=dict(os.environ), capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "promtool prometheus" in run.stderr
    assert "caddy" not in run.stderr
