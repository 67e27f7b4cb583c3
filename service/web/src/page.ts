// What a page is to the shell.

import type { State, Values } from "./state";

/** What the shell gives a page: where it is shown, and the one way to change what is shown. */
export interface View {
  readonly state: State;
  /** Goes to the same page with other values; the step can be undone. `replace` makes no step of its own. */
  set(values: Values, how?: { replace?: boolean }): void;
  /** Goes to another page. */
  go(page: string, values?: Values): void;
}

/** A page that is open: told of every change of the state, and of its end. */
export interface Opened {
  update(view: View): void | Promise<void>;
  close?(): void;
}

export interface Page {
  name: string;
  title: string;
  about: string;
  open(place: HTMLElement, view: View): Opened | Promise<Opened>;
}
