// The shell: navigation, the page that is open, the address that says what it shows, and what works on every page.

import { answersShown, shownProblem } from "./asking";
import { Problem } from "./api";
import { tell } from "./dialog";
import { fill, h } from "./dom";
import { act, copyText } from "./exports";
import { words } from "./format";
import type { Opened, Page, View } from "./page";
import { type Command, openHelp, openPalette } from "./palette";
import { PINNED, pinned, unpinned } from "./pin";
import { questions } from "./questions";
import { session } from "./session";
import { State, type Values } from "./state";
import { startTheme, switchTheme, theme } from "./theme";
import { addressOfView, saveView, savedViews, viewsMenu } from "./views";

/** Steps that were taken in this tab, as the history of the browser keeps them. */
const step = (): number => (history.state as { step?: number } | null)?.step ?? 0;

const inField = (target: EventTarget | null) => target instanceof Element && target.closest("input, textarea, select, [contenteditable]") !== null;

export class Shell {
  private readonly main = h("main", { id: "main", tabindex: -1 });
  private readonly said = h("p", { class: "unseen", "aria-live": "polite" });
  private readonly links = new Map<string, HTMLAnchorElement>();
  private readonly undo = h("button", { type: "button", title: "Undo the last step (Ctrl-Z)", onclick: () => this.back() }, "Undo");
  private readonly pin = h("button", { type: "button", onclick: () => this.turnPin() });
  private readonly dark = h("button", { type: "button", onclick: () => this.turnTheme() });
  private open: { page: Page; opened: Promise<Opened> } | undefined;

  constructor(private readonly root: HTMLElement, private readonly pages: readonly Page[]) {}

  start(): void {
    startTheme();
    const items = this.pages.map((page) => {
      const link = h("a", { href: page.name, title: page.about }, page.title);
      this.links.set(page.name, link);
      return h("li", {}, link);
    });
    const { who, banner } = session(() => void this.show());
    fill(this.root,
      h("a", { class: "skip", href: "#main", onclick: (e: Event) => { e.preventDefault(); this.main.focus(); } }, "Skip to the page"),
      h("header", { class: "top" },
        h("a", { class: "brand", href: "./" }, "varlake"), h("nav", { "aria-label": "pages" }, h("ul", {}, ...items)),
        h("div", { class: "tools", role: "group", "aria-label": "tools" },
          h("button", { type: "button", title: "Find a page, a question, a view or a command (Ctrl-K)", onclick: () => this.palette() }, "Find …"),
          viewsMenu(), this.pin, h("button", { type: "button", title: "Copy the link to what is shown", onclick: () => this.copyLink() }, "Copy link"),
          this.undo, this.dark, h("button", { type: "button", title: "Keys (?)", "aria-label": "keys", onclick: () => this.help() }, "?"), who)),
      banner, this.main, this.said, h("p", { id: "told", role: "status" }));
    window.addEventListener("popstate", () => void this.show());
    document.addEventListener("click", (event) => this.follow(event));
    document.addEventListener("keydown", (event) => this.key(event));
    this.showTheme();
    void this.show();
  }

  private commands(): Command[] {
    return [
      { label: "Find a page, a question, a view or a command", kind: "action", keys: "Ctrl-K", run: () => this.palette() },
      { label: "Undo the last step", kind: "action", keys: "Ctrl-Z", about: "back", run: () => this.back() },
      { label: "Redo the step that was undone", kind: "action", keys: "Ctrl-Shift-Z", about: "forward", run: () => history.forward() },
      { label: "Keys", kind: "action", keys: "?", about: "help keyboard shortcuts", run: () => this.help() },
      { label: "Save this view", kind: "action", about: "name keep", run: () => act(saveView) },
      { label: "Copy the link to what is shown", kind: "action", about: "permalink address share", run: () => this.copyLink() },
      { label: this.isPinned() ? "Follow the newest" : "Pin to what the answers were made from", kind: "action", about: "pin unpin versions", run: () => this.turnPin() },
      { label: theme() === "dark" ? "Light colours" : "Dark colours", kind: "action", about: "theme dark light mode", run: () => this.turnTheme() },
    ];
  }

  private palette(): void {
    if (document.querySelector("dialog[open]")) return;
    const pages = this.pages.map((p): Command => ({ label: p.title, kind: "page", about: p.about, run: () => this.go(p.name) }));
    const of = <T>(all: Promise<Iterable<T>>, as: (one: T) => Command) => all.then((found) => Array.from(found, as), () => []);
    const more = Promise.all([
      of(questions().then((q) => q.values()), (q) => ({ label: words(q.name), kind: "question", about: q.meaning, run: () => this.go(`ask?question=${q.name}`) })),
      of(savedViews(), (v) => ({ label: v.name, kind: "view", about: v.page, run: () => this.go(addressOfView(v)) })),
    ]);
    openPalette([...pages, ...this.commands().slice(1)], more.then((found) => found.flat()));
  }

  private help(): void {
    openHelp(this.commands());
  }

  private key(event: KeyboardEvent): void {
    const letter = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && letter === "k") this.palette();
    else if (document.querySelector("dialog[open]") || inField(event.target)) return;
    else if ((event.ctrlKey || event.metaKey) && (letter === "y" || (letter === "z" && event.shiftKey))) history.forward();
    else if ((event.ctrlKey || event.metaKey) && letter === "z") this.back();
    else if (event.key === "?" && !event.ctrlKey && !event.metaKey) this.help();
    else return;
    event.preventDefault();
  }

  private back(): void {
    if (step() > 0) history.back();
    else tell("There is no step to undo.");
  }

  private turnTheme(): void {
    switchTheme();
    this.showTheme();
  }

  private showTheme(): void {
    this.dark.textContent = theme() === "dark" ? "Light" : "Dark";
    this.dark.title = `${this.dark.textContent} colours`;
  }

  private isPinned(): boolean {
    return State.here().one(PINNED) !== null;
  }

  private turnPin(): void {
    const [was, answers, state] = [this.isPinned(), answersShown(), State.here()];
    if (!was && answers.length === 0) return tell("There is no answer to pin yet.");
    this.go(`${location.pathname}?${was ? unpinned(state) : pinned(state, answers)}`);
    tell(was ? "The page follows the newest valuations and data again." : "Pinned: the link shows the same digits later.");
  }

  private showPin(): void {
    this.pin.textContent = this.isPinned() ? "Pinned" : "Pin";
    this.pin.setAttribute("aria-pressed", String(this.isPinned()));
    this.pin.title = this.isPinned()
      ? `Pinned to what was known: ${State.here().one("as_known") ?? "the sets in the address"}. Press to follow the newest.`
      : "Shows the newest. Press to pin the page to what its answers were made from, so that the link shows the same digits later.";
  }

  private copyLink(): void {
    act(() => copyText(location.href, this.isPinned() ? "The link is copied." : "The link is copied; it follows the newest, for it is not pinned."));
  }

  /** A link within the pages changes the page without a reload. */
  private follow(event: MouseEvent): void {
    const link = (event.target as Element).closest?.("a");
    if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.target || link.hasAttribute("download") || link.getAttribute("href")?.startsWith("#")) return;
    const to = new URL(link.href);
    if (to.origin !== location.origin || !to.pathname.startsWith("/app/")) return;
    event.preventDefault();
    this.go(to.href);
  }

  /** Takes a step to an address; one to where the page is already is none. */
  private go(address: string): void {
    if (new URL(address, document.baseURI).href !== location.href) history.pushState({ step: step() + 1 }, "", address);
    void this.show();
  }

  private view(page: Page): View {
    const shell = this;
    return {
      get state() { return State.here(); },
      set(values: Values, how = {}) {
        const address = `/app/${page.name}?${State.here().with(values)}`;
        if (!how.replace) return shell.go(address);
        history.replaceState(history.state, "", address);
        void shell.show();
      },
      go(name: string, values: Values = {}) {
        shell.go(`/app/${name}?${new State(new URLSearchParams()).with(values)}`);
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
    this.undo.disabled = step() === 0;
    this.showPin();
    if (!page) {
      this.close();
      document.title = "No such page – varlake";
      fill(this.main, h("h1", {}, "No such page"), h("p", {}, `There is no page ${name}. Those there are stand above.`));
      return;
    }
    try {
      if (this.open?.page === page) return await (await this.open.opened).update(this.view(page));
      this.close();
      const first = document.title === "varlake";
      document.title = `${page.title} – varlake`;
      // a place of its own: what a page that was left meanwhile still writes is seen by nobody
      const place = h("div", {}, h("p", { class: "loading" }, "Being loaded …"));
      fill(this.main, place);
      if (!first) this.main.focus();
      this.said.textContent = page.title;
      this.open = { page, opened: Promise.resolve(page.open(place, this.view(page))) };
      await this.open.opened;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (this.open?.page !== page) return;
      fill(this.main, h("h1", {}, page.title), shownProblem(error));
      this.open = undefined;
    }
  }

  private close(): void {
    this.open?.opened.then((opened) => opened.close?.(), () => undefined);
    this.open = undefined;
  }
}
