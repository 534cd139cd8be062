"""`shamisa export` from the command line, and what others can do with its files."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from shamisa_cli.cli import app
from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.encoders.encoder import Encoder
from shamisa_cli.errors import ShamisaError, UsageError
from shamisa_cli.files import MARK
from shamisa_cli.models import export as files
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.export_graph import graph_input
from shamisa_cli.models.head import Head, HeadInfo
from shamisa_cli.models.heads import save_head
from shamisa_cli.models.store import save_encoder
from shamisa_cli.scoring import load

DOCS = Path(__file__).parents[2] / "docs" / "export.md"
needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason='needs pip install "shamisa[export]"',
)


def export(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model as fast.onnx and fast.pt2."""
    folder = tmp_path_factory.mktemp("exported")
    result = export(
        tiny_model, "--onnx", folder / "fast.onnx", "--torch-export", folder / "fast.pt2"
    )
    assert result.exit_code == 0, result.output
    differences = re.findall(r"differs from torch by at most (\S+)", result.stdout)
    assert len(differences) == 2
    assert all(0 <= float(difference) <= 1e-2 for difference in differences)
    assert sorted(path.name for path in folder.iterdir()) == ["fast.onnx", "fast.pt2"]
    return folder


@needs_onnx
def test_any_number_of_photos_and_places_and_the_file_says_what_it_is(
    made: Path, tiny_model: Path, sample_photos: list[Image.Image]
) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(made / "fast.onnx"))
    program = torch.export.load(made / "fast.pt2").module()
    scorer = load(tiny_model, precision="fp32")
    crops = torch.cat([graph_input(scorer.extractor, photo) for photo in sample_photos])
    wanted = [scorer.score(photo).score for photo in sample_photos]
    for n in (1, 2):
        (scores,) = session.run(["score"], {"crops": crops[:n].numpy()})
        np.testing.assert_allclose(scores, wanted[:n], atol=2e-3)
        np.testing.assert_allclose(program(crops[:n])[0].detach(), wanted[:n], atol=2e-3)
    (one_place,) = session.run(["raw"], {"crops": crops[:, :1].numpy()})
    assert one_place.shape == (2,)

    facts = json.loads(session.get_modelmeta().custom_metadata_map["shamisa"])
    assert facts["model"] == scorer.model
    assert (facts["head"]["name"], facts["protocol"]["crop"]) == ("toy", 224)
    extra = {"shamisa.json": ""}
    torch.export.load(made / "fast.pt2", extra_files=extra)
    assert json.loads(extra["shamisa.json"]) == facts


def score_by_recipe() -> float:
    """What the script of the docs says of photo.jpg."""
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, np.ndarray] = {}
    exec(compile("\n".join(blocks), str(DOCS), "exec"), names)
    return float(names["score"][0])


@needs_onnx
@pytest.mark.parametrize("size", [(640, 427), (4000, 3000), (300, 500), (100, 70)])
def test_the_recipe_of_the_docs(
    made: Path,
    tiny_model: Path,
    sample_photos: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
) -> None:
    monkeypatch.chdir(made)
    exif = Image.Exif()
    exif[0x0112] = 6
    sample_photos[0].resize(size).save("photo.jpg", exif=exif)
    wanted = load(tiny_model, precision="fp32").score("photo.jpg")
    assert score_by_recipe() == pytest.approx(wanted.score, abs=2e-3)
    Path("photo.jpg").unlink()


@needs_onnx
def test_a_model_that_looks_at_photos_whole(
    tmp_path: Path, sample_photos: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the bundled ones, whose scene statistics take ONNX minutes; by the recipe of the docs.

    Its weights are said to be large: they lie beside the file, and are found there.
    """
    monkeypatch.setattr(files, "EXTERNAL_BYTES", 0)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        encoder = Encoder.from_name("test_resnet", pooling="regions")
    protocol = ViewingProtocol(short_side=256, crops="whole", scales=(1.0,))
    config = ModelConfig("whole", "test_resnet", encoder.feature_size, "regions", protocol=protocol)
    folder = tmp_path / "whole"
    save_encoder(folder, encoder, config)
    weight = torch.randn(encoder.feature_size, generator=torch.Generator().manual_seed(1))
    info = HeadInfo("toy", "none", (-50.0, 50.0), True, 9, len(weight), 1.0)
    save_head(folder, Head(weight, 1.0, info))
    monkeypatch.chdir(tmp_path)
    result = export(folder, "--onnx", tmp_path / "fast.onnx")
    assert result.exit_code == 0, result.output
    weights = sum(parameter.nbytes for parameter in encoder.parameters())
    assert (tmp_path / "fast.onnx.data").stat().st_size > 0.9 * weights
    scorer = load(folder, precision="fp32")
    for size in ((640, 427), (300, 501), (2400, 1800)):
        sample_photos[0].resize(size).save("photo.jpg")
        assert score_by_recipe() == pytest.approx(scorer.score("photo.jpg").score, abs=2e-3)


def test_weights_that_lie_beside_are_replaced_with_their_file_only(tmp_path: Path) -> None:
    def right(crops: torch.Tensor) -> list[torch.Tensor]:
        return [torch.zeros(len(crops)), torch.zeros(len(crops))]

    def save(path: Path) -> files.Run:
        path.write_text("graph")
        path.with_name("made.onnx.data").write_text("weights")
        return right

    made, weights = tmp_path / "made.onnx", tmp_path / "made.onnx.data"
    crops = [torch.zeros(2, 1, 1, 3, 8, 8, dtype=torch.uint8)]
    for _ in range(2):
        files.place_verified(made, save, right, crops)
        assert weights.read_text() == "weights"
        weights.write_text("earlier")
    made.unlink()
    weights.write_text("somebody's")
    with pytest.raises(UsageError, match=r"made\.onnx\.data: is in the way"):
        files.place_verified(made, save, right, crops)
    assert [path.name for path in tmp_path.iterdir()] == [weights.name]
    assert weights.read_text() == "somebody's"


def test_a_file_that_differs_is_not_written(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(program: object, facts: object, path: Path) -> files.Run:
        path.write_text("half a file")
        assert (tmp_path / "made.pt2").read_text() == earlier
        return lambda crops: [torch.full((len(crops),), 50.0), torch.zeros(len(crops))]

    monkeypatch.setattr(files, "save_torch_export", wrong)
    earlier = f"earlier, {MARK}"
    (tmp_path / "made.pt2").write_text(earlier)
    result = export(tiny_model, "--torch-export", tmp_path / "made.pt2", "--overwrite")
    assert result.exit_code == 1
    assert "not written, since it differs from torch by" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["made.pt2"]
    assert (tmp_path / "made.pt2").read_text() == earlier


@pytest.mark.parametrize(("photos", "output"), [(3, 0), (3, 1), (1, 0), (1, 1)])
def test_a_file_that_computes_no_number_is_not_written(
    tmp_path: Path, photos: int, output: int
) -> None:
    """nan, at one output for one number of photos; the rest is right."""

    def right(crops: torch.Tensor) -> list[torch.Tensor]:
        return [torch.zeros(len(crops)), torch.zeros(len(crops))]

    def run(crops: torch.Tensor) -> list[torch.Tensor]:
        outputs = right(crops)
        if len(crops) == photos:
            outputs[output][-1] = torch.nan
        return outputs

    crops = torch.zeros(3, 2, 1, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(ShamisaError, match="not written, since it differs from torch by nan"):
        files.place_verified(tmp_path / "x.pt2", lambda path: run, right, [crops, crops[:1, :1]])
    assert files.place_verified(tmp_path / "x.pt2", lambda path: right, right, [crops]) == 0


def test_a_full_disk_leaves_no_file(
    tiny_model: Path, tmp_path: Path, no_file_over: Callable[[int], AbstractContextManager[None]]
) -> None:
    with no_file_over(100_000):
        result = export(tiny_model, "--torch-export", tmp_path / "made.pt2")
    assert result.exit_code == 1
    assert "made.pt2" in result.output
    assert "cannot be written" in result.output
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = export(tiny_model, "--onnx", tmp_path / "made.onnx")
    assert result.exit_code == 2
    assert 'pip install "shamisa[export]"' in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{model}"], "nothing to make"),
        (["{model}", "--torch-export", "/no/such/x.pt2"], "there is no folder /no/such"),
        (["{model}", "--torch-export", "x.onnx"], "end in .pt2"),
        (["{model}", "--torch-export", "x.pt2", "--onnx", "./x.pt2"], "two files of one name"),
        (["{model}", "--head", "toyy", "--torch-export", "x.pt2"], "Did you mean toy"),
        (["fasst", "--torch-export", "x.pt2"], "Did you mean fast"),
        ([], "Missing argument"),
    ],
)
def test_usage_errors(tiny_model: Path, arguments: list[str], message: str) -> None:
    result = export(*(each.format(model=tiny_model) for each in arguments))
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output
