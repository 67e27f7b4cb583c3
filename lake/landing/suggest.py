"""Suggests how a file of somebody's own is mapped: its dialect, which of its columns are which of ours, marks, dates and words.

A guess is never taken silently: whatever is not certain is said in a sentence.
"""

from __future__ import annotations

import csv
import datetime as dt
import itertools
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from lake.errors import BadInput, close
from lake.landing.decoded import archive_members
from lake.landing.mapping import REJECT, FileMapping, Kind, MappedColumn, Side, iso_date, mapped, plain_number
from lake.landing.sheet import Dialect, Sheet, first_bytes, read_sheet, typed_endings, workbook_heads
from lake.schemas import DIMENSION_COLUMNS

_HEAD = 1 << 18  # bytes of a text file that are looked at for its dialect
LOOKED_AT = 5_000  # rows that are looked at for what stands in a column
SHOWN_ROWS = 10
_DELIMITERS = (",", ";", "\t", "|")
_MARKS = ((".", ""), (".", ","), (",", "."), (",", ""), (",", " "), (".", " "), (".", "'"), (",", "'"))
_DATES = (
    "%Y-%m-%d", "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%d-%b-%y", "%d-%b-%Y", "%d %b %Y",
    "%b %d, %Y", "%Y%m%d", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%d%b%Y", "%d%b%y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "excel",
)  # fmt: skip
_SIDES = ("bs", "buysell", "side", "direction", "longshort", "ls", "kv", "kaufverkauf", "kauf", "richtung")
_BUY = ("b", "buy", "bought", "l", "long", "k", "kauf", "achat", "+")  # each with its opposite at the same place
_SELL = ("s", "sell", "sold", "s", "short", "v", "verkauf", "vente", "-")
_UNNAMED = "unassigned"
DIMENSION_HEADERS: Mapping[str, tuple[str, ...]] = {
    "trade": (
        "tradeid", "tradeno", "tradenumber", "tradenr", "traderef", "tradereference", "dealid", "deal", "dealno", "dealnumber", "ticket",
        "transactionid", "positionid", "geschaft", "geschaftsnr", "geschaftsnummer", "handelsnr", "reference", "ref", "id",
    ),
    "portfolio": ("pf", "portfolioname", "portfolioid", "fund", "depot"),
    "instrument": (
        "instrumentname", "security", "securityname", "securityid", "cusip", "isin", "product", "wertpapier", "papier", "bezeichnung",
        "description", "ticker", "symbol",
    ),
    "client": ("customer", "clientname", "clientid", "kunde"),
    "account": ("accountno", "accountnumber", "accountid", "acct", "konto", "kontonummer", "depotnummer"),
    "desk": ("tradingdesk", "deskname", "handelstisch", "tisch", "businessunit", "abteilung"),
    "book": ("tradingbook", "bookname", "bookid", "handelsbuch", "buch"),
    "legal_entity": ("entity", "legalentityname", "le", "company", "gesellschaft", "rechtseinheit"),
    "counterparty": ("cpty", "cparty", "counterpartyname", "counterpartyid", "kontrahent", "gegenpartei", "broker"),
}  # fmt: skip


@dataclass(frozen=True)
class Known:
    """A column of ours as a suggestion looks for it: the headers people give it, and the words people use for its values."""

    kind: Kind = "text"
    headers: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    required: bool = False


@dataclass
class Suggestion:
    """A mapping that is guessed, what is doubtful about it, and how the first rows would be read by it.

    rows : the first rows, cells by canonical column. faults : counted by reason.
    """

    mapping: FileMapping
    doubts: list[str]
    rows: list[dict[str, str | None]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)

    def toml(self) -> str:
        """The mapping as a file, doubts first as comments."""
        said = self.mapping.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        lines = [f"# {doubt}" for doubt in self.doubts]
        lines += [f"{k} = {_toml(v)}" for k, v in said.items() if not isinstance(v, dict)]
        for name, table in said.items():
            if isinstance(table, dict):
                lines += ["", f"[{name}]", *(f"{_key(k)} = {_toml(_short(v))}" for k, v in table.items())]
        return "\n".join(lines).lstrip("\n") + "\n"

    def to_dict(self) -> dict[str, Any]:
        said = self.mapping.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return {"mapping": said, "toml": self.toml(), "doubts": self.doubts, "rows": self.rows, "faults": self.faults}


def _short(column: Any) -> Any:
    return column["from"] if isinstance(column, dict) and [*column] == ["from"] else column


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


# --- the file as such -------------------------------------------------------------------------------------------------


def open_sheet(path: Path) -> tuple[Sheet, Dialect, str, list[str]]:
    """The file by the dialect that it seems to have, but for marks in numbers; with that, the text above its header, and doubts."""
    if not path.is_file():
        raise BadInput(f"There is no file {path}.")
    members, doubts = archive_members(path), list[str]()
    member = _largest("files", members, doubts) if len(members) > 1 else None
    name, head = first_bytes(path, _HEAD, member)
    if PurePosixPath(name).suffix.lower() not in typed_endings():
        try:
            dialect, above = _dialect(path, head, doubts)
        except csv.Error as error:
            raise BadInput(f"{path.name} is no text with a delimiter: {error}.") from None
    elif heads := workbook_heads(path, member, 30):
        sheet = _largest("sheets", {name: size for name, (size, _) in heads.items()}, doubts)
        rows = heads[sheet][1]
        if not any(map(any, rows)):
            raise BadInput(f"{path.name} has no cells in its first rows.")
        skip = _header_at(rows)
        dialect = Dialect(skip_rows=skip, sheet=None if sheet == next(iter(heads)) else sheet)
        above = "\n".join(" ".join(c for c in row if c) for row in rows[:skip])
    else:
        dialect, above = Dialect(), ""
    dialect = dialect.model_copy(update={"member": member})
    return read_sheet(path, dialect), dialect, above, doubts


def _largest(what: str, sizes: Mapping[str, int], doubts: list[str]) -> str:
    """The name of the largest, which is told where there are several."""
    found = max(sizes, key=lambda name: sizes[name])
    if len(sizes) > 1:
        doubts.append(f"Of the {what} {', '.join(sizes)} the largest is read, {found!r}.")
    return found


def _dialect(path: Path, head: bytes, doubts: list[str]) -> tuple[Dialect, str]:
    whole = head if len(head) < _HEAD else head[: head.rfind(b"\n") + 1]
    for encoding in ("utf-16",) if head[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8", "cp1252", "latin-1"):
        try:
            text = whole.decode(encoding).removeprefix("\ufeff")
            break
        except UnicodeDecodeError:
            continue
    else:
        raise BadInput(f"{path.name} is not text, and no workbook, Parquet or R file by its ending.")
    if encoding in ("cp1252", "latin-1"):
        doubts.append(f"The text is not UTF-8; it is read as {encoding}. See that its letters are right.")
    lines = text.splitlines()[:200]
    best: tuple[int, int, str] = (0, 0, ",")
    for delimiter in _DELIMITERS:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if len(row) > 1)
        if widths:
            width, times = widths.most_common(1)[0]
            best = max(best, (times, width, delimiter), key=lambda b: (b[0], b[1]))
    times, width, delimiter = best
    if not times:
        raise BadInput(f"{path.name} has no line with several cells between commas, semicolons, tabs or bars.")
    skip = _header_at([next(csv.reader([line], delimiter=delimiter), []) for line in lines])
    return Dialect(delimiter=delimiter, encoding=encoding, skip_rows=skip), "\n".join(lines[:skip])


def _header_at(rows: Sequence[Sequence[str]]) -> int:
    """The row of the header: titles above it have fewer cells, or no digits either and stand farther from the first row with some."""
    filled = [sum(bool(c.strip()) for c in row) for row in rows]
    least = min(0.8 * max(filled), max(max(filled) - 1, 2))  # the header of an index may be empty
    full = [i for i, n in enumerate(filled) if n >= least]
    plain = list(itertools.takewhile(lambda i: not any(re.search(r"\d", c) for c in rows[i]), full))
    return plain[-1] if plain and len(plain) < len(full) else full[0]


# --- columns ----------------------------------------------------------------------------------------------------------


def plain_name(text: str) -> str:
    """A header or word without case, accents, spaces and marks."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    return re.sub(r"[^a-z0-9+-]", "", folded).strip("-") or text.strip()


def suggest_columns(path: Path, known: Mapping[str, Known], date: str | None) -> tuple[Sheet, Suggestion]:
    """A mapping by the headers and cells of the file; `date` is our column of the day the file is of."""
    sheet, dialect, above, doubts = open_sheet(path)
    given = mapped(sheet, FileMapping(), {}).cells  # by name as a mapping calls them
    cells = {n: [c for c in column.slice(0, LOOKED_AT).to_pylist() if c is not None] for n, column in given.items()}
    found = _by_header({n: c for n, c in cells.items() if not n.startswith(REJECT)}, known, doubts)
    dialect = _marks(dialect, _numbers(found, known, cells), found, doubts)
    formats = {n: _formats(cells[c]) for n, c in found.items() if known[n].kind == "date" and cells[c]}
    common = _date_format(formats, found, doubts)
    columns: dict[str, MappedColumn] = {}
    for name, theirs in found.items():
        own = formats.get(name, [common])
        form = None if common in own or not own else own[0]
        words = _words(known[name], cells[theirs], name, theirs, doubts)
        unit = _unit(theirs, doubts) if known[name].kind == "number" else None
        columns[name] = MappedColumn(from_=theirs, date_format=form, values=words, unit=unit)
    used = {*found.values()}
    if "quantity" in columns:
        _side(columns, cells, used, doubts)
    if "currency" in known and "currency" not in columns:
        for theirs in used:
            if code := re.search(r"\b[kT]?(USD|EUR|GBP|CHF|JPY|CAD|AUD)\b", theirs):
                columns["currency"] = MappedColumn(constant=code[1])
                doubts.append(
                    f"No column was recognised as currency: every row gets {code[1]}, as the header {theirs!r} says."
                )
                break
    if date is not None and date not in columns:
        _day(columns, date, f"{above}\n{path.name}", doubts)
    for name in (
        n for n in known if known[n].required and n not in columns and n in DIMENSION_COLUMNS and n != "trade"
    ):
        columns[name] = MappedColumn(constant=_UNNAMED)
        doubts.append(
            f"No column was recognised as {name}: every row gets {_UNNAMED!r}. Name its column, or a better text."
        )
    doubts += [
        f"No column was recognised as {name}, which every row needs: add {name} to the columns."
        for name in known
        if known[name].required and name not in columns
    ]
    return sheet, Suggestion(FileMapping(dialect=dialect, date_format=common, columns=columns), doubts)


def leave_out(guess: Suggestion, sheet: Sheet) -> None:
    """Ignores the columns of the file that nothing is made of, and says so."""
    columns = guess.mapping.columns.values()
    used = {c.from_ for c in columns} | {c.side.from_ for c in columns if c.side}
    ignored = tuple(n for n in mapped(sheet, FileMapping(), {}).cells if n not in used)
    guess.doubts += [f"The column {n!r} was not recognised and is left out." for n in ignored]
    guess.mapping = guess.mapping.model_copy(update={"ignored": ignored})


def _by_header(cells: Mapping[str, Sequence[str]], known: Mapping[str, Known], doubts: list[str]) -> dict[str, str]:
    """Our columns and whose header names them: first by our own name, then by synonyms in their order, then by likeness."""
    found: dict[str, str] = {}
    free = {plain_name(re.sub(r"[(\[].*?[)\]]", "", n)) or plain_name(n): n for n in reversed([*cells])}

    def take(name: str, header: str) -> None:
        found[name] = free.pop(header)

    for name in known:
        if plain_name(name) in free:
            take(name, plain_name(name))
    # a header that several share is what its cells say: `Product` may be a type or a name
    places = sorted(
        (0 if k.words and h in free and _speaks(k, cells[free[h]]) else 1, place, name, h)
        for name, k in known.items()
        for place, h in enumerate(k.headers)
    )
    for _, _, name, header in places:
        if name not in found and header in free:
            take(name, header)
    for name in (n for n in known if n not in found):
        near = [h for h in close(plain_name(name), free, 1) if len(h) > 3 and _like(h, plain_name(name))]
        if near:
            doubts.append(f"The column {free[near[0]]!r} is taken for {name} by its name alone.")
            take(name, near[0])
    return {n: found[n] for n in known if n in found}


def _speaks(known: Known, cells: Sequence[str]) -> bool:
    """Whether most of the cells are words for our values."""
    words = {plain_name(w) for value, some in known.words.items() for w in (value, *some)}
    return bool(cells) and 2 * sum(plain_name(c) in words for c in cells) > len(cells)


def _numbers(
    found: Mapping[str, str], known: Mapping[str, Known], cells: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """By column of numbers its different cells, but for words that stand for a number."""
    numbers = {}
    for name, theirs in found.items():
        if known[name].kind == "number":
            words = {w for some in known[name].words.values() for w in some}
            numbers[name] = [t for t in dict.fromkeys(cells[theirs]) if plain_name(t) not in words]
    return numbers


def _like(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one) or one in other or other in one


def _marks(
    dialect: Dialect, numbers: Mapping[str, Sequence[str]], found: Mapping[str, str], doubts: list[str]
) -> Dialect:
    texts = [*dict.fromkeys(t for column in numbers.values() for t in column)]
    if not texts:
        return dialect

    def read(marks: tuple[str, str]) -> list[str | None]:
        return [plain_number(t, decimal=marks[0], thousands=marks[1]) for t in texts]

    counts = {marks: sum(v is not None for v in read(marks)) for marks in _MARKS}
    best = max(counts, key=lambda m: counts[m])
    other = next((m for m in _MARKS if counts[m] == counts[best] and read(m) != read(best)), None)
    if other:
        text, one, two = next((t, a, b) for t, a, b in zip(texts, read(best), read(other), strict=True) if a != b)
        doubts.append(
            f"{text!r} is read as {one}; it could be {two}. The marks of numbers are decimal and thousands of [dialect]."
        )
    bad = [t for t, v in zip(texts, read(best), strict=True) if v is None]
    if bad:
        where = next(found[n] for n, column in numbers.items() if bad[0] in column)
        doubts.append(
            f"{len(bad):,} of {len(texts):,} different numbers are none by these marks, first {bad[0]!r} in {where!r}."
        )
    return dialect.model_copy(update={"decimal": best[0], "thousands": best[1]})


def _formats(texts: Sequence[str]) -> list[str]:
    """The formats by which all, or else most, of the texts are days from 1950 to 2150."""
    distinct = [*dict.fromkeys(texts)][:500]

    def fits(form: str) -> int:
        days = [iso_date(t, form) for t in distinct]
        return sum(d is not None and "1950" < d < "2150" for d in days)

    counts = {form: fits(form) for form in _DATES}
    most = max(counts.values())
    return [form for form, n in counts.items() if n == most] if most else []


def _date_format(formats: Mapping[str, list[str]], found: Mapping[str, str], doubts: list[str]) -> str:
    """The format that fits the dates of most columns; where two fit all, that is a doubt."""
    if not formats:
        return _DATES[0]
    votes = Counter(form for forms in formats.values() for form in forms)
    best = max(_DATES, key=lambda form: votes[form])
    for name, forms in formats.items():
        if not forms:
            doubts.append(f"The dates in {found[name]!r} have no format that is known here; give date_format.")
    rivals = [
        f
        for f in _DATES
        if votes[f] == votes[best] and f != best and sorted(re.findall("%.", f)) == sorted(re.findall("%.", best))
    ]
    if rivals and best != _DATES[0] and re.search("%m", best):  # a day as 2020-03-16 is one by every format
        doubts.append(
            f"Dates are read as {best}, and all of them could be {rivals[0]}: which of day and month comes first?"
        )
    if "%y" in best:
        doubts.append("Years have two digits: 69 to 99 are 1969 to 1999, 00 to 68 are 2000 to 2068.")
    return best


def _words(known: Known, cells: Sequence[str], name: str, theirs: str, doubts: list[str]) -> dict[str, str]:
    """The file's words for our values."""
    if not known.words:
        return {}
    ours = {plain_name(w): value for value, words in known.words.items() for w in (value, *words)}
    texts = sorted(dict.fromkeys(cells))
    strange = [t for t in texts if plain_name(t) not in ours]
    if strange:
        listed = ", ".join(map(repr, strange[:5]))
        doubts.append(
            f"{listed} in {theirs!r} is no {name} that is known here: say in its values what it is, as one of {', '.join(known.words)}."
        )
    found = {t: ours[plain_name(t)] for t in texts if plain_name(t) in ours}
    if len(known.words) == 2:
        one, two = known.words.items()
        for text, value in [*found.items()]:
            this, other = (one, two) if value == one[0] else (two, one)
            if text_of_other := _opposite(text, (this[0], *this[1]), (other[0], *other[1])):
                found.setdefault(text_of_other, other[0])
    return {t: value for t, value in found.items() if value != t}


def _opposite(text: str, ours: Sequence[str], others: Sequence[str]) -> str | None:
    """The word of the other side in the same language and case, which today's file may lack and tomorrow's have."""
    place = ours.index(plain_name(text))
    if place >= len(others):
        return None
    word = others[place]
    return word.upper() if text.isupper() else word.capitalize() if text[:1].isupper() else word


def _unit(header: str, doubts: list[str]) -> str | None:
    """The unit that a header names."""
    for unit, pattern in (
        ("thousands", r"\b(k|t)(usd|eur|gbp|chf)?\b|\b000\b|\btsd\b|thousand"),
        ("millions", r"\b(mio|mn|mm)\b|million"),
        ("percent", r"%|percent|\bpct\b|prozent"),
        ("bp", r"\bbps?\b|basis points"),
    ):
        if re.search(pattern, header.casefold()):
            doubts.append(f"{header!r} is read in {unit}, as its header says.")
            return unit
    return None


def _side(
    columns: dict[str, MappedColumn], cells: Mapping[str, Sequence[str]], used: set[str], doubts: list[str]
) -> None:
    """The buy/sell column, where the file has one and amounts have no sign of their own."""
    for theirs, texts in cells.items():
        words = {t: plain_name(t) for t in dict.fromkeys(texts)}
        if theirs in used or plain_name(theirs) not in _SIDES or not words or not {*words.values()} <= {*_BUY, *_SELL}:
            continue
        used.add(theirs)
        amount = columns["quantity"]
        if any(re.search(r"^[-(\u2212]|-$", t) for t in cells[str(amount.from_)]):
            doubts.append(
                f"{amount.from_!r} has signs of its own, so that {theirs!r} is left out; see that sales are negative."
            )
            used.discard(theirs)
            return
        buy = [t for t, w in words.items() if w in _BUY]
        sell = [t for t, w in words.items() if w in _SELL]
        for one, two, mine, others in ((buy, sell, _BUY, _SELL), (sell, buy, _SELL, _BUY)):
            two += [w for t in one if not two and (w := _opposite(t, mine, others))]
        columns["quantity"] = amount.model_copy(update={"side": Side(from_=theirs, buy=tuple(buy), sell=tuple(sell))})
        return


def _day(columns: dict[str, MappedColumn], date: str, text: str, doubts: list[str]) -> None:
    """The day that the title or the file's name tells."""
    for pattern, form in (
        (r"\d{4}-\d\d-\d\d", "%Y-%m-%d"), (r"\d\d\.\d\d\.\d{4}", "%d.%m.%Y"), (r"(?<!\d)\d{8}(?!\d)", "%Y%m%d"),
        (r"\d\d?-[A-Za-z]{3}-\d\d(?!\d)", "%d-%b-%y"), (r"\d\d?-[A-Za-z]{3}-\d{4}", "%d-%b-%Y"), (r"\d\d? [A-Za-z]{3} \d{4}", "%d %b %Y"),
    ):  # fmt: skip
        for match in re.findall(pattern, text):
            day = iso_date(match, form)
            if day and dt.date(1990, 1, 1) <= dt.date.fromisoformat(day) <= dt.date(2100, 1, 1):
                columns[date] = MappedColumn(constant=day)
                doubts.append(
                    f"No column was recognised as {date}: every row gets {day}, from the title or the name of the file."
                )
                return


def shown(columns: Mapping[str, Any], rows: Iterable[int]) -> list[dict[str, str | None]]:
    """The cells of these rows, by column."""
    return [{name: column[i].as_py() for name, column in columns.items()} for i in rows]
