// What a scenario does before anything is valued: every risk factor and curve before and after, and how likely it is.

import { Problem, type Row, send } from "../../api";
import { shownProblem } from "../../asking";
import { chart } from "../../chart";
import { fill, h } from "../../dom";
import { figure, words } from "../../format";
import { table } from "../../table";

interface Scenario { label: string; factors: Row[]; curves: { curve: string; pillar: string; years: number; base: number; level: number }[]; crosses: Record<string, [number, number]> }
interface Plausibility extends Row { label: string; distance: number; nearer: number; covariance: string; factors: Row[]; nearest: Row[]; warnings: string[]; days_compared: number }
interface Previewed { market_date: string; total: number; scenarios: Scenario[]; assertions: string[]; failed: string[]; warnings: string[]; excluded: Record<string, string>; held: Record<string, string>; plausibility: Plausibility[] | null }

export class Preview {
  private stop: AbortController | undefined;

  constructor(readonly place: HTMLElement) {}

  async show(asOf: string, text: string): Promise<void> {
    this.stop?.abort();
    const { signal } = (this.stop = new AbortController());
    this.place.setAttribute("aria-busy", "true");
    if (!this.place.firstChild) fill(this.place, h("p", { class: "loading" }, "Being computed …"));
    try {
      const asked = (plausibility: boolean) => send<Previewed & Row>("POST", "/scenario-sets/preview", { as_of: asOf, text, plausibility }, signal);
      // a history that is too short to score by takes nothing from the preview: its reason stands in place of the score
      const [found, scored] = await Promise.all([asked(false), asked(true).catch((error: unknown) => error as Problem)]);
      fill(this.place);
      this.several(found, scored instanceof Error ? scored : scored.plausibility ?? []);
    } catch (error) {
      if (signal.aborted) return;
      fill(this.place, shownProblem(error as Problem));
    } finally {
      if (!signal.aborted) this.place.removeAttribute("aria-busy");
    }
  }

  private several(found: Previewed, scores: readonly Plausibility[] | Problem): void {
    const one = h("div", { class: "answer" });
    const choose = h("select", { id: "preview-scenario", onchange: () => this.one(found, scores, Number(choose.value), one) }, ...found.scenarios.map((s, i) => h("option", { value: i }, s.label)));
    this.place.append(
      h("p", {}, `On the market of ${found.market_date}: ${found.total} ${found.total === 1 ? "scenario" : "scenarios"}${found.total > found.scenarios.length ? `, of which the first ${found.scenarios.length} are shown` : ""}.`),
      found.scenarios.length > 1 ? h("div", { class: "field" }, h("label", { for: "preview-scenario" }, "scenario"), choose) : "",
      said("Assertions", found.assertions), said("Do not hold", found.failed, "fault"), said("Warnings", found.warnings, "notes"),
      said("Not in the market", Object.entries(found.excluded).map(([id, why]) => `${id}: ${why}`)), said("Held at an earlier level", Object.entries(found.held).map(([id, why]) => `${id}: ${why}`)), one);
    this.one(found, scores, 0, one);
  }

  private one(found: Previewed, scores: readonly Plausibility[] | Problem, i: number, place: HTMLElement): void {
    const scenario = found.scenarios[i];
    if (!scenario) return;
    const [moved, still] = [scenario.factors.filter((f) => f.status !== "unchanged"), scenario.factors.filter((f) => f.status === "unchanged")];
    const crosses = Object.entries(scenario.crosses).map(([pair, [base, level]]): Row => ({ pair, base, level }));
    const curves = [...new Set(scenario.curves.filter((c) => c.base !== c.level).map((c) => c.curve))];
    const picture = h("div");
    const choose = h("select", { id: "preview-curve", onchange: () => void draw(choose.value) }, ...curves.map((c) => h("option", { value: c }, c)));
    const draw = async (name: string) => {
      fill(picture);
      await curvePicture(picture, name, scenario.curves.filter((c) => c.curve === name));
    };
    const scored = scores instanceof Error ? scores : scores.find((p) => p.label === scenario.label);
    fill(place,
      scored instanceof Error ? h("p", { class: "notes" }, `No plausibility: ${scored.message}`) : scored ? likely(scored) : null,
      curves.length > 0 ? h("div", { class: "field" }, h("label", { for: "preview-curve" }, "curve before and after"), choose) : null, picture,
      table(moved, { caption: `Risk factors that move: ${moved.length}`, columns: ["risk_factor_id", "risk_class", "status", "base", "level", "change", "unit", "rule"].filter((c) => c !== "rule" || moved.some((m) => m.rule)) }),
      crosses.length > 0 ? table(crosses, { caption: "Crosses" }) : null,
      still.length > 0 ? h("details", {}, h("summary", {}, `Unchanged: ${still.length} risk factors`), h("p", {}, still.map((f) => String(f.risk_factor_id)).join(", "))) : null);
    if (curves[0]) void draw(curves[0]);
  }
}

function said(title: string, lines: readonly string[], kind = "faint"): HTMLElement | string {
  if (lines.length === 0) return "";
  return lines.length > 5
    ? h("details", { class: kind }, h("summary", {}, `${title}: ${lines.length}`), h("ul", {}, ...lines.map((l) => h("li", {}, l))))
    : h("div", { class: kind }, h("strong", {}, title), h("ul", {}, ...lines.map((l) => h("li", {}, l))));
}

async function curvePicture(place: HTMLElement, name: string, pillars: Scenario["curves"]): Promise<void> {
  const line = (what: "base" | "level", title: string) => ({ name: title, type: "line", data: pillars.map((p) => [p.years, p[what]]), symbolSize: 6, lineStyle: { type: what === "base" ? "dashed" : "solid" } });
  await chart(place, `Curve ${name}: ${pillars.map((p) => `${p.pillar} ${figure(p.base)} to ${figure(p.level)}`).join(", ")}`, {
    legend: { data: ["before", "after"], top: 0 }, grid: { left: 60, right: 20, top: 36, bottom: 40 }, tooltip: { trigger: "axis" },
    xAxis: { type: "value", name: "years", nameLocation: "middle", nameGap: 26 }, yAxis: { type: "value", scale: true },
    series: [line("base", "before"), line("level", "after")],
  }, 240);
}

function likely(p: Plausibility): HTMLElement {
  return h("section", { "aria-label": "plausibility" },
    h("h3", {}, "Plausibility"),
    h("p", {}, `${figure(p.distance)} standard deviations from no move (${p.covariance}); of past days ${figure(p.nearer)} were nearer, of ${figure(p.days_compared)} compared.`),
    said("Against what the other moves imply", p.warnings, "notes"),
    h("details", {}, h("summary", {}, "Past days and moves"),
      table(p.nearest, { caption: "Nearest past days" }),
      table(p.factors, { caption: `Moves against the past: ${words(p.label)}`, columns: ["risk_factor_id", "move", "deviations", "percentile", "expected", "surprise"] })));
}
