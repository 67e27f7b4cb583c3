// What stands in rows, columns and measures: chips that are dragged, moved by keys, or taken from a list.

import { fill, h } from "../../dom";
import { words } from "../../format";

export type ZoneName = "rows" | "columns" | "measures";
export type Placed = Record<ZoneName, string[]>;

interface Choice { name: string; about: string; group: string }

/** What is being dragged, and out of which zone. Only one thing is dragged at a time. */
let dragged: { name: string; from: ZoneName | null } | undefined;

const KIND: Record<ZoneName, "dimension" | "measure"> = { rows: "dimension", columns: "dimension", measures: "measure" };

export class Zones {
  readonly element = h("div", { class: "zones" });
  readonly fields = h("div", { class: "fields" });
  private readonly said = h("p", { class: "unseen", role: "status" });
  private shown = "";
  private placed: Placed = { rows: [], columns: [], measures: [] };
  private readonly lists = {} as Record<ZoneName, HTMLElement>;
  private readonly adders = {} as Record<ZoneName, HTMLSelectElement>;

  constructor(private readonly choices: Record<"dimension" | "measure", readonly Choice[]>, private readonly changed: (placed: Placed) => void) {
    for (const zone of ["rows", "columns", "measures"] as const) this.element.append(this.zone(zone));
    this.element.append(this.said);
    const list = (kind: "dimension" | "measure") => h("ul", { "aria-label": `${kind}s to drag` }, ...choices[kind].map((c) => h("li", {}, this.field(c))));
    fill(this.fields, h("details", { open: true }, h("summary", {}, "Dimensions"), list("dimension")), h("details", {}, h("summary", {}, "Measures"), list("measure")));
  }

  show(placed: Placed): void {
    const key = JSON.stringify(placed);
    if (key === this.shown) return;
    const focus = (document.activeElement as HTMLElement | null)?.dataset.chip;
    [this.placed, this.shown] = [placed, key];
    for (const zone of Object.keys(placed) as ZoneName[]) {
      fill(this.lists[zone], ...placed[zone].map((name, i) => this.chip(zone, name, i)));
      const used = new Set(KIND[zone] === "dimension" ? [...placed.rows, ...placed.columns] : placed.measures);
      const groups = [...new Set(this.choices[KIND[zone]].map((c) => c.group))];
      const option = (c: Choice) => h("option", { value: c.name, title: c.about }, words(c.name));
      fill(this.adders[zone], h("option", { value: "" }, "+ add"), ...groups.map((g) => {
        const free = this.choices[KIND[zone]].filter((c) => c.group === g && !used.has(c.name)).map(option);
        return g && free.length ? h("optgroup", { label: g }, ...free) : null;
      }));
    }
    if (focus) this.element.querySelector<HTMLElement>(`[data-chip="${CSS.escape(focus)}"]`)?.focus();
  }

  private zone(zone: ZoneName): HTMLElement {
    const list = (this.lists[zone] = h("ul", { "aria-label": zone }));
    const add = (this.adders[zone] = h("select", {
      "aria-label": `add to ${zone}`, onchange: (e: Event) => this.move((e.target as HTMLSelectElement).value, null, zone, this.placed[zone].length),
    }));
    const place = h("div", { class: "zone", "data-zone": zone, role: "group", "aria-label": zone }, h("span", { class: "zone-name" }, zone), list, add);
    place.addEventListener("dragover", (event) => {
      if (!this.takes(zone)) return;
      event.preventDefault();
      place.classList.add("over");
    });
    place.addEventListener("dragleave", (event) => { if (!place.contains(event.relatedTarget as Element | null)) place.classList.remove("over"); });
    place.addEventListener("drop", (event) => {
      place.classList.remove("over");
      if (!dragged || !this.takes(zone)) return;
      event.preventDefault();
      const after = [...list.children].filter((c) => { const { left, width } = c.getBoundingClientRect(); return event.clientX > left + width / 2; });
      this.move(dragged.name, dragged.from, zone, after.length);
    });
    return place;
  }

  private takes(zone: ZoneName): boolean {
    return dragged !== undefined && this.choices[KIND[zone]].some((c) => c.name === dragged?.name);
  }

  private draggable(element: HTMLElement, name: string, from: ZoneName | null): HTMLElement {
    element.draggable = true;
    element.addEventListener("dragstart", (event) => {
      dragged = { name, from };
      event.dataTransfer?.setData("text/plain", name);
      if (event.dataTransfer) event.dataTransfer.effectAllowed = "move";
    });
    element.addEventListener("dragend", () => { dragged = undefined; });
    return element;
  }

  private field(choice: Choice): HTMLElement {
    return this.draggable(h("span", { class: "chip field", title: choice.about, "data-field": choice.name }, words(choice.name)), choice.name, null);
  }

  private chip(zone: ZoneName, name: string, place: number): HTMLElement {
    const other = zone === "rows" ? "columns" : zone === "columns" ? "rows" : null;
    const keys = `Shift+Left and Shift+Right move it${other ? `, Shift+Down puts it into ${other}` : ""}, Delete takes it away`;
    const chip = h("button", {
      type: "button", class: "chip", "data-chip": `${zone} ${name}`, title: keys, "aria-label": `${words(name)}, ${place + 1} of ${zone}`,
      "aria-keyshortcuts": `Shift+ArrowLeft Shift+ArrowRight ${other ? "Shift+ArrowDown " : ""}Delete`,
      onkeydown: (event: KeyboardEvent) => this.key(event, zone, name, place, other),
    }, words(name));
    const remove = h("button", { type: "button", class: "chip-remove", tabindex: -1, "aria-label": `take ${words(name)} out of ${zone}`, onclick: () => this.move(name, zone, null, 0) }, "×");
    return h("li", {}, this.draggable(chip, name, zone), remove);
  }

  private key(event: KeyboardEvent, zone: ZoneName, name: string, place: number, other: ZoneName | null): void {
    const chips = [...this.lists[zone].querySelectorAll<HTMLElement>(".chip")];
    const step = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
    if (event.shiftKey && step) this.move(name, zone, zone, Math.max(0, place + (step > 0 ? 2 : -1)));
    else if (event.shiftKey && (event.key === "ArrowDown" || event.key === "ArrowUp") && other) {
      this.move(name, zone, other, this.placed[other].length);
      this.element.querySelector<HTMLElement>(`[data-chip="${CSS.escape(`${other} ${name}`)}"]`)?.focus();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.move(name, zone, null, 0);
      (this.lists[zone].querySelector<HTMLElement>(".chip") ?? this.adders[zone]).focus();
    } else if (step) chips[place + step]?.focus();
    else return;
    event.preventDefault();
  }

  /** Takes a name out of a zone and puts it before the `place`-th of another, or nowhere. */
  private move(name: string, from: ZoneName | null, to: ZoneName | null, place: number): void {
    if (!name) return;
    const next: Placed = { rows: [...this.placed.rows], columns: [...this.placed.columns], measures: [...this.placed.measures] };
    let at = place;
    for (const zone of Object.keys(next) as ZoneName[]) {
      const was = next[zone].indexOf(name);
      if (was < 0 || (to && KIND[zone] !== KIND[to]) || (!to && zone !== from)) continue;
      next[zone].splice(was, 1);
      if (zone === to && was < place) at--;
    }
    if (to) next[to].splice(at, 0, name);
    this.said.textContent = to ? `${words(name)} is now number ${Math.min(at, next[to].length - 1) + 1} of ${to}` : `${words(name)} is taken out of ${from}`;
    this.show(next);
    this.changed(next);
  }
}
