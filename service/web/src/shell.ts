// The shell: navigation, the page that is open, and the address that says what it shows.

import { shownProblem } from "./asking";
import { Problem } from "./api";
import { fill, h } from "./dom";
import type { Opened, Page, View } from "./page";
import { State, type Values } from "./state";

export class Shell {
  private readonly main = h("main", { id: "main", tabindex: -1 });
  private readonly links = new Map<string, HTMLAnchorElement>();
  private open: { page: Page; opened: Opened } | undefined;

  constructor(private readonly root: HTMLElement, private readonly pages: readonly Page[]) {}

  start(): void {
    const items = this.pages.map((page) => {
      const link = h("a", { href: page.name, title: page.about }, page.title);
      this.links.set(page.name, link);
      return h("li", {}, link);
    });
    fill(this.root,
      h("a", { class: "skip", href: "#main" }, "Skip to the page"),
      h("header", { class: "top" }, h("a", { class: "brand", href: "./" }, "varlake"), h("nav", { "aria-label": "pages" }, h("ul", {}, ...items))),
      this.main);
    window.addEventListener("popstate", () => void this.show());
    document.addEventListener("click", (event) => this.follow(event));
    void this.show();
  }

  /** A link within the pages changes the page without a reload. */
  private follow(event: MouseEvent): void {
    const link = (event.target as Element).closest?.("a");
    if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || link.target) return;
    const to = new URL(link.href);
    if (to.origin !== location.origin || !to.pathname.startsWith("/app/") || link.getAttribute("href")?.startsWith("#")) return;
    event.preventDefault();
    history.pushState(null, "", to);
    void this.show();
  }

  private view(page: Page): View {
    const shell = this;
    return {
      get state() { return State.here(); },
      set(values: Values, how = {}) {
        const address = `/app/${page.name}?${State.here().with(values)}`;
        if (how.replace) history.replaceState(null, "", address);
        else history.pushState(null, "", address);
        void shell.show();
      },
      go(name: string, values: Values = {}) {
        history.pushState(null, "", `/app/${name}?${new State(new URLSearchParams()).with(values)}`);
        void shell.show();
      },
    };
  }

  private async show(): Promise<void> {
    const name = location.pathname.replace(/^\/app\/?/, "").split("/")[0] || this.pages[0]?.name;
    const page = this.pages.find((p) => p.name === name);
    for (const [linked, link] of this.links) {
      if (linked === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (!page) {
      this.close();
      fill(this.main, h("h1", {}, "No such page"), h("p", {}, `There is no page ${name}. Those there are stand above.`));
      return;
    }
    document.title = `${page.title} – varlake`;
    try {
      if (this.open?.page === page) await this.open.opened.update(this.view(page));
      else {
        this.close();
        fill(this.main, h("p", { class: "loading" }, "Being loaded …"));
        this.open = { page, opened: await page.open(this.main, this.view(page)) };
      }
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      fill(this.main, h("h1", {}, page.title), shownProblem(error));
      this.open = undefined;
    }
  }

  private close(): void {
    this.open?.opened.close?.();
    this.open = undefined;
  }
}
