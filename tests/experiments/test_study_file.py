"""Study files: those that come with the program, and what is refused, with near matches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shamisa_cli.commands.completion import STUDIES
from shamisa_cli.errors import UsageError
from shamisa_cli.experiments.study_file import Variant, find_study, read_study, shipped_studies
from shamisa_cli.experiments.study_folder import open_folder
from shamisa_cli.pretraining.ablations import ABLATIONS
from shamisa_cli.pretraining.start import initial_encoder

PLAIN = 'steps = 3\n[config]\nbackbone = "test_resnet"\n[[variants]]\nname = "published"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["quick", "published"])
def test_shipped_studies_have_every_ablation(name: str) -> None:
    study = read_study(find_study(name))
    assert {variant.ablation for variant in study.variants} - {""} == set(ABLATIONS)
    placebo = next(variant for variant in study.variants if variant.shift_seeds)
    assert not placebo.config
    assert set(shipped_studies()) == set(STUDIES)
    for variant in study.variants:
        assert study.run_config(variant, 3).seed == 3 + variant.shift_seeds


def test_the_quick_study_can_start() -> None:
    """From a bundled model that pre-training takes: one with a single end."""
    study = read_study(find_study("quick"))
    assert study.preset == "shamisa"
    initial_encoder(study.run_config(study.variants[0], 0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepps = 3\n", "key in .*mine.toml: 'stepps'. Did you mean steps"),
        ("steps = 3\n", "variants: there are none"),
        ("steps = 3\nvariants = 3\n", "variants: expected tables, each under"),
        (PLAIN + "[[variants]]\nablatoin = 'A1'\n", "variant 2: 'ablatoin'. Did you mean ablation"),
        (PLAIN + "[[variants]]\n", "variant 2: give it a name, or an ablation"),
        (PLAIN + "[[variants]]\nablation = 'A9'\n", "unknown ablation 'A9'. Known|Did you mean"),
        (PLAIN + "[[variants]]\nablation = 'A1,'\nname='published'\n", "have one name"),
        (PLAIN + "[[variants]]\nname = 'Published!'\n", "'published' and 'Published!' have one"),
        (PLAIN + "[[variants]]\nname='x'\nconfig.grphs.k = 1\n", "'grphs'. Did you mean graphs"),
        (PLAIN + "[[variants]]\nname='x'\nconfig.seed = 1\n", "config.seed: .* set seeds at the"),
        (PLAIN.replace("[config]", "[config]\nsteps = 5"), "config.steps: .* set steps at the"),
        (PLAIN.replace("steps = 3", 'steps = 3\nbudget = "5m"'), "give one of steps, epochs"),
        (PLAIN.replace("steps = 3", ""), "give one of steps, epochs, budget"),
        ("seeds = [1, 1]\n" + PLAIN, "seeds must be different numbers"),
        ('baseline = "publishd"\n' + PLAIN, "baseline 'publishd'. Did you mean published"),
        ('controls = ["strat"]\n' + PLAIN, "control 'strat'. Did you mean start"),
        ('preset = "shamiza"\n' + PLAIN, "preset 'shamiza'. Did you mean shamisa"),
        (PLAIN + "[probe]\nsampel = 3\n", "'sampel'. Did you mean sample"),
        (PLAIN + "[probe]\nsample = 3\n", "sample must be at least 20"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_study(written(tmp_path, text))


def test_an_unknown_study_has_near_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, PLAIN)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"study 'quik'\. Did you mean quick"):
        find_study("quik")
    with pytest.raises(UsageError, match=r"Did you mean mine\.toml"):
        find_study("mime.toml")
    with pytest.raises(UsageError, match="Known: published, quick"):
        find_study("zzz")
    assert find_study("mine.toml").name == "mine.toml"


def test_options_come_over_the_file(tmp_path: Path) -> None:
    over: dict[str, Any] = {"epochs": 2.0, "seeds": [4], "probe": {"dataset": "koniq"}}
    study = read_study(written(tmp_path, PLAIN), {**over, "config": {"init": "random"}})
    assert (study.steps, study.epochs, study.seeds) == (None, 2.0, (4,))
    assert study.probe.dataset == "koniq"
    config = study.run_config(study.variants[0], 4)
    assert (config.backbone, config.init, config.epochs) == ("test_resnet", "random", 2.0)


def test_auto_is_imagenet_whatever_is_on_the_machine(tmp_path: Path) -> None:
    study = read_study(written(tmp_path, PLAIN))
    assert study.run_config(study.variants[0], 0).init == "imagenet"


def test_what_a_variant_changes_is_said() -> None:
    both = Variant("x", "C1:k=7", {"graphs": {"alpha": "ones", "remove": ["knn"]}}, 5)
    assert both.change() == (
        "the neighbors k of each crop in knn; published: 31; k = 7; "
        'graphs.alpha = "ones"; graphs.remove = ["knn"]; seeds + 5'
    )


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    out, file = tmp_path / "out", written(tmp_path, PLAIN)
    study = read_study(file)
    open_folder(out, study, resume=False, overwrite=False)
    open_folder(out, study, resume=False, overwrite=False)  # nothing to lose yet
    (out / "table.md").write_text("| variant |")
    with pytest.raises(UsageError, match="holds a study already: resume it, replace it"):
        open_folder(out, study, resume=False, overwrite=False)
    with pytest.raises(UsageError, match="give one of them"):
        open_folder(out, study, resume=True, overwrite=True)
    more = PLAIN + "[[variants]]\nablation = 'A1'\n"
    open_folder(out, read_study(written(tmp_path, more)), resume=True, overwrite=False)
    other = more.replace("steps = 3", "steps = 4") + "config.batch.levels = 2\n"
    with pytest.raises(UsageError, match="another steps, variant 'A1': go on with the same"):
        open_folder(out, read_study(written(tmp_path, other)), resume=True, overwrite=False)
    (out / "notes.txt").write_text("mine")
    (out / "runs").mkdir()
    open_folder(out, study, resume=False, overwrite=True)
    assert sorted(path.name for path in out.iterdir()) == ["notes.txt", "study.json"]
    (out / "study.json").unlink()
    (out / "runs").mkdir()
    with pytest.raises(UsageError, match="no study made it"):
        open_folder(out, study, resume=True, overwrite=False)
