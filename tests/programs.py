"""The programs and installed files that only some tests need. Run as a script, it lists the missing programs.

A test declares what it needs: `@pytest.mark.needs("chromium", "tests/node")`. If something is missing, the test is
skipped; with TERTULIA_TESTS_NEED_ALL=1, as in `.ci/run`, it fails.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parent.parent
NEED_ALL = "TERTULIA_TESTS_NEED_ALL"
PACKAGES = {
    "bash": "bash",
    "caddy": "caddy",
    "chromium": "chromium-headless-shell",
    "curl": "curl",
    "git": "git",
    "nginx": "nginx-light",
    "node": "nodejs",
    "npm": "npm",
    "promtool": "prometheus",
    "setpriv": "util-linux",
    "systemd-analyze": "systemd",
}
"""Each program, and the Debian package that installs it."""
if sys.version_info >= (3, 13):
    # requirements/test.txt has a wheel with redis-server only for Python versions before 3.13.
    PACKAGES["redis-server"] = "redis-server"
FILES = {
    "tests/node": (ROOT / "tests/node/node_modules/.package-lock.json", "`npm ci` in tests/node"),
    "node_modules": (ROOT / "node_modules/.package-lock.json", "`npm ci` at the root"),
    "deploy": (ROOT / ".venv/deploy.done", "`make .venv/deploy.done`"),
    "page": (ROOT / "src/tertulia/web/build/index.html", "`make page`"),
}
"""Files that `make test` installs or builds if npm is available, and the command that does so by hand."""
# First Chromium without its user interface, which takes half the CPU time.
ALIASES = {"chromium": ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")}


def find_program(name: str) -> str | None:
    """Return the path of a program, also if it is in a folder that only root has on PATH."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    paths = (shutil.which(alias, path=path) for alias in ALIASES.get(name, (name,)))
    return next((program for program in paths if program is not None), None)


def require(*names: str) -> None:
    """Skip the running test if something that it needs is missing, or fail it if TERTULIA_TESTS_NEED_ALL is set."""
    for name in names:
        if name == "Linux":
            if sys.platform != "linux":
                skip_or_fail("This test needs Linux.")
        elif name in FILES:
            file, command = FILES[name]
            if not file.is_file():
                skip_or_fail(f"This test needs {file.relative_to(ROOT)}. Run {command}.")
        elif find_program(name) is None:
            package = f" Debian's package is {PACKAGES[name]}." if name in PACKAGES else ""
            skip_or_fail(f"This test needs {name}, which is not on PATH.{package}")


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the running test, or fail it if TERTULIA_TESTS_NEED_ALL is set."""
    if os.environ.get(NEED_ALL):
        pytest.fail(f"{reason} It is not skipped because {NEED_ALL} is set.", pytrace=False)
    pytest.skip(reason)


def chromium() -> str:
    """Return the path of the browser, for a test with the mark `needs("chromium")`."""
    path = find_program("chromium")
    assert path is not None
    return path


if __name__ == "__main__":
    for name, package in PACKAGES.items():
        if find_program(name) is None:
            print(name, package)
