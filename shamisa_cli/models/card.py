"""The model card README.md: figures of the heads in its metadata, and a text for people."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

from shamisa_cli.errors import ShamisaError
from shamisa_cli.hub.names import HubName
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.everyday import Everyday
from shamisa_cli.models.head import HeadInfo

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

CARD_FILE = "README.md"
DEFAULT_LICENSE = "apache-2.0"
TAGS = ("image-quality-assessment", "no-reference", "shamisa")
TASK = "image-quality-assessment"
PIPELINE = "image-classification"
"""The nearest of the tasks that the Hub knows; it has none of its own for image quality."""
METRICS = {
    "srcc": "SRCC",
    "plcc": "PLCC",
    "plcc_logistic": "PLCC after a logistic fit",
    "krcc": "KRCC",
    "rmse": "RMSE",
    "ladder_in_order": "adjacent severity levels in the right order",
    "ladder_tau": "Kendall's tau of severity ladders",
}
SHARES = (5, 10, 25, 50, 75, 90, 95)
"""Percentiles that a card shows."""
_HEAD = "head "
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".svg")
_LINK = re.compile(r"\]\((?!#|/|[a-z][a-z0-9+.-]*:)([^)\s#]+)", re.IGNORECASE)
_SLUG = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?")


def updated_card(
    card: str | None,
    config: ModelConfig,
    heads: Sequence[HeadInfo],
    name: HubName,
    license: str | None = None,
) -> str:
    """A model card with the metadata of its model.

    Parameters
    ----------
    card : the present card, whose text stays as it is, byte for byte; None for a new one.
    config, heads : of the model.
    name : the repository that the model goes to.
    license : identifier such as ``mit``; None keeps the card's, else :data:`DEFAULT_LICENSE`.

    """
    from huggingface_hub import ModelCard

    text = card if card is not None else _text(config, heads, name)
    if not text.lstrip().startswith("---"):
        text = f"---\nlicense: {DEFAULT_LICENSE}\n---\n{text}"
    try:
        made = ModelCard(text)
    except Exception as error:  # PyYAML's own, and huggingface_hub's ValueError
        raise ShamisaError(f"{CARD_FILE}: its metadata cannot be read: {error}") from error
    _update(made, config, heads, license)
    return str(made)


def pictures(card: str, folder: Path) -> list[str]:
    """Relative paths of the pictures in ``folder`` that a card shows or links to."""
    links = (link for link in _links(card).values() if link.casefold().endswith(_PICTURES))
    inside = (link for link in dict.fromkeys(links) if not link.startswith(".."))
    return [link for link in inside if (folder / link).is_file()]


def dead_links(card: str, files: Iterable[str]) -> list[str]:
    """Relative links of a card that lead to none of ``files``, whose paths are plain."""
    known = set(files)
    return [link for link, path in _links(card).items() if path not in known]


def _links(card: str) -> dict[str, str]:
    """The relative links of a card as they are written, and the paths that they mean."""
    return {link: posixpath.normpath(unquote(link)) for link in _LINK.findall(card)}


def _update(
    card: ModelCard, config: ModelConfig, heads: Sequence[HeadInfo], license: str | None
) -> None:
    """Fill in what is missing, and replace the figures of the heads; the rest stays."""
    data = cast("ModelCardData", card.data)
    data.license = license or data.get("license") or DEFAULT_LICENSE
    data.library_name = data.get("library_name") or "shamisa"
    data.pipeline_tag = data.get("pipeline_tag") or PIPELINE
    data.tags = _united(data.get("tags"), TAGS)
    fitted_on = [head.dataset for head in heads if _SLUG.fullmatch(head.dataset)]
    data.datasets = _united(data.get("datasets"), fitted_on) or None
    others = [r for r in data.eval_results or [] if not str(r.dataset_config).startswith(_HEAD)]
    data.model_name = data.get("model_name") or config.name
    data.eval_results = [*others, *(result for head in heads for result in _results(head))] or None


def _united(known: str | list[str] | None, more: Iterable[str]) -> list[str]:
    """``known``, one or several or none, and what of ``more`` is not among it."""
    listed = [known] if isinstance(known, str) else known or []
    return list(dict.fromkeys([*listed, *more]))


def _results(head: HeadInfo) -> list[EvalResult]:
    """The measured figures of one head."""
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type=TASK,
            task_name="image quality assessment",
            dataset_type=head.dataset if _SLUG.fullmatch(head.dataset) else "other",
            dataset_name=head.dataset,
            dataset_config=f"{_HEAD}{head.name}",
            metric_type=key,
            metric_name=METRICS.get(key, key),
            metric_value=round(value, 4),
        )
        for key, value in head.metrics.items()
    ]


def _text(config: ModelConfig, heads: Sequence[HeadInfo], name: HubName) -> str:
    """The text of a new card."""
    protocol = config.protocol
    short_side = protocol.short_side
    side = f"a short side of {short_side} px at most" if short_side else "any size"
    scales = ", ".join(f"{scale:g}" for scale in protocol.scales)
    text = f"""
# {config.name}

Scores how good photos look, from 0 to 100, with no reference picture
(no-reference image quality assessment).

    shamisa pull {name}
    shamisa score photos/ --model {name}

A {config.backbone} with {config.feature_size} features. Photos are scored at {side},
in {protocol.crops} crops of {protocol.crop} px, at scales {scales}.
"""
    if "method" in config.training:
        text += f"\nEncoder: {config.training['method']}.\n"
    return text + _heads_text(config, heads)


def _heads_text(config: ModelConfig, heads: Sequence[HeadInfo]) -> str:
    """What the heads were fitted on, their figures, and what their scores mean."""
    text = ""
    if heads:
        lines = "\n".join(_table_line(head, config) for head in heads)
        text += f"""
| head | fitted on | images | measured |
|---|---|---:|---|
{lines}

SRCC, PLCC, KRCC and RMSE are medians over the test parts of random splits.
"""
    tables = [(head.name, head.everyday) for head in heads if head.everyday]
    if tables:
        lines = "\n".join(_everyday_line(*each) for each in tables)
        text += f"""
Scores below which a part of everyday photos lies; the column `better_than` is by all percentiles.
No head saw the photos that it judged for this.

| head | photos | {" | ".join(f"{share} %" for share in SHARES)} |
|---|---|{"---:|" * len(SHARES)}
{lines}
"""
    return text


def _everyday_line(name: str, everyday: Everyday) -> str:
    scores = " | ".join(f"{everyday.scores[share]:.0f}" for share in SHARES)
    return f"| `{name}` | {everyday.photos} | {scores} |"


def _table_line(head: HeadInfo, config: ModelConfig) -> str:
    default = " (default)" if head.name == config.default_head else ""
    figures = ", ".join(f"{METRICS.get(key, key)} {v:.3f}" for key, v in head.metrics.items())
    note = f"; {head.note}" if head.note else ""
    return f"| `{head.name}`{default} | {head.dataset}{note} | {head.n_images} | {figures or '-'} |"
