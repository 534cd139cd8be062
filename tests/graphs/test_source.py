"""The columns that graph sources read, against loops over layout and metadata."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shamisa_cli.distortions.engine import sample_metadata
from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.distortions.registry import ENTRIES
from shamisa_cli.graphs.source import Role, engine_inputs


@settings(max_examples=20, deadline=None)
@given(layout=st.builds(BatchLayout, *[st.integers(1, 3)] * 5), seed=st.integers(0, 2**31))
def test_engine_inputs(layout, seed):
    metadata = sample_metadata(layout, torch.Generator().manual_seed(seed))
    h, z = torch.randn(layout.n, 3), torch.randn(layout.n, 2)
    inputs = engine_inputs(layout, metadata, h, z)
    assert inputs.h is h
    assert inputs.z is z
    assert inputs.n == layout.n
    assert inputs.has == {"composition"}
    made = inputs.composition
    photos, groups = {}, {}
    for node, (b, view, r, c, level) in enumerate(layout.coordinates.tolist()):
        assert inputs.view[node] == view
        assert made.level[node] == level
        # One id for each photo and for each composition group, the first that is met.
        assert photos.setdefault((b, r), inputs.image[node].item()) == inputs.image[node]
        severities = [math.nan] * len(ENTRIES)
        varying = math.nan
        if c < 0:
            assert (inputs.role[node], made.group[node]) == (Role.REFERENCE, -1)
        else:
            assert inputs.role[node] == Role.DISTORTED
            assert groups.setdefault((b, c), made.group[node].item()) == made.group[node] >= 0
            for place, entry in enumerate(metadata.functions[b, c].tolist()):
                if entry >= 0:
                    severities[entry] = metadata.severities[b, c, level, place]
            varying = metadata.severities[b, c, level, metadata.varying[b, c]]
        pairs = ((made.severities[node], severities), (made.varying_severity[node], varying))
        for ours, expected in pairs:
            expected = torch.as_tensor(expected)
            torch.testing.assert_close(ours, expected, equal_nan=True, atol=0, rtol=0)
    assert len(set(photos.values())) == len(photos) == layout.tiny_batches * layout.references
    assert len(set(groups.values())) == len(groups) == layout.tiny_batches * layout.groups
