// Tabs, as the WAI-ARIA pattern has them: one in the tab order, the arrows go between them.

import { h } from "./dom";

export interface Tab {
  name: string;
  title: string;
  about: string;
}

let made = 0;

export class Tabs {
  readonly element: HTMLElement;
  /** Where what belongs to the chosen tab is shown. */
  readonly panel: HTMLElement;
  private readonly buttons: HTMLButtonElement[];

  constructor(label: string, private readonly tabs: readonly Tab[], private readonly onchoose: (name: string) => void) {
    const id = `tabs-${++made}`;
    this.buttons = tabs.map((tab) => h("button", {
      type: "button", role: "tab", id: `${id}-${tab.name}`, title: tab.about, "aria-controls": `${id}-panel`, "data-tab": tab.name,
      onclick: () => onchoose(tab.name), onkeydown: (e: KeyboardEvent) => this.key(e),
    }, tab.title));
    this.panel = h("div", { role: "tabpanel", id: `${id}-panel`, class: "tab-panel" });
    this.element = h("div", { class: "tabs" }, h("div", { role: "tablist", "aria-label": label }, ...this.buttons), this.panel);
  }

  /** The tab of this name, or the first, is the chosen one; its name is given back. */
  choose(name: string | null): string {
    const chosen = this.tabs.find((t) => t.name === name) ?? this.tabs[0];
    for (const button of this.buttons) {
      const here = button.dataset.tab === chosen?.name;
      button.setAttribute("aria-selected", String(here));
      button.tabIndex = here ? 0 : -1;
      if (here) this.panel.setAttribute("aria-labelledby", button.id);
    }
    return chosen?.name ?? "";
  }

  /** Puts the focus on the chosen tab. */
  focus(): void {
    this.buttons.find((b) => b.tabIndex === 0)?.focus();
  }

  private key(event: KeyboardEvent): void {
    const at = this.buttons.indexOf(event.currentTarget as HTMLButtonElement);
    const last = this.buttons.length - 1;
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last }[event.key];
    const button = to === undefined ? undefined : this.buttons[to];
    if (!button?.dataset.tab) return;
    event.preventDefault();
    button.focus();
    this.onchoose(button.dataset.tab);
  }
}
