"""The shape of a document: how deep and how wide it is, counted before anything is done with it.

Every fragment is walked once, however often it is spread, so that counting costs no more than reading. What a spread
adds is added as numbers.
"""

from collections import Counter
from dataclasses import dataclass

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)

MAX_DEPTH = 20
"""Fields inside of one another; the introspection query of GraphiQL has 15."""
MAX_FIELDS = 1000
"""Fields, each as often as its fragment is spread."""
MAX_ALIASES = 100
MAX_DIRECTIVES = 100
MAX_DIRECTIVES_OF_NODE = 5
MAX_REPEATS = 20
"""The same field, unaliased, in one selection set."""


@dataclass(slots=True)
class Shape:
    """Counts of a selection, spreads included."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0

    def problem(self) -> str | None:
        """Say what is too much; None where nothing is."""
        for name, found, most in (
            ("is too deep", self.depth, MAX_DEPTH),
            ("selects too many fields", self.fields, MAX_FIELDS),
            ("has too many aliases", self.aliases, MAX_ALIASES),
            ("has too many directives", self.directives, MAX_DIRECTIVES),
        ):
            if found > most:
                return f"The document {name}: at most {most:,} are taken."
        return None


def shape_problem(document: DocumentNode) -> str | None:
    """Say why a document is not even validated; None where it may be."""
    return _Measuring(document).problem()


class _Measuring:
    """One document, whose fragments are measured once."""

    def __init__(self, document: DocumentNode) -> None:
        self._document = document
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._known: dict[str, Shape] = {}
        self._crowded: str | None = None

    def problem(self) -> str | None:
        for node in self._document.definitions:
            if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode):
                found = self._of_set(node.selection_set)
                found.directives += self._directives(node.directives)
                problem = self._crowded or found.problem()
                if problem is not None:
                    return problem
        return None

    def _of_set(self, selected: SelectionSetNode | None) -> Shape:
        whole = Shape()
        if selected is None:
            return whole
        self._check_repeats(selected)
        for node in selected.selections:
            found = self._of(node)
            whole.depth = max(whole.depth, found.depth)
            whole.fields += found.fields
            whole.aliases += found.aliases
            whole.directives += found.directives + self._directives(node.directives)
        return whole

    def _of(self, node: SelectionNode) -> Shape:
        if isinstance(node, FragmentSpreadNode):
            return self._of_fragment(node.name.value)
        inner = self._of_set(getattr(node, "selection_set", None))
        if isinstance(node, FieldNode):
            inner.depth += 1
            inner.fields += 1
            inner.aliases += node.alias is not None
        return inner

    def _of_fragment(self, name: str) -> Shape:
        if name not in self._known:
            # One that spreads itself counts as nothing here: validation refuses it.
            self._known[name] = Shape()
            fragment = self._fragments.get(name)
            if fragment is not None:
                self._known[name] = self._of_set(fragment.selection_set)
        return self._known[name]

    def _directives(self, nodes: "tuple[DirectiveNode, ...] | None") -> int:
        count = len(nodes or ())
        if count > MAX_DIRECTIVES_OF_NODE:
            self._crowded = f"One place has too many directives: at most {MAX_DIRECTIVES_OF_NODE} are taken."
        return count

    def _check_repeats(self, selected: SelectionSetNode) -> None:
        names = Counter(
            node.name.value for node in selected.selections if isinstance(node, FieldNode) and node.alias is None
        )
        if names and max(names.values()) > MAX_REPEATS:
            self._crowded = f"A field stands too often in one place: at most {MAX_REPEATS} times are taken."
