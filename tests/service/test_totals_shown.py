"""What a terminal shows of an answer without a layout of its own: its total, its small tables, the names of the large ones."""

import json
from pathlib import Path

import pytest
from command_line import varlake
from small_lake import MONDAY

from service.rendering.display import text


@pytest.fixture(scope="module")
def ask(answering_lake: Path):
    def asked(*line: str):
        return varlake("ba-cva", "--as-of", str(MONDAY), *line, lake=answering_lake)

    return asked


def test_the_total_stands_below_the_groups(ask) -> None:
    total = json.loads(ask("--by", "counterparty", "--json").stdout)["total"]
    lines = ask("--by", "counterparty").stdout.splitlines()
    (last,) = (line.split() for line in lines if line.startswith("Total "))
    assert text(total["capital"]) in last
    shown = dict(line.split() for line in lines[lines.index("Total") + 1 :][: len(total)] if len(line.split()) == 2)
    assert shown["k_reduced"] == text(total["k_reduced"])
    assert "Sets" in lines


def test_money_is_in_its_unit_and_squares_of_it_are_not(ask) -> None:
    total = json.loads(ask("--json").stdout)["total"]
    lines = ask("--units", "million").stdout.splitlines()
    shown = dict(line.split() for line in lines if len(line.split()) == 2)
    assert shown["k_reduced"] == f"{total['k_reduced'] / 1e6:,.2f}"
    assert float(shown["systematic"].replace(",", "")) == pytest.approx(total["systematic"], rel=1e-3)
    assert "Total (money in millions)" in lines
