"""A short name for all that decides a score, so that unlike scores are never taken for like."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from shamisa_cli.encoders.config import ViewingProtocol
from shamisa_cli.models.config import ModelConfig
from shamisa_cli.models.head import Head
from shamisa_cli.models.weights import folder_digest
from shamisa_cli.settings import to_mapping

_LENGTH = 8


def fingerprint(folder: Path, config: ModelConfig, protocol: ViewingProtocol, head: Head) -> str:
    """Eight hexadecimal digits that change with weights, config, protocol or head.

    Device and precision are left out: they change a score by less than a point. ``folder`` is
    one that was loaded, which checks its weights.
    """
    digest = hashlib.sha256(folder_digest(folder).encode())
    digest.update(head.weight.double().numpy().tobytes())
    what_counts = replace(config, name="", default_head="", training={}, protocol=protocol)
    facts = [to_mapping(what_counts), head.bias, head.info.knots]
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()[:_LENGTH]
