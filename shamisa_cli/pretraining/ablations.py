"""The ablations: small named differences from the published configuration, as data.

``C1`` names one; ``C1:k=7`` names it with another value of its parameter. Several may be put
together, as long as no two change the same key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shamisa_cli.errors import UsageError, unknown_name
from shamisa_cli.settings import merge

METADATA = ("paired_view", "ref_dist", "ref_ref", "dist_dist")
INTRINSIC = ("knn", "transport")

Key = tuple[str, ...]
"""The names of the tables, and then that of the value, or of the source that is left out."""
REMOVE, SOURCES = ("graphs", "remove"), ("graphs", "sources")


@dataclass(frozen=True)
class Ablation:
    """One difference from the published configuration.

    Attributes
    ----------
    what : what is changed, and from what.
    why : the question that it answers, and what else to know.
    changes : the keys of the config that differ, as a TOML file has them.
    parameter : the key of the value that may be given another, as ``k`` in ``C1:k=7``.
    """

    what: str
    why: str
    changes: Mapping[str, Any]
    parameter: Key = ()

    def value(self) -> Any:
        """That of the parameter."""
        found: Any = self.changes
        for name in self.parameter:
            found = found[name]
        return found

    def with_value(self, value: Any) -> Ablation:
        """The same, with another value of its parameter."""
        changed: Any = value
        for name in reversed(self.parameter):
            changed = {name: changed}
        return replace(self, changes=merge(self.changes, changed))


def _sources(**options: Mapping[str, Any]) -> dict[str, Any]:
    return {"graphs": {"sources": options}}


def _graphs(**values: Any) -> dict[str, Any]:
    return {"graphs": values}


def _without(name: str, *more: str) -> Ablation:
    shares = "The shares α of the other five are 1/5 each, not 1/6."
    also = f"{shares} {' '.join(more)}".strip()
    return Ablation(f"without {name}", f"Is {name} needed? {also}", _graphs(remove=[name]))


ABLATIONS: Mapping[str, Ablation] = {
    "A1": Ablation(
        "binary edges: every positive weight of a source's graph is 1",
        "Are soft relations better than yes and no, as in earlier methods? c and α stay.",
        _graphs(binary=True),
    ),
    "A2": Ablation(
        "α is a frozen random softmax, not 1/G each",
        "As the published code runs: its α has no gradient. Another seed has another α.",
        _graphs(alpha="random"),
    ),
    "A3": Ablation(
        "α is 1 for each source, not 1/G",
        "The published ablation. With six sources A, and so the invariance, is six times as large.",
        _graphs(alpha="ones"),
    ),
    "A4": Ablation(
        "α is learned by the published objective",
        "Every minimum of it is a corner: α falls onto one source (docs/graph-sources.md).",
        _graphs(alpha="learned"),
    ),
    "B1": _without("paired_view", "The prototypes' own loss still uses these pairs."),
    "B2": _without("ref_dist"),
    "B3": _without("ref_ref"),
    "B4": _without("dist_dist"),
    "B5": _without("knn"),
    "B6": _without("transport", "Its auxiliary loss goes with it."),
    "B7": Ablation(
        "metadata graphs only: without knn and transport",
        "What do the current representations add to what the engine knows? α is 1/4 each.",
        _graphs(remove=list(INTRINSIC)),
    ),
    "B8": Ablation(
        "intrinsic graphs only: knn and transport",
        "What can the representations tell by themselves? α is 1/2 each.",
        _graphs(remove=list(METADATA)),
    ),
    "C1": Ablation(
        "the neighbors k of each crop in knn; published: 31",
        "How many neighbors are relations, and how many noise?",
        _sources(knn={"k": 15}),
        ("graphs", "sources", "knn", "k"),
    ),
    "C2": Ablation(
        "transport edges: so many entries of the matrix a crop; published: 8",
        "How far down the list of agreeing pairs do relations reach?",
        _sources(transport={"edges_per_node": 4}),
        ("graphs", "sources", "transport", "edges_per_node"),
    ),
    "C3": Ablation(
        "of A, each crop keeps its so many largest edges; published: all",
        "Does A need its many weak edges? One stays where either of its ends keeps it.",
        _graphs(topk_each=16),
        ("graphs", "topk_each"),
    ),
    "D1": Ablation(
        "the most functions in a composition; published: 7",
        "Are compositions better than single distortions?",
        {"compositions": {"max_functions": 1}},
        ("compositions", "max_functions"),
    ),
    "D2": Ablation(
        "five discrete severities: each is rounded to the nearest of 0, ¼, ½, ¾, 1",
        "Is a continuous severity needed? The distribution is the published one, rounded.",
        {"compositions": {"discrete": True}},
    ),
    "D3": Ablation(
        "severities are uniform over 0 … 1, not |N(0, 0.625²)| cut at 1",
        "Do the many mild severities help?",
        {"compositions": {"severities": "uniform"}},
    ),
    "D4": Ablation(
        "one fixed order of the functions, that of their categories; published: random",
        "Does the order of distortions matter to what is learned?",
        {"compositions": {"order": "fixed"}},
    ),
    "E1": Ablation(
        "no scale views: crops at full scale only",
        "Is the half scale needed? A mini-batch has half as many crops.",
        {"batch": {"views": 1}},
    ),
    "E2": Ablation(
        "severity levels in a group; published: 5",
        "How many levels make a relation? With 2 a mini-batch has 108 crops, not 252.",
        {"batch": {"levels": 2}},
        ("batch", "levels"),
    ),
    "F1": Ablation(
        "reciprocal decay of weights with severity: 1/(1 + 3t), not exp(−3t)",
        "Does the form of w matter? Both fall from 1 with slope −3; at t = 1 it is 0.25, not 0.05.",
        _sources(ref_dist={"decay": "reciprocal"}, dist_dist={"decay": "reciprocal"}),
    ),
    "G1": Ablation(
        "gradients through the weights of knn and transport into the regularizer",
        "The paper says that graphs are detached; the published training let these through.",
        _graphs(detach=False),
    ),
    "H1": Ablation(
        "the objective infonce over the same graphs; every pair that A does not join repels",
        "Does SHAMISA need negatives? The published objective has none.",
        {"objective": {"name": "infonce"}, **_graphs(negatives="rest")},
    ),
}
"""By name, in the order of the study: weights, sources, sparsity, distortions, layout, …"""


def parse_ablation(text: str) -> Ablation:
    """The ablation that ``C1`` or ``C1:k=7`` names.

    Raises
    ------
    UsageError
        for a name or a parameter that there is not (with near matches), or another type of value.
    """
    name, colon, given = text.partition(":")
    if name not in ABLATIONS:
        raise unknown_name("ablation", name, ABLATIONS)
    ablation = ABLATIONS[name]
    if not colon:
        return ablation
    key, _, value = (part.strip() for part in given.partition("="))
    if not ablation.parameter:
        raise UsageError(f"ablation {text}: {name} has no parameter")
    if key != ablation.parameter[-1]:
        raise UsageError(
            f"ablation {text}: expected {name}:{ablation.parameter[-1]}={ablation.value()}, with "
            "a value of your own"
        )
    try:
        return ablation.with_value(int(value))
    except ValueError as error:
        raise UsageError(f"ablation {text}: {key}: expected int, got {value!r}") from error


def changes_of(texts: Sequence[str]) -> dict[str, Any]:
    """What these ablations change together, as one mapping of config keys.

    Raises
    ------
    UsageError
        where two of them change one key, or one has no effect beside another.
    """
    holders: dict[Key, str] = {}
    merged: dict[str, Any] = {}
    left_out: list[str] = []
    for text in texts:
        changes = parse_ablation(text).changes
        for key in keys_of(changes):
            if key in holders:
                raise UsageError(
                    f"ablations {holders[key]} and {text} both change {'.'.join(key)}: "
                    "leave one of them out"
                )
            holders[key] = text
        merged = merge(merged, changes)
        left_out += changes.get("graphs", {}).get("remove", [])
    if left_out:
        merged["graphs"]["remove"] = left_out
    _check_effects(texts, holders)
    return merged


def _check_effects(texts: Sequence[str], holders: Mapping[Key, str]) -> None:
    """Refuse an ablation that changes only what others leave out; and nothing left at all."""
    removers = {key[2]: text for key, text in holders.items() if key[:2] == REMOVE}
    if set(removers) >= {*METADATA, *INTRINSIC}:
        raise UsageError(f"ablations {' and '.join(texts)} leave no graph source")
    for text in texts:
        keys = [key for key, holder in holders.items() if holder == text]
        gone = [key[2] for key in keys if key[:2] == SOURCES and key[2] in removers]
        if gone and len(gone) == len(keys):
            raise UsageError(
                f"ablation {text} changes {gone[0]}, which {removers[gone[0]]} leaves out"
            )


def check_over(over: Mapping[str, Any], where: str, texts: Sequence[str]) -> None:
    """Refuse ``over``, which comes from ``where``, if it undoes one of the ablations ``texts``."""
    holders = {key: text for text in texts for key in keys_of(parse_ablation(text).changes)}
    for key in keys_of(over):
        removal = (*REMOVE, key[2]) if key[:2] == SOURCES and len(key) > 2 else key
        text = holders.get(key) or holders.get(removal)
        if text:
            raise UsageError(
                f"{where}: {'.'.join(key)} clashes with ablation {text}: leave one of them out"
            )


def keys_of(changes: Mapping[str, Any], above: Key = ()) -> Iterator[Key]:
    """The keys that are set in ``changes``; each name in ``graphs.remove`` is one of its own."""
    for name, value in changes.items():
        key = (*above, name)
        if key == REMOVE and isinstance(value, list):
            yield from ((*key, str(source)) for source in value)
        elif isinstance(value, Mapping) and (value or key[:-1] == SOURCES):
            yield from keys_of(value, key) if value else iter([key])
        elif not isinstance(value, Mapping):
            yield key


def settings_text(changes: Mapping[str, Any], above: Key = ()) -> list[str]:
    """``changes`` as lines of TOML with dotted keys: ``graphs.sources.knn.k = 15``."""
    lines: list[str] = []
    for name, value in changes.items():
        key = (*above, name)
        if isinstance(value, Mapping):
            lines += settings_text(value, key)
        else:
            lines.append(f"{'.'.join(key)} = {json.dumps(value)}")
    return lines
