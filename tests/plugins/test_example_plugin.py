"""The example package, installed by pip into a folder of its own, takes part in a training step."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "plugins" / "example-same-level"

STEP = """
import torch
from shamisa_cli.distortions.layout import BatchLayout, BatchMetadata
from shamisa_cli.graphs.combine import GraphCombination
from shamisa_cli.graphs.registry import available_sources, create_source
from shamisa_cli.graphs.source import engine_inputs
from shamisa_cli.pretraining.objective import ObjectiveInputs, create_objective

entry = available_sources()["same_level"]
print(entry.distribution, entry.version, entry.plugin.coeff, *(p.default for p in entry.parameters))
sources = {"same_level": create_source("same_level", width=0.3), "knn": create_source("knn", k=2)}
graphs = GraphCombination({name: (source, source.coeff) for name, source in sources.items()})
generator = torch.Generator().manual_seed(0)
graphs.prepare(6, generator)
objective = create_objective({"name": "graph_vicreg"})

layout = BatchLayout(1, 2, 1, 1, 3)
functions = torch.tensor([[[3, -1, -1, -1, -1, -1, -1]]])
severities = torch.zeros(1, 1, 3, 7)
severities[0, 0, :, 0] = torch.tensor([0.1, 0.3, 0.9])  # the first two differ by less than 0.3
metadata = BatchMetadata(functions, severities, torch.zeros(1, 1, dtype=torch.int64))
x = torch.randn(layout.n, 6, generator=generator).requires_grad_()
losses = []
for _ in range(2):
    h = torch.nn.functional.normalize(x, dim=1)
    inputs = engine_inputs(layout, metadata, h.detach(), h.detach())
    combined = graphs(inputs)
    graph, repulsion = combined.graph, combined.repulsion
    loss = objective(ObjectiveInputs(h, inputs, graph, repulsion, {}, graph)).total
    x.data -= 1e-3 * torch.autograd.grad(loss, x)[0]
    losses.append(loss.item())
print(int(combined.statistics[0, 0]), losses[1] < losses[0])
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds the installed example and nothing else."""
    for tool in ("pip", "setuptools"):
        if importlib.util.find_spec(tool) is None:
            pytest.skip(f"{tool} is not installed here, so the example cannot be built offline")
    # setuptools writes build files beside the sources: build a copy.
    source = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("example") / "source")
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    subprocess.run([*pip, *offline, str(source)], check=True, timeout=120)
    return target


def test_it_takes_part_in_training_steps(installed):
    path = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "SHAMISA_NO_PLUGINS": ""}
    done = subprocess.run(
        [sys.executable, "-c", STEP], env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    # Two nodes of each of the levels 0.1 and 0.3, one in each view: six pairs of those four crops,
    # and the pair of the two views of 0.9.
    assert done.stdout.splitlines() == ["example-same-level 0.1 0.1 0.05", "7 True"]
