"""Readings of the first ends of a joined model read what the start alone gives."""

from __future__ import annotations

import dataclasses
import json
from itertools import islice
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from shamisa_cli.cli import app
from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.errors import UsageError, WeightsError
from shamisa_cli.explaining import load_explainer
from shamisa_cli.explaining.lessons import make_lessons
from shamisa_cli.explaining.reading import readable_of
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.head import Head, HeadInfo
from shamisa_cli.models.heads import save_head
from shamisa_cli.models.join import join_models
from shamisa_cli.models.store import load_encoder, random_encoder, save_encoder

PROTOCOL = ViewingProtocol(short_side=64, crop=64, crops="whole", scales=(1.0,))


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reading") / "start"
    config = ModelConfig("start", "test_efficientnet", 1, "regions", protocol=PROTOCOL)
    encoder = random_encoder(config, seed=1)
    size = encoder.feature_size
    save_encoder(
        folder, encoder, dataclasses.replace(config, feature_size=size, default_head="toy")
    )
    return folder


@pytest.fixture(scope="module")
def joined(start: Path) -> Path:
    """With two more ends, and a head."""
    made = start
    for number in (2, 3):
        encoder, config = load_encoder(start)
        with torch.no_grad():
            encoder.backbone.get_parameter("conv_head.weight").mul_(number)
            for values in encoder.backbone.get_submodule("blocks")[-1].parameters():
                values.mul_(1 + number / 9)
        save_encoder(start.parent / f"other{number}", encoder, config)
        joined = start.parent / f"joined{number}"
        config = join_models(made, start.parent / f"other{number}", joined)
        made = joined
    info = HeadInfo("toy", "toys", (-3.0, 3.0), True, 10, config.feature_size, 1.0)
    weight = torch.randn(config.feature_size, generator=torch.Generator().manual_seed(4))
    save_head(made, Head(weight, 0.0, info))
    facts = dataclasses.replace(ModelConfig.load(made / "config.json"), default_head="toy")
    (made / "config.json").write_bytes(facts.encode())
    return made


def extractor(folder: Path) -> FeatureExtractor:
    encoder, config = load_encoder(folder)
    return FeatureExtractor(encoder, config.protocol, "cpu", "fp32")


def test_the_first_end_is_what_the_start_gives(
    start: Path, joined: Path, sample_photos: list[Image.Image]
) -> None:
    one, three = extractor(start), extractor(joined)
    photo = sample_photos[0].resize((96, 72))
    wanted = one.features_and_cells(one.cut(photo))
    found = three.features_and_cells(three.cut(photo))
    readable = readable_of(three, 1)
    for got, expected in zip(readable.of(*found), wanted, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(readable.maps < 7, readable_of(one).maps < 7)
    sizes = [len(readable_of(three, ends).maps) for ends in (1, 2, 3, 0)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == sizes[-2] == three.size
    assert [each.shape for each in readable_of(three).of(*found)] == [each.shape for each in found]
    with pytest.raises(UsageError, match="ends: the model has 3, got 4"):
        readable_of(three, 4)


def test_a_joined_model_is_taught_by_its_first_end(
    start: Path,
    joined: Path,
    good_photos: Path,
    sample_photos: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = "shamisa_cli.explaining.examples.make_lessons"  # as they are, and nine kinds of damage
    monkeypatch.setattr(few, lambda *of: islice(make_lessons(*of), 10))
    arguments = ["fit-explain", str(good_photos), "--model", str(joined), "--workers", "0"]
    refused = CliRunner().invoke(app, [*arguments, "--ends", "4"])
    assert refused.exit_code == 2
    assert "ends: the model has 3, got 4" in refused.output
    made = CliRunner().invoke(app, [*arguments, "--ends", "1", "--quiet"])
    assert made.exit_code == 0, made.output
    file = joined / "explain.json"
    info = json.loads(file.read_text())
    assert info["ends"] == 1
    explainer = load_explainer(joined, device="cpu", precision="fp32")
    heads = explainer.heads
    assert len(heads.places.center) == readable_of(extractor(start)).cells
    explained = explainer.explain(sample_photos[0])
    assert explained.quality is not None
    assert len(explained.kinds) == 24
    file.write_text(json.dumps({**info, "ends": 2}))
    with pytest.raises(WeightsError, match=r"explain\.safetensors: not of this model"):
        load_explainer(joined, device="cpu", precision="fp32")
