"""The limits on the depth and width of a document, checked before it is validated.

Each fragment is visited once, and each spread adds the counts of its fragment. If these counts are within their limits,
selections are merged in the same way as for the execution. This counts the pairs of fields that the validation would
compare, whose number grows with the square of the document's length.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)

MAX_DEPTH = 20
"""Levels of nested fields. GraphiQL's introspection query has 15."""
MAX_FIELDS = 1000
"""Fields, each counted every time its fragment is spread."""
MAX_ALIASES = 100
MAX_DIRECTIVES = 100
MAX_DIRECTIVES_OF_NODE = 5
MAX_REPEATS = 20
"""Repetitions of one field without an alias in one selection set."""
MAX_FRAGMENTS = 1000
"""Inline fragments and spreads, each counted every time the fragment that contains it is spread."""
MAX_NESTING = 60
"""Levels of nested fields and inline fragments."""
MAX_FRAGMENT_DEFINITIONS = 100
MAX_OPERATIONS = 50
MAX_COMPARISONS = 10_000
"""Pairs of fields with the same response name in one merged selection, and pairs of fragments spread in it."""


@dataclass(slots=True)
class Shape:
    """The counts of a selection, including those of the fragments that it spreads."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    fragments: int = 0
    nesting: int = 0

    def problem(self) -> str | None:
        """Return the error for the first count above its limit; None if there is none."""
        for problem, count, limit in (
            ("is too deep: at most {:,} levels of fields are allowed.", self.depth, MAX_DEPTH),
            ("selects too many fields: at most {:,} are allowed.", self.fields, MAX_FIELDS),
            ("has too many aliases: at most {:,} are allowed.", self.aliases, MAX_ALIASES),
            ("has too many directives: at most {:,} are allowed.", self.directives, MAX_DIRECTIVES),
            ("has too many fragments: at most {:,} are allowed.", self.fragments, MAX_FRAGMENTS),
            ("is nested too deeply: at most {:,} levels are allowed.", self.nesting, MAX_NESTING),
        ):
            if count > limit:
                return f"The document {problem.format(limit)}"
        return None


def shape_problem(document: DocumentNode) -> str | None:
    """Return an error message if a document exceeds a limit and must not be validated; otherwise None."""
    return _ShapeCounter(document).problem()


class _ShapeCounter:
    """Counts the selections of one document. Each fragment is visited once."""

    def __init__(self, document: DocumentNode) -> None:
        self._document = document
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._fragment_shapes: dict[str, Shape] = {}
        self._local_problem: str | None = None

    def problem(self) -> str | None:
        definitions = self._document.definitions
        if len(self._fragments) > MAX_FRAGMENT_DEFINITIONS:
            return f"The document defines too many fragments: at most {MAX_FRAGMENT_DEFINITIONS:,} are allowed."
        if sum(isinstance(node, OperationDefinitionNode) for node in definitions) > MAX_OPERATIONS:
            return f"The document has too many operations: at most {MAX_OPERATIONS:,} are allowed."
        return self._count_problem() or self._comparison_problem()

    def _count_problem(self) -> str | None:
        for node in self._document.definitions:
            if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode):
                shape = self._selection_shape(node.selection_set)
                shape.directives += self._count_directives(node.directives)
                problem = self._local_problem or shape.problem()
                if problem is not None:
                    return problem
        return None

    def _selection_shape(self, selected: SelectionSetNode | None) -> Shape:
        total = Shape()
        if selected is None:
            return total
        self._check_repeats(selected)
        for node in selected.selections:
            shape = self._node_shape(node)
            total.depth = max(total.depth, shape.depth)
            total.fields += shape.fields
            total.aliases += shape.aliases
            total.fragments += shape.fragments
            total.nesting = max(total.nesting, shape.nesting)
            total.directives += shape.directives + self._count_directives(node.directives)
        return total

    def _node_shape(self, node: SelectionNode) -> Shape:
        if isinstance(node, FragmentSpreadNode):
            spread = replace(self._fragment_shape(node.name.value))
            spread.fragments += 1
            return spread
        inner = self._selection_shape(getattr(node, "selection_set", None))
        inner.nesting += 1
        if isinstance(node, InlineFragmentNode):
            inner.fragments += 1
        if isinstance(node, FieldNode):
            inner.depth += 1
            inner.fields += 1
            inner.aliases += node.alias is not None
        return inner

    def _fragment_shape(self, name: str) -> Shape:
        if name not in self._fragment_shapes:
            # A fragment that spreads itself counts as empty here, because the validation rejects it.
            self._fragment_shapes[name] = Shape()
            fragment = self._fragments.get(name)
            if fragment is not None:
                self._fragment_shapes[name] = self._selection_shape(fragment.selection_set)
        return self._fragment_shapes[name]

    def _count_directives(self, nodes: "tuple[DirectiveNode, ...] | None") -> int:
        count = len(nodes or ())
        if count > MAX_DIRECTIVES_OF_NODE:
            self._local_problem = (
                f"A position in the document has too many directives: at most {MAX_DIRECTIVES_OF_NODE} are allowed."
            )
        return count

    def _check_repeats(self, selected: SelectionSetNode) -> None:
        names = Counter(
            node.name.value for node in selected.selections if isinstance(node, FieldNode) and node.alias is None
        )
        if names and max(names.values()) > MAX_REPEATS:
            self._local_problem = (
                f"A selection repeats the same field too often: at most {MAX_REPEATS} times are allowed."
            )

    def _comparison_problem(self) -> str | None:
        comparisons = _ComparisonCounter(self._fragments)
        for node in self._document.definitions:
            if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode):
                comparisons.add([_Selected(node.selection_set)])
                if comparisons.count > MAX_COMPARISONS:
                    return (
                        "The document repeats too many fields and fragments: at most "
                        f"{MAX_COMPARISONS:,} pairs are compared."
                    )
        return None


@dataclass(frozen=True, slots=True)
class _Selected:
    """A selection set, or a field with one, and the fragments that contain it."""

    node: FieldNode | SelectionSetNode
    within: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Merged:
    """Several merged selection sets: their fields by response name, and the number of fragment spreads."""

    fields: dict[str, list[_Selected]] = field(default_factory=dict[str, list[_Selected]])
    spreads: int = 0
    fragments: set[str] = field(default_factory=set[str])


class _ComparisonCounter:
    """Counts the comparisons of the rule "Field Selection Merging" of the GraphQL specification."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self.count = 0

    def add(self, selected: Iterable[_Selected]) -> None:
        """Add the comparisons of selection sets that are merged into one."""
        merged = _Merged()
        for selection in selected:
            self._merge(selection, merged)
        self.count += _pairs(merged.spreads) + sum(_pairs(len(fields)) for fields in merged.fields.values())
        for fields in merged.fields.values():
            if self.count <= MAX_COMPARISONS:
                sets = [
                    (selection.node.selection_set, selection.within)
                    for selection in fields
                    if isinstance(selection.node, FieldNode)
                ]
                self.add([_Selected(inner, within) for inner, within in sets if inner is not None])

    def _merge(self, selected: _Selected, merged: _Merged) -> None:
        within = selected.within
        for node in selected.node.selections if isinstance(selected.node, SelectionSetNode) else ():
            if isinstance(node, FieldNode):
                name = node.alias.value if node.alias else node.name.value
                merged.fields.setdefault(name, []).append(_Selected(node, within))
            elif isinstance(node, InlineFragmentNode):
                self._merge(_Selected(node.selection_set, within), merged)
            elif isinstance(node, FragmentSpreadNode):
                merged.spreads += 1
                name = node.name.value
                fragment = self._fragments.get(name)
                # A fragment that contains itself is skipped, because the validation rejects it.
                if fragment is not None and name not in merged.fragments and name not in within:
                    merged.fragments.add(name)
                    self._merge(_Selected(fragment.selection_set, within | {name}), merged)


def _pairs(count: int) -> int:
    return count * (count - 1) // 2
