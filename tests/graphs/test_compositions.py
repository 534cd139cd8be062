"""The table of compositions against loops over the metadata."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shamisa_cli.distortions.layout import BatchLayout
from shamisa_cli.graphs.compositions import function_severities


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), n_functions=st.integers(26, 30))
def test_function_severities(make_graph_inputs, seed, n_functions):
    layout = BatchLayout(2, 1, 2, 2, 3)
    inputs = make_graph_inputs(layout, seed)
    expected = torch.full((layout.n, n_functions), math.nan)
    for node, (b, _, _, c, level) in enumerate(layout.coordinates.tolist()):
        if c < 0:
            continue
        for place, function in enumerate(inputs.metadata.functions[b, c].tolist()):
            if function >= 0:
                expected[node, function] = inputs.metadata.severities[b, c, level, place]
    made = function_severities(inputs.metadata, layout, n_functions)
    torch.testing.assert_close(made, expected, equal_nan=True, atol=0, rtol=0)
