"""timm's own repositories: pulled as safetensors, started from, and kept apart from scorers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from hub_server import HubServer, run
from PIL import Image
from safetensors.torch import save

from shamisa_cli.errors import UnknownNameError, UsageError, WeightsError
from shamisa_cli.models.names import locate_model
from shamisa_cli.models.pretrained import imagenet_folder, imagenet_name, load_pretrained
from shamisa_cli.models.store import load_encoder
from shamisa_cli.pretraining.config import PretrainConfig
from shamisa_cli.pretraining.start import initial_encoder

BACKBONE = "test_resnet"
REPOSITORY = "timm/test_resnet.r160_in1k"
MEAN = [0.1, 0.2, 0.3]


@pytest.fixture
def classifier() -> torch.nn.Module:
    """A whole timm model, as its repositories hold it."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return timm.create_model(BACKBONE, num_classes=1000).eval()


@pytest.fixture
def published(hub: HubServer, classifier: torch.nn.Module) -> HubServer:
    facts = {"mean": MEAN, "std": [0.5, 0.5, 0.5], "num_classes": 1000}
    config = {"architecture": BACKBONE, "num_classes": 1000, "pretrained_cfg": facts}
    files = {
        "config.json": json.dumps(config).encode(),
        "model.safetensors": save(classifier.state_dict()),
        "pytorch_model.bin": b"\x80\x04never read",
    }
    hub.state.add(REPOSITORY, files)
    return hub


def pull(name: str) -> None:
    assert f"--backbone {BACKBONE} --init hf://{REPOSITORY}" in run("pull", name).output


def same_features(encoder: torch.nn.Module, classifier: torch.nn.Module) -> bool:
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    normalized = (x - torch.tensor(MEAN).reshape(3, 1, 1)) / 0.5
    with torch.no_grad():
        expected = classifier.forward_head(classifier.forward_features(normalized), pre_logits=True)
        return torch.allclose(encoder.eval()(x), torch.nn.functional.normalize(expected), atol=1e-6)


def test_a_pulled_backbone_is_what_training_starts_from(
    published: HubServer, classifier: torch.nn.Module
) -> None:
    pull(f"hf://{REPOSITORY}")
    assert not any("pytorch_model.bin" in path for _, path, _ in published.requests)
    asked = len(published.requests)
    for init in (f"hf://{REPOSITORY}", REPOSITORY, "imagenet"):
        encoder = initial_encoder(PretrainConfig(backbone=BACKBONE, init=init))
        assert same_features(encoder, classifier)
    assert len(published.requests) == asked


def test_imagenet_fetches_what_is_not_here(
    published: HubServer, classifier: torch.nn.Module
) -> None:
    with pytest.raises(WeightsError, match=f"run: shamisa pull hf://{REPOSITORY}"):
        imagenet_folder(BACKBONE, fetch=False)
    assert published.requests == []
    encoder = initial_encoder(PretrainConfig(backbone=BACKBONE, init="imagenet"))
    assert same_features(encoder, classifier)
    assert imagenet_folder(BACKBONE, fetch=False) == locate_model(REPOSITORY)


def test_weights_that_timm_fetched_alone_are_enough(
    published: HubServer, classifier: torch.nn.Module, tmp_path: Path
) -> None:
    pull(REPOSITORY)
    (locate_model(REPOSITORY) / "config.json").unlink()
    folder = imagenet_folder(BACKBONE, fetch=False)
    encoder = load_pretrained(folder, BACKBONE)
    known = timm.get_pretrained_cfg(BACKBONE)
    assert encoder.preprocessing.mean == tuple(known.mean)
    key, value = next(iter(encoder.backbone.state_dict().items()))
    assert torch.equal(value, classifier.state_dict()[key])


def test_a_backbone_of_timm_scores_nothing_and_starts_no_other(
    published: HubServer, tmp_path: Path
) -> None:
    pull(REPOSITORY)
    with pytest.raises(UsageError, match=f"is a {BACKBONE}, not a test_vit"):
        initial_encoder(PretrainConfig(backbone="test_vit", init=f"hf://{REPOSITORY}"))
    with pytest.raises(WeightsError, match="a timm backbone"):
        load_encoder(locate_model(REPOSITORY))
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    refused = run("score", tmp_path, "--model", f"hf://{REPOSITORY}", code=2)
    assert "init of: shamisa pretrain" in refused.output


def test_backbones_without_published_weights() -> None:
    assert str(imagenet_name("resnet50")) == "hf://timm/resnet50.a1_in1k"
    with pytest.raises(WeightsError, match="init random"):
        imagenet_name("botnet50ts_256")
    with pytest.raises(UnknownNameError, match="Did you mean"):
        imagenet_name("resnet5O")


def test_without_a_network_imagenet_says_what_to_do(hub: HubServer) -> None:
    hub.faults.status = 503
    with pytest.raises(WeightsError, match="init random") as error:
        imagenet_folder(BACKBONE, fetch=True)
    assert f"shamisa pull hf://{REPOSITORY}" in str(error.value)


def timm_folder(folder: Path, tensors: dict[str, torch.Tensor], **facts: object) -> Path:
    """A repository of timm's as a local folder."""
    (folder / "config.json").write_text(json.dumps({"architecture": BACKBONE, **facts}))
    (folder / "model.safetensors").write_bytes(save(tensors))
    return folder


@pytest.mark.parametrize("lost", ["conv1.0.weight", "layer4.0.bn1.running_mean", "all"])
def test_tensors_that_are_missing_are_noticed(
    hub: HubServer, classifier: torch.nn.Module, tmp_path: Path, lost: str
) -> None:
    tensors = {k: v for k, v in classifier.state_dict().items() if lost not in (k, "all")}
    assert len(tensors) < len(classifier.state_dict())
    with pytest.raises(WeightsError, match=f"does not fit backbone {BACKBONE}") as error:
        load_pretrained(timm_folder(tmp_path, tensors), BACKBONE)
    assert lost in str(error.value) or not tensors
    assert "\n" not in str(error.value)
    assert hub.requests == []


@pytest.mark.parametrize("classes", [0, 10])
def test_backbones_with_any_number_of_classes(classes: int, tmp_path: Path) -> None:
    with torch.random.fork_rng():
        model = timm.create_model(BACKBONE, num_classes=classes)
    folder = timm_folder(tmp_path, model.state_dict(), num_classes=classes)
    loaded = load_pretrained(folder, BACKBONE).backbone.state_dict()
    assert len(loaded) >= len(model.state_dict()) - 2
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in loaded.items())


def test_facts_that_make_no_sense(classifier: torch.nn.Module, tmp_path: Path) -> None:
    wrong = [{"pretrained_cfg": value} for value in (5, {"mean": 5}, {"std": [1, 2]})]
    for facts in (*wrong, {"num_classes": "many"}):
        folder = timm_folder(tmp_path, classifier.state_dict(), **facts)
        with pytest.raises(WeightsError, match=str(tmp_path)):
            load_pretrained(folder, BACKBONE)
