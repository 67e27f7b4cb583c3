// Snapshots of a live day: listed, taken, and the last two compared.

import { get, type Row, send } from "../../api";
import { followed, type Job, shownProblem } from "../../asking";
import { fill, h } from "../../dom";
import { shownCell } from "../../listing";
import type { Opened, View } from "../../page";
import { addressOf } from "../../panel";
import type { Part } from "../../parts";
import { table } from "../../table";
import { dayField } from "./day_field";

/** The address of the comparison of two snapshots, with every cause. */
function compared(day: string, from: Row, to: Row): string {
  const points = ([["from", from], ["to", to]] as const).flatMap(([name, s]) => [[name, day], [`${name}_as_known`, String(s.as_known)], [`${name}_scenario_set`, String(s.scenario_set)]]);
  return `compare?${new URLSearchParams(points)}`;
}

/** What a snapshot is asked most. */
function asked(day: string, row: Row): Node {
  const of = new URLSearchParams({ as_of: day, scenario_set: String(row.scenario_set), as_known: String(row.as_known) });
  return h("span", {}, h("a", { href: addressOf("explore", of) }, "Explore"), ", ", h("a", { href: addressOf("pre-trade", of) }, "try a trade"));
}

export const snapshots = (last: string | undefined): Part => ({
  name: "snapshots",
  title: "Snapshots",
  async open(place, view) {
    const [said, list] = [h("div", { "aria-live": "polite" }), h("div")];
    const take = h("button", { type: "button", class: "primary", onclick: () => void taken() }, "Take a snapshot");
    const field = dayField((day) => current.set({ as_of: day }));
    let current = view;
    const dayOf = (now: View) => now.state.one("as_of") ?? last ?? "";
    fill(place, h("section", { class: "panel wide", "aria-label": "snapshots" },
      h("p", { class: "faint" }, "A snapshot makes the day ordinary rows of the lake: every question has its answer, two of them are compared, and each replays."),
      h("div", { class: "in-a-row" }, field.element, take), said, list));

    async function taken(): Promise<void> {
      try {
        const job = await send<Job>("POST", "/live/snapshots", { as_of: dayOf(current) });
        await followed(said, job.job_id);
        fill(said, h("p", {}, "The snapshot is stored."));
        await opened.update(current);
      } catch (error) {
        fill(said, shownProblem(error));
      }
    }

    const opened: Opened = {
      async update(now) {
        current = now;
        const day = dayOf(now);
        field.show(day);
        try {
          const { rows } = await get<{ rows: Row[] }>("/live/snapshots", new URLSearchParams({ date: day }));
          const [one, two] = rows.slice(-2);
          fill(list, rows.length === 0 ? h("p", { class: "empty" }, `There is no snapshot of ${day} yet.`) : table(rows, {
            caption: `Snapshots of ${day}`, columns: ["number", "taken_at", "orders", "orders_until", "prices_until", "scenario_set", "author", "ask"],
            cell: (row, column) => column === "ask" ? asked(day, row) : shownCell(row, column),
          }), one && two && h("p", {}, h("a", { href: compared(day, one, two) }, `Compare ${String(one.number)} with ${String(two.number)}`)));
        } catch (error) {
          fill(list, shownProblem(error));
        }
      },
    };
    await opened.update(view);
    return opened;
  },
});
