"""The shape of a document: how deep and how wide it is, counted before it is validated.

First every fragment is walked once, however often it is spread; what a spread adds is added as numbers. Only where
these are small, selections are merged as execution merges them, to count the pairs of fields that validation would
compare: their number grows with the square of the document.
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
"""Fields inside of one another; the introspection query of GraphiQL has 15."""
MAX_FIELDS = 1000
"""Fields, each as often as its fragment is spread."""
MAX_ALIASES = 100
MAX_DIRECTIVES = 100
MAX_DIRECTIVES_OF_NODE = 5
MAX_REPEATS = 20
"""The same field, unaliased, in one selection set."""
MAX_FRAGMENTS = 1000
"""Inline fragments and spreads, each as often as the fragment that it is in is spread."""
MAX_NESTING = 60
"""Fields and inline fragments inside of one another."""
MAX_FRAGMENT_DEFINITIONS = 100
MAX_OPERATIONS = 50
MAX_COMPARISONS = 10_000
"""Pairs of fields with the same response name in the same place, and pairs of fragments spread in the same place."""


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
        """Say what is too much; None where nothing is."""
        for name, found, most in (
            ("is too deep", self.depth, MAX_DEPTH),
            ("selects too many fields", self.fields, MAX_FIELDS),
            ("has too many aliases", self.aliases, MAX_ALIASES),
            ("has too many directives", self.directives, MAX_DIRECTIVES),
            ("has too many fragments", self.fragments, MAX_FRAGMENTS),
            ("is nested too deeply", self.nesting, MAX_NESTING),
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
        definitions = self._document.definitions
        if len(self._fragments) > MAX_FRAGMENT_DEFINITIONS:
            return f"The document defines too many fragments: at most {MAX_FRAGMENT_DEFINITIONS:,} are taken."
        if sum(isinstance(node, OperationDefinitionNode) for node in definitions) > MAX_OPERATIONS:
            return f"The document has too many operations: at most {MAX_OPERATIONS:,} are taken."
        return self._too_much() or self._too_many_comparisons()

    def _too_much(self) -> str | None:
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
            whole.fragments += found.fragments
            whole.nesting = max(whole.nesting, found.nesting)
            whole.directives += found.directives + self._directives(node.directives)
        return whole

    def _of(self, node: SelectionNode) -> Shape:
        if isinstance(node, FragmentSpreadNode):
            spread = replace(self._of_fragment(node.name.value))
            spread.fragments += 1
            return spread
        inner = self._of_set(getattr(node, "selection_set", None))
        inner.nesting += 1
        if isinstance(node, InlineFragmentNode):
            inner.fragments += 1
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

    def _too_many_comparisons(self) -> str | None:
        comparing = _Comparing(self._fragments)
        for node in self._document.definitions:
            if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode):
                comparing.add([_Selected(node.selection_set)])
                if comparing.count > MAX_COMPARISONS:
                    return f"The document repeats too much: at most {MAX_COMPARISONS:,} pairs of fields are compared."
        return None


@dataclass(frozen=True, slots=True)
class _Selected:
    """A selection set, or the field that has it, and the fragments that it is inside of."""

    node: FieldNode | SelectionSetNode
    within: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Merged:
    """What several selection sets hold in one place: fields by response name, and how many fragments are spread."""

    fields: dict[str, list[_Selected]] = field(default_factory=dict[str, list[_Selected]])
    spreads: int = 0
    known: set[str] = field(default_factory=set[str])


class _Comparing:
    """The comparisons that the rule "Field Selection Merging" of the GraphQL specification asks for."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self.count = 0

    def add(self, selected: Iterable[_Selected]) -> None:
        """Count those of selection sets in the same place."""
        merged = _Merged()
        for one in selected:
            self._merge(one, merged)
        self.count += _pairs(merged.spreads) + sum(_pairs(len(same)) for same in merged.fields.values())
        for same in merged.fields.values():
            if self.count <= MAX_COMPARISONS:
                sets = [(one.node.selection_set, one.within) for one in same if isinstance(one.node, FieldNode)]
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
                # One that is inside of itself is refused by validation.
                if fragment is not None and name not in merged.known and name not in within:
                    merged.known.add(name)
                    self._merge(_Selected(fragment.selection_set, within | {name}), merged)


def _pairs(count: int) -> int:
    return count * (count - 1) // 2
