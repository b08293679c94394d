"""The shape of a document: its depth and width, counted before it is validated.

Each fragment is visited once, however often it is spread; a spread adds the counts of its fragment. Only if these
counts are small, selections are merged as the execution merges them, to count the pairs of fields that the validation
would compare: their number grows with the square of the document's length.
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
"""Nested fields; the introspection query of GraphiQL has 15 levels."""
MAX_FIELDS = 1000
"""Fields, each counted as often as its fragment is spread."""
MAX_ALIASES = 100
MAX_DIRECTIVES = 100
MAX_DIRECTIVES_OF_NODE = 5
MAX_REPEATS = 20
"""The same field without an alias in one selection set."""
MAX_FRAGMENTS = 1000
"""Inline fragments and spreads, each counted as often as the fragment that contains it is spread."""
MAX_NESTING = 60
"""Nested fields and inline fragments."""
MAX_FRAGMENT_DEFINITIONS = 100
MAX_OPERATIONS = 50
MAX_COMPARISONS = 10_000
"""Pairs of fields with the same response name in one merged selection, and pairs of fragments spread in one."""


@dataclass(slots=True)
class Shape:
    """Counts of a selection, spreads included."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    fragments: int = 0
    nesting: int = 0

    def problem(self) -> str | None:
        """Return the error for the first count above its limit; None if there is none."""
        for name, count, limit in (
            ("is too deep", self.depth, MAX_DEPTH),
            ("selects too many fields", self.fields, MAX_FIELDS),
            ("has too many aliases", self.aliases, MAX_ALIASES),
            ("has too many directives", self.directives, MAX_DIRECTIVES),
            ("has too many fragments", self.fragments, MAX_FRAGMENTS),
            ("is nested too deeply", self.nesting, MAX_NESTING),
        ):
            if count > limit:
                return f"The document {name}: at most {limit:,} are taken."
        return None


def shape_problem(document: DocumentNode) -> str | None:
    """Return why a document must not be validated; None if it may be."""
    return _ShapeCounter(document).problem()


class _ShapeCounter:
    """Measures one document. Each fragment is measured once."""

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
            return f"The document defines too many fragments: at most {MAX_FRAGMENT_DEFINITIONS:,} are taken."
        if sum(isinstance(node, OperationDefinitionNode) for node in definitions) > MAX_OPERATIONS:
            return f"The document has too many operations: at most {MAX_OPERATIONS:,} are taken."
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
            # A fragment that spreads itself counts as empty: validation rejects it.
            self._fragment_shapes[name] = Shape()
            fragment = self._fragments.get(name)
            if fragment is not None:
                self._fragment_shapes[name] = self._selection_shape(fragment.selection_set)
        return self._fragment_shapes[name]

    def _count_directives(self, nodes: "tuple[DirectiveNode, ...] | None") -> int:
        count = len(nodes or ())
        if count > MAX_DIRECTIVES_OF_NODE:
            self._local_problem = f"One place has too many directives: at most {MAX_DIRECTIVES_OF_NODE} are taken."
        return count

    def _check_repeats(self, selected: SelectionSetNode) -> None:
        names = Counter(
            node.name.value for node in selected.selections if isinstance(node, FieldNode) and node.alias is None
        )
        if names and max(names.values()) > MAX_REPEATS:
            self._local_problem = f"A field stands too often in one place: at most {MAX_REPEATS} times are taken."

    def _comparison_problem(self) -> str | None:
        comparisons = _ComparisonCounter(self._fragments)
        for node in self._document.definitions:
            if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode):
                comparisons.add([_Selected(node.selection_set)])
                if comparisons.count > MAX_COMPARISONS:
                    return f"The document repeats too much: at most {MAX_COMPARISONS:,} pairs of fields are compared."
        return None


@dataclass(frozen=True, slots=True)
class _Selected:
    """A selection set, or a field with one, and the fragments that contain it."""

    node: FieldNode | SelectionSetNode
    within: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Merged:
    """Several selection sets merged: fields by response name, and the number of spread fragments."""

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
                # A fragment that contains itself is rejected by validation.
                if fragment is not None and name not in merged.fragments and name not in within:
                    merged.fragments.add(name)
                    self._merge(_Selected(fragment.selection_set, within | {name}), merged)


def _pairs(count: int) -> int:
    return count * (count - 1) // 2
