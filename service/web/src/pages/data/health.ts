// Whether the service is up: the lake, the engine, the versions of tables and libraries.

import { get, type Row } from "../../api";
import { shownProblem } from "../../asking";
import { fill, h } from "../../dom";
import { told } from "../../listing";
import { table } from "../../table";
import type { Part } from "../../parts";

interface Health extends Row { status: string; notes: string[]; lake: string; tables: Record<string, number>; engine: Row; versions: Record<string, string> }

export const health: Part = {
  name: "health",
  title: "Health",
  async open(place) {
    const update = async () => {
      try {
        const { status, notes, lake, tables, engine, versions } = await get<Health>("/health");
        const rows = Object.entries(tables).map(([name, version]) => ({ table: name, version: version < 0 ? null : version }));
        const panel = (title: string, ...content: Node[]) => h("section", { class: "panel", "aria-label": title }, h("h2", {}, title), ...content);
        fill(place, h("div", { class: "panels" },
          panel("Service", h("p", { class: "headline" }, h("span", {}, h("strong", { class: status === "ok" ? "verdict same" : "verdict differs" }, status))), told({ lake, notes })),
          panel("Engine", told(engine)),
          panel("Versions", told(versions)),
          panel("Tables", table(rows, { caption: "Versions of the tables; a dash where one was never written" }))));
      } catch (error) {
        fill(place, shownProblem(error));
      }
    };
    await update();
    return { update };
  },
};
