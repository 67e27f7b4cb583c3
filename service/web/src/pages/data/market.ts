// Market values that a rule holds: looked at, released, overridden, or moved by a proxy.

import { Problem, type Row, send } from "../../api";
import { followed, type Job, shownProblem } from "../../asking";
import { fill, h } from "../../dom";
import { QuestionForm } from "../../form";
import { listing, shownCell, told } from "../../listing";
import { api, bodyOfForm } from "../../openapi";
import type { Opened } from "../../page";
import { State } from "../../state";
import type { Part } from "../../parts";

const ACT = "/market/acts";
const CHECK = "/market/check";
const LIST = "/market/issues";

export const market: Part = {
  name: "market",
  title: "Market quality",
  async open(place, view) {
    const service = await api();
    const filters = service.filters(LIST);
    let current = view;
    const filter = new QuestionForm({ parameters: filters, first: filters.map((f) => f.name), submit: "Filter", onsubmit: (values) => current.set(values) }, view.state);
    const [list, acting, outcome] = [h("div"), h("section", { class: "panel", "aria-label": "act" }), h("div", { "aria-live": "polite" })];
    let lastFilter: string | undefined;

    /** A form whose body is a job; the list is read again once it has ended. */
    function job(path: string, given: State, submit: string): HTMLElement {
      const fields = service.fields(path);
      const form = new QuestionForm({
        parameters: fields, first: fields.map((f) => f.name).filter((n) => n !== "beta"), submit,
        onsubmit: async (values) => {
          try {
            const made = await send<Job>("POST", path, bodyOfForm(fields, values));
            if (String(made.state) === "proposed") return fill(outcome, h("p", { class: "plan" }, "It is proposed, and done once another approves it: ", h("a", { href: "data?tab=proposals" }, "proposals")));
            const done = await followed(outcome, made.job_id);
            fill(outcome, h("h3", {}, "Done"), told(done.result as Row));
            lastFilter = undefined;
            await opened.update(current);
          } catch (error) {
            fill(outcome, shownProblem(error));
            if (error instanceof Problem) form.fault(error);
          }
        },
      }, given);
      return form.element;
    }

    const opened: Opened = {
      async update(now) {
        current = now;
        filter.update(now.state);
        const asked = now.state.only(filters.map((f) => f.name));
        if (String(asked) !== lastFilter) {
          lastFilter = String(asked);
          fill(list, listing({
            title: "Values held, missing, or decided on", path: LIST, parameters: asked, empty: "No market value is held or was decided on.",
            columns: ["key", "state", "rules", "detail", "value_received", "value_used", "author", "reason", "created_at"],
            cell: (row, column) => (column === "key" ? h("a", { href: `data?${now.state.with({ act: String(row.risk_factor_id), on: String(row.as_of_date) })}` }, String(row.key)) : shownCell(row, column)),
          }));
        }
        const factor = now.state.one("act");
        const key = `${factor} ${now.state.one("on")}`;
        if (acting.dataset.of === key) return;
        acting.dataset.of = key;
        fill(acting, h("h2", {}, factor ? `Decide on ${factor} of ${now.state.one("on")}` : "Decide on a value"),
          job(ACT, new State(new URLSearchParams(factor ? { factor, date: now.state.one("on") ?? "" } : {})), "Do it"));
      },
    };
    fill(place, h("div", { class: "two-columns" }, h("section", { "aria-label": "filters" }, h("h2", {}, "Filter"), filter.element, acting,
      h("section", { class: "panel", "aria-label": "check" }, h("h2", {}, "Check what is stored"), h("p", {}, "The gates run over the stored market data; what is suspicious is listed, and held where asked."), job(CHECK, new State(new URLSearchParams()), "Check"))),
    h("div", {}, outcome, list)));
    await opened.update(view);
    return opened;
  },
};
