"""Levels of hierarchies against DuckDB's join of the same files, by date; and files that are refused."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest
from reduce_lake import DAY, Valued, make_lake, position, put_positions, put_valued

from aggregation.book.hierarchies import RESERVED
from aggregation.opened.opened_lake import VectorCache
from aggregation.risk.query import run_query
from aggregation.types import Filter, RiskQuery, RiskResult
from lake.committer import Committer
from lake.errors import BadInput, NotFound
from lake.landing.hierarchies import HierarchiesReport, ingest_hierarchies
from lake.schemas import UNASSIGNED
from lake.tables import Lake

LATER = dt.date(2020, 6, 30)
HEADER = "hierarchy,level,member,parent_level,parent,effective_from,effective_to\n"
# desk 0 changes division in April; desk 2 has none before June; desk 3 never; division East has no region
ORGANISATION = (
    HEADER
    + """organisation,desk,desk 0,division,North,2019-01-01,2020-03-31
organisation,desk,desk 0,division,South,2020-04-01,
organisation,desk,desk 1,division,North,2019-01-01,
organisation,desk,desk 2,division,East,2020-06-01,
organisation,desk,desk 9,division,Nowhere,2019-01-01,
organisation,division,North,region,Europe,2019-01-01,
organisation,division,South,region,Europe,2019-01-01,2020-04-30
organisation,division,South,region,America,2020-05-01,
"""
)
GROUPS = HEADER + "clients,attribute.lei,L1,group,Acme,2019-01-01,\nclients,attribute.lei,L2,group,Acme,2019-01-01,\n"


def ingest(lake: Lake, folder: Path, text: str) -> HierarchiesReport:
    path = folder / "hierarchy.csv"
    path.write_text(text)
    with Committer(lake, "test") as committer:
        return ingest_hierarchies(committer, path, RESERVED)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    rng = np.random.default_rng(3)
    rows = [
        position(
            f"t{i:03}",
            f"c{i % 6}",
            float(rng.normal()),
            desk=f"desk {i % 4}",
            attributes={"lei": f"L{i % 3}"} if i % 7 else {},
        )
        for i in range(120)
    ]
    vectors = {f"c{i}": ("USD", 10.0, rng.normal(size=40)) for i in range(6)}
    lake = make_lake(tmp_path_factory.mktemp("hierarchies"), Valued(vectors), rows)
    put_valued(lake, Valued(vectors, day=LATER))
    put_positions(lake, [{**r, "positions_date": LATER} for r in rows])
    return lake


@pytest.fixture
def lake(made: Lake, tmp_path: Path) -> Lake:
    return Lake.open(shutil.copytree(made.path, tmp_path / "lake"))


def ask(lake: Lake, day: dt.date, *by: str, where: tuple[str, ...] = ()) -> RiskResult:
    filters = tuple(Filter.parse(w) for w in where)
    return run_query(lake, RiskQuery(as_of=day, by=by, where=filters, measures=("var", "worst"), levels=("0.9",)))


def oracle(lake: Lake, day: dt.date, levels: list[tuple[str, str]]) -> dict[tuple[str, ...], tuple[int, float]]:
    """Positions and worst loss by the levels above desk, joined and summed by DuckDB from the lake's files."""

    def files(table: str) -> str:
        return f"read_parquet({[str(f) for f in lake.data_files(table)]}, hive_partitioning = true)"

    joins, names, child = "", [], "p.desk"
    for level, upper in levels:
        joins += f""" left join (select member, parent from {files("hierarchies")}
            where hierarchy = 'organisation' and level = '{level}' and effective_from <= date '{day}'
            and coalesce(effective_to, date '9999-12-31') >= date '{day}') {upper} on {upper}.member = {child}"""
        names.append(f"coalesce({upper}.parent, '{UNASSIGNED}')")
        child = f"{upper}.parent"
    keys = ", ".join(names)
    sql = f"""with pnl as (select contract_id, generate_subscripts(pnl, 1) as s, unnest(pnl) as x from {files("pnl_vectors")}
                where valuation_date = date '{day}' and inputs_digest like 'inputs-%'),
              book as (select {", ".join(f"{n} as k{i}" for i, n in enumerate(names))}, p.contract_id, p.quantity, p.trade
                from {files("positions")} p {joins} where positions_date = date '{day}'),
              sums as (select {", ".join(f"k{i}" for i in range(len(names)))}, s, sum(quantity * x) as v
                from book join pnl using (contract_id) group by all),
              counts as (select {", ".join(f"k{i}" for i in range(len(names)))}, count(*) as n from book group by all)
              select {", ".join(f"k{i}" for i in range(len(names)))}, n, -min(v) from sums natural join counts group by all"""
    assert keys
    with duckdb.connect() as db:
        return {tuple(r[: len(names)]): (r[-2], r[-1]) for r in db.sql(sql).fetchall()}


@pytest.mark.parametrize("day", [DAY, LATER])
@pytest.mark.parametrize("levels", [[("desk", "division")], [("desk", "division"), ("division", "region")]])
def test_levels_are_those_of_the_positions_date(
    lake: Lake, tmp_path: Path, day: dt.date, levels: list[tuple[str, str]]
) -> None:
    ingest(lake, tmp_path, ORGANISATION)
    by = [upper for _, upper in levels]
    rows = {tuple(r[b] for b in by): (r["positions"], r["worst"]) for r in ask(lake, day, *by).rows.to_pylist()}
    expected = oracle(lake, day, levels)
    assert rows.keys() == expected.keys()
    for key, (count, worst) in expected.items():
        assert rows[key][0] == count
        assert rows[key][1] == pytest.approx(worst, rel=1e-12)
    assert {k[0] for k in rows} == ({"North", UNASSIGNED} if day == DAY else {"North", "South", "East", UNASSIGNED})
    assert sum(n for n, _ in rows.values()) == 120


def test_a_level_filters_and_mixes_with_any_dimension(lake: Lake, tmp_path: Path) -> None:
    ingest(lake, tmp_path, ORGANISATION)
    mixed = ask(lake, LATER, "desk", "region", where=("division=South,East",)).rows.to_pylist()
    assert [(r["desk"], r["region"]) for r in mixed] == [("desk 0", "America"), ("desk 2", UNASSIGNED)]
    alone = ask(lake, LATER, where=("desk=desk 3",)).total
    nobody = ask(lake, LATER, where=(f"division={UNASSIGNED}",)).total
    assert alone == nobody
    with pytest.raises(BadInput, match=r"Unknown division on 2020-03-16 'South'\. Nearest valid: North"):
        ask(lake, DAY, where=("division=South",))
    with pytest.raises(BadInput, match=r"Unknown dimension 'divison'\. Nearest valid: division"):
        ask(lake, DAY, "divison")


def test_a_desk_that_moves_costs_no_valuation(lake: Lake, tmp_path: Path) -> None:
    ingest(lake, tmp_path, ORGANISATION)
    versions = {t: lake.version(t) for t in ("pnl_vectors", "valuation_sets", "valuation_members", "positions")}
    before = ask(lake, DAY, "division")
    report = ingest(lake, tmp_path, ORGANISATION.replace("desk 1,division,North", "desk 1,division,West"))
    after = ask(lake, DAY, "division")
    assert {t: lake.version(t) for t in versions} == versions
    assert before.receipt["valuation_set_id"] == after.receipt["valuation_set_id"]
    desks = {r["desk"]: r for r in ask(lake, DAY, "desk").rows.to_pylist()}
    divisions = {r["division"]: r for r in after.rows.to_pylist()}
    for division, desk in (("West", "desk 1"), ("North", "desk 0")):
        assert {**divisions[division], "desk": desk} == {**desks[desk], "division": division}
    assert before.total["var_0.9"] == after.total["var_0.9"]
    (counts,) = report.hierarchies
    assert (counts["new"], counts["removed"], counts["unchanged"]) == (1, 1, 7)


def test_the_receipt_names_what_held(lake: Lake, tmp_path: Path) -> None:
    assert ask(lake, DAY, "desk").receipt["hierarchies"] == {}
    ingest(lake, tmp_path, ORGANISATION)
    one = ask(lake, DAY, "division").receipt
    assert one["table_versions"]["hierarchies"] == lake.version("hierarchies")
    # what changes after the date changes nothing on it
    ingest(lake, tmp_path, ORGANISATION.replace("East,2020-06-01", "West,2020-06-01"))
    assert ask(lake, DAY, "division").receipt["hierarchies"] == one["hierarchies"]
    ingest(lake, tmp_path, ORGANISATION.replace("desk 1,division,North", "desk 1,division,West"))
    assert ask(lake, DAY, "division").receipt["hierarchies"].keys() == one["hierarchies"].keys()
    assert ask(lake, DAY, "division").receipt["hierarchies"] != one["hierarchies"]
    # the old version is still there to be read
    old = lake.at(one["table_versions"])
    assert (
        run_query(old, RiskQuery(as_of=DAY, by=("division",)), cache=VectorCache(old)).receipt["hierarchies"]
        == (one["hierarchies"])
    )


def test_over_an_attribute_that_some_lack(lake: Lake, tmp_path: Path) -> None:
    ingest(lake, tmp_path, GROUPS)
    ingest(lake, tmp_path, ORGANISATION)  # another hierarchy leaves the first
    counts = {r["group"]: r["positions"] for r in ask(lake, DAY, "group").rows.to_pylist()}
    lei = [f"L{i % 3}" if i % 7 else None for i in range(120)]
    acme = sum(x in ("L1", "L2") for x in lei)
    assert counts == {"Acme": acme, UNASSIGNED: 120 - acme}
    ingest(lake, tmp_path, GROUPS.replace("attribute.lei", "attribute.nobody_has"))
    assert [r["group"] for r in ask(lake, DAY, "group").rows.to_pylist()] == [UNASSIGNED]


def test_the_same_file_again_changes_nothing(lake: Lake, tmp_path: Path) -> None:
    first = ingest(lake, tmp_path, ORGANISATION)
    again = ingest(lake, tmp_path, ORGANISATION)
    assert first.version == again.version
    assert (again.hierarchies[0]["new"], again.hierarchies[0]["unchanged"]) == (0, 8)
    assert first.hierarchies[0]["levels"] == ["desk", "division", "region"]
    assert first.notes == ("organisation: East, Nowhere on level division have no parent and are unassigned.",)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "desk 0,division,North,2019-01-01,2020-03-31",
            "desk 0,division,North,2019-01-01,2020-04-01",
            "line 3.*line 2",
        ),
        ("desk 0,division,North,2019-01-01,2020-03-31", "desk 0,division,North,2019-01-01,", "to now on"),
        (",region,", ",desk,", "turn in a circle"),
        ("division,North,region,Europe", "division,North,continent,Europe", "a level has one level above"),
        ("organisation,desk,desk 9", "organisation,book,desk 9", "above book and desk at once|one chain"),
        (",division,", ",book,", "book is a column of answers already"),
        (",region,", ",worst,", "worst is a column of answers already"),
        (",region,", ",Region!,", "no name of a level"),
        ("organisation,desk,", "organisation,dsk,", "lowest level is a dimension.*Nearest valid: desk"),
        ("2020-06-01", "2020-06-31", "line 5, column effective_from: found '2020-06-31', expected a date"),
        ("2020-03-31", "2018-03-31", "2018-03-31 is before effective_from"),
        ("desk 9", "", "line 6, column member: is empty"),
        ("Nowhere", UNASSIGNED, "'unassigned' is the name for what has no parent"),
        (",Nowhere", "", "found 6 cells where the header has 7"),
        ("effective_to\n", "effectiv_to\n", "Nearest valid: effective_to"),
        (",effective_to\n", "\n", "needs each of these columns once"),
    ],
)
def test_a_bad_file_changes_nothing(lake: Lake, tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in ORGANISATION
    with pytest.raises(BadInput) as refused:
        ingest(lake, tmp_path, ORGANISATION.replace(old, new))
    assert re.search(says, "\n".join([refused.value.message, *(i.message for i in refused.value.issues)]))
    assert lake.version("hierarchies") == -1


def test_a_level_belongs_to_one_hierarchy(lake: Lake, tmp_path: Path) -> None:
    ingest(lake, tmp_path, ORGANISATION)
    with pytest.raises(BadInput, match="division is a level of hierarchy organisation"):
        ingest(lake, tmp_path, GROUPS.replace(",group,", ",division,"))
    with pytest.raises(NotFound, match="There is no file"), Committer(lake, "test") as committer:
        ingest_hierarchies(committer, tmp_path / "nothing.csv")
    with pytest.raises(BadInput, match="has no row below its header"):
        ingest(lake, tmp_path, HEADER)
