// What a page shows is what its address says: a view is its address, so that it can be kept, sent on, and gone back from.

export type Values = Record<string, string | readonly string[] | null | undefined>;

/** The parameters of the address, in the order of the address. */
export class State {
  constructor(private readonly parameters: URLSearchParams) {}

  static here(): State {
    return new State(new URLSearchParams(location.search));
  }

  one(name: string): string | null {
    return this.parameters.get(name);
  }

  all(name: string): string[] {
    return this.parameters.getAll(name);
  }

  /** The parameters of these names alone: those of a question, out of those of the page. */
  only(names: Iterable<string>): URLSearchParams {
    const wanted = new Set(names);
    return new URLSearchParams([...this.parameters].filter(([name]) => wanted.has(name)));
  }

  /** The same state with other values; null takes a parameter away. */
  with(values: Values): State {
    const next = new URLSearchParams(this.parameters);
    for (const [name, value] of Object.entries(values)) {
      next.delete(name);
      for (const one of value == null ? [] : typeof value === "string" ? [value] : value) next.append(name, one);
    }
    return new State(next);
  }

  toString(): string {
    return this.parameters.toString();
  }
}
