"""Guesses the catalogue of market files: how each is laid out, in what unit it is, which risk factors it feeds, and what is doubtful.

Nothing is stored by a guess. Whatever a file does not say for certain is told as a doubt, in a sentence.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.arrays import Dates, Floats
from lake.errors import BadInput, Issue, NotFound, VarlakeError, counted
from lake.landing.dated_values import OHLC, parsed_dates, read_source
from lake.landing.sheet import Dialect, typed_endings
from lake.landing.suggest import open_sheet
from scenarios.market.landing_catalogue import Catalogue, Source
from scenarios.market.market_rows import market_rows
from scenarios.market.units import UNITS
from scenarios.types import FACTOR_TYPES, tenor_of

SHOWN_ROWS = 10
_MARKS = ((".", ""), (".", ","), (",", ""), (",", "."), (",", " "), (".", " "), (".", "'"))
_DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%Y", "%d.%m.%y", "%Y%m%d", "%d-%b-%y", "%d-%b-%Y",
    "%d %b %Y", "%b %d, %Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "excel",
)  # fmt: skip
_DATE_NAMES = ("date", "day", "index", "ref_date", "observation_date", "as_of_date", "datum", "time", "timestamp")
_NO_VALUE = (".", "-", "--", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "ND")
_PLAIN = re.compile(r"-?[0-9]+([.,][0-9]+)*")
_TENOR = re.compile(r"[0-9]+[DWMY]")
_CURRENCY = re.compile(
    "USD|EUR|GBP|JPY|CHF|AUD|CAD|NZD|SEK|NOK|DKK|CNY|HKD|SGD|KRW|INR|BRL|MXN|ZAR|TRY|PLN|CZK|HUF|RUB|THB|IDR|MYR|PHP|ILS|ISK|RON|BGN|HRK|"
    "CYP|EEK|LTL|LVL|MTL|ROL|SIT|SKK|TRL"
)
_VENUES = {
    "L": "GBP",
    "HK": "HKD",
    "DE": "EUR",
    "PA": "EUR",
    "AS": "EUR",
    "MI": "EUR",
    "MC": "EUR",
    "BR": "EUR",
    "T": "JPY",
    "TO": "CAD",
}
# words of a file's path and its headers, and the type they tell of; the first that fits counts
_WORDS: tuple[tuple[str, str], ...] = (
    ("implied_vol", r"vix|ovx|gvz|vxn|evz|vol(atilit(y|ies))?s?|iv"),
    ("credit_spread", r"oas|cds|spreads?|bamlh0\w*"),
    ("credit_yield", r"daaa|dbaa|baml\w*ey|effective|credit"),
    ("par_yield", r"dgs[0-9]+(mo)?|treasur(y|ies)|par|jgb\w*"),
    ("zero_rate", r"zcb|zeros?|spot|ecbyieldcurve"),
    ("commodity_price", r"oil|gold\w*|silver|copper|gas|brent|wti|crude|commodit(y|ies)|wheat|corn"),
    ("fx_rate", r"fx|fxref|eurofxref|rates?"),
    ("equity_price", r"stocks?|shares?|equit(y|ies)"),
    ("index_level", r"ind(ex|ices)|sp500|spx|gspc|nasdaq\w*|djia?|dj|ftse(100)?|nik(kei)?(225)?|dax|cac|smi|hsi|ssec|ru2000pr|\w*stoxx\w*"),
)  # fmt: skip
_IDS = {
    "equity_price": "EQ:",
    "index_level": "IDX:",
    "implied_vol": "IV:",
    "credit_spread": "CR:",
    "credit_yield": "CR:",
    "commodity_price": "CMD:",
}
_BIG = {
    "par_yield": 0.3,
    "zero_rate": 0.3,
    "implied_vol": 3.0,
    "credit_spread": 0.5,
    "credit_yield": 0.5,
}  # hardly fractions above


@dataclass
class MarketSuggestion:
    """A catalogue that is guessed, what is doubtful about it, and the first rows as they would load.

    faults : what would not load, by source. rows : of `market_data`, as texts.
    """

    catalogue: dict[str, Any]
    doubts: list[str] = field(default_factory=list)
    rows: list[dict[str, str | None]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)

    def toml(self) -> str:
        """The catalogue as a file, doubts first as comments."""
        lines = [*(f"# {doubt}" for doubt in self.doubts), "", f"name = {_toml(self.catalogue['name'])}"]
        for name, source in self.catalogue["source"].items():
            tables = {k: source[k] for k in ("factor", "columns") if isinstance(source.get(k), dict)}
            lines += ["", f"[source.{name}]", *(f"{k} = {_toml(v)}" for k, v in source.items() if k not in tables)]
            for part, table in tables.items():
                lines += ["", f"[source.{name}.{part}]", *(f"{_key(k)} = {_toml(v)}" for k, v in table.items())]
        return "\n".join(lines).lstrip("\n") + "\n"

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "toml": self.toml()}


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def suggest_market(path: str | Path) -> MarketSuggestion:
    """The catalogue that a file, or every file of a folder, seems to need; raises `NotFound`, or `BadInput` where nothing is readable.

    Its paths are relative to the folder, or to that of the file. Files of a folder with the same columns become one source.
    """
    path = Path(path)
    if not path.exists():
        raise NotFound(f"There is no file or folder {path}.")
    folder = path if path.is_dir() else path.parent
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix != ".json") if path.is_dir() else [path]
    if not files:
        raise BadInput(f"{path} holds no file.")
    named = files[0] if len(files) == 1 else path.resolve()
    made = MarketSuggestion(
        {"name": re.sub(r"[^a-z0-9_-]+", "_", named.name.split(".")[0].lower()) or "market", "source": {}}
    )
    groups: dict[tuple[Any, ...], list[Path]] = {}
    guesses: dict[Path, _Guess] = {}
    for file in files:
        try:
            guesses[file] = _Guess(file, folder)
        except VarlakeError as error:
            made.faults.append({"column": file.name, "reason": error.message, "rows": 1, "row": None, "value": None})
            continue
        alike = (file.parent, "".join(file.suffixes), tuple(guesses[file].sheet.header))
        groups.setdefault(alike if len(guesses[file].sheet.header) > 2 else (file,), []).append(file)
    for group in groups.values():
        guess = guesses[group[0]]
        source = guess.source([p.name for p in group])
        name = re.sub(r"[^a-z0-9_-]+", "_", group[0].name.split(".")[0].lower()).strip("_") or "file"
        while name in made.catalogue["source"]:
            name += "_"
        made.doubts += [f"{name}: {doubt}" for doubt in guess.doubts]
        made.catalogue["source"][name] = source
        _show(made, name, source, folder, max(1, SHOWN_ROWS // len(groups)))
    if not made.catalogue["source"]:
        raise BadInput(f"Nothing of {path} can be read as market data: {made.faults[0]['reason']}")
    return made


def _show(made: MarketSuggestion, name: str, source: dict[str, Any], folder: Path, some: int) -> None:
    """Adds the first `some` rows of a source as they would load, or why they would not."""
    try:
        read = Catalogue.model_validate({"name": "guess", "source": {name: source}}).source[name]
        file, path = next(iter(read.files(folder).items()))
        rows = loaded(name, read, path, file).sort_by([("as_of_date", "ascending"), ("risk_factor_id", "ascending")])
        texts = [
            {
                k: None if v is None else f"{v:.12g}" if isinstance(v, float) else str(v)
                for k, v in row.items()
                if k != "source"
            }
            for row in rows.slice(0, some).to_pylist()
        ]
        made.rows += texts
    except (VarlakeError, ValueError) as error:
        said = str(getattr(error, "message", error)).split("\n")[0]
        issues = getattr(error, "issues", ())[:SHOWN_ROWS] or (Issue("", said),)
        made.faults += [
            {"column": name, "reason": f"{i.pointer} {i.message}".strip(), "rows": 1, "row": None, "value": i.value}
            for i in issues
        ]


def loaded(name: str, source: Source, path: Path, file: str = "") -> pa.Table:
    """Rows of `market_data` of one file by a source; its levels are not checked."""
    landing = read_source(path, source, None if source.columns is None or source.several else list(source.columns))
    factors = source.risk_factors(name, zip(landing.columns, landing.names, strict=True), synthetic=False, file=file)
    return market_rows(factors, landing, source.multiplier)


class _Guess:
    """What one file seems to be."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self.folder = path, folder
        self.sheet, self.dialect, self.above, self.doubts = open_sheet(path)
        if not len(self.sheet.lines):
            raise BadInput(f"{path.name} has no rows below its header.")
        self.keys: dict[str, Any] = {}
        self.date_at, self.days = self._find_dates()
        self._find_marks()
        self.values = self._find_values()

    def cells(self, at: int) -> pa.Array:
        return self.sheet.column(at).drop_null()

    def _find_dates(self) -> tuple[int, Dates]:
        """The column of the dates; its format is the one by which most are dates and they come in order."""
        header = [h.lower() for h in self.sheet.header]
        order = sorted(range(len(header)), key=lambda i: (header[i] not in _DATE_NAMES, i))
        for at in order:
            texts = pc.unique(self.cells(at))
            if not len(texts) or pc.max(pc.utf8_length(texts)).as_py() < 5:
                continue
            fitting: list[tuple[int, str, Dates]] = []
            for one in _DATES:
                days = parsed_dates(texts, one, 0)
                known = days[~np.isnat(days)]
                if len(known) >= 0.98 * len(texts) and (one != "excel" or header[at] in _DATE_NAMES):
                    fitting.append((int(np.abs(np.diff(known).astype(np.int64)).sum()), one, days))
            if not fitting:
                continue
            _, best, _ = min(fitting, key=lambda f: f[0])  # the days of the right format lie close to each other
            rival = [f[1] for f in fitting if f[1] != best and len(best) == len(f[1])]
            if rival:
                first = texts[0].as_py()
                self.doubts.append(
                    f"{first} is read as {_spoken(best, first)}, and could be {_spoken(rival[0], first)}."
                )
            if at:
                self.keys["date_column"] = self.sheet.header[at]
            if best != "%Y-%m-%d":
                self.keys["date_format"] = best
            if best.endswith("%S"):
                hours = {t[11:13] for t in texts.to_pylist()}
                if hours <= {"22", "23"}:
                    self.keys["add_hours"] = 3
                    self.doubts.append(
                        "The times are 22:00 or 23:00, as midnight of another place is: 3 hours are added. See that the days are right."
                    )
            return at, parsed_dates(self.sheet.column(at), best, self.keys.get("add_hours", 0))
        raise BadInput(f"{self.path.name} has no column of dates.")

    def _find_marks(self) -> None:
        """Marks that mean no value, and decimal and thousands marks."""
        others = [self.cells(i) for i, h in enumerate(self.sheet.header) if i != self.date_at and h]
        texts = pa.concat_arrays([c.slice(0, 2_000) for c in others]) if others else pa.array([], pa.string())
        every = pa.concat_arrays([pc.unique(c) for c in others]) if others else texts
        marks = [m for m in _NO_VALUE if pc.any(pc.equal(every, m)).as_py()]
        if marks:
            self.keys["missing"] = marks
        self.marks = pa.array(marks, pa.string())
        texts = texts.filter(pc.invert(pc.is_in(texts, self.marks)))
        read = {}
        for decimal, thousands in _MARKS:
            read[decimal, thousands] = Dialect(decimal=decimal, thousands=thousands).numbers(texts)[1].null_count
        (decimal, thousands), _ = min(read.items(), key=lambda item: item[1])  # the first of the best
        self.dialect = self.dialect.model_copy(update={"decimal": decimal, "thousands": thousands})
        if self.dialect.decimal != ".":
            rival = read[".", ","] == read[decimal, thousands]
            self.doubts += ["Commas are read as decimal marks, and could stand between thousands."] if rival else []

    def numbers(self, at: int) -> Floats:
        cells = self.cells(at)
        numbers = self.dialect.numbers(cells.filter(pc.invert(pc.is_in(cells, self.marks))))[1]
        found: Floats = numbers.to_numpy(zero_copy_only=False)
        return found

    def _find_values(self) -> list[int]:
        """Columns of numbers, or of nothing but marks; a text that stands among many numbers is a mark, too, and doubtful."""
        found = []
        for at, name in enumerate(self.sheet.header):
            if not name or at == self.date_at:
                continue
            strange = np.isnan(self.numbers(at))
            if strange.sum() > len(strange) / 2:
                continue
            cells = self.cells(at)
            texts = pc.unique(
                cells.filter(pc.invert(pc.is_in(cells, self.marks))).filter(pa.array(strange))
            ).to_pylist()
            if any(re.search(r"[0-9]", text) for text in texts) or len(texts) > 3:
                continue
            if texts:
                self.keys["missing"] = [*self.keys.get("missing", []), *texts]
                self.marks = pa.array(self.keys["missing"], pa.string())
                self.doubts.append(f"{', '.join(texts)} in the column {name} is taken to mean: no value.")
            found.append(at)
        if not found:
            named = [(h, self.cells(i)) for i, h in enumerate(self.sheet.header) if h and i != self.date_at]
            shown = "; ".join(
                f"{h!r} has {next((t for t in texts.to_pylist() if not _PLAIN.fullmatch(t)), '')!r}"
                for h, texts in named[:3]
            )
            raise BadInput(
                f"{self.path.name} has no column of numbers beside {self.sheet.header[self.date_at]!r}: {shown}. A number of "
                "market data is written as -1234.5, 1234.5-, (1234.5) or 1.5%."
            )
        return found

    def source(self, names: Sequence[str]) -> dict[str, Any]:
        """The source, of one file or of all of these names."""
        header, file = self.sheet.header, self.path.relative_to(self.folder).as_posix()
        if len(names) > 1:
            ending = "".join(self.path.suffixes)
            file = str(PurePosixPath(file).with_name(f"*{ending}"))
        keys: dict[str, Any] = {"file": file}
        texts = [i for i, h in enumerate(header) if h and i not in (self.date_at, *self.values)]
        repeated = len(self.days) > 1.5 * len(np.unique(self.days))
        tenors = [i for i in self.values if _TENOR.fullmatch(tenor_of(header[i]))]
        roles = self._roles()
        value, names_by = self.values[0], None
        if {"high", "low", "close"} <= roles.keys() and not repeated:
            keys["layout"], value = "ohlc", roles["close"]
            if called := {k: header[at] for k, at in roles.items() if header[at].lower() != k}:
                keys["ohlc"] = called
            adjusted = [i for i in self.values if "adj" in header[i].lower()]
            if adjusted:
                value = adjusted[0]
                keys["take"] = header[value]
                self.doubts.append(f"{header[value]} is taken; {header[roles['close']]} is there, too.")
        elif len(tenors) > 2 and len(tenors) >= 0.8 * len(self.values):
            keys["layout"], value = "curve", tenors[len(tenors) // 2]
            if repeated and texts:
                keys["by"] = {"curve": header[texts[0]]}
        elif repeated and texts:
            keys["layout"], names_by = "long", header[texts[0]]
            keys["by"] = {"id": names_by}
            value = next((i for i in self.values if header[i].lower() in ("value", "close", "price", "last")), value)
            if len(self.values) > 1:
                keys["value_column"] = header[value]
                self.doubts.append(
                    f"{header[value]} is taken as the values; the file has {counted(len(self.values), 'column')} of numbers."
                )
        elif (
            len(self.values) == 1 and not texts and not any(not h and len(self.cells(i)) for i, h in enumerate(header))
        ):
            keys["layout"] = "series"
        else:
            keys["layout"] = "wide"
            if texts or any(header[i].lower() == "volume" for i in self.values):
                keys["columns"] = [header[i] for i in self.values if header[i].lower() != "volume"]
        keys |= self.keys
        said = self.dialect.model_dump(exclude_defaults=True)
        if self.path.suffix.lower() in typed_endings():
            said.pop("delimiter", None)
        keys |= said
        weekend = ~np.is_busday(self.days[~np.isnat(self.days)])
        if weekend.any():
            keys["weekends"] = "drop"
            self.doubts.append(
                f'Dropped as dated Saturday or Sunday: {counted(int(weekend.sum()), "row")}; say weekends = "keep" where they are meant.'
            )
        factor = self._factor(keys, value, len(names) > 1)
        return {**keys, **self._unit(factor, value), "factor": factor}

    def _roles(self) -> dict[str, int]:
        """The columns of open, high, low and close: called so, or ending so, the close also price or last."""
        found: dict[str, int] = {}
        for role in OHLC:
            for at in self.values:
                name = self.sheet.header[at].lower()
                if name == role or re.search(rf"[_ .]{role}$", name) or (role == "close" and name in ("price", "last")):
                    found.setdefault(role, at)
        return found

    def _kind(self, keys: Mapping[str, Any]) -> str:
        header = self.sheet.header
        named = [header[i] for i in self.values]
        if keys["layout"] == "curve":
            zero = re.search(r"zcb|zero|spot|ecb", self.path.name, re.IGNORECASE)
            self.doubts.append(f"The rates are taken as {'zero rates' if zero else 'par yields'}; see which they are.")
            return "zero_rate" if zero else "par_yield"
        if sum(bool(_CURRENCY.fullmatch(n) or re.fullmatch("[A-Z]{3}/[A-Z]{3}", n)) for n in named) > len(named) / 2:
            return "fx_rate"
        # what is nearest to the numbers tells most: headers, then the file, then its folder
        several = len(named) > 3 and keys["layout"] == "wide"
        for said in (" ".join(named), self.path.name.split(".")[0], "" if several else self.path.parent.name):
            words = set(re.split(r"[^a-z0-9]+", said.lower()))
            for kind, pattern in _WORDS:
                if kind in ("index_level", "fx_rate") and several:
                    continue
                if any(re.fullmatch(pattern, word) for word in words):
                    return kind
        if several and re.search("vol", self.path.name, re.IGNORECASE):
            return "implied_vol"
        return "equity_price"

    def _factor(self, keys: dict[str, Any], value: int, several: bool) -> dict[str, Any]:
        header, kind = self.sheet.header, self._kind(keys)
        stem = re.sub(r"[^A-Za-z0-9]+", "_", self.path.name.split(".")[0]).strip("_").upper() or "X"
        word = (
            "{file}"
            if several
            else "{column}"
            if keys["layout"] == "long" or (len(self.values) > 1 and keys["layout"] == "wide")
            else stem
        )
        named = [header[i] for i in self.values]
        venues = Counter(_VENUES.get(n.rpartition(".")[2] if "." in n else "", "") for n in named)
        currency = venues.most_common(1)[0][0] or ("JPY" if "jgb" in stem.lower() else "USD")
        factor: dict[str, Any] = {"id": f"{_IDS.get(kind, '')}{word}", "type": kind, "currency": currency}
        if keys["layout"] == "curve":
            curve = "{curve}" if "by" in keys else currency
            factor |= {"id": f"YC:{curve}:{{tenor}}", "curve": curve, "pillar": "{tenor}"}
        elif FACTOR_TYPES[kind].risk_class == "rates":
            tenor = next(
                (tenor_of(f"{m[1]}{m[2] or 'Y'}") for m in [re.search(r"([0-9]+)(MO|M|Y)?$", named[0])] if m), "1Y"
            )
            factor |= {"id": f"YC:{currency}:{tenor}", "curve": currency, "pillar": tenor}
            self.doubts.append(f"{named[0]} is taken as the tenor {tenor} of a curve {currency}.")
        elif kind == "fx_rate" and all(_CURRENCY.fullmatch(n) for n in named):
            factor |= {"id": "FX:EUR{column}", "currency": "{column}"}
            self.doubts.append(
                "The rates are taken as units of each currency for one EUR; see which way round they are."
            )
        elif kind == "fx_rate":
            base, quote = [*re.findall("[A-Z]{3}", " ".join([*named, stem])), "EUR", "USD"][:2]
            factor |= {"id": f"FX:{base}{quote}", "currency": quote}
            self.doubts.append(f"The rate is taken as {quote} for one {base}; see which way round it is.")
        elif keys["layout"] in ("wide", "long"):
            wanted = keys.pop("columns", named)
            if keys["layout"] == "long":
                named = wanted = pc.unique(self.cells(header.index(keys["by"]["id"]))).to_pylist()
            if any(not re.fullmatch(r"[A-Za-z0-9._&-]+", n) for n in wanted):
                keys["columns"] = {n: {"name": re.sub(r"[^A-Za-z0-9.&-]+", "_", n).strip("_")} for n in wanted}
                factor["id"] = factor["id"].replace("{column}", "{name}")
            elif keys["layout"] == "wide" and (wanted != named or len(wanted) < len(self.sheet.header) - 1):
                keys["columns"] = wanted
        if kind != "fx_rate" and keys["layout"] != "curve" and not venues.most_common(1)[0][0]:
            self.doubts.append(f"The currency is taken as {currency}; the file does not say it.")
        return factor

    def _unit(self, factor: Mapping[str, Any], value: int) -> dict[str, str]:
        kind, numbers = str(factor["type"]), np.abs(self.numbers(value))
        if not len(numbers):
            return {}
        typical = float(np.median(numbers))
        if kind in _BIG:
            unit = "volatility points" if kind == "implied_vol" else "percent"
            told = "%" in self.above or "percent" in self.above.lower()
            if typical > _BIG[kind] * 1e3 * (0.1 if kind == "implied_vol" else 0.05):
                unit = "basis points"
            elif not told and typical <= _BIG[kind]:
                if typical > _BIG[kind] / 10 and kind != "implied_vol":
                    self.doubts.append(f"A typical value is {typical:.3g}: taken as a fraction, and could be {unit}.")
                return {}
            if not told:
                self.doubts.append(f"A typical value is {typical:.3g}: taken as {unit} ({typical * UNITS[unit]:.3g}).")
            return {"unit": unit}
        if kind == "equity_price" and factor["currency"] == "GBP" and typical > 20:
            self.doubts.append(f"A typical price is {typical:,.0f}: London prices of that size are pence.")
            return {"unit": "pence"}
        return {}


def _spoken(date_format: str, text: str) -> str:
    (day,) = parsed_dates(pa.array([text]), date_format, 0).tolist()
    return f"{day:%d %B %Y}".lstrip("0") if day is not None else date_format
