"""Find small changes (mutants) in the syntax tree of a module, and apply them to the imported module.

A mutant is applied in memory: the code of the module's functions is replaced, and the constants that depend on the
change are evaluated again. No file is written.
"""

import ast
import copy
import gc
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import sqlalchemy

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
}
RENAMED = {"min": "max", "max": "min", "any": "all", "all": "any", "and_": "or_", "or_": "and_"}
REMOVED = (ast.Expr, ast.AugAssign, ast.Raise, ast.Delete, ast.Continue, ast.Break)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
TESTED = (ast.If, ast.While, ast.IfExp)
OPAQUE = (ast.JoinedStr, ast.Raise, ast.Assert, ast.ClassDef, ast.Import, ast.ImportFrom)
"""Nodes that are not changed: texts, error messages, declarations."""
UNCHANGED = ("annotation", "returns", "decorator_list", "type_params", "defaults", "kw_defaults", "ctx")
"""Fields of nodes that are evaluated only at import, or never."""
NOT_BEHAVIOR = ("logger.", "log_", "span.", "self._span_attributes")
NOT_BEHAVIOR_FUNCTIONS = ("_span_attributes",)
"""Prefixes of statements and names of functions that only report: log lines, and attributes of spans."""
Functions = dict[str, list[FunctionType]]
CONTEXT = 60
"""How many characters of a statement are shown before and after a change."""


@dataclass(frozen=True)
class Suite:
    """A list of statements that run in sequence: the body of a function, a branch or a loop."""

    name: str
    """The function and the suite's position in it, so that a change elsewhere in the file does not change the name."""
    scope: str
    statements: list[ast.stmt]


@dataclass
class Change:
    """One small change of a tree, made in place."""

    line: int
    scope: str
    """The qualified name of the function, or the name of the module's constant."""
    suite: str | None
    """The name of the suite that runs the changed code; None for a constant of the module."""
    make: Callable[[], Callable[[], None]]
    """Makes the change and returns a function that reverts it."""
    text: str = ""


class Source:
    """The syntax tree of an imported module, with its suites and possible changes in a stable order."""

    def __init__(self, module: ModuleType, functions: Functions) -> None:
        self.module = module
        self.file = str(module.__file__)
        self.functions = functions.get(self.file, [])
        self.tree = ast.parse(Path(self.file).read_text())
        self.suites = list(self._suites())

    def changes(self) -> list[Change]:
        """Return all possible changes; those with the same text are numbered."""
        suite_of = {id(statement): suite.name for suite in self.suites for statement in suite.statements}
        changes = list(_changes(self.tree, suite_of))
        same: Counter[tuple[str, str]] = Counter()
        for change in changes:
            same[change.scope, change.text] += 1
            if (number := same[change.scope, change.text]) > 1:
                change.text += f" (number {number})"
        return changes

    def _suites(self) -> Iterator[Suite]:
        in_scope: Counter[str] = Counter()
        stack: list[tuple[ast.AST, str]] = [(self.tree, "")]
        while stack:
            node, scope = stack.pop()
            stack += [(child, _scope(child, scope)) for child in ast.iter_child_nodes(node)]
            if scope and not isinstance(node, ast.ClassDef):
                for field in ("body", "orelse", "finalbody"):
                    statements = getattr(node, field, None)
                    if isinstance(statements, list) and statements:
                        in_scope[scope] += 1
                        yield Suite(f"{self.module.__name__}:{scope}#{in_scope[scope]}", scope, statements)

    def instrument(self, reached: Callable[[str], None]) -> None:
        """Make every suite call `reached` with its name when it begins."""
        before = _compiled(self.tree, self.file)
        for suite in self.suites:
            call = ast.Call(ast.Name("__reached__", ast.Load()), [ast.Constant(suite.name)], [])
            position = 1 if _is_text(suite.statements[0]) else 0
            suite.statements.insert(position, ast.copy_location(ast.Expr(call), suite.statements[0]))
        ast.fix_missing_locations(self.tree)
        self.module.__dict__["__reached__"] = reached
        _replace(before, _compiled(self.tree, self.file), self.functions)

    def apply(self, change: Change) -> bool:
        """Change the module in memory; return whether any function or constant differs."""
        for name in ("and_", "or_"):  # a change may use the one that the module does not import
            self.module.__dict__.setdefault(name, getattr(sqlalchemy, name))
        before = _compiled(self.tree, self.file)
        undo = change.make()
        after = _compiled(self.tree, self.file)
        is_changed = _replace(before, after, self.functions)
        names = self.dependents(change)
        for statement in self.tree.body:
            name, value = _constant(statement)
            if name in names and value is not None:
                code = compile(ast.fix_missing_locations(ast.Expression(value)), self.file, "eval", dont_inherit=True)
                _assign(name, self.module, eval(code, self.module.__dict__))
                is_changed = True
        undo()
        return is_changed

    def dependents(self, change: Change) -> set[str]:
        """Return the names of the module's constants whose value depends on the changed code."""
        changed = {change.scope.partition(".")[0]}
        names = set(changed) if change.suite is None else set[str]()
        # In the order of the module: what a constant calls is defined before it.
        for statement in self.tree.body:
            name, value = _constant(statement)
            code = statement if isinstance(statement, FUNCTIONS) else value
            if code is None or not changed & {node.id for node in ast.walk(code) if isinstance(node, ast.Name)}:
                continue
            changed.add(statement.name if isinstance(statement, FUNCTIONS) else name)
            if value is not None:
                names.add(name)
        return names

    def users(self, names: set[str]) -> Iterator[str]:
        """Yield the names of the suites that name one of these constants."""
        for suite in self.suites:
            for node in (part for statement in suite.statements for part in ast.walk(statement)):
                if getattr(node, "id", None) in names or getattr(node, "attr", None) in names:
                    yield suite.name
                    break


def _changes(tree: ast.Module, suite_of: dict[int, str]) -> Iterator[Change]:
    for statement in tree.body:
        name, value = _constant(statement)
        if value is not None:
            yield from _inside(statement, statement, name, None)
    stack: list[tuple[ast.AST, str]] = [(tree, "")]
    while stack:
        node, scope = stack.pop()
        stack += [(child, _scope(child, scope)) for child in reversed(list(ast.iter_child_nodes(node)))]
        if id(node) in suite_of and isinstance(node, ast.stmt):
            yield from _of_statement(node, tree, scope, suite_of[id(node)])


def _scope(node: ast.AST, scope: str) -> str:
    """Return the qualified name of a function or class; for other nodes, the scope that contains them."""
    return f"{scope}.{node.name}".lstrip(".") if isinstance(node, (*FUNCTIONS, ast.ClassDef)) else scope


def _of_statement(statement: ast.stmt, tree: ast.Module, scope: str, suite: str) -> Iterator[Change]:
    source = ast.unparse(statement)
    only_reports = source.startswith(NOT_BEHAVIOR) or scope.rpartition(".")[2] in NOT_BEHAVIOR_FUNCTIONS
    if _is_text(statement) or only_reports or _is_failpoint(source):
        return
    if isinstance(statement, REMOVED) or (isinstance(statement, ast.Return) and statement.value is None):
        yield _swap(statement, scope, suite, statement, *_position(tree, statement), ast.Pass())
    if isinstance(statement, (ast.With, ast.AsyncWith)) and all(item.optional_vars is None for item in statement.items):
        bare = ast.If(ast.Constant(value=True), statement.body, [])
        yield _swap(statement, scope, suite, statement, *_position(tree, statement), bare)
    if not isinstance(statement, (*FUNCTIONS, *OPAQUE)):
        yield from _inside(statement, statement, scope, suite)


def _inside(statement: ast.stmt, node: ast.AST, scope: str, suite: str | None) -> Iterator[Change]:
    """Yield the changes of a node's expressions, but not those of its nested statements."""
    for field, value in ast.iter_fields(node):
        if field in UNCHANGED:
            continue
        values: list[object] = value if isinstance(value, list) else [value]
        for index, child in enumerate(values):
            if not isinstance(child, ast.AST) or isinstance(child, (ast.stmt, ast.ExceptHandler, *OPAQUE)):
                continue
            position = index if isinstance(value, list) else None
            if isinstance(child, ast.keyword) and child.arg == "strict":
                continue
            for new in _variants(node, field, child):
                yield _swap(statement, scope, suite, child, node, field, position, new)
            yield from _inside(statement, child, scope, suite)


def _variants(parent: ast.AST, field: str, node: ast.AST) -> Iterator[ast.AST]:
    if type(node) in SWAPPED and not (isinstance(parent, ast.BinOp) and _joins_texts(parent)):
        yield SWAPPED[type(node)]()
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield copy.deepcopy(node.operand)  # the copy gets another position; the original must keep its own
    elif isinstance(node, ast.Name) and node.id in RENAMED and isinstance(parent, ast.Call) and field == "func":
        yield ast.Name(RENAMED[node.id], ast.Load())
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        if not isinstance(parent, ast.While):
            yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        small = isinstance(node.value, int) and node.value < 10
        yield ast.Constant(node.value + 1 if small or not node.value else node.value * 10)
    elif isinstance(parent, TESTED) and field == "test" and isinstance(node, (ast.Name, ast.Attribute, ast.Call)):
        yield ast.UnaryOp(ast.Not(), node)


def _swap(
    statement: ast.stmt, scope: str, suite: str | None, old: ast.AST, parent: ast.AST, field: str, position: int | None,
    new: ast.AST,
) -> Change:  # fmt: skip
    def put(node: ast.AST) -> None:
        if position is None:
            setattr(parent, field, node)
        else:
            getattr(parent, field)[position] = node

    def make() -> Callable[[], None]:
        put(ast.copy_location(new, old) if hasattr(old, "lineno") else new)
        ast.fix_missing_locations(parent)
        return lambda: put(old)

    change = Change(getattr(old, "lineno", getattr(parent, "lineno", statement.lineno)), scope, suite, make)
    before = _shown(statement)
    undo = make()
    change.text = _difference(before, "" if statement is old else _shown(statement))
    undo()
    return change


def _shown(statement: ast.stmt) -> str:
    """Return a statement on one line; for a compound statement, only its header."""
    text = ast.unparse(statement)
    if isinstance(statement, (ast.If, ast.While, ast.For, ast.AsyncFor, ast.With, ast.AsyncWith, ast.Try, ast.Match)):
        text = text.partition(":\n")[0]
    return " ".join(text.split())


def _difference(before: str, after: str) -> str:
    """Return a change with some of its surrounding text."""
    if not after:
        return f"removed: {before[: 2 * CONTEXT]}"
    start = next((i for i, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), 0)
    start = max(start - CONTEXT, 0)
    return f"{before[start : start + 2 * CONTEXT]} -> {after[start : start + 2 * CONTEXT]}"


def _position(tree: ast.Module, statement: ast.stmt) -> tuple[ast.AST, str, int]:
    for node in ast.walk(tree):
        for field, value in ast.iter_fields(node):
            if isinstance(value, list) and any(item is statement for item in value):
                return node, field, [item is statement for item in value].index(True)
    raise LookupError(statement)


def _constant(statement: ast.stmt) -> tuple[str, ast.expr | None]:
    """Return the name and the value of a constant of the module."""
    target = None
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    if not isinstance(target, ast.Name) or not target.id.isupper():
        return "", None
    assert isinstance(statement, (ast.Assign, ast.AnnAssign))
    declares = statement.value is None or "Failpoint(" in ast.unparse(statement.value)
    return target.id, None if declares else statement.value


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_failpoint(source: str) -> bool:
    called, has_call, _ = source.removeprefix("await ").partition("(")
    name, _, method = called.rpartition(".")
    return bool(has_call) and name.isupper() and method in ("hit", "reach")


def _joins_texts(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    return any(isinstance(side, ast.JoinedStr) or isinstance(getattr(side, "value", None), str) for side in sides)


def _compiled(tree: ast.Module, file: str) -> CodeType:
    return compile(tree, file, "exec", dont_inherit=True)


def _codes(code: CodeType) -> Iterator[CodeType]:
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield value
            yield from _codes(value)


def _replace(before: CodeType, after: CodeType, functions: list[FunctionType]) -> bool:
    """Replace functions' code from `before` by the matching code from `after`; return whether any code differs."""
    named: dict[tuple[str, int], list[CodeType]] = {}
    for code in _codes(after):
        named.setdefault((code.co_qualname, code.co_firstlineno), []).append(code)
    new: dict[CodeType, CodeType] = {}
    for code in _codes(before):
        matching = named.get((code.co_qualname, code.co_firstlineno))
        if matching:
            replacement = matching.pop(0)
            if replacement != code:
                new[code] = replacement
    is_replaced = False
    for function in functions:
        if function.__code__ in new:
            function.__code__ = new[function.__code__]
            is_replaced = True
    return is_replaced


def functions_by_file() -> Functions:
    """Return all functions of the process by the file of their code."""
    functions: Functions = defaultdict(list)
    gc.unfreeze()  # frozen objects are not listed
    for value in gc.get_objects():
        if type(value) is FunctionType:
            functions[value.__code__.co_filename].append(value)
    # Without this, each later full pass of the garbage collector would traverse all modules.
    gc.freeze()
    return functions


def _assign(name: str, module: ModuleType, value: object) -> None:
    """Set a constant, also in the modules that have imported it."""
    old = module.__dict__[name]
    for other in list(sys.modules.values()):
        namespace = getattr(other, "__dict__", {})
        if getattr(other, "__file__", None) and namespace.get(name) is old:
            namespace[name] = value
