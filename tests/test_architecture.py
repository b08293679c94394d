"""What a reader may rely on: docstrings on packages, short files and functions, no ignores without a reason."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("tertulia", "schema", "resolvers", "claude", "streams", "db", "server")
FILES = sorted(file for package in PACKAGES for file in (ROOT / package).glob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 50


@pytest.mark.parametrize("package", [*PACKAGES, "web"])
def test_a_package_says_what_lives_there(package: str) -> None:
    assert ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text()))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_file_can_be_read_in_a_sitting(file: Path) -> None:
    source = file.read_text()
    tree = ast.parse(source)
    assert ast.get_docstring(tree), "no docstring"
    assert len(source.splitlines()) <= LONGEST_FILE
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_what_is_public_has_a_docstring(file: Path) -> None:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_an_ignore_names_its_rule_and_its_reason(file: Path) -> None:
    for line in file.read_text().splitlines():
        assert "pyright: ignore" not in line
        if "# noqa" in line:
            assert re.search(r"# noqa: [A-Z]+\d+(, [A-Z]+\d+)* - \w", line), line


def test_every_rule_of_the_protocol_has_a_test() -> None:
    rules = re.findall(r"^(\d+)\. ", (ROOT / "PROTOCOL.md").read_text(), re.MULTILINE)
    names = ("test_protocol.py", "test_tools.py", "test_tool_faults.py")
    tests = "".join((ROOT / "tests" / name).read_text() for name in names)
    assert len(rules) == 21
    assert [rule for rule in rules if f"def test_{int(rule):02}_" not in tests] == []


def test_every_scenario_is_documented() -> None:
    from claude.simulator_answers import SCENARIOS

    documented = set(re.findall(r"/simulate ([a-z-]+)", (ROOT / "docs" / "simulator.md").read_text()))
    assert documented - {"help"} == set(SCENARIOS) - {"help"}


def test_requirements_are_pinned_by_hash_and_name_no_index() -> None:
    for file in (ROOT / "requirements").glob("*.txt"):
        text = file.read_text()
        assert "://" not in text
        assert all("==" in line for line in text.splitlines() if re.match(r"\w", line)), file
