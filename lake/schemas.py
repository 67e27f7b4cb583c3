"""Every table of the lake: its columns with their meaning, its key, its partitions. The one place.

Types are the plain ones every Parquet and Delta reader knows; lists have the child name `element`; instants are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

DOUBLES = pa.list_(pa.field("element", pa.float64()))
STRINGS = pa.list_(pa.field("element", pa.string()))
DATES = pa.list_(pa.field("element", pa.date32()))
INTS = pa.list_(pa.field("element", pa.int32()))
ATTRIBUTES = pa.map_(pa.string(), pa.string())
INSTANT = pa.timestamp("us", tz="UTC")

DIMENSION_COLUMNS = (
    "portfolio",
    "instrument",
    "client",
    "account",
    "trade",
    "desk",
    "book",
    "legal_entity",
    "counterparty",
)


@dataclass(frozen=True)
class Column:
    name: str
    type: pa.DataType
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table: `key` columns identify a row, `partition_by` columns are folders and not in the files.

    derived : its rows are made from those of other tables, and named by their content or by what they were made from.
    `bounded` columns are those by whose least and greatest value in a file readers may skip it: the key and dates, never null. In
    a column of numbers readers lose rows by them: NaN is within no bounds, and minus zero is zero. In one of instants, too: Delta
    keeps bounds of milliseconds. Those of true and false skip nothing.
    """

    name: str
    one_row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    derived: bool = False
    more_bounded: tuple[str, ...] = ()
    nullable_key: tuple[str, ...] = ()

    @property
    def bounded(self) -> tuple[str, ...]:
        """See above."""
        without = [c.name for c in self.columns if c.type == INSTANT or pa.types.is_boolean(c.type)]
        never = (*self.partition_by, *self.nullable_key, *without)
        return tuple(c for c in (*self.key, *self.more_bounded) if c not in never)

    @property
    def schema(self) -> pa.Schema:
        """All columns, partition columns included."""
        return pa.schema([pa.field(c.name, c.type, metadata={"comment": c.meaning}) for c in self.columns])

    @property
    def file_schema(self) -> pa.Schema:
        """The columns that stand in the data files."""
        return pa.schema([f for f in self.schema if f.name not in self.partition_by])


RISK_FACTORS = Table(
    "risk_factors",
    "a risk factor",
    (
        Column("risk_factor_id", pa.string(), "unique name, such as EQ:AAPL, FX:EURUSD, YC:USD:10Y"),
        Column("type", pa.string(), "risk factor type; decides class, shift and unit (scenarios.types.FACTOR_TYPES)"),
        Column("name", pa.string(), "what a person calls it"),
        Column("risk_class", pa.string(), "equity, rates, fx, commodity, credit, volatility"),
        Column("shift_type", pa.string(), "how a move is measured and applied: relative, log, absolute"),
        Column("currency", pa.string(), "ISO 4217 currency of the level; for FX the quote currency"),
        Column("curve", pa.string(), "the curve it is a pillar of, if any"),
        Column("pillar", pa.string(), "tenor on that curve, such as 6M or 10Y"),
        Column("unit", pa.string(), "unit of the stored level"),
        Column("attributes", ATTRIBUTES, "free attributes for selection: region, sector, rating, ..."),
        Column("source", pa.string(), "the catalogue source that feeds it"),
        Column("synthetic", pa.bool_(), "true when generated, never observed"),
        Column(
            "adjusted",
            pa.string(),
            "corporate actions that its source has adjusted the levels for: splits, or all; null for none",
        ),
    ),
    key=("risk_factor_id",),
    partition_by=("source",),
)

MARKET_DATA = Table(
    "market_data",
    "the level of a risk factor on a date",
    (
        Column("as_of_date", pa.date32(), "business date of the level"),
        Column("risk_factor_id", pa.string(), "the risk factor"),
        Column(
            "value_received",
            pa.float64(),
            "the level as the source gave it, in the source's unit; null when marked missing",
        ),
        Column("value_used", pa.float64(), "the level used, in the factor's unit; null when missing or held"),
        Column("status", pa.string(), "observed, missing, held, released, overridden or proxied"),
        Column("rule", pa.string(), "how value_used came from value_received, such as 'x 0.01'"),
        Column("source", pa.string(), "the catalogue source"),
    ),
    key=("as_of_date", "risk_factor_id"),
    partition_by=("source",),
)

MARKET_ISSUES = Table(
    "market_issues",
    "a market value that a rule holds, a run of missing ones, or what a person did about one; the newest row of a value holds",
    (
        Column("as_of_date", pa.date32(), "business date of the value; of missing ones the first"),
        Column("risk_factor_id", pa.string(), "the risk factor"),
        Column(
            "state", pa.string(), "held, missing, released, overridden, proxied, or replaced by another value received"
        ),
        Column("rules", STRINGS, "the rules that suspect it"),
        Column("detail", pa.string(), "what they saw"),
        Column("value_received", pa.float64(), "as in market_data"),
        Column("value_used", pa.float64(), "as in market_data once this row holds; null when held or missing"),
        Column("proxy", pa.string(), "risk factor that it moves by, when proxied; else null"),
        Column("author", pa.string(), "who did it; varlake for what a rule does"),
        Column("reason", pa.string(), "why, in the author's words; null for what a rule does"),
        Column("approved_by", pa.string(), "who approved it; null where nobody had to"),
        Column("source", pa.string(), "the catalogue source"),
        Column("market_data_version", pa.int64(), "version of market_data from which on it holds"),
        Column("created_at", INSTANT, "when it was stored"),
    ),
    key=("as_of_date", "risk_factor_id", "created_at"),
)

MARKET_CALENDARS = Table(
    "market_calendars",
    "a business calendar that sources of market data keep, or that came with them as a list of days",
    (
        Column(
            "calendar",
            pa.string(),
            "its name: a code of an exchange or of a business centre, weekdays, data, or a list's own",
        ),
        Column("sources", STRINGS, "the catalogue sources that keep it"),
        Column("days", DATES, "its business days, ascending, where it is a list; else null"),
    ),
    key=("calendar",),
)

CONTRACTS = Table(
    "contracts",
    "a contract: what a pricer needs and nothing else; immutable",
    (
        Column("contract_id", pa.string(), "digest of instrument type and terms"),
        Column("instrument_type", pa.string(), "key of valuation.catalogue.INSTRUMENTS, or `imported`"),
        Column("currency", pa.string(), "currency of its value, ISO 4217"),
        Column("terms", pa.string(), "canonical JSON of its terms"),
    ),
    key=("contract_id",),
    derived=True,
)

POSITIONS = Table(
    "positions",
    "a trade held on a positions date: a quantity of one contract, and its dimensions",
    (
        Column("positions_date", pa.date32(), "the date the book is of"),
        Column("contract_id", pa.string(), "the contract held"),
        Column("quantity", pa.float64(), "units of the contract; negative is short"),
        *(Column(d, pa.string(), f"dimension: {d.replace('_', ' ')}") for d in DIMENSION_COLUMNS),
        Column("instrument_type", pa.string(), "type of the contract, repeated for grouping"),
        Column("currency", pa.string(), "currency of the contract, repeated for grouping"),
        Column("attributes", ATTRIBUTES, "further attributes brought with the file, such as counterparty_rating"),
    ),
    key=("positions_date", "trade"),
    partition_by=("positions_date",),
)

UNASSIGNED = "unassigned"  # the member of a level for whatever has no parent there

HIERARCHIES = Table(
    "hierarchies",
    "the parent of a member of a level, over the dates on which that holds",
    (
        Column("hierarchy", pa.string(), "name of the hierarchy"),
        Column("level", pa.string(), "the member's level; the lowest is a dimension of positions, such as desk"),
        Column("member", pa.string(), "the member"),
        Column("parent_level", pa.string(), "the level above, such as division; a dimension of queries"),
        Column("parent", pa.string(), "the member's parent on that level"),
        Column("effective_from", pa.date32(), "first positions date on which it holds"),
        Column("effective_to", pa.date32(), "last positions date on which it holds; null where it still does"),
    ),
    key=("hierarchy", "level", "member", "effective_from"),
    partition_by=("hierarchy",),
)

SCENARIO_SETS = Table(
    "scenario_sets",
    "a scenario set, without its levels",
    (
        Column(
            "scenario_set_id", pa.string(), "digest of everything in the set: factors, base, levels, labels, weights"
        ),
        Column("name", pa.string(), "name; several versions may share it"),
        Column("version", pa.int32(), "1, 2, ... within the name; a set is never edited"),
        Column("method", pa.string(), "key of scenarios.generators.GENERATORS, or `imported`"),
        Column(
            "sample", pa.bool_(), "true for a sample of what may happen; false for chosen scenarios, which have no VaR"
        ),
        Column("market_date", pa.date32(), "date of the base levels"),
        Column("definition", pa.string(), "canonical JSON of the parameters it was made with"),
        Column("horizon_days", pa.int32(), "business days a scenario spans"),
        Column("seed", pa.int64(), "seed of a random method, else null"),
        Column(
            "labels",
            STRINGS,
            "scenario ids in order, such as 2008-10-15; empty for more than 10,000 generated ones, p000000, p000001@T2, ...",
        ),
        Column("weights", DOUBLES, "probability of each scenario; null means equal"),
        Column("factors_shocked", pa.int32(), "count of factors that move in some scenario"),
        Column("factors_unchanged", pa.int32(), "count of factors declared unchanged"),
        Column("excluded", ATTRIBUTES, "risk factor id to the reason why it is not in the set"),
        Column("held", ATTRIBUTES, "risk factor id to the earlier date whose level is held as its base"),
        Column("dropped", ATTRIBUTES, "scenario label to the reason why it was left out"),
        Column("proxied", ATTRIBUTES, "risk factor id to what stands in for its missing moves"),
        Column("holidays", ATTRIBUTES, "scenario label to the markets closed on that day, whose factors are unchanged"),
        Column("fitted", ATTRIBUTES, "risk factor id to the model fitted to its moves, with its parameters"),
        Column("derived", ATTRIBUTES, "shocked risk factor id that no step names to why it moves all the same"),
        Column("horizons", INTS, "business days of T1, T2, ... where every path has a scenario at each, else empty"),
        Column("calibration", ATTRIBUTES, "what the calibration of a random method found, by name"),
        Column("rolled_to", pa.date32(), "date its market is rolled forward to; null where it is of the market date"),
        Column("rolled_market", pa.string(), "how it is rolled: forwards or constant; else null"),
        Column("synthetic", pa.bool_(), "true when any factor is synthetic"),
        Column("market_data_version", pa.int64(), "version of market_data it was read from"),
        Column("corporate_actions_version", pa.int64(), "version of corporate_actions it was read with"),
        Column("code_version", pa.string(), "varlake version that made it"),
        Column("created_at", INSTANT, "when it was stored"),
        Column(
            "made_for",
            pa.string(),
            "of a set that follows from what a book holds: what of the book may be seen by whom it was made for, empty for all of it; null "
            "for a set that is everybody's",
        ),
    ),
    key=("scenario_set_id",),
    derived=True,
    more_bounded=("market_date",),
)

SCENARIO_LEVELS = Table(
    "scenario_levels",
    "one risk factor's levels in one block of scenarios",
    (
        Column("scenario_set_id", pa.string(), "the set"),
        Column("block", pa.int32(), "block number; blocks follow scenario order"),
        Column("first_scenario", pa.int32(), "index of the block's first scenario"),
        Column("risk_factor_id", pa.string(), "the risk factor"),
        Column("factor", pa.string(), "canonical JSON of the risk factor as it was"),
        Column("status", pa.string(), "shocked or unchanged"),
        Column("base", pa.float64(), "base level"),
        Column("levels", DOUBLES, "absolute level in each scenario of the block"),
        Column("origin", pa.float64(), "base level on the market date that base is rolled forward from; else null"),
    ),
    key=("scenario_set_id", "block", "risk_factor_id"),
    partition_by=("scenario_set_id",),
    derived=True,
)

SCENARIO_CALIBRATIONS = Table(
    "scenario_calibrations",
    "one risk factor's parameters in a scenario set whose levels are generated when they are read",
    (
        Column("scenario_set_id", pa.string(), "the set"),
        Column("position", pa.int32(), "row of the factor in the set's levels"),
        Column("risk_factor_id", pa.string(), "the risk factor"),
        Column("factor", pa.string(), "canonical JSON of the risk factor as it was"),
        Column("status", pa.string(), "shocked or unchanged"),
        Column("base", pa.float64(), "base level"),
        Column("shift_type", pa.string(), "how its moves are measured and applied"),
        Column("drift", pa.float64(), "mean move a day"),
        Column("loadings", DOUBLES, "weight of each common normal in its daily move; empty for a bootstrap"),
        Column(
            "moves",
            DOUBLES,
            "daily moves it draws from: in order of date, or sorted for an empirical margin; else empty",
        ),
    ),
    key=("scenario_set_id", "position"),
    partition_by=("scenario_set_id",),
    derived=True,
)

PNL_VECTORS = Table(
    "pnl_vectors",
    "a fingerprint: the P&L per unit of one contract under given inputs; shared by valuation sets",
    (
        Column("valuation_date", pa.date32(), "date the contract was valued at; part of the inputs digest"),
        Column("contract_id", pa.string(), "the contract"),
        Column(
            "inputs_digest",
            pa.string(),
            "digest of valuation date, pricer version, base and shocked levels of the factors read",
        ),
        Column("base_digest", pa.string(), "digest of the same without the shocked levels"),
        Column("currency", pa.string(), "currency of value and P&L"),
        Column("base_value", pa.float64(), "value of one unit at the base levels"),
        Column(
            "pnl",
            DOUBLES,
            "scenario value minus base value, in scenario order; gains positive; empty when only the base was wanted",
        ),
    ),
    key=("valuation_date", "contract_id", "inputs_digest"),
    partition_by=("valuation_date",),
    derived=True,
)

VALUATION_MEMBERS = Table(
    "valuation_members",
    "a contract in a valuation set, with the fingerprint that answers for it",
    (
        Column("valuation_set_id", pa.string(), "the valuation set"),
        Column("contract_id", pa.string(), "the contract"),
        Column("inputs_digest", pa.string(), "with contract_id the fingerprint in pnl_vectors"),
        Column(
            "unmoved", pa.bool_(), "true when no factor it reads is shocked: its P&L is zero by reading, not by pricing"
        ),
        Column(
            "substituted",
            pa.bool_(),
            "true when a factor it reads keeps an earlier level or moves by a proxy; null in sets filled before this was kept",
        ),
    ),
    key=("valuation_set_id", "contract_id"),
    partition_by=("valuation_set_id",),
    derived=True,
)

VALUATION_FAILURES = Table(
    "valuation_failures",
    "a contract that could not be valued in a valuation set; a result like any other",
    (
        Column("valuation_set_id", pa.string(), "the valuation set"),
        Column("contract_id", pa.string(), "the contract"),
        Column("instrument_type", pa.string(), "its type"),
        Column("reason", pa.string(), "short code, such as missing_risk_factor, matured, non_finite"),
        Column("message", pa.string(), "what was missing or wrong, in words"),
        Column(
            "stage",
            pa.string(),
            "where it failed: terms, check, factors, value, cash, conversion or import; null where it failed before that was kept",
        ),
    ),
    key=("valuation_set_id", "contract_id"),
    partition_by=("valuation_set_id",),
    derived=True,
)

VALUATION_SETS = Table(
    "valuation_sets",
    "the seal of a complete valuation set; readers see sealed sets only",
    (
        Column("valuation_set_id", pa.string(), "digest of the coordinates and the contracts in it"),
        Column("valuation_date", pa.date32(), "date the contracts are valued at"),
        Column("market_date", pa.date32(), "date of the base market"),
        Column("scenario_set_id", pa.string(), "the scenario set"),
        Column("scenario_set_name", pa.string(), "its name"),
        Column("sample", pa.bool_(), "whether the scenario set is a sample, see scenario_sets"),
        Column("risk_classes", STRINGS, "risk classes shocked"),
        Column("pricer_version", pa.string(), "digest of all instrument versions"),
        Column("scenario_count", pa.int32(), "length of every vector"),
        Column("submitted", pa.int64(), "contracts asked for = valued + reused + failed"),
        Column("valued", pa.int64(), "contracts priced for this set"),
        Column("reused", pa.int64(), "contracts whose vectors were already in the lake"),
        Column("failed", pa.int64(), "contracts in valuation_failures"),
        Column("unmoved", pa.int64(), "of valued + reused, those no shocked factor reaches"),
        Column(
            "cost_us",
            pa.map_(pa.string(), pa.float64()),
            "instrument type to measured microseconds a contract and state",
        ),
        Column(
            "pricing_seconds", pa.float64(), "seconds of one core that pricing took, without the loading of kernels"
        ),
        Column("elapsed_seconds", pa.float64(), "wall time of the run"),
        Column("runner", pa.string(), "in-process or the Spark master"),
        Column("run_id", pa.string(), "the run whose commits filled it"),
        Column(
            "table_versions",
            ATTRIBUTES,
            "table name to the version that was read; of a set made for a branch, `branch` to its branch_id; of vectors of other "
            "systems, `imported:` and the source to what came with them; of a set asked for again since, `asked_again` to when and of "
            "which positions",
        ),
        Column("code_version", pa.string(), "varlake version"),
        Column("sealed_at", INSTANT, "when it was sealed"),
    ),
    key=("valuation_set_id",),
    derived=True,
    more_bounded=("valuation_date", "market_date"),
)

PATH_SETS = Table(
    "path_sets",
    "market paths from a date to the dates of a grid: everything they are made from",
    (
        Column("path_set_id", pa.string(), "digest of the model"),
        Column("as_of_date", pa.date32(), "date of the market from which the paths set out"),
        Column("measure", pa.string(), "risk_neutral or real_world"),
        Column("numeraire", pa.string(), "currency whose bank account prices are relative to"),
        Column("dates", DATES, "T1, T2, ..., ascending"),
        Column("paths", pa.int32(), "number of paths"),
        Column("seed", pa.int64(), "of the random numbers"),
        Column("sampling", pa.string(), "random, antithetic or sobol"),
        Column(
            "model",
            pa.string(),
            "market, drivers, correlations and carry, as JSON: the paths are made anew from it, to the bit",
        ),
        Column("market_data_version", pa.int64(), "version of market_data it was fitted to"),
        Column("code_version", pa.string(), "version of the code"),
        Column("created_at", INSTANT, "when it was stored"),
    ),
    key=("path_set_id",),
    derived=True,
)

PATH_VALUES = Table(
    "path_values",
    "what a contract is worth and has paid at one date of a grid, on every path; shared by valuations along paths",
    (
        Column("as_of_date", pa.date32(), "date from which the paths set out"),
        Column("contract_id", pa.string(), "the contract"),
        Column(
            "inputs_digest",
            pa.string(),
            "digest of pricer version, dates, paths and of everything that moves what the contract reads",
        ),
        Column("date_number", pa.int32(), "of the grid, from 0"),
        Column("currency", pa.string(), "currency of value and cash"),
        Column("base_value", pa.float64(), "value of one unit on the first date"),
        Column(
            "values",
            DOUBLES,
            "value of one unit by path; null where it is worth nothing on any, as once it has matured",
        ),
        Column(
            "cash", DOUBLES, "cash that one unit pays since the date before, by path; null where it pays none on any"
        ),
    ),
    key=("as_of_date", "contract_id", "inputs_digest", "date_number"),
    partition_by=("as_of_date",),
    derived=True,
)

PATH_MEMBERS = Table(
    "path_members",
    "a contract in a valuation along paths, with the fingerprint that answers for it",
    (
        Column("path_valuation_id", pa.string(), "the valuation"),
        Column("contract_id", pa.string(), "the contract"),
        Column("inputs_digest", pa.string(), "with contract_id the fingerprint in path_values"),
    ),
    key=("path_valuation_id", "contract_id"),
    partition_by=("path_valuation_id",),
    derived=True,
)

PATH_FAILURES = Table(
    "path_failures",
    "a contract that could not be valued along paths; a result like any other",
    (
        Column("path_valuation_id", pa.string(), "the valuation"),
        Column("contract_id", pa.string(), "the contract"),
        Column("instrument_type", pa.string(), "its type"),
        Column("reason", pa.string(), "short code, such as missing_fixing, path_dependent, non_finite"),
        Column("message", pa.string(), "what was missing or wrong, in words"),
        Column("stage", pa.string(), "where it failed: terms, check, factors, value or cash"),
    ),
    key=("path_valuation_id", "contract_id"),
    partition_by=("path_valuation_id",),
    derived=True,
)

PATH_VALUATIONS = Table(
    "path_valuations",
    "the seal of a complete valuation along paths; readers see sealed ones only",
    (
        Column(
            "path_valuation_id",
            pa.string(),
            "digest of the path set, the versions of all pricers and the contracts in it",
        ),
        Column("path_set_id", pa.string(), "the path set"),
        Column("as_of_date", pa.date32(), "date from which the paths set out"),
        Column("pricer_version", pa.string(), "digest of all instrument versions"),
        Column("submitted", pa.int64(), "contracts asked for = valued + reused + failed"),
        Column("valued", pa.int64(), "contracts valued for this"),
        Column("reused", pa.int64(), "contracts whose values were already in the lake"),
        Column("failed", pa.int64(), "contracts in path_failures"),
        Column(
            "cost_us",
            pa.map_(pa.string(), pa.float64()),
            "instrument type to measured microseconds a contract, date and path",
        ),
        Column("pricing_seconds", pa.float64(), "seconds of one core that valuing took"),
        Column("elapsed_seconds", pa.float64(), "wall time of the run"),
        Column("runner", pa.string(), "in-process or the Spark master"),
        Column("run_id", pa.string(), "the run whose commits filled it"),
        Column("table_versions", ATTRIBUTES, "table name to the version that was read"),
        Column("code_version", pa.string(), "version of the code"),
        Column("sealed_at", INSTANT, "when it was sealed"),
    ),
    key=("path_valuation_id",),
    derived=True,
)

ACTUAL_PNL = Table(
    "actual_pnl",
    "the P&L of a day as the books have it, for the node its members name",
    (
        Column("pnl_date", pa.date32(), "the day the P&L was made"),
        Column("kind", pa.string(), "actual, or hypothetical: a static portfolio's, as the front office has it"),
        *(
            Column(d, pa.string(), f"member of the dimension {d.replace('_', ' ')}; null for all")
            for d in DIMENSION_COLUMNS
        ),
        Column("pnl", pa.float64(), "P&L, gains positive"),
        Column("currency", pa.string(), "currency of the P&L, ISO 4217"),
        Column("file", pa.string(), "name of the file it came with"),
    ),
    key=("pnl_date", "kind", *DIMENSION_COLUMNS),
    nullable_key=DIMENSION_COLUMNS,
)

REAL_PRICES = Table(
    "real_prices",
    "a real price of a risk factor: a deal, a committed quote or what a vendor has evidence of",
    (
        Column("price_date", pa.date32(), "the day the price is of"),
        Column("risk_factor_id", pa.string(), "the risk factor that it is a price of"),
        Column("source", pa.string(), "who has it: a system or a vendor"),
        Column("evidence", pa.string(), "own_deal, third_party_deal, committed_quote or vendor"),
        Column("file", pa.string(), "name of the file it came with"),
    ),
    key=("price_date", "risk_factor_id", "source", "evidence"),
)

REPORTED_VAR = Table(
    "reported_var",
    "the VaR that another system reported for a day, a node and a level",
    (
        Column("var_date", pa.date32(), "the day the VaR is of; it is held against the P&L of the next"),
        Column("source", pa.string(), "the system that reported it"),
        Column("level", pa.string(), "confidence level, such as 0.99"),
        *(
            Column(d, pa.string(), f"member of the dimension {d.replace('_', ' ')}; null for all")
            for d in DIMENSION_COLUMNS
        ),
        Column("var", pa.float64(), "VaR, a loss positive"),
        Column("es", pa.float64(), "expected shortfall, a loss positive; null where none was given"),
        Column("pnl", pa.float64(), "P&L made on var_date, gains positive; null where none was given"),
        Column("currency", pa.string(), "currency of all three, ISO 4217"),
        Column("file", pa.string(), "name of the file it came with"),
    ),
    key=("var_date", "source", "level", *DIMENSION_COLUMNS),
    nullable_key=DIMENSION_COLUMNS,
)

BRANCH_POSITIONS = Table(
    "branch_positions",
    "a hypothetical trade that a branch adds",
    (
        Column("branch_id", pa.string(), "the version that adds it, see branches"),
        *(c for c in POSITIONS.columns if c.name != "positions_date"),
    ),
    key=("branch_id", "trade"),
    partition_by=("branch_id",),
)

BRANCHES = Table(
    "branches",
    "a version of a branch: changes upon the book of a date, or upon another branch; immutable",
    (
        Column("name", pa.string(), "name of the branch"),
        Column("version", pa.int32(), "1, 2, ... within the name; the newest counts"),
        Column("branch_id", pa.string(), "digest of what it stands on and of its changes"),
        Column("positions_date", pa.date32(), "date of the book below it all"),
        Column("parent", pa.string(), "name of the branch it stands on; null when it stands on the book itself"),
        Column("parent_version", pa.int32(), "the version it stands on; null likewise"),
        Column("rules", pa.string(), "canonical JSON of what is removed and scaled, and whether the book is replaced"),
        Column("trades", pa.int64(), "trades it adds, in branch_positions"),
        Column("note", pa.string(), "what it is for, in words"),
        Column("deleted", pa.bool_(), "true for the version that takes the branch away"),
        Column(
            "valuation_set_id", pa.string(), "the valuation set made for its new contracts; null where all were known"
        ),
        Column("code_version", pa.string(), "varlake version that stored it"),
        Column("created_at", INSTANT, "when it was stored"),
        Column(
            "entitlement",
            pa.string(),
            "canonical JSON of what they may see who saved it, and whoever reads it; null for everything",
        ),
    ),
    key=("name", "version"),
)

STANDARDS = Table(
    "standards",
    "a version of what a question is answered from that names no scenarios and no currency; immutable",
    (
        Column("desk", pa.string(), "desk it holds for; null for the whole lake"),
        Column("version", pa.int32(), "1, 2, ... within the desk; the newest counts"),
        Column("scenario_set", pa.string(), "name of the scenario set; null for that of the lake"),
        Column("currency", pa.string(), "reporting currency; null for that of the lake"),
        Column("reason", pa.string(), "why it was set, in words"),
        Column("author", pa.string(), "who set it; null for the first of a lake and where it was not recorded"),
        Column("approved_by", pa.string(), "who approved that; null where nobody had to"),
        Column("code_version", pa.string(), "varlake version that stored it"),
        Column("created_at", INSTANT, "when it was stored"),
    ),
    key=("desk", "version"),
    nullable_key=("desk",),
)

SENSITIVITIES = Table(
    "sensitivities",
    "a sensitivity that another system computed, as its file has it",
    (
        Column("as_of_date", pa.date32(), "the day of the market it was computed in"),
        Column("source", pa.string(), "name of the system it came from"),
        Column("file", pa.string(), "name of the file it came with"),
        Column("line", pa.int64(), "its line in the file; the header is line 1"),
        Column("kind", pa.string(), "delta, gamma, cross gamma or vega"),
        Column("factor", pa.string(), "the risk factor, as the other system calls it"),
        Column("factor_2", pa.string(), "the second one of a cross gamma; else null"),
        Column("move", pa.string(), "how the bump moves the factor: absolute, in its unit, or relative, a fraction"),
        Column("bump", pa.float64(), "size of the bump that the amount is of; null where the file has none"),
        Column("move_2", pa.string(), "the same of the second factor"),
        Column("bump_2", pa.float64(), "the same of the second factor"),
        Column("amount", pa.float64(), "gain for the bump; of gammas its second difference; gains positive"),
        Column("currency", pa.string(), "currency of the amount, ISO 4217"),
        Column("risk_class", pa.string(), "equity, rates, fx, commodity, credit, volatility; null where not known"),
        *(Column(d, pa.string(), f"dimension: {d.replace('_', ' ')}") for d in DIMENSION_COLUMNS),
        Column("attributes", ATTRIBUTES, "further attributes of the file, such as product_class"),
    ),
    key=("as_of_date", "source", "file", "line", "kind"),
    partition_by=("as_of_date",),
)

SENSITIVITY_FACTORS = Table(
    "sensitivity_factors",
    "a risk factor of sensitivities that were brought in, and a risk factor of the lake that it is",
    (
        Column("as_of_date", pa.date32(), "the day of the sensitivities"),
        Column("source", pa.string(), "the system they came from"),
        Column("factor", pa.string(), "the risk factor, as that system calls it"),
        Column("risk_factor_id", pa.string(), "the risk factor of the lake; null where there is none"),
        Column("weight", pa.float64(), "move of the factor for a move of that one: 1, or a part of several"),
        Column("inverse", pa.bool_(), "true where it is one over that one, such as JPYUSD over USDJPY"),
        Column(
            "rule", pa.string(), "why it is that one: the mapping table, or the rule; where there is none the reason"
        ),
    ),
    key=("as_of_date", "source", "factor", "risk_factor_id"),
    partition_by=("as_of_date",),
    nullable_key=("risk_factor_id",),
)

COVARIANCES = Table(
    "covariances",
    "a row of a covariance matrix that was brought in",
    (
        Column("name", pa.string(), "name of the matrix"),
        Column("place", pa.int32(), "place of the row, 0, 1, ..."),
        Column("factor", pa.string(), "the risk factor, as the file calls it"),
        Column("move", pa.string(), "how its moves are measured: absolute, relative; null where not said"),
        Column("covariance", DOUBLES, "covariance with the factor of every place, in the unit of moves squared"),
        Column(
            "unit", pa.string(), "unit of moves: 1 (a fraction, or the factor's unit), or bump (of the sensitivities)"
        ),
        Column("horizon_days", pa.int32(), "business days that the moves are of"),
        Column("least_eigenvalue", pa.float64(), "of its correlations, as the file has them"),
        Column("repaired", pa.float64(), "largest change of a correlation by the repair asked for; null without one"),
        Column("file", pa.string(), "name of the file it came with"),
    ),
    key=("name", "factor"),
    partition_by=("name",),
)

TICKS = Table(
    "ticks",
    "a tick of a risk factor as a feed gave it, or a later correction or cancel of one, or a halt; rows are added and never edited",
    (
        Column("date", pa.date32(), "day of the session that it is of"),
        Column("risk_factor_id", pa.string(), "the risk factor"),
        Column(
            "sequence",
            pa.int64(),
            "its number in the feed: of two ticks the higher is the later, whatever their times say",
        ),
        Column("time", INSTANT, "when it was, as the feed says"),
        Column("event", pa.string(), "new, correction, cancel, halt or resume"),
        Column("corrects", pa.int64(), "number of the tick that a correction or cancel is of; else null"),
        Column("price", pa.float64(), "price, in the unit of the factor's levels; null for a quote"),
        Column("bid", pa.float64(), "bid of a quote; else null"),
        Column("ask", pa.float64(), "ask of a quote; else null"),
        Column("size", pa.float64(), "units traded; null where not given"),
        Column("source", pa.string(), "the feed; a factor has one a day"),
        Column("file", pa.string(), "name of the file it came with"),
    ),
    key=("date", "risk_factor_id", "sequence"),
    partition_by=("date",),
)

INTRADAY_LEVELS = Table(
    "intraday_levels",
    "the level of a risk factor in a bucket of a session",
    (
        Column("date", pa.date32(), "day of the session"),
        Column("risk_factor_id", pa.string(), "the risk factor"),
        Column("bucket_end", INSTANT, "end of the bucket, which is not in it"),
        Column("bucket_seconds", pa.int32(), "length of the bucket"),
        Column(
            "level",
            pa.float64(),
            "mean of the ticks in the bucket, else the level before, in the unit of the factor's levels",
        ),
        Column("ticks", pa.int32(), "ticks that the mean is of; 0 where the level is carried"),
        Column("carried_seconds", pa.int32(), "for how long the level has been carried; 0 where it is fresh"),
        Column("halted", pa.bool_(), "whether trading was halted at the end of the bucket, and no tick in it"),
        Column("sequence", pa.int64(), "highest number of a tick of the factor in this bucket or one before"),
        Column("source", pa.string(), "the feed"),
    ),
    key=("date", "risk_factor_id", "bucket_end"),
    partition_by=("date",),
)

ORDERS = Table(
    "orders",
    "an order as it was executed, or a later correction or cancel of it; rows are added and never edited",
    (
        Column("order_id", pa.string(), "the order"),
        Column("sequence", pa.int32(), "1, 2, ... within the order; the highest counts, whenever it arrived"),
        Column("event", pa.string(), "new, correction or cancel"),
        Column("executed_at", INSTANT, "when it was executed; null for a cancel, as all that follows but the file"),
        Column("trade_date", pa.date32(), "the day of that instant in the zone it was given in"),
        Column("side", pa.string(), "buy or sell"),
        Column("quantity", pa.string(), "units of the contract, positive, in decimal digits: exact"),
        Column("price", pa.float64(), "price of a unit in the currency of the contract; null where none was given"),
        Column("contract_id", pa.string(), "the contract bought or sold"),
        *(Column(d, pa.string(), f"dimension: {d.replace('_', ' ')}") for d in DIMENSION_COLUMNS if d != "trade"),
        Column("instrument_type", pa.string(), "type of the contract"),
        Column("currency", pa.string(), "currency of the contract"),
        Column("attributes", ATTRIBUTES, "further attributes brought with the file"),
        Column("file", pa.string(), "name of the file, or place in the feed, that it came with"),
        Column("execution_id", pa.string(), "ExecID of the execution report that it was; null where it was none"),
        Column("parent_order_id", pa.string(), "OrderID of the order that it is a fill of; null where it is none"),
        Column("session", pa.string(), "FIX session and the number of its start; null where it came by none"),
    ),
    key=("order_id", "sequence"),
)

ORDER_FEEDS = Table(
    "order_feeds",
    "how far a part of a feed of orders has been read: a file, a partition of a topic, or a FIX session since its start",
    (
        Column("feed", pa.string(), "name of the feed"),
        Column("part", pa.string(), "file, topic and partition, or FIX session and the number of its start"),
        Column("position", pa.int64(), "where reading goes on: byte of a file, offset, or sequence number"),
        Column("digest", pa.string(), "digest of a file that was read whole; null otherwise"),
        Column("missing", STRINGS, "numbers before the position that have not arrived, such as 17-19"),
    ),
    key=("feed", "part"),
    partition_by=("feed",),
)

ORDER_FEED_MESSAGES = Table(
    "order_feed_messages",
    "a message of a feed of orders that made no row of orders and is still to be told",
    (
        Column("feed", pa.string(), "name of the feed"),
        Column("part", pa.string(), "as in order_feeds"),
        Column(
            "position", pa.int64(), "offset, sequence number, or byte of the file, where it began; 0 of a whole file"
        ),
        Column("status", pa.string(), "refused, waiting for what it refers to, or open: last report of an open order"),
        Column("reason", pa.string(), "why it made no row"),
        Column("text", pa.string(), "the message; of a file its name"),
    ),
    key=("feed", "part", "position"),
    partition_by=("feed",),
)

LIVE_SNAPSHOTS = Table(
    "live_snapshots",
    "what a live day opened with (snapshot 0), or a snapshot of it",
    (
        Column("day", pa.date32(), "the live day"),
        Column("snapshot", pa.int32(), "0 for what it opened with, then 1, 2, ..."),
        Column("taken_at", INSTANT, "when all of it was stored; of what the day opened with, when the first was begun"),
        Column("orders", pa.int64(), "different rows of `orders` that are in it"),
        Column("orders_until", INSTANT, "when the last order in it was executed; null where there is none"),
        Column("prices_until", INSTANT, "the end of the newest bucket of levels in it; null where there is none"),
        Column("positions_date", pa.date32(), "date of the book that the day opened with"),
        Column("positions_version", pa.int64(), "version of `positions` that it opened with"),
        Column("market_data_version", pa.int64(), "version of `market_data` that it opened with"),
        Column("scenario_set_id", pa.string(), "the scenario set whose moves are taken"),
        Column("scenario_set", pa.string(), "name of the sets that its snapshots store"),
        Column("valuation_set_id", pa.string(), "the valuation of the snapshot; null of what the day opened with"),
        Column("author", pa.string(), "who took it"),
    ),
    key=("day", "snapshot"),
    derived=True,
)

ALARM_BANDS = Table(
    "alarm_bands",
    "the band that levels of a live day are held to, from an instant on; of an instant the newest counts",
    (
        Column("version", pa.int32(), "1, 2, ..."),
        Column("holds_from", INSTANT, "for levels whose bucket ends after it"),
        Column("deviations", pa.float64(), "k: half the width of the band, in standard deviations of the window"),
        Column("window", pa.int32(), "levels of the moving mean and standard deviation"),
        Column("min_interval_seconds", pa.int32(), "so long after an alarm of a factor there is no other"),
        Column("complete", pa.bool_(), "whether an alarm has every sum made anew, and not only those it touches"),
        Column("author", pa.string(), "who set it"),
        Column("reason", pa.string(), "why it was set, in the words of who set it"),
        Column("set_at", INSTANT, "when it was set"),
    ),
    key=("version",),
)

ALARMS = Table(
    "alarms",
    "a level of a live day that left its band",
    (
        Column("day", pa.date32(), "the live day"),
        Column("risk_factor_id", pa.string(), "the risk factor"),
        Column("at", INSTANT, "end of the bucket of the level"),
        Column("level", pa.float64(), "the level"),
        Column("mean", pa.float64(), "moving mean of the levels before it"),
        Column("deviation", pa.float64(), "their standard deviation, divisor n"),
        Column("band", pa.int32(), "version of the band"),
        Column("reason", pa.string(), "why it is an alarm, in words"),
        Column("recalculation", pa.string(), "id of the recalculation it is part of"),
        Column("stands_for", pa.int32(), "alarms that the recalculation answers together"),
        Column("contracts", pa.int32(), "contracts that read a factor of the recalculation"),
        Column("recorded_at", INSTANT, "when it was stored"),
    ),
    key=("day", "risk_factor_id", "at"),
    derived=True,
)

CORPORATE_ACTIONS = Table(
    "corporate_actions",
    "a corporate action of a share, from its ex date on",
    (
        Column("risk_factor_id", pa.string(), "the share, such as EQ:AAPL"),
        Column("ex_date", pa.date32(), "first day on which the price is without what the action gives"),
        Column("kind", pa.string(), "key of scenarios.market.corporate_actions.KINDS"),
        Column("ratio", pa.string(), "shares for shares, such as 4:1; its meaning stands with the kind"),
        Column("amount", pa.float64(), "paid out for each share held before, in the currency of the share"),
        Column("new_risk_factor_id", pa.string(), "the share that takes its place, or that is spun off"),
        Column("source", pa.string(), "who says so"),
        Column("file", pa.string(), "name of the file it came with"),
    ),
    key=("risk_factor_id", "ex_date"),
)

RELEASED_RESULTS = Table(
    "released_results",
    "a release of a figure: what a dashboard shows of a day, a node and a measure; immutable",
    (
        Column("date", pa.date32(), "valuation date, and the date of book and market"),
        Column("question", pa.string(), "the question that gives it: var"),
        Column("node", pa.string(), "path of the node, such as desk=Rates/book=B1; empty for all that is held"),
        Column("filters", pa.string(), "filters of the question, such as desk=Rates; empty for none"),
        Column("figure", pa.string(), "column of the answer: measure, level, tail and horizon, such as var_0.99_10d"),
        Column("currency", pa.string(), "reporting currency, ISO 4217"),
        Column("scenario_set", pa.string(), "name of the scenario set"),
        Column("release", pa.int32(), "1, 2, ... of the figure; the newest counts, and those after 1 are restatements"),
        Column("measure", pa.string(), "key of aggregation.measures.MEASURES, such as var or es"),
        Column("level", pa.string(), "confidence level as a decimal text; null for a measure without one"),
        Column("value", pa.float64(), "the figure, losses positive; null where the node had no number"),
        Column("valuation_set_id", pa.string(), "the valuation set it rests on"),
        Column("positions", pa.int64(), "positions of the node"),
        Column("covered", pa.int64(), "of these, those that are in the number"),
        Column("status", pa.string(), "coverage: complete, with substitutes, partial or invalid"),
        Column("receipt_digest", pa.string(), "digest of the receipt of the answer that was released"),
        Column("restates", pa.string(), "receipt digest of the release before, which had another number; else null"),
        Column("reason", pa.string(), "why, in words; null where none was given, which no restatement is without"),
        Column("released_by", pa.string(), "who released it"),
        Column("approved_by", pa.string(), "who approved that; null where nobody had to"),
        Column("released_at", INSTANT, "when it was released"),
        Column("code_version", pa.string(), "varlake version that stored it"),
    ),
    key=("date", "question", "node", "filters", "figure", "currency", "scenario_set", "release"),
    partition_by=("date",),
)

# effective-dated: a row holds from effective_from to effective_to, both days included
_EFFECTIVE = (
    Column("effective_from", pa.date32(), "first day on which the row holds"),
    Column("effective_to", pa.date32(), "last day on which it holds; null where it still does"),
)

COUNTERPARTIES = Table(
    "counterparties",
    "what is known of a counterparty, over the dates on which that holds",
    (
        Column("counterparty", pa.string(), "the counterparty, a member of that dimension"),
        *_EFFECTIVE,
        Column("sector", pa.string(), "sector: one of lake.landing.reference_values.SECTORS"),
        Column("rating", pa.string(), "rating: AAA, AA, A, BBB, BB, B, CCC, D, or NR where there is none"),
        Column("region", pa.string(), "region; null where not given"),
        Column("group", pa.string(), "the group it is legally related to, by the parent's name; null for none"),
        Column(
            "credit_class",
            pa.string(),
            "class of the rules on credit risk: sovereign, bank, corporate, corporate_sme, retail; null where not given",
        ),
        Column("pd", pa.float64(), "probability of default within a year, by own estimate; null where there is none"),
        Column("lgd", pa.float64(), "loss given default, a fraction, by own estimate; null where there is none"),
        Column("sales_million_eur", pa.float64(), "annual sales in million EUR; null where not given"),
        Column("large_financial", pa.bool_(), "whether it is a large or an unregulated financial institution"),
        Column(
            "credit_curve",
            pa.string(),
            "curve of its spreads in market data, as contracts name it; null where it has none of its own",
        ),
        Column("recovery", pa.float64(), "recovery rate that its spreads are quoted with; null where not given"),
    ),
    key=("counterparty", "effective_from"),
)

AGREEMENTS = Table(
    "agreements",
    "a netting agreement with its credit support annex, over the dates on which its terms hold",
    (
        Column("agreement", pa.string(), "its id, which is that of the netting set"),
        Column("counterparty", pa.string(), "the counterparty"),
        Column("legal_entity", pa.string(), "our legal entity"),
        *_EFFECTIVE,
        Column("instrument_types", STRINGS, "instrument types that it covers; null for all"),
        Column("netting", pa.bool_(), "whether close-out netting is enforceable; where not, each trade stands alone"),
        Column("margined", pa.bool_(), "whether variation margin is exchanged"),
        Column("two_way", pa.bool_(), "whether both sides post variation margin; else the counterparty alone does"),
        Column("threshold", pa.float64(), "exposure up to which the counterparty posts nothing; 0 where not margined"),
        Column("threshold_own", pa.float64(), "the same of what we post; 0 where we post nothing"),
        Column("minimum_transfer_amount", pa.float64(), "smallest transfer of margin; 0 where not margined"),
        Column(
            "independent_amount", pa.float64(), "agreed independent amount, net, received positive, posted negative"
        ),
        Column(
            "initial_margin",
            pa.float64(),
            "agreed initial margin, net, received positive; what is held stands in collateral",
        ),
        Column("currency", pa.string(), "currency of the amounts, ISO 4217"),
        Column("margin_period_days", pa.int32(), "margin period of risk, business days; null where not margined"),
        Column("margin_frequency_days", pa.int32(), "business days between calls of margin; null where not margined"),
        Column("disputed", pa.bool_(), "whether disputes have lasted so long that the margin period is doubled"),
    ),
    key=("agreement", "effective_from"),
)

COLLATERAL = Table(
    "collateral",
    "a balance of collateral under an agreement at the end of a day",
    (
        Column("as_of_date", pa.date32(), "the day"),
        Column("agreement", pa.string(), "the agreement"),
        Column("kind", pa.string(), "variation or initial margin"),
        Column("amount", pa.float64(), "value after haircuts; held positive, posted negative"),
        Column("currency", pa.string(), "currency of the amount, ISO 4217"),
        Column("segregated", pa.bool_(), "whether it is kept apart from the estate of whoever holds it"),
    ),
    key=("as_of_date", "agreement", "kind", "currency", "segregated"),
    partition_by=("as_of_date",),
)

CLASSIFICATIONS = Table(
    "classifications",
    "what rules on capital ask of an underlying, an issuer or a currency, over the dates on which that holds",
    (
        Column("name", pa.string(), "risk factor id of a share, index or commodity; credit curve or issuer; currency"),
        *_EFFECTIVE,
        Column("kind", pa.string(), "equity, index, issuer, credit_index, commodity or currency"),
        Column(
            "sector",
            pa.string(),
            "sector, one of lake.landing.reference_values.SECTORS or EQUITY_SECTORS; null for none",
        ),
        Column("rating", pa.string(), "rating as of counterparties, or IG or HY of a credit index; null for none"),
        Column("capitalisation", pa.string(), "large or small; null for none"),
        Column("economy", pa.string(), "advanced or emerging; null for none"),
        Column("commodity_group", pa.string(), "one of lake.landing.reference_values.COMMODITY_GROUPS; null for none"),
        Column("commodity_type", pa.string(), "commodities of one type offset: crude oil, natural gas; null for none"),
        Column("seniority", pa.string(), "senior, non_senior or covered; null for none"),
        Column("covered", pa.bool_(), "whether the issues are covered bonds"),
    ),
    key=("name", "effective_from"),
)

CVA_HEDGES = Table(
    "cva_hedges",
    "a credit default swap that hedges CVA, over the dates on which it is held",
    (
        Column("hedge", pa.string(), "its id"),
        *_EFFECTIVE,
        Column("kind", pa.string(), "single_name or index"),
        Column("counterparty", pa.string(), "the counterparty whose spread it hedges; null of an index"),
        Column("legal_entity", pa.string(), "our legal entity that holds it; null where not given"),
        Column("reference", pa.string(), "the name or index that it is written on"),
        Column(
            "reference_type",
            pa.string(),
            "of a single name: direct, related (legally) or sector_region; null of an index",
        ),
        Column("sector", pa.string(), "sector of the reference: one of lake.landing.reference_values.SECTORS"),
        Column("rating", pa.string(), "rating of the reference, NR where there is none"),
        Column("maturity", pa.date32(), "last day of protection"),
        Column("notional", pa.float64(), "protection bought positive, sold negative"),
        Column("currency", pa.string(), "currency of the notional, ISO 4217"),
    ),
    key=("hedge", "effective_from"),
)

EXPOSURE_LIMITS = Table(
    "exposure_limits",
    "a limit of exposure to counterparties, over the dates on which it holds",
    (
        Column("limit", pa.string(), "its id"),
        *_EFFECTIVE,
        Column("dimension", pa.string(), "dimension of the node, such as counterparty or netting_set"),
        Column("member", pa.string(), "member of the dimension that the limit is of"),
        Column("measure", pa.string(), "pfe, ee or ead"),
        Column("level", pa.string(), "level of pfe, such as 0.95; null for the others"),
        Column("until", pa.string(), "tenor up to which exposure counts, such as 1Y; null for all dates"),
        Column("amount", pa.float64(), "the limit, which exposure may reach"),
        Column("currency", pa.string(), "currency of the amount, ISO 4217"),
    ),
    key=("limit", "effective_from"),
)

VAR_LIMITS = Table(
    "var_limits",
    "a limit of VaR, expected shortfall or loss of a node, over the dates on which it holds",
    (
        Column("limit", pa.string(), "its name"),
        *_EFFECTIVE,
        Column(
            "node", pa.string(), "the positions it is of: desk=Rates, or desk=Rates;book=B1; null for everything held"
        ),
        Column("measure", pa.string(), "var, es or loss, which is the loss of actual P&L"),
        Column("level", pa.string(), "confidence level of var and es, such as 0.99; null of a loss"),
        Column(
            "horizon_days",
            pa.int32(),
            "horizon of var and es in business days, null for that of the scenarios; of a loss the days with P&L that are added up",
        ),
        Column("amount", pa.float64(), "the limit, which the figure may reach"),
        Column("currency", pa.string(), "currency of the amount, in which the figure is measured, ISO 4217"),
        Column(
            "warning", pa.float64(), "share of the amount beyond which the limit warns, such as 0.8; null for never"
        ),
    ),
    key=("limit", "effective_from"),
)

REGIMES = Table(
    "regimes",
    "a section of a version of a regime that was brought in; immutable",
    (
        Column("name", pa.string(), "name of the regime"),
        Column("version", pa.string(), "its version"),
        Column("section", pa.string(), "name of the section; `regime` says what the regime is"),
        Column("content", pa.string(), "the section as TOML"),
        Column("loaded_at", INSTANT, "when it was brought in"),
    ),
    key=("name", "version", "section"),
)

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        RISK_FACTORS,
        MARKET_DATA,
        MARKET_CALENDARS,
        MARKET_ISSUES,
        CONTRACTS,
        POSITIONS,
        HIERARCHIES,
        SCENARIO_SETS,
        SCENARIO_LEVELS,
        SCENARIO_CALIBRATIONS,
        PNL_VECTORS,
        VALUATION_MEMBERS,
        VALUATION_FAILURES,
        VALUATION_SETS,
        PATH_SETS,
        PATH_VALUES,
        PATH_MEMBERS,
        PATH_FAILURES,
        PATH_VALUATIONS,
        ACTUAL_PNL,
        REAL_PRICES,
        REPORTED_VAR,
        BRANCH_POSITIONS,
        BRANCHES,
        STANDARDS,
        SENSITIVITIES,
        SENSITIVITY_FACTORS,
        COVARIANCES,
        TICKS,
        INTRADAY_LEVELS,
        ORDERS,
        ORDER_FEEDS,
        ORDER_FEED_MESSAGES,
        LIVE_SNAPSHOTS,
        ALARM_BANDS,
        ALARMS,
        CORPORATE_ACTIONS,
        RELEASED_RESULTS,
        COUNTERPARTIES,
        AGREEMENTS,
        COLLATERAL,
        CLASSIFICATIONS,
        CVA_HEDGES,
        EXPOSURE_LIMITS,
        VAR_LIMITS,
        REGIMES,
    )
}
