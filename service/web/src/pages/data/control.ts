// What was proposed and by whom, and every act in the trail: shown where the service has them.

import { get, Problem, type Row, send } from "../../api";
import { shownProblem } from "../../asking";
import { fill, h } from "../../dom";
import { QuestionForm } from "../../form";
import { words } from "../../format";
import { listing, shownCell, told } from "../../listing";
import { api, bodyOfForm } from "../../openapi";
import type { Opened } from "../../page";
import type { Part } from "../../parts";

const STEPS = ["approve", "reject", "withdraw"] as const;

export const proposals: Part = {
  name: "proposals",
  title: "Proposals",
  async open(place, view) {
    const service = await api();
    const [detail, list] = [h("section", { class: "panel", "aria-label": "proposal", "aria-live": "polite" }), h("div")];
    fill(place, detail, list);
    const opened: Opened = {
      async update(now) {
        fill(list, listing({
          title: "What is proposed", path: "/proposals", empty: "Nothing was proposed.", columns: ["what", "actor", "submitted_at", "state", "job_id"],
          cell: (row, column) => (column === "job_id" ? h("a", { href: `data?${now.state.with({ proposal: String(row.job_id) })}` }, String(row.job_id)) : shownCell(row, column)),
        }));
        const id = now.state.one("proposal");
        detail.hidden = !id;
        if (!id) return;
        try {
          const found = await get(`/proposals/${encodeURIComponent(id)}`);
          fill(detail, h("h2", {}, `${String(found.what)}, proposed by ${String(found.actor)}`), told(found),
            ...(found.state === "proposed" ? STEPS.map((step) => decision(id, step)) : []));
        } catch (error) {
          fill(detail, shownProblem(error));
        }
      },
    };
    function decision(id: string, step: string): HTMLElement {
      const fields = service.fields(`/proposals/{job_id}/${step}`);
      const outcome = h("div", { role: "alert" });
      const form = new QuestionForm({
        parameters: fields, first: fields.map((f) => f.name), submit: words(step),
        onsubmit: async (values) => {
          try {
            await send<Row>("POST", `/proposals/${encodeURIComponent(id)}/${step}`, bodyOfForm(fields, values));
            await opened.update(view);
          } catch (error) {
            fill(outcome, shownProblem(error));
            if (error instanceof Problem) form.fault(error);
          }
        },
      }, view.state);
      return h("details", {}, h("summary", {}, words(step)), form.element, outcome);
    }
    await opened.update(view);
    return opened;
  },
};

export const audit: Part = {
  name: "audit",
  title: "Audit",
  async open(place, view) {
    const filters = (await api()).filters("/audit/acts");
    let current = view;
    const form = new QuestionForm({ parameters: filters, first: filters.map((f) => f.name), submit: "Filter", onsubmit: (values) => current.set(values) }, view.state);
    const [list, whole] = [h("div"), h("section", { class: "panel", "aria-label": "trail", "aria-live": "polite" })];
    const verify = async () => fill(whole, h("h2", {}, "Whether the trail holds"), await get("/audit/verify").then((found) => told(found), shownProblem));
    fill(whole, h("h2", {}, "Whether the trail holds"), h("button", { type: "button", onclick: () => void verify() }, "Verify every entry"));
    fill(place, h("div", { class: "two-columns" }, h("section", { "aria-label": "filters" }, form.element, whole), list));
    const opened: Opened = {
      update(now) {
        current = now;
        form.update(now.state);
        const parameters = now.state.only(filters.map((f) => f.name));
        const empty = parameters.size > 0 ? "No act fits the filter." : "The trail holds no act. A lake that was ever written has some: if this one was, its trail was emptied, and Verify says what is missing.";
        fill(list, listing({ title: "Acts, the newest first", path: "/audit/acts", parameters, empty }));
      },
    };
    await opened.update(view);
    return opened;
  },
};
