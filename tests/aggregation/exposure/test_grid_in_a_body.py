"""The dates of the paths, as each door has them."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from aggregation import questions

BODY = {"as_of": "2020-03-16", "grid": ["1M", "6M"]}


@pytest.mark.parametrize("name", ["exposure", "cva", "cva-explain", "sa-cva", "exposure-limits"])
def test_a_grid_of_a_body_is_read_as_that_of_an_address(name: str) -> None:
    model = questions.question(name).query
    given = {**BODY, **({"from": "2020-02-14"} if name == "cva-explain" else {})}
    # as the service reads bodies
    read = model.model_validate_json(json.dumps(given), strict=True)
    assert read == questions.read(name, {**given, "grid": "1M,6M"})
    with pytest.raises(ValidationError, match="grid"):
        model.model_validate_json(json.dumps({**given, "grid": [1, 6]}), strict=True)
