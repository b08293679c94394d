"""Rules that keep the source readable. Each test lists every line or file that breaks its rule."""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
# rglob does not follow the package's symbolic links to the other three folders.
FOLDERS = ("src/tertulia", "schema", "resolvers", "db")
FILES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
MIGRATIONS = ROOT / "db" / "migrations"
LONGEST_FILE = 400
LONGEST_FUNCTION = 50
Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_packages_and_files_have_docstrings() -> None:
    folders = {file.parent for file in FILES if MIGRATIONS not in (file.parent, *file.parents)}
    assert_none(name(folder) for folder in folders if not (folder / "__init__.py").exists())
    assert_none(name(file) for file in FILES if ast.get_docstring(tree(file)) is None)


def test_the_package_links_to_the_folders_at_the_top() -> None:
    for linked in FOLDERS[1:]:
        assert (ROOT / "src" / "tertulia" / linked).readlink() == Path("../..", linked)


def test_files_and_functions_are_short() -> None:
    files = ((name(file), len(file.read_text(encoding="utf-8").splitlines())) for file in FILES)
    assert_none(f"{where}: {length} lines" for where, length in files if length > LONGEST_FILE)
    assert_none(f"{where}: {length} lines" for where, length in _functions() if length > LONGEST_FUNCTION)


def test_public_functions_and_classes_have_docstrings() -> None:
    # Alembic documents what `upgrade` and `downgrade` of a migration do.
    definitions = [
        (file, node)
        for file in FILES
        if MIGRATIONS not in file.parents
        for node in tree(file).body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
    ]
    assert_none(f"{name(file)}: {node.name}" for file, node in definitions if ast.get_docstring(node) is None)


def test_no_parameter_is_a_tuple_whose_items_differ_in_meaning() -> None:
    assert_none(
        f"{name(file)}: {node.name}({parameter.arg})"
        for file in FILES
        for node in ast.walk(tree(file))
        if isinstance(node, Function)
        for parameter in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        if _is_fixed_tuple(parameter.annotation)
    )


def _is_fixed_tuple(annotation: ast.expr | None) -> bool:
    """Return whether an annotation, or a member of its union, is a tuple of a fixed length."""
    if isinstance(annotation, ast.BinOp):
        return _is_fixed_tuple(annotation.left) or _is_fixed_tuple(annotation.right)
    if not isinstance(annotation, ast.Subscript) or ast.unparse(annotation.value) != "tuple":
        return False
    items = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    return not any(isinstance(item, ast.Constant) and item.value is ... for item in items)


def test_ignored_rules_are_named_with_a_reason() -> None:
    reason = re.compile(r"# noqa: [A-Z]+\d+(, [A-Z]+\d+)* - \w")
    lines = [(file, line) for file in FILES for line in file.read_text(encoding="utf-8").splitlines()]
    assert_none(f"{name(file)}: {line}" for file, line in lines if "# noqa" in line and not reason.search(line))
    assert_none(f"{name(file)}: {line}" for file, line in lines if "pyright: ignore" in line)


@cache
def tree(file: Path) -> ast.Module:
    source = file.read_text(encoding="utf-8")
    try:
        return ast.parse(source)
    except SystemError:
        # Threads that parse at the same time share a counter in Python before 3.13, which then reports a mismatch.
        return ast.parse(source)


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def assert_none(offenders: Iterable[str]) -> None:
    listed = list(offenders)
    assert not listed, "\n".join(listed)


def _functions() -> Iterator[tuple[str, int]]:
    """Yield each function and its length in lines, except migrations, which are never edited once released."""
    for file in FILES:
        for node in ast.walk(tree(file)):
            if isinstance(node, Function) and node.end_lineno is not None and MIGRATIONS not in file.parents:
                yield f"{name(file)}: {node.name}", node.end_lineno - node.lineno + 1


def test_every_rule_of_the_protocol_has_a_test() -> None:
    rules = re.findall(r"^(\d+)\. ", (ROOT / "PROTOCOL.md").read_text(), re.MULTILINE)
    names = ("test_protocol.py", "test_tools.py", "test_tool_faults.py", "test_steering.py", "test_continuation.py")
    tests = "".join((ROOT / "tests" / name).read_text() for name in names)
    assert len(rules) == 26
    assert [rule for rule in rules if f"def test_{int(rule):02}_" not in tests] == []


def test_every_scenario_is_documented() -> None:
    from tertulia.simulator.breaks import BREAKS
    from tertulia.simulator.phrases import HELP
    from tertulia.simulator.scenarios import SCENARIOS

    documented = set(re.findall(r"/simulate ([a-z-]+)", (ROOT / "docs" / "simulator.md").read_text()))
    assert documented - {"help"} == {*SCENARIOS, *BREAKS} == set(re.findall(r"`([a-z-]+)[ `]", HELP.partition(":")[2]))


def test_requirements_are_pinned_by_hash_and_name_no_index() -> None:
    for file in (ROOT / "requirements").glob("*.txt"):
        text = file.read_text()
        assert "://" not in text
        assert all("==" in line for line in text.splitlines() if re.match(r"\w", line)), file
