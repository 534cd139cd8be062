"""Dynamics of a run: every measure against a slow one, in the log of whole runs, on the picture."""

from __future__ import annotations

import math
import statistics
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import Tensor

from shamisa_cli.cli import app
from shamisa_cli.graphs.graph import Graph
from shamisa_cli.pretraining import dynamics
from shamisa_cli.pretraining.dynamics_plot import draw_dynamics, has_dynamics
from shamisa_cli.pretraining.plots import plot_run
from shamisa_cli.pretraining.verdict import verdict
from shamisa_cli.training.log import read_log

N, D = 9, 5


def rows(seed: int = 0, n: int = N, d: int = D) -> Tensor:
    return 3 * torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + 1


def graph(seed: int = 0) -> Graph:
    """Every other pair of nodes, with random weights, in no order."""
    draws = torch.Generator().manual_seed(seed)
    pairs = torch.tensor(list(combinations(range(N), 2)))
    some = pairs[torch.randperm(len(pairs), generator=draws)[: len(pairs) // 2]]
    return Graph(N, some[:, 0], some[:, 1], torch.rand(len(some), generator=draws))


def distance(z: Tensor, i: int, j: int) -> float:
    """‖x − y‖² of two rows scaled to unit length, one number after the other."""
    x, y = (row / row.norm() for row in (z[i].double(), z[j].double()))
    return sum((a - b) ** 2 for a, b in zip(x.tolist(), y.tolist(), strict=True))


def test_uniformity_is_the_loop_over_pairs() -> None:
    z = rows()
    kernels = [math.exp(-2 * distance(z, i, j)) for i, j in combinations(range(N), 2)]
    found = dynamics.uniformity(dynamics.squared_distances(z))
    assert found == pytest.approx(math.log(statistics.fmean(kernels)), rel=1e-5)


def test_uniformity_of_known_sets() -> None:
    assert dynamics.uniformity(dynamics.squared_distances(torch.ones(4, 3))) == 0
    right_angles = dynamics.squared_distances(7 * torch.eye(6))
    assert dynamics.uniformity(right_angles) == pytest.approx(-4)
    close = torch.ones(6, 3) + 1e-5 * rows(n=6, d=3)  # where cosines have no digits left
    assert -1e-8 < dynamics.uniformity(dynamics.squared_distances(close)) <= 0
    assert 0 < dynamics.squared_distances(close).max() < 1e-8


def test_alignment_and_satisfied_are_loops_over_edges() -> None:
    z, edges = rows(), graph()
    near = dynamics.squared_distances(z)
    pairs = list(zip(edges.i.tolist(), edges.j.tolist(), edges.weight.tolist(), strict=True))
    total = sum(w for _, _, w in pairs)
    expected = sum(w * distance(z, i, j) for i, j, w in pairs) / total
    assert dynamics.alignment(edges, near) == pytest.approx(expected, rel=1e-5)
    median = statistics.median_low(distance(z, i, j) for i, j in combinations(range(N), 2))
    nearer = sum(w for i, j, w in pairs if distance(z, i, j) < median - 1e-9)
    assert dynamics.satisfied(edges, near) == pytest.approx(nearer / total, rel=1e-5)


def test_what_a_collapse_satisfies_is_nothing_and_what_is_learned_is_all() -> None:
    two = torch.eye(2).repeat_interleave(4, 0)  # two places, four rows at each
    i, j = torch.tensor([(a, b) for a, b in combinations(range(8), 2) if (a < 4) == (b < 4)]).T
    within = Graph(8, i, j, torch.ones(len(i)))
    assert dynamics.satisfied(within, dynamics.squared_distances(two)) == 1
    assert dynamics.alignment(within, dynamics.squared_distances(two)) == 0
    assert dynamics.satisfied(within, dynamics.squared_distances(torch.ones(8, 2))) == 0


def test_off_diagonal_covariance_is_the_loop() -> None:
    z = rows()
    columns = z.double().T.tolist()
    found = [statistics.covariance(columns[a], columns[b]) for a, b in combinations(range(D), 2)]
    expected = math.sqrt(statistics.fmean(value**2 for value in found))
    assert dynamics.off_diagonal_covariance(z) == pytest.approx(expected, rel=1e-5)
    assert dynamics.off_diagonal_covariance(z[:, :1]) == 0


def test_gradients_are_those_by_hand_with_their_weights() -> None:
    """Σz² has 2z, Σz has 1, and the total takes part of them 3 and −2 times."""
    z = rows().requires_grad_()
    other = torch.ones((), requires_grad=True)
    terms = {
        "square": z.square().sum(),
        "sum": z.sum(),
        "unused": z.prod(),
        "other": other * 2,
        "fixed": torch.tensor(4.0),
    }
    total = 3 * terms["square"] - 2 * terms["sum"] + terms["other"] + terms["fixed"]
    norms = dynamics.gradient_norms(total, terms, z)
    assert list(norms) == ["square", "sum"]
    by_hand = [3 * 2 * z.detach().norm().item(), 2 * math.sqrt(N * D)]
    assert list(norms.values()) == pytest.approx(by_hand, rel=1e-5)
    total.backward()  # the graph is still there
    torch.testing.assert_close(z.grad, 6 * z.detach() - 2)
    assert dynamics.gradient_norms(torch.tensor(1.0), {"fixed": torch.tensor(1.0)}, z) == {}


def test_a_source_without_weight_has_no_alignment() -> None:
    found = dynamics.measure(rows(1), rows(), {"knn": graph(), "none": Graph.empty(N)})
    assert list(found["alignment_z"]) == list(found["satisfied_z"]) == ["knn"]
    assert all(math.isfinite(value) for value in found.values() if isinstance(value, float))
    assert found["distance_z"] == pytest.approx(float(dynamics.squared_distances(rows()).mean()))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, sample_photos: list[Image.Image]) -> Path:
    """Four small photos."""
    folder = tmp_path_factory.mktemp("photos")
    for k in range(4):
        sample_photos[k % 2].crop((80 * k, 60, 80 * k + 160, 220)).save(folder / f"{k}.png")
    return folder


def pretrain(photos: Path, out: Path, *options: str, code: int = 0) -> list[dict[str, Any]]:
    """The log of a run of a small model."""
    config = out.parent / "run.toml"
    config.write_text(
        "[batch]\ntiny_batches = 1\nreferences = 2\ngroups = 2\nlevels = 2\n"
        "[projector]\nhidden = 16\nout = 8\n"
    )
    fixed = "--init random --backbone test_resnet --crop 32 --precision fp32 --workers 0 --quiet"
    given = ["--photos", str(photos), "--out", str(out), "--config", str(config)]
    result = CliRunner().invoke(app, ["pretrain", *fixed.split(), *given, *options])
    assert result.exit_code == code, result.output
    return read_log(out / "log.jsonl")


def measured(records: list[dict[str, Any]]) -> list[int]:
    return [record["step"] for record in records if "rank_z" in record]


def test_a_run_is_measured_every_n_steps_and_goes_on_when_resumed(
    tmp_path: Path, photos: Path
) -> None:
    out = tmp_path / "run"
    options = ["--preset", "shamisa", "--dynamics-every", "2", "--accumulate", "2"]
    pretrain(photos, out, *options, "--steps", "2")
    records = pretrain(photos, out, *options, "--steps", "4", "--resume")
    assert measured(records) == [1, 3]
    whole = pretrain(photos, tmp_path / "whole", *options, "--steps", "4")
    timing = ("elapsed", "crops_per_s")
    for one, other in zip(records, whole, strict=True):
        assert {key: one[key] for key in one if key not in timing} == {
            key: other[key] for key in other if key not in timing
        }
    # auxiliary is of h, and detached graphs leave the regularizer without gradient
    assert list(records[0]["gradients_z"]) == ["invariance", "variance", "covariance"]
    assert min(records[0]["gradients_z"].values()) > 0
    assert set(records[0]["alignment_z"]) == set(records[0]["alpha"])


def test_measuring_changes_nothing_that_is_learned(tmp_path: Path, photos: Path) -> None:
    often, rarely = (
        pretrain(photos, tmp_path / n, "--preset", "shamisa", "--steps", "3", "--dynamics-every", n)
        for n in ("1", "99")
    )
    assert [each["total"] for each in often] == [each["total"] for each in rarely]
    assert (measured(often), measured(rarely)) == ([1, 2, 3], [1])


def test_a_wrong_number_of_steps_is_refused(tmp_path: Path, photos: Path) -> None:
    pretrain(photos, tmp_path / "run", "--dynamics-every", "0", code=2)


figure_module = pytest.importorskip("matplotlib.figure")

NAMES = ("knn", "ref_ref")


def record(step: int, **changes: Any) -> dict[str, Any]:
    """Of a run that learns."""
    both = {f"{key}_{x}": 2.0 for key in ("rank", "spread", "uniformity") for x in "hz"}
    both |= {"uniformity_h": -2.0, "uniformity_z": -2.0, "covariance_z": 0.1, "distance_z": 1.0}
    tables = dict.fromkeys(("alignment_z", "satisfied_z", "alpha"), dict.fromkeys(NAMES, 0.5))
    more = {"gradients_z": {"invariance": 1.0, "covariance": 0.0}}
    return {"step": step, "total": 10.0 / step, **both, **tables, **more, **changes}


def drawn(records: list[dict[str, Any]], probes: list[dict[str, Any]]) -> Any:
    figure = figure_module.Figure()
    draw_dynamics(figure, records, probes)
    return figure


def test_the_picture_has_a_panel_for_all_that_the_log_has() -> None:
    figure = drawn([record(step) for step in range(1, 21)], [{"step": 9, "clive SRCC": 0.5}])
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert len(panels) == 10
    satisfied = panels["satisfied: nearer than the median pair"]
    assert [line.get_label() for line in satisfied.lines] == ["_knn", "_ref_ref", "chance"]
    probe = panels["probe on the way"].lines[0]
    assert (list(probe.get_xdata()), list(probe.get_ydata())) == ([9], [0.5])
    labels = [line.get_label() for line in panels["gradient by z of weighted terms"].lines]
    assert labels == ["invariance", "covariance: 0"]
    assert [text.get_text() for text in figure.legends[0].texts] == list(NAMES)
    assert figure.get_suptitle().startswith("progress: ")


def test_logs_of_older_runs_still_draw(tmp_path: Path) -> None:
    old = dict.fromkeys(("rank_h", "rank_z", "spread_h", "spread_z"), 1.0)
    graphs = {key: {"knn": 0.5} for key in ("alpha", "edges", "edge_weights")}
    records = [{"step": step, "total": 1.0, **graphs} for step in range(1, 4)]
    assert not has_dynamics(records)
    names = [path.name for path in plot_run(records, tmp_path, ("total",))]
    assert names == ["losses.png", "graphs.png"]
    records[0] |= old
    figure = drawn(records, [])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["total loss", "effective rank", "spread", "α of each graph source"]
    plot_run(records, tmp_path, ("total",))
    assert (tmp_path / "dynamics.png").is_file()


def falling(steps: int = 40, slope: float = 1.0, noise: float = 1.0) -> list[dict[str, Any]]:
    """A loss that falls by ``slope`` a step, in noise."""
    draws = np.random.default_rng(0).normal(size=steps)
    return [record(k + 1, total=noise * draws[k] - slope * k) for k in range(steps)]


def test_the_verdict_is_by_the_rules_it_tells() -> None:
    assert verdict(falling()).word == "progress"
    assert verdict(falling(slope=0)).word == verdict(falling(slope=-1)).word == "plateau"
    assert verdict(falling(12)).word == "too short to tell"
    for key in ("distance_z", "rank_z"):
        collapsed = falling()
        collapsed[3][key], collapsed[-1][key] = 9.0, 2.9
        assert verdict(collapsed).word == "collapse"
        assert verdict(collapsed).why.endswith("fell from 9 to 2.9")
        collapsed[-1][key] = 3.1
        assert verdict(collapsed).word == "progress"
    bare = [{"step": k, "total": float(-k)} for k in range(40)]  # of an older run
    assert verdict(bare).word == "progress"
