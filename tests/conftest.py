"""Photos for the tests: two samples of scikit-learn, and real ones from the folder SHAMISA_DATA."""

from __future__ import annotations

import gc
import os

# Small models on few cores: a second thread costs more than it brings, in subprocesses above all.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torchvision.transforms.functional import pil_to_tensor

from shamisa_cli.cli import GARBAGE
from shamisa_cli.distortions.engine import sample_metadata
from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.encoders.features import FeatureExtractor
from shamisa_cli.graphs.source import GraphInputs, engine_inputs
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.head import Head, HeadInfo
from shamisa_cli.models.heads import save_head
from shamisa_cli.models.store import save_encoder

gc.set_threshold(GARBAGE)  # as in a process of the command

# A shell lets SIGINT be ignored in what it starts in the background; tests of Ctrl-C need it.
_ON_MAIN_THREAD = threading.current_thread() is threading.main_thread()
if _ON_MAIN_THREAD and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def sample_photos() -> list[Image.Image]:
    """scikit-learn's china.jpg and flower.jpg (640×427)."""
    return [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with photos/ and clive/; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("SHAMISA_DATA", "/nowhere"))
    if not (folder / "clive" / "clive.csv").is_file():
        pytest.skip("no real photos: SHAMISA_DATA names no folder with clive/clive.csv")
    return folder


@pytest.fixture(scope="session")
def make_graph_inputs() -> Callable[..., GraphInputs]:
    """Builds a mini-batch as graph sources see it, random: no photos, no encoder."""
    return _graph_inputs


def _graph_inputs(layout: BatchLayout, seed: int = 0, d: int = 6, size: int = 5) -> GraphInputs:
    g = torch.Generator().manual_seed(seed)
    h = torch.nn.functional.normalize(torch.randn(layout.n, d, generator=g), dim=1)
    z = torch.randn(layout.n, size, generator=g)
    return engine_inputs(layout, sample_metadata(layout, g), h, z)


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
def install_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``install_plugins(entry_points, name=source, ...)``: a package third-party 1.2, installed."""

    def install(entry_points: str, **modules: str) -> None:
        info = tmp_path / "third_party-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(entry_points)
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delenv("SHAMISA_NO_PLUGINS", raising=False)

    return install


@pytest.fixture
def no_file_over() -> Callable[[int], AbstractContextManager[None]]:
    """``with no_file_over(size):`` the system lets no file grow past that, as a full disk does."""
    resource = pytest.importorskip("resource", reason="Windows has no limit on the size of files")

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit
