"""The writing commands that are broken on purpose, and the files that they bring in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from small_lake import MONDAY, SHARE_A, book_csv


@dataclass(frozen=True)
class Operation:
    """A writing command: the lake it starts from (`bare` or `valued`), and its arguments; `{files}` is the folder of FILES."""

    start: str
    arguments: tuple[str, ...]


OPERATIONS = {
    "market": Operation("bare", ("ingest", "market", "{files}", "--catalogue", "{files}/catalogue.toml")),
    "positions": Operation("bare", ("ingest", "positions", "{files}/book.csv")),
    "pnl": Operation("bare", ("ingest", "pnl", "{files}/pnl.csv")),
    "hierarchy": Operation("bare", ("ingest", "hierarchy", "{files}/organisation.csv")),
    "pnl-vectors": Operation("bare", ("ingest", "pnl-vectors", "{files}/vectors.csv", "--source", "risksys")),
    "var": Operation("bare", ("ingest", "var", "{files}/var.csv", "--source", "risksys")),
    "sensitivities": Operation("bare", ("ingest", "sensitivities", "{files}/sensitivities.csv", "--source", "desk")),
    "covariance": Operation(
        "bare",
        (
            *("ingest", "covariance", "{files}/covariance.csv", "--matrix", "daily"),
            *("--horizon-days", "1", "--unit", "1"),
        ),
    ),
    "ticks": Operation("bare", ("ingest", "ticks", "{files}/ticks.csv", "--source", "feed")),
    "orders": Operation("bare", ("ingest", "orders", "{files}/orders.csv")),
    "feed": Operation("bare", ("feed", "orders", "--folder", "{files}/arriving", "--settle-seconds", "0", "--once")),
    "corporate-actions": Operation("bare", ("ingest", "corporate-actions", "{files}/actions.csv")),
    "counterparties": Operation("bare", ("ingest", "counterparties", "{files}/counterparties.csv")),
    "agreements": Operation("bare", ("ingest", "agreements", "{files}/agreements.csv")),
    "collateral": Operation("bare", ("ingest", "collateral", "{files}/collateral.csv")),
    "classifications": Operation("bare", ("ingest", "classifications", "{files}/classifications.csv")),
    "regime": Operation("bare", ("ingest", "regime", "{files}/house.toml")),
    "exposure-limits": Operation("bare", ("ingest", "exposure-limits", "{files}/limits.csv")),
    "var-limits": Operation("bare", ("ingest", "var-limits", "{files}/var-limits.csv")),
    "real-prices": Operation("bare", ("ingest", "real-prices", "{files}/prices.csv")),
    "cva-hedges": Operation("bare", ("ingest", "cva-hedges", "{files}/hedges.csv")),
    "scenarios": Operation("bare", ("scenarios", "build", "--as-of", str(MONDAY), "-p", "scenarios=30")),
    "value": Operation("bare", ("value", "--as-of", str(MONDAY), "-p", "scenarios=30", "--runner", "in-process")),
    "branch": Operation("valued", ("branch", "save", "more", "--as-of", str(MONDAY), "--add", "{files}/trades.csv")),
}
FILES = {
    "catalogue.toml": """
name = "small"

[source.stocks]
file = "stocks.csv"
layout = "wide"
calendar = "XNYS"
licence = "mine"

[source.stocks.factor]
id = "EQ:{column}"
type = "equity_price"
currency = "USD"
""",
    "stocks.csv": "Date,CCC\n2020-01-02,75.1\n2020-01-03,74.4\n",
    "book.csv": book_csv().replace("2020-03-16", "2020-03-17").replace("2020-03-13", "2020-03-12"),
    "pnl.csv": "date,desk,kind,pnl,currency\n2020-03-16,Options,actual,-1250,USD\n",
    "organisation.csv": "hierarchy,level,member,parent_level,parent,effective_from,effective_to\n"
    "organisation,desk,Options,division,Markets,2019-01-01,\norganisation,desk,Equities,division,Markets,2019-01-01,\n",
    "vectors.csv": "date,trade,desk,currency,base_value,2019-01-02,2019-01-03,2019-01-04\n"
    "2020-03-18,V1,Options,USD,100,-1,2,-3\n2020-03-18,V2,Equities,USD,50,4,,1\n",
    "var.csv": "date,level,var,currency\n2020-03-16,0.99,1250,USD\n2020-03-17,0.99,1300,USD\n",
    "sensitivities.csv": "date,kind,factor,bump,amount,currency\n2020-03-16,delta,EQ:AAA,1%,1250,USD\n",
    "covariance.csv": "factor,EQ:AAA,EQ:BBB\nEQ:AAA,0.04,0.01\nEQ:BBB,0.01,0.09\n",
    "ticks.csv": "risk_factor_id,time,sequence,price\nEQ:AAA,2020-03-16T15:00:00Z,1,101.5\nEQ:BBB,2020-03-16T15:00:01Z,2,99\n",
    "orders.csv": "order_id,executed_at,side,symbol,quantity,currency,portfolio,client,account,desk,book,legal_entity,counterparty\n"
    "A1,2020-03-16T10:00:00Z,buy,EQ:AAA,10,USD,P,C,A,Options,B,L,D\n",
    "arriving/a.csv": "order_id,sequence,event,executed_at,side,symbol,quantity,currency,portfolio,client,account,desk,book,legal_entity,"
    "counterparty\nA1,1,new,2020-03-16T10:00:00Z,buy,EQ:AAA,10,USD,P,C,A,Options,B,L,D\nA1,2,cancel,,,,,,,,,,,,\n",
    "arriving/b.csv": "no,orders\n1,2\n",
    "actions.csv": "risk_factor_id,ex_date,kind,ratio,source\nEQ:AAA,2020-03-20,split,2:1,AAA\n",
    "counterparties.csv": "counterparty,effective_from,sector,rating\nD,2020-01-01,financial,A\nE,2020-01-01,other,NR\n",
    "agreements.csv": "agreement,counterparty,legal_entity,effective_from,netting,margined,currency\n"
    "NET-D,D,L,2020-01-01,true,false,USD\nNET-E,E,L,2020-01-01,true,false,EUR\n",
    "collateral.csv": "as_of_date,agreement,kind,amount,currency\n2020-03-17,NET-D,initial,5000,USD\n2020-03-18,NET-D,initial,1,USD\n",
    "classifications.csv": "name,effective_from,kind,economy\nJPY,2020-01-01,currency,advanced\nBRL,2020-01-01,currency,emerging\n",
    "house.toml": 'name = "house"\nversion = "1"\ntitle = "House rules"\nin_force_from = 2020-01-01\n'
    'source = "the board"\nstatus = "own"\n',
    "hedges.csv": "hedge,effective_from,kind,reference,sector,rating,maturity,notional,currency\n"
    "H1,2020-01-01,index,IG,financial,A,2024-12-20,1000000,USD\nH2,2020-01-01,index,HY,other,BB,2024-12-20,5,EUR\n",
    "var-limits.csv": "limit,effective_from,node,measure,level,amount,currency\n"
    "OPTIONS,2020-01-01,desk=Options,var,0.99,1000000,USD\nFIRM,2020-01-01,,es,0.975,2000000,EUR\n",
    "limits.csv": "limit,effective_from,dimension,member,measure,level,amount,currency\n"
    "PFE-D,2020-01-01,counterparty,D,pfe,0.95,1000000,USD\nEAD-E,2020-01-01,counterparty,E,ead,,2000000,EUR\n",
    "prices.csv": "date,risk_factor_id,source,evidence\n2020-03-16,EQ:AAA,desk,own_deal\n2020-03-17,EQ:AAA,a vendor,vendor\n",
    "trades.csv": "trade,quantity,desk," + ",".join(SHARE_A) + "\nNEW,10,Options," + ",".join(SHARE_A.values()) + "\n",
}


def write_files(folder: Path) -> Path:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder
