"""Receipts, bodies, dates and names that are broken are answered with what is wrong, never with an unexpected error."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from flask.testing import FlaskClient
from small_lake import MONDAY
from test_api_errors import post, problem

from aggregation.receipts import sealed

VAR = f"/api/v1/var?as_of={MONDAY}&by=desk"
WRONG: list[Any] = [None, 10**12, "a\0b", [None], {"x": []}]


def broken(receipt: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The receipt with each of its parts, and each part of those, replaced by each of the wrong values."""
    for key, value in receipt.items():
        for wrong in WRONG:
            yield f"{key}={wrong!r:.20}", {**receipt, key: wrong}
        for inner in value if isinstance(value, dict) else ():
            for wrong in WRONG:
                yield f"{key}/{inner}={wrong!r:.20}", {**receipt, key: {**value, inner: wrong}}


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_no_broken_receipt_is_an_unexpected_error(client: FlaskClient, every: int) -> None:
    receipt = client.get(VAR).get_json()["receipt"]
    faults, tried = [], 0
    for name, one in itertools.islice(broken(receipt), 0, None, every):
        tried += 1
        # with the digest of what it says now, as whoever makes one up would send it
        answer = post(client, "replay", {"receipt": sealed(one)})
        if answer.status_code not in (200, 422):
            faults.append(f"{name}: {answer.status_code}")
    assert tried > 200 / every
    assert not faults, (len(faults), faults[:40])


@pytest.mark.parametrize("version", [10**12, -2, 1.5, 10**400])
def test_a_table_version_that_there_is_not_is_refused_at_once(client: FlaskClient, version: Any) -> None:
    receipt = copy.deepcopy(client.get(VAR).get_json()["receipt"])
    receipt["table_versions"]["positions"] = version
    answer = post(client, "replay", {"receipt": receipt})
    told = answer.get_json()["why"] if answer.status_code == 200 else problem(answer, 422)["detail"]
    assert "version" in told


@pytest.mark.parametrize("depth", [65, 990, 100_000])
@pytest.mark.parametrize("path", ["replay", "var", "valuations/plan", "branches", "scenario-sets/check"])
def test_json_that_is_nested_too_deep_is_400(client: FlaskClient, path: str, depth: int) -> None:
    text = '{"receipt": ' + "[" * depth + "]" * depth + "}"
    assert "nested" in problem(post(client, path, text), 400)["detail"]


@pytest.mark.parametrize("day", ["0001-01-01", "1899-12-31", "2101-01-01", "9999-12-31"])
def test_a_date_out_of_reach_is_422(client: FlaskClient, day: str) -> None:
    for address in (
        f"var?as_of={day}",
        f"var/plan?as_of={day}",
        f"series?from={day}&to={day}",
        f"stress-period?as_of={day}",
        f"reverse-stress/plan?as_of={day}&loss=1",
        f"backtest?from={day}&to={day}",
        f"positions?date={day}",
        f"dimensions/of-date?as_of={day}",
    ):
        body = problem(client.get(f"/api/v1/{address}"), 422)
        assert "from 1900 to 2100" in body["detail"], address
    body = problem(post(client, "valuations/plan", {"as_of": day}), 422)
    assert "from 1900 to 2100" in body["detail"]


def test_a_branch_upon_nothing_is_422(client: FlaskClient) -> None:
    body = {"name": "b", "as_of": str(MONDAY), "upon": "", "scale": ["*2"]}
    assert problem(post(client, "branches", body), 422)["errors"][0]["pointer"] == "/upon"
    assert problem(client.get(f"{VAR}&branch="), 422)["errors"][0]["pointer"] == "/branch"
