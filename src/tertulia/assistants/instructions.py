"""Render the instructions of assistants, which are Jinja templates in a sandbox.

The text before the first variable part is the same for all users, so that Claude's prompt cache holds it for all of
them. It is a separate block of the system prompt.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from tertulia.json import clean_text

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

VARIABLES = ("viewer", "context", "now", "date")
"""The variables of templates."""
VIEWER_FIELDS = ("id", "name", "claims")
MAX_RENDERED = 400_000
"""Characters of rendered instructions."""


class TemplateError(ValueError):
    """A template that cannot be used.

    Attributes:
        line: The line of the template, counted from 1.
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


class RenderError(ValueError):
    """The instructions cannot be rendered for a viewer, for example because a claim is missing."""


@dataclass(frozen=True, slots=True)
class RenderedInstructions:
    """Rendered instructions: the part that is the same for all viewers, and the rest."""

    static: str
    variable: str


class Instructions:
    """The template of an assistant's instructions."""

    def __init__(self, source: str) -> None:
        """Compile a template.

        Raises:
            TemplateError: The template has a syntax error, or uses an unknown variable.
        """
        from jinja2 import TemplateSyntaxError

        environment = _environment()
        try:
            self._static = _static_part(environment, source)
            _check(environment, source)
            self._template = environment.from_string(source)
        except TemplateSyntaxError as error:
            raise TemplateError(error.lineno, str(error.message or "is not a template").rstrip(".")) from None
        self.length = len(source)

    @property
    def static_length(self) -> int:
        """The number of characters before the first variable part."""
        return len(self._static)

    def render(self, values: Mapping[str, object]) -> RenderedInstructions:
        """Render the instructions. Raise RenderError if a value is missing, or an expression fails."""
        try:
            text = clean_text(self._template.render(values)).lstrip()
        except Exception as error:
            # A template can raise anything.
            raise RenderError(f"{type(error).__name__}: {error}") from error
        if len(text) > MAX_RENDERED:
            raise RenderError(f"the rendered instructions have more than {MAX_RENDERED:,} characters")
        static = self._static if text.startswith(self._static) else ""
        return RenderedInstructions(static, text[len(static) :].rstrip())


def variables(viewer: Mapping[str, object], context: object, time: datetime) -> dict[str, object]:
    """Return the values of the variables.

    Args:
        viewer: The viewer's `id`, `name` and `claims`.
        context: The context of the message that is answered; None for none.
        time: The current time, in UTC.
    """
    return {
        "viewer": viewer,
        "context": {} if context is None else context,
        "now": time,
        "date": time.date().isoformat(),
    }


@cache
def _environment() -> "ImmutableSandboxedEnvironment":
    # Imported here, because most servers have no assistants.
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    for name in ("lipsum", "cycler", "joiner"):
        del environment.globals[name]
    return environment


def _static_part(environment: "ImmutableSandboxedEnvironment", source: str) -> str:
    """Return the text before the first variable part, without comments."""
    static: list[str] = []
    is_variable = False
    for _line, kind, value in environment.lex(source):
        if kind in ("variable_begin", "block_begin"):
            is_variable = True
            break
        if kind == "data":
            static.append(value)
    text = "".join(static).lstrip()
    return text if is_variable else text.rstrip()


def _check(environment: "ImmutableSandboxedEnvironment", source: str) -> None:
    """Raise TemplateError for an unknown variable, an unknown field of the viewer, and another template."""
    from jinja2 import meta, nodes

    tree = environment.parse(source)
    for node in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        raise TemplateError(node.lineno, "other templates cannot be used")
    undeclared = meta.find_undeclared_variables(tree) - environment.globals.keys()
    for name in _unknown(undeclared):
        lines = [node.lineno for node in tree.find_all(nodes.Name) if node.name == name]
        problem = f"unknown variable `{name}`; the variables are {', '.join(VARIABLES)}"
        raise TemplateError(min(lines, default=1), problem)
    for line, name in _viewer_fields(tree):
        if name not in VIEWER_FIELDS:
            raise TemplateError(
                line,
                f"unknown variable `viewer.{name}`; its fields are {', '.join(VIEWER_FIELDS)}",
            )


def _unknown(names: Collection[str]) -> list[str]:
    return sorted(set(names) - set(VARIABLES))


def _viewer_fields(tree: Any) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each field of the viewer that a template reads."""
    from jinja2 import nodes

    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        if isinstance(node.node, nodes.Name) and node.node.name == "viewer":
            if isinstance(node, nodes.Getattr):
                yield node.lineno, node.attr
            elif isinstance(node.arg, nodes.Const):
                yield node.lineno, str(node.arg.value)
