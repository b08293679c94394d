"""The changes that `make mutants` finds in a module, and how they take effect in modules that were already imported."""

import importlib.util
import sys
import textwrap
import tomllib
from collections.abc import Callable, Generator
from pathlib import Path
from types import ModuleType

import pytest
from mutants import EQUIVALENT, MUTATED, Mutant, _modules
from mutating import Source, functions_by_file

Imported = Callable[[str, str], ModuleType]


@pytest.fixture
def imported(tmp_path: Path) -> Generator[Imported]:
    """Import a text as a module with the given name."""
    names: list[str] = []

    def import_text(name: str, text: str) -> ModuleType:
        file = tmp_path / f"{name}.py"
        file.write_text(textwrap.dedent(text))
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        names.append(name)
        spec.loader.exec_module(module)
        return module

    yield import_text
    for name in names:
        del sys.modules[name]


def texts(module: ModuleType) -> list[str]:
    return [change.text for change in Source(module, functions_by_file()).changes()]


def apply(module: ModuleType, text: str) -> None:
    source = Source(module, functions_by_file())
    assert source.apply(next(change for change in source.changes() if change.text == text))


def test_comparisons_numbers_and_statements_are_changed_and_messages_are_not(imported: Imported) -> None:
    module = imported(
        "mutated_kinds",
        '''
        def check(found: list[int], limit: int) -> None:
            """Refuse more than 2 numbers."""
            if len(found) > limit and limit != 0:
                raise ValueError(f"More than {limit + 1}.")
            found.append(1)
        ''',
    )
    head = "if len(found) > limit and limit != 0"
    assert sorted(texts(module)) == sorted([
        f"{head} -> if len(found) >= limit and limit != 0",
        f"{head} -> if len(found) > limit or limit != 0",
        f"{head} -> if len(found) > limit and limit == 0",
        f"{head} -> if len(found) > limit and limit != 1",
        "removed: raise ValueError(f'More than {limit + 1}.')",
        "removed: found.append(1)",
        "found.append(1) -> found.append(2)",
    ])  # fmt: skip


def test_a_change_takes_effect_in_functions_that_were_imported_before(imported: Imported) -> None:
    module = imported("mutated_function", "def double(number):\n    return number * 2\n")
    double = module.double
    apply(module, "return number * 2 -> return number * 3")
    assert double(5) == 15


def test_a_changed_constant_changes_the_constants_and_importers_that_depend_on_it(imported: Imported) -> None:
    module = imported("mutated_constant", "DAY = 24\nWEEK = 7 * DAY\n\ndef week():\n    return WEEK\n")
    other = imported("mutated_importer", "from mutated_constant import DAY\n\ndef day():\n    return DAY\n")
    apply(module, "DAY = 24 -> DAY = 240")
    assert (module.week(), other.day()) == (7 * 240, 240)


def test_constants_computed_by_a_changed_function_are_evaluated_again(imported: Imported) -> None:
    module = imported("mutated_maker", "def _made():\n    return 5 + 1\n\nLIMIT = _made()\n")
    apply(module, "return 5 + 1 -> return 5 - 1")
    assert module.LIMIT == 4
    text = "def _five():\n    return 5\n\ndef _made():\n    return _five() + 1\n\nLIMIT = _made()\n"
    module = imported("mutated_indirect_maker", text)
    apply(module, "return 5 -> return 6")
    assert module.LIMIT == 7


def test_executed_suites_are_recorded(imported: Imported) -> None:
    module = imported(
        "mutated_record",
        """
        def sign(number):
            if number < 0:
                return -1
            return 1
        """,
    )
    source = Source(module, functions_by_file())
    reached: list[str] = []
    source.instrument(reached.append)
    assert module.sign(1) == 1
    assert len(reached) == 1
    assert module.sign(-1) == -1
    assert len(reached) == 3


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Other versions of Python may print the same code differently.")
def test_each_change_that_is_listed_as_equivalent_is_a_change_of_the_present_code() -> None:
    listed = tomllib.loads(EQUIVALENT.read_text()).keys()
    names = {name for package, stems in MUTATED.items() for name in _modules(package, stems)}
    modules = {
        name: importlib.import_module(name) for name in sorted(names & {key.partition(":")[0] for key in listed})
    }
    found = {Mutant(name, change).key for name, module in modules.items() for change in Source(module, {}).changes()}
    assert sorted(listed - found) == [], f"Remove these keys from {EQUIVALENT.name}."
