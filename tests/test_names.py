"""One name means one thing in a package: classes, public functions and modules."""

import ast
import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("lake", "scenarios", "valuation", "aggregation", "service")

# Names that several modules of a package share: why, and in which. `*` stands for any modules of a folder.
CLASSES = {
    "valuation": {
        "Terms": ("the contract of instruments: what a trade of this type states", "instruments/*"),
    },
    "service": {
        "Answer": ("what whoever asks is given; over HTTP its shape", "api/models", "python/results"),
    },
}  # fmt: skip
FUNCTIONS = {
    "scenarios": {
        "generate": (
            "the contract of generators: a definition in, a scenario set out",
            "derived/*", "generators", "historical/*", "plausibility/predictive", "simulated/*", "stress/generate",
        ),
    },
    "valuation": {
        "trades": ("the contract of formats", "books/trade_files/*"),
        **dict.fromkeys(
            (
                "cap_floor", "commodity_forward", "commodity_option", "equity_forward", "equity_option", "forward_rate_agreement",
                "fx_digital_option", "fx_option", "fx_swap", "swaption",
            ),
            ("a product as a format has it", "books/trade_files/fpml/*", "books/trade_files/ore_*"),
        ),
        "errors": ("of a contract, where it is simulated", "instruments/*/*_american_option"),
        "cash_flows": ("the contract of instruments", "instruments/*"),
        "risk_factors": ("the contract of instruments", "instruments/*"),
        "value": ("the contract of instruments", "instruments/*"),
    },
    "service": {
        "SIZE": ("the contract of oracles", "bench/oracles/*"),
        "contracts": ("the contract of oracles", "bench/oracles/*"),
        "price": ("the contract of oracles", "bench/oracles/*"),
        "group": ("a group of commands made from models", "cli/branches", "cli/ingest", "cli/live", "cli/positions", "cli/publish"),
        "main": ("where a process begins", "cli/main", "processes/engine", "processes/serve", "python/stub"),
    },
}  # fmt: skip
MODULES = {
    "valuation": {
        "equity": ("trades of an asset class as a format has them, and of the sample bank", "books/trade_files/fpml", "samples"),
        "fx": ("trades of an asset class as a format has them, and of the sample bank", "books/trade_files/fpml", "samples"),
    },
    "service": {
        "audit": ("both doors to one subject", "api", "cli"),
        "branches": ("both doors to one subject", "api", "cli"),
        "live": ("doors to one subject, how its answer is shown, and its bench", "api", "bench", "cli", "rendering"),
        "market": ("commands about the market, and the market of the oracles", "bench/oracles", "cli"),
        "standard": ("both doors to one subject", "api", "cli"),
        "questions": ("both doors to one subject", "api", "cli"),
        "users": ("both doors to one subject", "api", "cli"),
        "proposals": ("one subject, and both doors to it", "", "api", "cli"),
        "scenarios": ("both doors to one subject, and its bench", "api", "bench", "cli"),
        "contributions": ("how one answer is shown, and its bench", "bench", "rendering"),
        "ingest": ("one subject on the command line, and its bench", "bench", "cli"),
        "explain": ("how one answer is shown, and its bench", "bench", "rendering"),
    },
}  # fmt: skip

# Names of the newest rooms, on counterparties and capital, that others have too: to be told apart, or explained above.
TO_TELL_APART: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {
    "CLASSES": {
        "valuation": {
            "Along": (
                "market/path_market",
                "types",
            ),
            "PathMarket": (
                "horizons/unit_explain",
                "market/path_market",
            ),
            "PathMarkets": (
                "horizons/unit_explain",
                "market/path_market",
            ),
        },
        "aggregation": {
            "Asked": (
                "exposure/profiles",
                "regulatory/capital/parts",
            ),
            "Cell": (
                "regulatory/capital/parts",
                "regulatory/capital/plan",
                "regulatory/frtb_sa_factors",
            ),
            "ClassCapital": (
                "kernels/frtb_sbm",
                "regulatory/sa_cva_charge",
            ),
            "Commodity": (
                "regulatory/cva_parameters",
                "regulatory/frtb_sa_parameters",
                "regulatory/sa_ccr/parameters",
            ),
            "Credit": (
                "regulatory/credit/parameters",
                "regulatory/sa_ccr/parameters",
            ),
            "Equity": (
                "regulatory/cva_parameters",
                "regulatory/frtb_sa_parameters",
                "regulatory/sa_ccr/parameters",
            ),
            "Exposure": (
                "kernels/sa_ccr",
                "regulatory/imm",
            ),
            "Exposures": (
                "contributions/exposures",
                "regulatory/sa_ccr/portfolio",
            ),
            "Factor": (
                "regulatory/sa_ccr/parameters",
                "regulatory/sa_cva_charge",
            ),
            "Figures": (
                "regulatory/frtb_ima",
                "types",
            ),
            "Fx": (
                "regulatory/cva_parameters",
                "regulatory/frtb_sa_parameters",
                "regulatory/sa_ccr/parameters",
            ),
            "MarginPeriod": (
                "regulatory/imm",
                "regulatory/sa_ccr/parameters",
            ),
            "Maturity": (
                "regulatory/credit/parameters",
                "regulatory/sa_ccr/parameters",
            ),
            "Moves": (
                "contributions/exposures",
                "exposure/cva_scenarios",
            ),
            "Nodes": (
                "contributions/exposures",
                "exposure/profile_tables",
            ),
            "Part": (
                "exposure/along_paths",
                "risk/pivot",
            ),
            "Point": (
                "regulatory/exposure_drill",
                "types",
            ),
            "Rules": (
                "kernels/sa_ccr",
                "regulatory/ima_query",
            ),
            "Runs": (
                "exposure/netted",
                "reduce/layout",
            ),
            "Sums": (
                "kernels/ba_cva",
                "reduce/product_on_spark",
                "regulatory/sa_ccr/portfolio",
            ),
            "Terms": (
                "exposure/collateral",
                "kernels/sa_ccr",
            ),
            "Touched": (
                "exposure/cva_what_if",
                "regulatory/sa_ccr/what_if",
            ),
            "Trades": (
                "kernels/sa_ccr",
                "regulatory/sa_ccr/ead",
            ),
        },
        "service": {
            "Rows": (
                "api/openbb",
                "bench/sa_ccr",
            ),
        },
    },
    "FUNCTIONS": {
        "valuation": {
            "last_day": (
                "horizons/path_values",
                "ore/facts",
            ),
        },
        "aggregation": {
            "beside": (
                "regulatory/exposure_what_if",
                "stress/greeks",
            ),
            "called": (
                "answer",
                "kernels/collateral",
            ),
            "changed": (
                "change/attribution_path",
                "regulatory/credit/question",
                "regulatory/sa_ccr/portfolio",
            ),
            "date_weights": (
                "exposure/cva_figures",
                "kernels/cva",
            ),
            "digital": (
                "regulatory/sa_ccr/currencies",
                "regulatory/sa_ccr/equities",
            ),
            "effective": (
                "book/hierarchies",
                "kernels/exposure_profile",
            ),
            "exposures": (
                "kernels/sa_ccr",
                "regulatory/sa_ccr/portfolio",
            ),
            "forward": (
                "regulatory/sa_ccr/commodities",
                "regulatory/sa_ccr/currencies",
                "regulatory/sa_ccr/equities",
            ),
            "future": (
                "regulatory/sa_ccr/commodities",
                "regulatory/sa_ccr/equities",
            ),
            "on_grid": (
                "change/explain",
                "kernels/sa_ccr",
            ),
            "open_book": (
                "exposure/scope",
                "stress/book_value",
            ),
            "opened": (
                "exposure/stored_paths",
                "regulatory/ima_query",
            ),
            "option": (
                "regulatory/sa_ccr/commodities",
                "regulatory/sa_ccr/currencies",
                "regulatory/sa_ccr/equities",
            ),
            "parts_of": (
                "receipts",
                "regulatory/sa_ccr/question",
            ),
            "plan": (
                "exposure/stored_paths",
                "questions",
            ),
            "receipt_of": (
                "receipts",
                "regulatory/sa_ccr/ead",
            ),
            "rows_of": (
                "regulatory/capital/question",
                "regulatory/sa_ccr/question",
            ),
            "standalone": (
                "kernels/ba_cva",
                "regulatory/frtb_sa_sbm",
            ),
            "standard_error": (
                "kernels/cva",
                "kernels/fitted",
            ),
            "swap": (
                "regulatory/sa_ccr/commodities",
                "regulatory/sa_ccr/currencies",
                "regulatory/sa_ccr/rates",
            ),
            "trade_rows": (
                "regulatory/credit/tables",
                "regulatory/sa_ccr/trades",
            ),
            "unit_notionals": (
                "kernels/sa_ccr",
                "regulatory/frtb_sa_default",
            ),
            "units_of": (
                "regulatory/modellability",
                "units",
            ),
            "value": (
                "exposure/stored_paths",
                "questions",
            ),
        },
        "service": {
            "in_words": (
                "proposals",
                "rendering/pictures",
            ),
            "named": (
                "access/groups",
                "ingests",
            ),
            "show_drill": (
                "rendering/dimensions",
                "rendering/exposure",
            ),
            "show_what_if": (
                "rendering/exposure",
                "rendering/sa_ccr",
                "rendering/whatif",
            ),
        },
    },
    "MODULES": {
        "aggregation": {
            "ba_cva": (
                "kernels",
                "regulatory",
            ),
            "collateral": (
                "exposure",
                "kernels",
            ),
            "compare": (
                "change",
                "regulatory/capital",
            ),
            "cva": (
                "exposure",
                "kernels",
            ),
            "exposures": (
                "contributions",
                "regulatory/credit",
            ),
            "frtb_ima": (
                "kernels",
                "regulatory",
            ),
            "parameters": (
                "regulatory/credit",
                "regulatory/sa_ccr",
            ),
            "query": (
                "regulatory/capital",
                "risk",
            ),
            "question": (
                "",
                "regulatory/capital",
                "regulatory/credit",
                "regulatory/sa_ccr",
            ),
            "sa_cva": (
                "kernels",
                "regulatory",
            ),
            "trades": (
                "regulatory/sa_ccr",
                "whatif",
            ),
            "what_if": (
                "regulatory/sa_ccr",
                "whatif",
            ),
        },
        "service": {
            "credit": (
                "bench/oracles",
                "rendering",
            ),
            "exposure": (
                "bench",
                "rendering",
            ),
            "sa_ccr": (
                "bench",
                "rendering",
            ),
        },
    },
}
for _kind, _of in (("CLASSES", CLASSES), ("FUNCTIONS", FUNCTIONS), ("MODULES", MODULES)):
    for _package, _names in TO_TELL_APART.get(_kind, {}).items():
        for _name, _places in _names.items():
            _of.setdefault(_package, {})[_name] = ("to be told apart", *_places)  # type: ignore[index]

Allowed = Mapping[str, tuple[str, ...]]
Named = Iterator[tuple[str, str]]


def source(package: str) -> dict[str, str]:
    """The text of every module, by its path inside of the package."""
    folder = ROOT / package
    return {str(f.relative_to(folder).with_suffix("")): f.read_text() for f in sorted(folder.rglob("*.py"))}


parsed = functools.cache(ast.parse)  # a module is looked at for its classes and for its functions


def classes(modules: Mapping[str, str]) -> Named:
    """Name and module of every class; `_Side` is the same name as `Side`."""
    for module, text in modules.items():
        for node in ast.walk(parsed(text)):
            if isinstance(node, ast.ClassDef):
                yield node.name.lstrip("_"), module


def functions(modules: Mapping[str, str]) -> Named:
    """Name and module of every public function of a module."""
    for module, text in modules.items():
        for node in parsed(text).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                yield node.name, module


def files(modules: Mapping[str, str]) -> Named:
    """Name and folder of every module. A folder and its entry module, such as backtest/backtest, may share a name."""
    for module in modules:
        folder, _, name = module.rpartition("/")
        if name != "__init__":
            yield name, folder


def faults(named: Named, allowed: Allowed) -> list[str]:
    """The names in several places that are not allowed there, and the entries that nothing needs."""
    places = defaultdict(set)
    for name, place in named:
        places[name].add(place)
    shared = {name: sorted(at) for name, at in places.items() if len(at) > 1}
    wrong = []
    for name, at in shared.items():
        _, *patterns = allowed.get(name, ("",))
        if not all(any(fnmatch(place, p) for p in patterns) for place in at):
            wrong.append(f"{name} stands in {', '.join(at)}")
    for name, (_, *patterns) in allowed.items():
        unused = [p for p in patterns if not any(fnmatch(place, p) for place in shared.get(name, ()))]
        wrong += [f"{name} is allowed in {p} for nothing" for p in unused]
    return wrong


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize(("named", "allowed"), [(classes, CLASSES), (functions, FUNCTIONS), (files, MODULES)])
def test_a_name_means_one_thing(
    named: Callable[[Mapping[str, str]], Named], allowed: Mapping[str, Allowed], package: str
) -> None:
    """Give the newer of the two a word of its own, or say above why both mean the same."""
    modules = source(package)
    assert len(modules) > 10
    assert faults(named(modules), allowed.get(package, {})) == []


@pytest.mark.parametrize(
    ("named", "first", "second"),
    [
        (classes, "class Side: ...", "class _Side: ..."),
        (classes, "class Side: ...", "def f():\n    class Side: ..."),
        (functions, "def read(): ...", "async def read(): ..."),
    ],
)
def test_two_of_a_name_are_seen(named: Callable[[Mapping[str, str]], Named], first: str, second: str) -> None:
    modules = {"risk/a": first, "risk/b": second, "risk/c": "class Other:\n    def read(self): ..."}
    assert len(faults(named(modules), {})) == 1
    name = next(named(modules))[0]
    assert faults(named(modules), {name: ("a contract", "risk/*")}) == []
    assert len(faults(named(modules), {name: ("a contract", "risk/a")})) == 1


def test_private_functions_methods_and_entry_modules_may_share_a_name() -> None:
    assert not faults(functions({"a": "def _plan(): ...", "b": "def _plan(): ...\nclass A:\n    def f(self): ..."}), {})
    assert not faults(files({"backtest/__init__": "", "backtest/backtest": "", "__init__": ""}), {})
    assert faults(files({"risk/drill": "", "change/drill": ""}), {}) == ["drill stands in change, risk"]


def test_an_entry_that_nothing_needs_is_stale() -> None:
    assert faults(classes({"a": "class Side: ..."}), {"Side": ("a contract", "a")}) == [
        "Side is allowed in a for nothing"
    ]
