"""Photos for the tests: scikit-learn's two samples, and the project's shared data where present."""

from __future__ import annotations

import os
import resource

# Small models on few cores: a second thread costs more than it brings, in subprocesses above all.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torchvision.transforms.functional import pil_to_tensor

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.distortions.metadata import MAX_FUNCTIONS, BatchMetadata
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.graphs.source import GraphInputs
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.head import Head, HeadInfo
from shamisa_cli.models.heads import save_head
from shamisa_cli.models.store import save_encoder


@pytest.fixture(scope="session")
def sample_photos() -> list[Image.Image]:
    """scikit-learn's china.jpg and flower.jpg (640×427)."""
    return [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with photos/ and clive/; tests that need it are skipped where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SHAMISA_DATA", beside))
    if not (folder / "clive" / "clive.csv").is_file():
        pytest.skip(f"no real photos: {folder} has no clive/clive.csv (set SHAMISA_DATA)")
    return folder


@pytest.fixture(scope="session")
def make_graph_inputs() -> Callable[..., GraphInputs]:
    """Builds a mini-batch as graph sources see it, random but by hand: no engine, no encoder."""
    return _graph_inputs


def _graph_inputs(layout: BatchLayout, seed: int = 0, d: int = 6, size: int = 5) -> GraphInputs:
    g = torch.Generator().manual_seed(seed)
    shape = (layout.tiny_batches, layout.groups)
    functions = torch.full((*shape, MAX_FUNCTIONS), -1)
    severities = torch.zeros(*shape, layout.levels, MAX_FUNCTIONS)
    varying = torch.zeros(shape, dtype=torch.int64)
    for b in range(layout.tiny_batches):
        for c in range(layout.groups):
            m = int(torch.randint(1, MAX_FUNCTIONS + 1, (), generator=g))
            v = int(torch.randint(0, m, (), generator=g))
            functions[b, c, :m] = torch.randperm(26, generator=g)[:m]
            severities[b, c, :, :m] = torch.rand(m, generator=g)
            severities[b, c, :, v] = torch.rand(layout.levels, generator=g)
            varying[b, c] = v
    h = torch.nn.functional.normalize(torch.randn(layout.n, d, generator=g), dim=1)
    z = torch.randn(layout.n, size, generator=g)
    return GraphInputs(layout, BatchMetadata(functions, severities, varying), h, z)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, sample_photos: list[Image.Image]) -> Path:
    """A model folder with a small random backbone and one head, ``toy``; scores are well spread."""
    return _tiny_model(tmp_path_factory.mktemp("models") / "tiny", sample_photos)


def _tiny_model(folder: Path, photos: list[Image.Image]) -> Path:
    generator = torch.Generator().manual_seed(7)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        encoder = Encoder.from_name("mobilenetv4_conv_small_035")
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the statistics below are those of one batch
    pixels = torch.stack([pil_to_tensor(photo.resize((224, 224))) for photo in photos])
    with torch.no_grad():
        encoder.train()(pixels.float() / 255)
    config = ModelConfig(
        "tiny", "mobilenetv4_conv_small_035", encoder.feature_size, default_head="toy"
    )
    save_encoder(folder, encoder, config)

    weight = torch.randn(2 * encoder.feature_size, generator=generator)
    extractor = FeatureExtractor(encoder, config.protocol, precision="fp32")
    sizes = ((90, 60), (300, 200), (640, 427), (1200, 800))
    shown = [photo.resize(size) for photo in photos for size in sizes]
    raws = [float((extractor.features(photo) @ weight).mean()) for photo in shown]
    room = max(raws) - min(raws)
    info = HeadInfo(
        name="toy",
        dataset="two photos in four sizes",
        score_range=(min(raws) - room, max(raws) + room),
        higher_is_better=True,
        n_images=len(shown),
        features=len(weight),
        strength=1.0,
    )
    save_head(folder, Head(weight, 0.0, info))
    return folder


@pytest.fixture
def no_file_over() -> Callable[[int], AbstractContextManager[None]]:
    """``with no_file_over(size):`` the system lets no file grow past that, as a full disk does."""

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit
