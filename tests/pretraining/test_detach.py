"""Graphs are targets; ``detach = false`` lets gradients through their weights, as was published."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.errors import UsageError
from shamisa_cli.pretraining.batches import step_metadata
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.pretraining.model import PretrainLoss, PretrainModel
from shamisa_cli.pretraining.presets import resolve
from shamisa_cli.training.parallel import Ranks


def config(*, detach: bool) -> PretrainConfig:
    options: dict[str, Any] = {
        "backbone": "test_resnet",
        "crop": "32",
        "batch": {"tiny_batches": 1, "references": 2, "groups": 1, "levels": 2},
        "projector": {"hidden": 16, "out": 8},
        "graphs": {"detach": detach, "sources": {"knn": {"k": 3}, "transport": {"prototypes": 4}}},
    }
    return resolve("shamisa", None, options)


def loss_of(detach: bool) -> tuple[PretrainModel, PretrainLoss]:
    settings = config(detach=detach)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = PretrainModel(Encoder.from_name("test_resnet"), settings)
    layout: BatchLayout = settings.batch
    crops = torch.rand(layout.n, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    return model, model(crops, step_metadata(settings, 0), Ranks())


def gradient(model: PretrainModel, term: Tensor) -> Tensor:
    weights = list(model.encoder.backbone.parameters())
    found = torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True)
    parts = [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]
    return torch.cat([part.flatten() for part in parts])


def test_only_the_regularizer_gets_another_gradient() -> None:
    (model, published), (same, plain) = loss_of(detach=False), loss_of(detach=True)
    for name, value in plain.terms.items():
        torch.testing.assert_close(published.terms[name], value)
    assert not plain.terms["regularizer"].requires_grad
    through = gradient(model, published.terms["regularizer"])
    assert bool(through.isfinite().all())
    assert float(through.abs().max()) > 0
    for name in ("invariance", "auxiliary", "variance"):
        torch.testing.assert_close(
            gradient(model, published.terms[name]), gradient(same, plain.terms[name])
        )


def test_learned_alpha_needs_detached_graphs() -> None:
    with pytest.raises(UsageError, match="detach = false needs alpha"):
        resolve("shamisa", None, {"graphs": {"detach": False, "alpha": "learned"}})
