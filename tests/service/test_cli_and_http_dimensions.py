"""Filters, hierarchies, tables, pivots, drills and free dates as a user asks for them, on the command line and over HTTP."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import answer, plain, refused, varlake
from flask.testing import FlaskClient
from small_lake import FRIDAY, MONDAY, SCENARIOS, no_spark, request

from aggregation.risk.drill import DrillQuery, run_drill
from aggregation.risk.pivot import PivotQuery, run_pivot
from aggregation.risk.table import run_table
from aggregation.types import TableQuery
from lake.committer import Committer
from lake.tables import Lake
from service.api.app import create_app
from service.config import Settings
from valuation.sets.requests import run_valuation

HIERARCHY = """hierarchy,level,member,parent_level,parent,effective_from,effective_to
organisation,desk,Equities,division,Markets,2020-01-01,2020-03-15
organisation,desk,Equities,division,Cash,2020-03-16,
organisation,desk,Options,division,Markets,2020-01-01,
"""


@pytest.fixture(scope="module")
def lake(valued_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The valued lake with a hierarchy, brought in by the command."""
    copied = Path(shutil.copytree(valued_lake, tmp_path_factory.mktemp("dimensions") / "lake"))
    file = copied.parent / "organisation.csv"
    file.write_text(HIERARCHY)
    done = varlake("ingest", "hierarchy", file, lake=copied)
    assert done.returncode == 0, done.stderr
    assert "desk < division" in done.stdout
    return copied


@pytest.fixture(scope="module")
def client(lake: Path) -> FlaskClient:
    return create_app(Settings(lake=lake)).test_client()


class TestCommands:
    def test_a_level_groups_as_of_its_day(self, lake: Path) -> None:
        monday = answer("var", "--as-of", MONDAY, "--by", "division", lake=lake)
        friday = answer("var", "--as-of", FRIDAY, "--by", "division", lake=lake)
        assert [r["division"] for r in monday["rows"]] == ["Cash", "Markets"]
        assert [r["division"] for r in friday["rows"]] == ["Markets"]

    def test_a_bad_hierarchy_is_refused_with_its_line(self, lake: Path, tmp_path: Path) -> None:
        file = tmp_path / "bad.csv"
        file.write_text(HIERARCHY.replace("2020-03-15", "2020-03-16"))
        assert "line 3, column effective_from" in refused("ingest", "hierarchy", file, lake=lake)

    def test_what_a_book_can_be_grouped_by(self, lake: Path) -> None:
        rows = {r["dimension"]: r for r in answer("dimensions", "--as-of", MONDAY, lake=lake)}
        assert (rows["division"]["members"], rows["division"]["meaning"]) == (2, "level")
        assert (rows["attribute.rating"]["members"], rows["desk"]["members"]) == (2, 2)
        assert "Nearest dates" in refused("dimensions", "--as-of", "2020-01-01", lake=lake)

    def test_subtotals_order_limit_and_bounds(self, lake: Path) -> None:
        options = ("--by", "division,client", "--subtotals", "--sort=-es_0.99", "--limit", 1, "--bounds")
        got = answer("var", "--as-of", MONDAY, *options, lake=lake)
        query = TableQuery(
            as_of=MONDAY, by=("division", "client"), measures=("var", "es"),
            subtotals=True, sort=("-es_0.99",), limit=1, bounds=True,
        )  # fmt: skip
        assert plain(got) == plain(run_table(Lake.open(lake), query).to_dict())
        assert [(r["level"], r["others"]) for r in got["rows"]] == [(0, 0), (1, 0), (2, 0), (2, 1), (1, 1)]
        shown = varlake("var", "--as-of", MONDAY, *options, lake=lake).stdout
        assert "1 other" in shown
        assert "Total" in shown
        assert "bound" in shown

    def test_filters_of_every_kind(self, lake: Path) -> None:
        for texts, count in (
            (("desk~Eq*",), 2), (("book>=book-1",), 2), (("attribute.rating!=",), 4), (("division=Cash", "trade!~*-1"), 1),
        ):  # fmt: skip
            where = [w for t in texts for w in ("--where", t)]
            assert answer("var", "--as-of", MONDAY, *where, lake=lake)["coverage"]["positions"] == count
        assert "Nearest valid: Cash" in refused("var", "--as-of", MONDAY, "--where", "division=Csh", lake=lake)

    def test_pivot(self, lake: Path) -> None:
        got = answer("pivot", "--as-of", MONDAY, "--rows", "division", "--columns", "client", lake=lake)
        query = PivotQuery(as_of=MONDAY, rows=("division",), columns=("client",))
        assert plain(got) == plain(run_pivot(Lake.open(lake), query).to_dict())
        shown = varlake("pivot", "--as-of", MONDAY, "--rows", "division", "--columns", "client", lake=lake).stdout
        assert all(word in shown for word in ("Cash", "Markets", "Acme", "Total"))
        said = refused("pivot", "--as-of", MONDAY, "--rows", "desk", "--columns", "desk", lake=lake)
        assert "cannot stand down and across" in said

    def test_drill_with_its_picture(self, lake: Path, tmp_path: Path) -> None:
        got = answer("drill", "--as-of", MONDAY, "--where", "desk=Options", lake=lake)
        (covered, failed) = got["rows"]
        assert (covered["state"], failed["state"], failed["reason"]) == ("covered", "failed", "matured")
        assert json.loads(covered["terms"])["strike"] == 100.0
        assert covered["contribution"] == got["value"]
        picture = tmp_path / "drill.svg"
        shown = varlake("drill", "--as-of", MONDAY, "--per", "contract", "--plot", picture, lake=lake)
        assert "contracts 1 to 4 of 4" in shown.stdout
        assert picture.read_text().startswith("<?xml")
        assert "Nearest valid: loss" not in refused("drill", "--as-of", MONDAY, "--order", "los", lake=lake)


class TestFreeDates:
    """Positions of one date, market of another, scenarios of a third."""

    def run(self, *more: Any, lake: Path) -> Any:
        return answer("var", "--as-of", MONDAY, *more, lake=lake)

    def test_planned_priced_answered(self, lake: Path, tmp_path: Path) -> None:
        own = Path(shutil.copytree(lake, tmp_path / "lake"))
        mixed = ("--market-date", FRIDAY, "--positions-date", FRIDAY)
        said = refused("var", "--as-of", MONDAY, *mixed, lake=own)
        assert f"No valuation set of {MONDAY} in the market of {FRIDAY}" in said
        assert "Add --plan to see what that takes, --value to have it valued first." in said
        versions = Lake.open(own).snapshot().versions
        plan = self.run(*mixed, "--plan", lake=own)
        (valued,) = (v["plan"] for v in plan["valuations"])
        counts = ("wanted", "missing", "cannot_be_valued", "scenarios")
        assert [valued[c] for c in counts] == [4, 3, 1, SCENARIOS]
        assert (plan["ready"], plan["expected_core_seconds"] >= 0) == (False, True)
        assert Lake.open(own).snapshot().versions == versions  # nothing was priced
        first = self.run(*mixed, "--value", lake=own)
        receipt = first["receipt"]
        assert (receipt["valuation_date"], receipt["market_date"], receipt["positions_date"]) == (
            *(str(MONDAY), str(FRIDAY)),
            str(FRIDAY),
        )
        again = self.run(*mixed, lake=own)  # now it is there
        assert again["total"] == first["total"]
        assert "Nothing is missing" in varlake("var", "--as-of", MONDAY, *mixed, "--value", lake=own).stderr
        # and it does not answer for the day's own market
        assert self.run(lake=own)["receipt"]["market_date"] == str(MONDAY)

    def test_the_scenarios_of_a_third_date_on_this_market(self, lake: Path, tmp_path: Path) -> None:
        own = Path(shutil.copytree(lake, tmp_path / "lake"))
        opened = Lake.open(own)
        sets = opened.read("scenario_sets").to_pylist()
        (friday,) = (s["scenario_set_id"] for s in sets if s["market_date"] == FRIDAY)
        got = self.run("--scenario-set", friday, "--value", lake=own)
        labels = {
            s["name"]: s["labels"] for s in opened.read("scenario_sets").to_pylist() if s["market_date"] == MONDAY
        }
        moved = labels[f"historical-{SCENARIOS}-to-{FRIDAY}"]
        assert moved == next(s["labels"] for s in sets if s["market_date"] == FRIDAY)
        assert got["receipt"]["scenario_set_name"] == f"historical-{SCENARIOS}-to-{FRIDAY}"
        by_name = self.run("--scenario-set", f"historical-{SCENARIOS}", "--value", lake=own)
        assert by_name["receipt"]["scenario_set_name"] == f"historical-{SCENARIOS}"

    def test_missing_contracts_are_planned_and_priced(self, bare_lake: Path, tmp_path: Path) -> None:
        own = Lake.open(Path(shutil.copytree(bare_lake, tmp_path / "lake")))
        with Committer(own, "test") as committer:
            run_valuation(committer, request(FRIDAY), spark=no_spark)
        monday = answer("var", "--as-of", MONDAY, "--value", lake=own.path)  # the recipe last valued, on this day
        assert monday["receipt"]["scenario_set_name"] == f"historical-{SCENARIOS}"
        assert monday["coverage"]["missing"] == 0

    def test_a_set_in_another_market_is_not_mixed_up(self, lake: Path) -> None:
        sets = Lake.open(lake).read("valuation_sets").to_pylist()
        (one,) = (s["valuation_set_id"] for s in sets if s["valuation_date"] == MONDAY)
        said = refused("var", "--as-of", MONDAY, "--valuation-set", one, "--market-date", FRIDAY, lake=lake)
        assert f"is in the market of {MONDAY}, and that of {FRIDAY} was asked for" in said


class TestApi:
    def test_var_with_a_layout_is_what_the_package_says(self, client: FlaskClient, lake: Path) -> None:
        query = TableQuery(as_of=MONDAY, by=("division", "desk"), subtotals=True, sort=("-var_0.99",), bounds=True)
        expected = plain(run_table(Lake.open(lake), query).to_dict())
        got = client.get(f"/api/v1/var?as_of={MONDAY}&by=division&by=desk&subtotals=true&sort=-var_0.99&bounds=true")
        posted = client.post("/api/v1/var", json=query.model_dump(mode="json"))
        assert got.status_code == posted.status_code == 200, got.get_data(as_text=True)
        assert plain(got.get_json()) == plain(posted.get_json()) == expected

    def test_pivot(self, client: FlaskClient, lake: Path) -> None:
        path = f"/api/v1/pivot?as_of={MONDAY}&rows=division&columns=client&measures=var&measures=es"
        query = PivotQuery(as_of=MONDAY, rows=("division",), columns=("client",), measures=("var", "es"))
        result = run_pivot(Lake.open(lake), query)
        assert plain(client.get(path).get_json()) == plain(result.to_dict())
        assert plain(
            client.post("/api/v1/pivot", json=query.model_dump(mode="json", exclude={"by"})).get_json()
        ) == plain(result.to_dict())
        rows = list(csv.DictReader(io.StringIO(client.get(f"{path}&format=csv").get_data(as_text=True), newline="")))
        assert [r["part"] for r in rows] == ["row", "row", "total"]
        assert float(rows[-1]["total var_0.99"]) == result.total["var_0.99"]

    def test_drill_in_pages_of_one_version(self, client: FlaskClient, lake: Path) -> None:
        query = DrillQuery(as_of=MONDAY, measures=("es",), levels=("0.9",))
        whole = run_drill(Lake.open(lake), query).rows.to_pylist()
        path = f"/api/v1/drill?as_of={MONDAY}&measures=es&levels=0.9&limit=3"
        one = client.get(path).get_json()
        assert (one["count"], len(one["rows"])) == (4, 3)
        two = client.get(f"{path}&cursor={one['next_cursor']}").get_json()
        assert one["rows"] + two["rows"] == json.loads(json.dumps(whole))
        assert two["next_cursor"] is None
        assert np.isclose(sum(r["contribution"] or 0 for r in one["rows"] + two["rows"]), one["value"], rtol=1e-15)
        assert 'rel="next"' in client.get(f"{path}&format=csv").headers["Link"]
        posted = client.post(
            "/api/v1/drill", json={"as_of": str(MONDAY), "where": [{"dimension": "division", "values": ["Cash"]}]}
        )
        assert posted.get_json()["count"] == 2
        bad = client.get(f"{path}&cursor=abcdefghij")
        assert (bad.status_code, bad.get_json()["errors"][0]["pointer"]) == (422, "/cursor")

    def test_dimensions_of_a_date_and_hierarchies(self, client: FlaskClient) -> None:
        names = [r["dimension"] for r in client.get(f"/api/v1/dimensions/of-date?as_of={MONDAY}").get_json()["rows"]]
        assert {"desk", "division", "attribute.rating"} <= set(names)
        rows = client.get("/api/v1/hierarchies").get_json()["rows"]
        assert [(r["member"], r["parent"], r["effective_from"]) for r in rows] == [
            ("Equities", "Markets", "2020-01-01"),
            ("Equities", "Cash", "2020-03-16"),
            ("Options", "Markets", "2020-01-01"),
        ]

    @pytest.mark.parametrize(
        ("path", "status", "says"),
        [
            (f"var?as_of={MONDAY}&by=desk&sort=-vra_0.99", 422, "Nearest valid: var_0.99"),
            (f"var?as_of={MONDAY}&limit=3", 422, "name dimensions to group by"),
            (f"var?as_of={MONDAY}&market_date={FRIDAY}", 404, "POST /api/v1/var/value"),
            (f"pivot?as_of={MONDAY}&rows=desk&columns=dsk", 422, "Nearest valid: desk"),
            (f"drill?as_of={MONDAY}&scenarios=2020-01-32", 422, "Unknown scenario"),
            (f"drill?as_of={MONDAY}&measures=volatility", 422, "no sum over scenarios"),
            (f"drill?as_of={MONDAY}&where=attribute.rating>=3", 422, "compares by number"),
        ],
    )
    def test_errors_teach(self, client: FlaskClient, path: str, status: int, says: str) -> None:
        answered = client.get(f"/api/v1/{path}")
        assert (answered.status_code, says in answered.get_json()["detail"]) == (status, True), answered.get_json()


@pytest.mark.parametrize(
    "asked",
    [
        ("var", "--by", "division,desk", "--subtotals", "--limit", 1, "--bounds"),
        ("pivot", "--rows", "division", "--columns", "client", "--sort=-var_0.99", "--limit", 1),
        ("drill", "--where", "division=Cash", "--measure", "es"),
    ],
    ids=lambda a: a[0],
)
def test_receipts_replay_to_the_same_bits(lake: Path, tmp_path: Path, asked: tuple[Any, ...]) -> None:
    file = tmp_path / "answer.json"
    file.write_text(varlake(asked[0], "--as-of", MONDAY, *asked[1:], "--json", lake=lake).stdout)
    assert answer("replay", file, lake=lake)["verdict"] == "same bits"
    # a desk that moved since is named, and the answer is still that of then
    own = Path(shutil.copytree(lake, tmp_path / "lake"))
    moved = tmp_path / "moved.csv"
    moved.write_text(HIERARCHY.replace("division,Cash", "division,Elsewhere"))
    assert varlake("ingest", "hierarchy", moved, lake=own).returncode == 0
    assert answer("replay", file, lake=own)["verdict"] == "same bits"
