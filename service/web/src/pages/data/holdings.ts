// Books, market data, scenarios, valuations and the rest of what the lake holds.

import type { Row } from "../../api";
import { fill, h } from "../../dom";
import { figure } from "../../format";
import { listing, type ListingOptions, shownCell } from "../../listing";
import { addressOf } from "../../panel";
import type { Part } from "../../parts";

const short = (id: unknown) => String(id).slice(0, 12);

const LISTS: readonly ListingOptions[] = [
  {
    title: "Books", path: "/positions/dates", empty: "The lake holds no positions. Bring some in.", reversed: true,
    cell: (row, column) => (column === "positions_date" ? h("a", { href: addressOf("var", new URLSearchParams({ as_of: String(row.positions_date), by: "desk" })) }, String(row.positions_date)) : shownCell(row, column)),
  },
  { title: "Market data", path: "/market-data/ranges", empty: "The lake holds no market data. Bring some in." },
  {
    title: "Valuation sets", wide: true, path: "/valuation-sets", empty: "Nothing is valued yet.", reversed: true,
    columns: ["valuation_date", "market_date", "scenario_set_name", "scenario_count", "submitted", "valued", "reused", "unmoved", "failed", "sealed_at", "valuation_set_id"],
    cell: (row, column) => {
      if (column === "failed" && row.failed !== 0) return h("a", { href: `data?${new URLSearchParams({ failures: String(row.valuation_set_id) })}` }, figure(row.failed));
      if (column === "valuation_set_id") return h("a", { href: addressOf("var", new URLSearchParams({ as_of: String(row.valuation_date), valuation_set: String(row.valuation_set_id), by: "desk" })) }, short(row.valuation_set_id));
      return shownCell(row, column);
    },
  },
  {
    title: "Scenario sets", wide: true, path: "/scenario-sets", empty: "No scenarios are made yet.", reversed: true,
    columns: ["market_date", "name", "version", "method", "horizon_days", "sample", "synthetic", "factors_shocked", "factors_unchanged", "created_at", "scenario_set_id"],
    cell: (row, column) => (column === "scenario_set_id" ? short(row.scenario_set_id) : shownCell(row, column)),
  },
  { title: "Standards", wide: true, path: "/standards", empty: "The lake has no standard yet: the first sample that is valued becomes it." },
  { title: "Branches", path: "/branches", empty: "There are no branches." },
  { title: "Hierarchies", path: "/hierarchies", empty: "There are no hierarchies." },
  { title: "Corporate actions", path: "/corporate-actions", empty: "There are no corporate actions." },
];

export const holdings: Part = {
  name: "holdings",
  title: "What the lake holds",
  open(place, view) {
    const failures = h("div");
    fill(place, failures, h("div", { class: "panels" }, ...LISTS.map(listing)));
    let shown: string | null = null;
    const update = (now: typeof view) => {
      const set = now.state.one("failures");
      if (set === shown) return;
      shown = set;
      fill(failures, set && listing({
        title: `Contracts without a value in valuation set ${short(set)}`, path: `/valuation-sets/${encodeURIComponent(set)}/failures`, empty: "Every contract of this set has a value.",
        cell: (row: Row, column) => (column === "contract_id" || column === "valuation_set_id" ? short(row[column]) : shownCell(row, column)),
      }));
    };
    update(view);
    return { update };
  },
};
