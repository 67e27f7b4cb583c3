// Branches: what was tried under a name, to be asked about, looked into and deleted; and the form that saves one.

import { type Problem, type Row, get, send } from "../../api";
import { faultAt, followed, shownProblem } from "../../asking";
import { fill, h } from "../../dom";
import { figure } from "../../format";
import { table } from "../../table";

/** Work that fails in words where it was started. */
const told = (place: HTMLElement, work: () => Promise<void>) => () => void work().catch((error: unknown) => fill(place, shownProblem(error as Problem)));

function questionsOn(name: string, date: string): HTMLElement {
  const link = (page: string, values: Record<string, string>, text: string) => h("a", { href: `${page}?${new URLSearchParams(values)}` }, text);
  return h("span", { class: "links" },
    link("ask", { question: "var", as_of: date, branch: name }, "VaR"), " · ",
    link("compare", { from: date, to: date, to_branch: name }, "against its book"), " · ",
    link("what-if", { as_of: date, branch: name }, "what-if upon it"));
}

export async function branchList(place: HTMLElement, open: (changes: Row, asOf: string) => void): Promise<void> {
  const { rows } = await get<{ rows: Row[] }>("/branches");
  const said = h("div", { role: "status" });
  if (rows.length === 0) return fill(place, h("p", { class: "empty" }, "There is no branch yet: try a change, and save it under a name."));
  const deleting = (name: string): HTMLElement => {
    const button = h("button", { type: "button", onclick: () => {
      if (button.dataset.sure) return told(said, async () => {
        const job = await send("DELETE", `/branches/${encodeURIComponent(name)}`);
        await followed(said, String(job.job_id));
        await branchList(place, open);
      })();
      button.dataset.sure = "yes";
      button.textContent = `Delete ${name}?`;
    } }, "Delete");
    return button;
  };
  const look = (name: string) => h("button", { type: "button", onclick: told(said, async () => {
    const branch = await get(`/branches/${encodeURIComponent(name)}`);
    open(branch.changes as Row, String(branch.positions_date));
  }) }, "Open its changes");
  const columns = ["name", "version", "positions_date", "upon", "adds", "removes", "scales", "note", "created_at", "ask", "do"];
  fill(place, table(rows, {
    caption: "Branches: the newest version of each", columns,
    cell: (row, column) => {
      const name = String(row.name);
      if (column === "ask") return questionsOn(name, String(row.positions_date));
      return column === "do" ? h("span", { class: "links" }, look(name), " ", deleting(name)) : figure(row[column]);
    },
  }), h("p", { class: "faint" }, "Earlier versions stay readable as NAME@1, and branches upon a branch stay as they are."), said);
}

/** The form that saves what is tried; `request` is all of the branch but its name, note and version. */
export function saveForm(request: () => Row): HTMLElement {
  const name = h("input", { id: "branch-name", autocomplete: "off", "aria-describedby": "branch-name-fault" });
  const fault = h("small", { id: "branch-name-fault", class: "fault", role: "alert" });
  const note = h("input", { id: "branch-note", autocomplete: "off" });
  const next = h("input", { id: "branch-next", type: "checkbox" });
  const said = h("div", { role: "status" });
  const save = async () => {
    fault.textContent = "";
    name.removeAttribute("aria-invalid");
    const job = await send("POST", "/branches", { ...request(), name: name.value.trim(), note: note.value.trim(), new_version: next.checked });
    const saved = (await followed(said, String(job.job_id))).result as Row;
    fill(said, h("p", { class: "good" }, `Saved as ${saved.name}, version ${saved.version}. `), questionsOn(String(saved.name), String(saved.positions_date)));
  };
  return h("form", { class: "in-a-row save-branch", "aria-label": "save as a branch", onsubmit: (e: Event) => { e.preventDefault(); void save().catch((error: unknown) => faultAt("/name", error, name, fault) || fill(said, shownProblem(error))); } },
    h("div", { class: "field" }, h("label", { for: "branch-name" }, "branch name"), name, fault),
    h("div", { class: "field" }, h("label", { for: "branch-note" }, "note"), note),
    h("div", { class: "field" }, h("label", { for: "branch-next" }, "next version of a name that is taken"), next),
    h("button", { type: "submit" }, "Save as a branch"), said);
}
