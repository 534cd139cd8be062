"""Sources found by entry points: ours, other packages', and broken ones."""

from __future__ import annotations

import pytest

from shamisa_cli.errors import UsageError
from shamisa_cli.graphs.registry import available_sources, create_source

PLUGIN = """
from typing import Literal
from shamisa_cli.graphs.source import GraphSource

class Good(GraphSource):
    '''Says what it is.'''
    coeff = 0.25
    def __init__(self, k: int, t: float = 0.5, mode: Literal["a", "b"] = "a", on: bool = False):
        super().__init__()
        if k < 0:
            raise ValueError("k must be at least 0")
        self.options = (k, t, mode, on)

class Greedy(GraphSource):
    def __init__(self, **options):
        super().__init__()

class NoSource:
    pass

class NoSuper(GraphSource):
    def __init__(self, k: int = 3):
        self.k = k

class Needy(GraphSource):
    needs = {"compositions"}

class Typo(GraphSource):
    def __init__(self):
        super().__init__()
        raise TypeError("no such type")
"""

ENTRY_POINTS = """
[shamisa.graph_sources]
good = third_party_sources:Good
greedy = third_party_sources:Greedy
no_source = third_party_sources:NoSource
absent = third_party_sources:Absent
crash = third_party_crash:Crash
no_super = third_party_sources:NoSuper
typo = third_party_sources:Typo
needy = third_party_sources:Needy
keys = third_party_sources:Good
with.dot = third_party_sources:Good
knn = third_party_sources:Good
"""


@pytest.fixture
def third_party(install_plugins):
    """A package that registers two good names, one of them taken, and broken ones."""
    crash = "raise RuntimeError('no such libfoo.so')\n"
    install_plugins(ENTRY_POINTS, third_party_sources=PLUGIN, third_party_crash=crash)


OURS = {
    "arniqa", "contrique", "degradation", "dist_dist", "knn", "paired_view",
    "ref_dist", "ref_ref", "reiqa", "transport", "vicreg",
    "salient_pair", "same_image_apart", "other_image_apart",
}  # fmt: skip


def test_ours_are_there_and_work():
    entries = {n: e for n, e in available_sources().items() if e.distribution == "shamisa"}
    assert set(entries) == OURS
    for name, entry in entries.items():
        assert entry.error == ""
        assert entry.summary
        assert isinstance(create_source(name), entry.plugin)


def test_published_defaults():
    options = {
        e.name: {p.name: p.default for p in e.parameters} for e in available_sources().values()
    }
    assert options["knn"] == {"k": 31}
    assert options["dist_dist"] == {"entries": 4096, "decay": "exponential"}
    assert options["ref_dist"] == {"decay": "exponential"}
    assert options["transport"] == {
        "prototypes": 32, "temperature": 0.1, "epsilon": 0.05, "rounds": 6, "edges_per_node": 8,
        "auxiliary": 0.4906,
    }  # fmt: skip


@pytest.mark.usefixtures("third_party")
class TestThirdParty:
    def test_its_source_is_listed_and_made(self):
        entry = available_sources()["good"]
        assert (entry.distribution, entry.version, entry.error) == ("third-party", "1.2", "")
        assert [p.name for p in entry.parameters] == ["k", "t", "mode", "on"]
        assert entry.summary == "Says what it is."
        assert create_source("good", k=2, t=1, on=True).options == (2, 1.0, "a", True)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"k": 1, "mod": "a"}, "'mod'. Did you mean mode"),
            ({"k": 2.5}, "k: expected int, got 2.5"),
            ({"k": True}, "k: expected int"),
            ({"k": 1, "mode": "c"}, "mode.*'c'. Known: a, b"),
            ({"k": 1, "on": 1}, "on: expected bool"),
            ({}, "missing k"),
            ({"k": -1}, "graph source 'good': k must be at least 0"),
        ],
    )
    def test_wrong_options_are_refused(self, options, message):
        with pytest.raises(UsageError, match=message):
            create_source("good", **options)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("crash", "RuntimeError: no such libfoo.so"),
            ("absent", "AttributeError.*Absent"),
            ("no_source", "not a subclass"),
            ("greedy", "options must be named"),
            ("no_super", r"package third-party 1\.2.*NoSuper"),
            ("typo", r"package third-party 1\.2.*TypeError: no such type"),
            ("needy", "it needs compositions; known needs are composition, places"),
            ("keys", "cannot be called 'keys'"),
            ("with.dot", "cannot be called 'with.dot'"),
            ("knn (third-party)", "taken by shamisa"),
        ],
    )
    def test_a_broken_one_is_named_and_refused(self, name, message):
        with pytest.raises(UsageError, match=message):
            create_source(name)

    def test_broken_ones_leave_the_others_alone(self):
        assert create_source("knn", k=3).k == 3
        assert available_sources()["knn"].distribution == "shamisa"

    def test_plugins_can_be_turned_off(self, monkeypatch):
        monkeypatch.setenv("SHAMISA_NO_PLUGINS", "1")
        assert set(available_sources()) == OURS


def test_unknown_source_has_near_matches():
    with pytest.raises(
        UsageError, match=r"unknown graph source 'transprot'\. Did you mean transport"
    ):
        create_source("transprot")
