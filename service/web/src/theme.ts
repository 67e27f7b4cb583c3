// Dark and light: as the system has it, until somebody chooses; the choice is kept.

export type Theme = "light" | "dark";

const KEY = "varlake.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** Told of every change, as an event `change`: what draws by itself follows it. */
export const themes = new EventTarget();

export function theme(): Theme {
  return document.documentElement.dataset.theme === "dark" ? "dark" : "light";
}

function follow(): void {
  const chosen = localStorage.getItem(KEY);
  document.documentElement.dataset.theme = chosen === "dark" || chosen === "light" ? chosen : system.matches ? "dark" : "light";
  themes.dispatchEvent(new Event("change"));
}

/** The other one; what the system has is followed again where that is chosen. */
export function switchTheme(): void {
  const next: Theme = theme() === "dark" ? "light" : "dark";
  if ((next === "dark") === system.matches) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, next);
  follow();
}

export function startTheme(): void {
  system.addEventListener("change", follow);
  window.addEventListener("storage", follow);
  follow();
}
