// Whoever uses the pages, and what stands between them and the service: a session that has ended, a connection that is lost.

import { access, network } from "./api";
import { dialog } from "./dialog";
import { h } from "./dom";
import { words } from "./format";
import { menu } from "./menu";

export interface Me { name: string; roles?: string[]; csrf_token?: string | null; fresh_until?: string | null }

const RETRY_MS = 3000;
const USER = "varlake.user";

/** Whether somebody else was signed in in this tab, of whom it then keeps nothing: drafts and receipts are their user's. */
function isAnother(name: string): boolean {
  const before = sessionStorage.getItem(USER);
  const another = before !== null && before !== name;
  if (another) sessionStorage.clear();
  sessionStorage.setItem(USER, name);
  return another;
}

/** Whoever is signed in; null in single-user mode, where there is nobody to tell apart. "out" where nobody is signed in. */
export async function whoami(): Promise<Me | "out" | null> {
  const response = await fetch("/api/v1/me", { credentials: "same-origin", headers: { Accept: "application/json" } });
  if (response.status === 401) return "out";
  if (!response.ok) return null;
  const me = await response.json() as Me;
  if (isAnother(me.name)) location.reload(); // what stands on the page is the other's too
  access.csrf = me.csrf_token ?? "";
  return me;
}

let asking: Promise<boolean> | undefined;

/** Asks to sign in in another tab, while the page stays as it is; several requests that wait for it share one dialog. */
function signIn(changed: () => void, again: boolean): Promise<boolean> {
  return (asking ??= new Promise<boolean>((done) => {
    let signedIn = false;
    const still = h("p", { class: "fault", role: "alert" });
    const look = async (told: boolean) => {
      const me = await whoami().catch(() => "out" as const);
      signedIn = me !== "out" && !(again && me?.fresh_until && new Date(me.fresh_until) < new Date());
      if (signedIn) asked.close();
      else if (told) still.textContent = again && me !== "out" ? "You have not signed in again yet." : "You are not signed in yet.";
    };
    const came = () => void look(false);
    const asked = dialog("Sign in", h("h2", {}, "Sign in to go on"),
      h("p", {}, again
        ? "What you are about to do gives rights, and you signed in some time ago. Sign in once more in another tab and come back: what you have typed is still here."
        : "Your session has ended, or nobody is signed in. Sign in in another tab and come back: what you have typed is still here."), still,
      h("p", { class: "actions" }, h("a", { class: "button primary", href: again ? "/sign-in?again=true" : "/sign-in", target: "_blank" }, "Sign in"),
        h("button", { type: "button", onclick: () => void look(true) }, "Go on"),
        h("button", { type: "button", onclick: () => asked.close() }, "Not now")));
    window.addEventListener("focus", came);
    asked.addEventListener("close", () => {
      window.removeEventListener("focus", came);
      asking = undefined;
      if (signedIn) changed();
      done(signedIn);
    });
  }));
}

/** Who is signed in, and the way out: what this tab has kept is the user's, and goes with the user. */
function userMenu({ name, roles = [] }: Me, csrf: string): HTMLElement {
  return menu(name, () => [
    h("p", { class: "faint" }, roles.map(words).join(", ")),
    h("form", { method: "post", action: "/sign-out", onsubmit: () => sessionStorage.clear() },
      h("input", { type: "hidden", name: "csrf_token", value: csrf }), h("button", { type: "submit" }, "Sign out")),
  ]);
}

/** The place that says who is signed in, kept up to date. `back` is called when the service is reached again. */
export function session(back: () => void): { who: HTMLElement; banner: HTMLElement } {
  const who = h("span", { class: "who" });
  const banner = h("div", { class: "banner", role: "alert", hidden: true });
  const update = async () => {
    const me = await whoami().catch(() => null);
    if (me === "out") who.replaceChildren(h("a", { href: `/sign-in?${new URLSearchParams({ next: location.pathname + location.search })}` }, "Sign in"));
    else who.replaceChildren(...(me?.csrf_token ? [userMenu(me, me.csrf_token)] : []));
  };
  access.signIn = (again) => signIn(() => void update(), again);

  let timer = 0;
  const retry = async () => {
    clearTimeout(timer);
    try {
      await fetch("/api/v1/health", { cache: "no-store" });
      found();
    } catch {
      timer = window.setTimeout(() => void retry(), RETRY_MS);
    }
  };
  const found = () => {
    if (banner.hidden) return;
    clearTimeout(timer);
    banner.hidden = true;
    back();
  };
  network.addEventListener("lost", () => {
    banner.replaceChildren("The connection to varlake is lost. What you have typed is kept. ",
      h("button", { type: "button", onclick: () => void retry() }, "Try again"));
    banner.hidden = false;
    timer = window.setTimeout(() => void retry(), RETRY_MS);
  });
  network.addEventListener("found", found);
  access.known = update();
  return { who, banner };
}
