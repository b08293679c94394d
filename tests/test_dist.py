"""The wheel and the sdist of `make dist`, used outside of the repository."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import httpx2
import pytest
from packaging.requirements import Requirement
from running import read_until

import tertulia as package
from tertulia.extras import MODULES

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a wheel and an sdist, built from a copy of the sources with the vendored files."""
    copy, built = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("dist")
    for name in ("src", "schema", "resolvers", "db", "web/packages/stream", "web/vendor.py"):
        source, target = ROOT / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "node_modules")
            shutil.copytree(source, target, symlinks=True, ignore=ignored)
        else:
            shutil.copyfile(source, target)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, copy / name)
    subprocess.run([sys.executable, copy / "web" / "vendor.py"], check=True)
    # The backend changes sys.argv.
    program = (
        "import sys; from setuptools import build_meta as b; to = sys.argv[1]; b.build_sdist(to); b.build_wheel(to)"
    )
    subprocess.run([sys.executable, "-c", program, built], cwd=copy, check=True, capture_output=True)
    return built


def names(archive: Path) -> set[str]:
    """Return the names of the files in an archive, without the top folder of an sdist."""
    if archive.suffix == ".whl":
        return set(zipfile.ZipFile(archive).namelist())
    with tarfile.open(archive) as opened:
        return {name.partition("/")[2] for name in opened.getnames()}


def test_the_wheel_puts_one_package_into_site_packages(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    tops = {name.partition("/")[0] for name in names(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tertulia"}
    wanted = {"py.typed", "schema/root.py", "db/migrations/env.py", "web/building.html", "web/stream.js"}
    wanted |= {"web/vendor/openapi/swagger-ui-bundle.js", "web/vendor/openapi/LICENSE"}
    assert {f"tertulia/{name}" for name in wanted} - names(wheel) == set()


def test_the_sdist_has_all_files_of_the_wheel(dist: Path) -> None:
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    files = {name for name in names(wheel) if ".dist-info/" not in name}
    assert {f"src/{name}" for name in files} - names(sdist) == set()


def test_the_wheel_lists_the_extras_and_requires_none_of_them(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    (metadata,) = (name for name in names(wheel) if name.endswith(".dist-info/METADATA"))
    message = message_from_string(zipfile.ZipFile(wheel).read(metadata).decode())
    assert set(message.get_all("Provides-Extra", [])) == {*MODULES, "all"}
    required = [Requirement(line) for line in message.get_all("Requires-Dist", [])]
    base = {requirement.name for requirement in required if requirement.marker is None}
    for extra in MODULES:
        added = {
            requirement.name
            for requirement in required
            if requirement.marker is not None and requirement.marker.evaluate({"extra": extra})
        }
        assert added - base, f"the extra {extra} adds nothing to the base installation"


@pytest.fixture
def installed(dist: Path, tmp_path: Path) -> Path:
    (wheel,) = dist.glob("*.whl")
    target = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(target)
    return target


def test_an_installed_wheel_serves_its_pages(installed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TERTULIA_", "ANTHROPIC_"))}
    environment = inherited | {"PYTHONPATH": str(installed), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "tertulia", "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            printed = read_until(process, "Ctrl+C")
            address = re.findall(r"http://[\d.]+:\d+", printed)[0]
            pages = ["/", "/admin", "/plain", "/graphql", "/sandbox", "/diagrams", "/docs", "/redoc"]
            for page in pages:
                text = httpx2.get(address + page, headers={"accept": "text/html"}).raise_for_status().text
                for asset in re.findall(r'(?:src|href)="(assets/[^"]+)"', text):
                    assert httpx2.get(f"{address}/{asset}").status_code == 200, asset
            code = "import tertulia; print(tertulia.__file__)"
            imported = subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
            )
            assert imported.stdout.startswith(str(installed))
        finally:
            process.terminate()
            process.wait(60)


def test_the_command_prints_its_version() -> None:
    command = [sys.executable, "-m", "tertulia", "--version"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    pinned = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert printed.strip() == package.__version__ == pinned
