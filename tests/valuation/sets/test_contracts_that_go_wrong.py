"""One contract in a hundred goes wrong, in more than thirty ways: the run ends, the others are as in a clean run, each failure says why.

The pricers are registered by these tests only, here and in child processes, which find them on PYTHONPATH.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support import factor, new_lake, put_contracts, put_market, random_walks

from lake.canonical import canonical_json, digest
from lake.committer import Committer
from lake.errors import VarlakeError
from lake.schemas import CONTRACTS
from lake.tables import Lake
from scenarios import generators
from scenarios.store import load_scenario_set, save_scenario_set
from service.config import Settings
from valuation.catalogue import INSTRUMENTS
from valuation.sets import isolated
from valuation.sets.batches import BatchHeader, value_contracts
from valuation.sets.isolated import value_isolated
from valuation.sets.plan import make_plan
from valuation.sets.run import run_plan
from valuation.types import Contract, PnLBlock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory and children are those of Linux")
AS_OF = dt.date(2020, 3, 16)
FACTORS = [
    factor("EQ:A", "equity_price"),
    factor("IV:A", "implied_vol"),
    *(factor(f"YC:USD:{p}", "par_yield", curve="USD", pillar=p) for p in ("6M", "2Y", "10Y")),
]
OPTION = {
    "underlying": "EQ:A", "volatility": "IV:A", "strike": 100.0, "expiry": "2020-12-18", "option_type": "put", "discount_curve": "USD",
    "currency": "USD",
}  # fmt: skip
BOND = {
    "currency": "USD", "issue_date": "2018-02-15", "maturity": "2028-02-15", "coupon": 0.0275, "frequency": 2, "discount_curve": "USD",
}  # fmt: skip
SWAP = {
    "currency": "USD", "pay_fixed": True, "fixed_rate": 0.02, "start": "2020-01-15", "maturity": "2025-01-15", "fixed_frequency": 2,
    "float_frequency": 4, "fixed_day_count": "Thirty360", "float_day_count": "Actual360", "discount_curve": "USD",
}  # fmt: skip

# A pricer that does what its terms say, and prices a share otherwise.
POISON = """
import ctypes, datetime as dt, os, signal, sys, time
import numpy as np
from pydantic import Field
from lake.compiled import compiled
from valuation.instruments.equity import cash_equity
from valuation.types import InstrumentTerms
from typing import ClassVar

VERSION = "1"

class Terms(InstrumentTerms):
    instrument_type: ClassVar[str] = "poison"
    currency: str = Field(description="currency")
    underlying: str = Field(description="share")
    does: str = Field("nothing", description="what it does")
    number: int = Field(0, description="tells them apart")

    def check(self, valuation_date, rolled_from=None):
        if self.does == "check raises":
            raise KeyError("calendar")
        if self.does == "check leaves":
            sys.exit(4)

class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")

@compiled
def turn(x):
    while x > 0.0:
        x = x + 1.0 - 1.0
    return x

def recurse(n):
    return recurse(n + 1) + 1

def risk_factors(terms, index, valuation_date):
    if terms.does == "factors raise":
        raise IndexError("pillar")
    return cash_equity.risk_factors(terms, index, valuation_date)

def raising(error):
    raise error

DOES = {
    "raises": lambda v: raising(ZeroDivisionError("no such year")),
    "raises at length": lambda v: raising(ValueError("x" * 1_000_000)),
    "raises unspeakably": lambda v: raising(Unspeakable()),
    "asserts": lambda v: raising(AssertionError()),
    "recurses": lambda v: recurse(0),
    "leaves": lambda v: sys.exit(3),
    "is refused memory": lambda v: raising(MemoryError()),
    "gives nothing": lambda v: None,
    "gives a number": lambda v: 1.0,
    "gives too few": lambda v: v[:, :-1],
    "gives too many": lambda v: np.concatenate([v, v]),
    "gives texts": lambda v: np.full(v.shape, "12", object),
    "gives complex": lambda v: v * 1j,
    "gives NaN": lambda v: v * np.nan,
    "gives NaN once": lambda v: np.where(np.arange(v.shape[1]) == 5, np.nan, v),
    "gives infinity": lambda v: v * np.inf,
    "gives too large": lambda v: v * 1e40,
    "writes the market": lambda v: v.base.__setitem__(0, 0.0),
    "loops": lambda v: [None for _ in iter(int, 1)],
    "loops compiled": lambda v: v + turn(1.0),
    "sleeps": lambda v: time.sleep(3600),
    "takes 4 GiB": lambda v: v + np.ones((4 << 30) // 8).sum() * 0,
    "ends": lambda v: os._exit(5),
    "is killed": lambda v: os.kill(os.getpid(), signal.SIGKILL),
    "writes to nowhere": lambda v: ctypes.memset(0, 1, 1),
    "aborts": lambda v: os.abort(),
}

def value(terms, market):
    out = market.levels([t.underlying for t in terms]) * 1.0
    for i, t in enumerate(terms):
        if t.does in DOES:
            made = DOES[t.does](out[i : i + 1] if t.does != "writes the market" else market.states[0])
            if len(terms) > 1 and getattr(made, "shape", None) != (1, market.n_states):
                return made
            out = made if len(terms) == 1 else np.concatenate([out[:i], made, out[i + 1 :]])
    return out

def cash_flows(terms, markets, until):
    return ()
"""
REGISTER = "from valuation.catalogue import INSTRUMENTS\nimport poison\nINSTRUMENTS['poison'] = poison\n"

# What each does, its reason and words of its message; the terms are wrong, or the pricer is.
TERMS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "no such curve": ("equity_option", {**OPTION, "discount_curve": "XXX"}, "missing_risk_factor", "XXX"),
    "no such share": ("equity_option", {**OPTION, "underlying": "EQ:NONE"}, "missing_risk_factor", "EQ:NONE"),
    "no such volatility": ("equity_option", {**OPTION, "volatility": "IV:NONE"}, "missing_risk_factor", "IV:NONE"),
    "another currency": ("equity_option", {**OPTION, "currency": "EUR"}, "missing_risk_factor", "EUR"),
    "expired": ("equity_option", {**OPTION, "expiry": "2019-12-18"}, "matured", "2019-12-18"),
    "no fixing": ("interest_rate_swap", SWAP, "missing_fixing", "2020-01-15"),
    "no schedule": (
        "interest_rate_swap",
        {**SWAP, "start": "2020-03-21", "maturity": "2020-03-22"},
        "invalid_schedule",
        "2020-03-21",
    ),
    "no such type": ("equity_opton", OPTION, "invalid_terms", "equity_option"),
    "no strike": ("equity_option", {k: v for k, v in OPTION.items() if k != "strike"}, "invalid_terms", "strike"),
    "absurd strike": ("equity_option", {**OPTION, "strike": -1e300}, "invalid_terms", "strike"),
    "absurd date": ("equity_option", {**OPTION, "expiry": "9999-12-31"}, "invalid_terms", "expiry"),
    "absurd rate": ("equity_option", {**OPTION, "dividend_yield": 5.0}, "invalid_terms", "dividend_yield"),
    "too much": ("commodity_forward", {"currency": "USD"}, "invalid_terms", "underlying"),
}
HARMLESS = {
    "check raises": ("pricer_error", r"KeyError: 'calendar' \(while its terms were checked\)"),
    "check leaves": ("pricer_error", r"SystemExit: 4 \(while its terms were checked\)"),
    "factors raise": ("pricer_error", r"IndexError: pillar \(while the risk factors it reads were found\)"),
    "raises": ("pricer_error", r"ZeroDivisionError: no such year \(while it was valued\)"),
    "raises at length": ("pricer_error", r"ValueError: x{900,1000} \(while it was valued\)"),
    "raises unspeakably": ("pricer_error", r"Unspeakable \(while it was valued\)"),
    "asserts": ("pricer_error", r"AssertionError"),
    "recurses": ("pricer_error", r"RecursionError"),
    "leaves": ("pricer_error", r"SystemExit: 3"),
    "is refused memory": ("too_large", r"memory that it needs was refused while it was valued"),
    "gives nothing": ("pricer_error", r"AttributeError"),
    "gives a number": ("pricer_error", r"AttributeError"),
    "gives too few": ("pricer_error", r"Expected values of shape"),
    "gives too many": ("pricer_error", r"Expected values of shape"),
    "gives texts": ("pricer_error", r"in object"),
    "gives complex": ("pricer_error", r"in complex128"),
    "gives NaN": ("non_finite", r"at the base and in 40 of 40 scenarios"),
    "gives NaN once": ("non_finite", r"1 of 40 scenarios \(numbers 5\)"),
    "gives infinity": ("non_finite", r"not finite"),
    "gives too large": ("non_finite", r"beyond 1e\+30"),
    "writes the market": ("pricer_error", r"AttributeError|read-only"),
}
HARMFUL = {
    "loops": ("too_slow", r"more than 1 s of processor time while it was valued \(VARLAKE_CONTRACT_SECONDS\)"),
    "loops compiled": ("too_slow", r"more than 1 s of processor time"),
    "takes 4 GiB": ("too_large", r"memory"),
    "ends": ("crashed", r"ended the process while it was valued \(exit code 5\)"),
    "is killed": ("crashed", r"SIGKILL"),
    "writes to nowhere": ("crashed", r"SIGSEGV"),
    "aborts": ("crashed", r"SIGABRT"),
}


@pytest.fixture
def poison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The type `poison`, in this process and in its children, which may take a second and 1,024 MiB for a contract."""
    folder = tmp_path / "poison"
    folder.mkdir()
    (folder / "poison.py").write_text(POISON)
    (folder / "sitecustomize.py").write_text(REGISTER)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{Path(__file__).parents[3]}")
    monkeypatch.setenv(isolated.SECONDS_SETTING, "1")
    monkeypatch.setenv(isolated.MIB_SETTING, "1024")
    import poison as module  # type: ignore[import-not-found]

    monkeypatch.setitem(INSTRUMENTS, "poison", module)
    isolated._children.end()  # those that wait since another test do not know the type
    yield
    isolated._children.end()
    sys.modules.pop("poison")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = new_lake(tmp_path)
    put_market(made, FACTORS, random_walks(FACTORS, dt.date(2019, 12, 2), AS_OF))
    with Committer(made, "test") as committer:
        levels = generators.generate(made.snapshot(), "historical", {"market_date": AS_OF, "scenarios": 40}, "test")
        save_scenario_set(committer, levels)
    return made


def poisoned(does: str, number: int = 0) -> tuple[str, dict[str, Any]]:
    return "poison", {"currency": "USD", "underlying": "EQ:A", "does": does, "number": number}


def good(n: int) -> list[tuple[str, dict[str, Any]]]:
    return [
        *(("equity_option", {**OPTION, "strike": 60 + 80 * k / n}) for k in range(n * 8 // 10)),
        *(("government_bond", {**BOND, "coupon": 0.001 + 0.09 * k / n}) for k in range(n // 10)),
        *(poisoned("nothing", k) for k in range(n // 10)),
    ]


def header(lake: Lake) -> BatchHeader:
    (scenarios,) = lake.read("scenario_sets")["scenario_set_id"].to_pylist()
    return BatchHeader(AS_OF, scenarios, ("commodity", "credit", "equity", "fx", "rates", "volatility"))


def contracts_of(lake: Lake, kinds: list[tuple[str, dict[str, Any]]]) -> list[Contract]:
    return Contract.of(put_contracts(lake, kinds))


def by_contract(block: PnLBlock) -> dict[str, bytes]:
    rows = zip(block.contract_ids, block.base, block.pnl, strict=True)
    return {c: np.array([base, *pnl]).tobytes() for c, base, pnl in rows}


def test_a_child_gives_the_same_bits_and_the_same_failures(poison: None, lake: Lake) -> None:
    wanted = contracts_of(lake, [*good(20), poisoned("gives NaN once"), poisoned("raises")])
    here = value_contracts(str(lake.path), header(lake), wanted)
    there = value_isolated(str(lake.path), header(lake), wanted)
    assert by_contract(there) == by_contract(here)
    assert len(there.failures) == 2
    assert there.failures == here.failures
    assert there.currencies == here.currencies
    still = value_isolated(str(lake.path), header(lake), wanted[:3], base_only=True)
    assert still.pnl.shape == (3, 0)
    assert still.base.tobytes() == here.base[:3].tobytes()
    (alone,) = contracts_of(lake, [poisoned("raises", 1)])
    nothing = value_isolated(str(lake.path), header(lake), [alone])
    assert (nothing.contract_ids, [f.reason for f in nothing.failures]) == ((), ["pricer_error"])


def put_as_they_are(lake: Lake, kinds: list[tuple[str, dict[str, Any]]]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Stores contracts whose terms may be wrong, as an older version may have stored them; by their ids."""
    by_id = {digest(kind, canonical_json(terms)): (kind, terms) for kind, terms in kinds}
    rows = [
        {"contract_id": c, "instrument_type": k, "currency": t["currency"], "terms": canonical_json(t)}
        for c, (k, t) in by_id.items()
    ]
    with Committer(lake, "test") as committer:
        committer.put("contracts", pa.Table.from_pylist(rows, schema=CONTRACTS.schema))
    return by_id


def ways(n: int, harmful: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """n contracts that go wrong, in every way that leaves the process alive and in the given ones that do not."""
    made = [(kind, terms) for kind, terms, _, _ in TERMS.values()]
    made += [poisoned(does) for does in (*HARMLESS, *harmful)]
    return made + [poisoned(list(HARMLESS)[k % len(HARMLESS)], k) for k in range(1, n - len(made) + 1)]


def expected_of(kind: str, terms: dict[str, Any]) -> tuple[str, str]:
    """Reason and words."""
    if kind == "poison":
        return (HARMLESS | HARMFUL)[terms["does"]]
    return next((reason, words) for k, t, reason, words in TERMS.values() if (k, t) == (kind, terms))


def priced(lake: Lake, contracts: pa.Table) -> dict[str, Any]:
    with Committer(lake, "test") as committer:
        (found,) = lake.read("scenario_sets")["scenario_set_id"].to_pylist()
        plan = make_plan(lake.snapshot(), contracts, load_scenario_set(lake, found), AS_OF)
        return run_plan(committer, plan, runner="in-process").to_dict()


def vectors(lake: Lake) -> dict[str, bytes]:
    return {
        r["contract_id"]: np.array([r["base_value"], *r["pnl"]]).tobytes() for r in lake.read("pnl_vectors").to_pylist()
    }


# A process of its own that prices all contracts of a lake, with so little memory that nothing of this machine suffers.
RUN = """
import datetime as dt, resource, sys
from lake.committer import Committer
from lake.tables import Lake
from scenarios.store import load_scenario_set
from valuation.sets.plan import make_plan
from valuation.sets.run import run_plan
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, resource.RLIM_INFINITY))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
lake = Lake(sys.argv[1])
with Committer(lake, "test") as committer:
    scenarios = load_scenario_set(lake, sys.argv[2])
    plan = make_plan(lake.snapshot(), lake.read("contracts"), scenarios, dt.date(2020, 3, 16))
    run_plan(committer, plan, runner="in-process")
"""


@pytest.mark.parametrize(
    ("n", "harmful"),
    [
        pytest.param(1_000, ["ends", "loops compiled", "takes 4 GiB"], id="1000"),
        pytest.param(10_000, list(HARMFUL), id="10000", marks=pytest.mark.slow),
    ],
)
def test_the_run_ends_and_the_others_are_as_in_a_clean_one(
    poison: None, lake: Lake, tmp_path: Path, n: int, harmful: list[str]
) -> None:
    """The first run is ended by a contract; the next one, told by its mark, prices each by itself in a child."""
    wrong = ways(max(n // 100, len(TERMS) + len(HARMLESS) + len(harmful)), harmful)
    right = good(n - len(wrong))
    shutil.copytree(lake.path, tmp_path / "clean")
    clean = Lake(tmp_path / "clean")
    assert priced(clean, put_contracts(clean, right))["failed"] == 0

    put_contracts(lake, right)
    by_id = put_as_they_are(lake, wrong)
    (scenarios,) = lake.read("scenario_sets")["scenario_set_id"].to_pylist()
    first = subprocess.run([sys.executable, "-c", RUN, str(lake.path), scenarios], capture_output=True, check=False)
    assert first.returncode != 0
    assert lake.read("valuation_sets").num_rows == 0
    (mark,) = (lake.state / "runs").glob("*.pricing")

    run = priced(lake, lake.read("contracts"))
    assert (run["valued"], run["failed"]) == (len(right), len(wrong))
    assert vectors(lake) == vectors(clean)
    assert not mark.exists()
    failures = {f["contract_id"]: (f["reason"], f["message"]) for f in lake.read("valuation_failures").to_pylist()}
    assert failures.keys() == by_id.keys()
    for contract_id, (reason, message) in failures.items():
        expected, words = expected_of(*by_id[contract_id])
        assert (reason, bool(re.search(words, message))) == (expected, True), (by_id[contract_id], reason, message)


# As RUN, on Spark; its workers have little memory, not Java.
RUN_ON_SPARK = """
import datetime as dt, sys
from lake.committer import Committer
from lake.runtime.spark import spark_session
from lake.tables import Lake
from scenarios.store import load_scenario_set
from valuation.sets.plan import make_plan
from valuation.sets.run import run_plan
lake = Lake(sys.argv[1])
spark = spark_session(master="local[2,2]")
with Committer(lake, "test") as committer:
    plan = make_plan(lake.snapshot(), lake.read("contracts"), load_scenario_set(lake, sys.argv[2]), dt.date(2020, 3, 16))
    run = run_plan(committer, plan, runner="spark", spark=lambda: spark).to_dict()
print(run["valued"], run["failed"])
spark.stop()
"""
LIMIT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
if "pyspark.daemon" in sys.orig_argv:
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, resource.RLIM_INFINITY))
"""


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_on_spark_the_run_ends_and_the_others_are_as_in_a_clean_one(poison: None, lake: Lake, tmp_path: Path) -> None:
    wrong = ways(len(TERMS) + len(HARMLESS) + len(HARMFUL), list(HARMFUL))
    right = good(200)
    shutil.copytree(lake.path, tmp_path / "clean")
    clean = Lake(tmp_path / "clean")
    assert priced(clean, put_contracts(clean, right))["failed"] == 0

    put_contracts(lake, right)
    by_id = put_as_they_are(lake, wrong)
    (scenarios,) = lake.read("scenario_sets")["scenario_set_id"].to_pylist()
    (tmp_path / "poison" / "sitecustomize.py").write_text(REGISTER + LIMIT)
    done = subprocess.run(
        [sys.executable, "-c", RUN_ON_SPARK, str(lake.path), scenarios],
        capture_output=True,
        text=True,
        check=False,
        timeout=840,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "A contract ended the worker of Spark" in done.stderr
    assert done.stdout.split() == [str(len(right)), str(len(wrong))]
    assert vectors(lake) == vectors(clean)
    failures = {f["contract_id"]: (f["reason"], f["message"]) for f in lake.read("valuation_failures").to_pylist()}
    assert failures.keys() == by_id.keys()
    for contract_id, (reason, message) in failures.items():
        expected, words = expected_of(*by_id[contract_id])
        if expected == "too_slow":  # on a machine with other work the limit of time at all is met first
            words = "VARLAKE_CONTRACT_SECONDS"
        assert (reason, bool(re.search(words, message))) == (expected, True), (by_id[contract_id], reason, message)


@pytest.mark.slow
def test_a_batch_that_does_not_end_is_given_up_and_priced_in_a_child(poison: None, lake: Lake) -> None:
    """In this process, which goes on; in Python the loop itself is ended, too."""
    assert priced(lake, put_contracts(lake, good(10)))["failed"] == 0  # kernels are loaded
    before = threading.active_count()
    run = priced(lake, put_contracts(lake, [*good(20), poisoned("loops")]))
    assert run["failed"] == 1
    (failure,) = lake.read("valuation_failures").to_pylist()
    assert failure["reason"] == "too_slow"
    assert re.search(HARMFUL["loops"][1], failure["message"])
    assert not list((lake.state / "runs").glob("*.pricing"))
    until = time.monotonic() + 30
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.02)
    assert threading.active_count() <= before


def test_what_sleeps_is_given_up_after_ten_times_as_long(
    poison: None, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated, "WAIT", 4)  # seconds; on a busy machine a good contract may take more than one
    wanted = contracts_of(lake, [poisoned("sleeps"), poisoned("nothing")])
    block = value_isolated(str(lake.path), header(lake), wanted)
    assert [(f.reason, f.message) for f in block.failures] == [
        ("too_slow", "It was not valued in 4 s (VARLAKE_CONTRACT_SECONDS).")
    ]
    assert len(block.contract_ids) == 1


def test_a_market_that_cannot_be_opened_is_no_fault_of_a_contract(poison: None, lake: Lake) -> None:
    wanted = contracts_of(lake, [poisoned("nothing")])
    nowhere = dataclasses.replace(header(lake), scenario_set_id="none")
    with pytest.raises(VarlakeError, match="none"):
        value_isolated(str(lake.path), nowhere, wanted)


@pytest.mark.slow
def test_isolated_from_the_start_where_the_settings_say_so(
    poison: None, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(isolated.ISOLATE_SETTING, "true")
    run = priced(lake, put_contracts(lake, [*good(10), poisoned("ends")]))
    assert (run["valued"], run["failed"]) == (10, 1)
    (failure,) = lake.read("valuation_failures").to_pylist()
    assert failure["reason"] == "crashed"


def test_the_defaults_are_those_of_the_settings() -> None:
    fields = Settings.model_fields
    assert fields["contract_seconds"].default == isolated.DEFAULT_SECONDS
    assert fields["contract_mib"].default == isolated.DEFAULT_MIB
