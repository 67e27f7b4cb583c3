// What is typed and not yet sent outlives a reload and a session that ends: it is kept for as long as the tab is open.

type Field = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

const PREFIX = "varlake.draft ";

function read(key: string): Record<string, string> {
  try {
    return JSON.parse(sessionStorage.getItem(PREFIX + key) ?? "{}") as Record<string, string>;
  } catch {
    return {};
  }
}

const isBox = (field: Field): field is HTMLInputElement => field instanceof HTMLInputElement && field.type === "checkbox";

/** Keeps what is typed into the fields of a form, by the names of the fields; `key` is the form's own on its page. */
export class Draft {
  private readonly key: string;

  constructor(key: string) {
    this.key = `${location.pathname} ${key}`;
  }

  /** Puts into the fields what was typed and not sent, and keeps what is typed from now on. True where something was put back. */
  keep(fields: Iterable<Field>): boolean {
    const kept = read(this.key);
    let found = false;
    for (const field of fields) {
      const text = kept[field.name];
      if (text !== undefined) {
        if (isBox(field)) field.checked = text === "true";
        else field.value = text;
        found = true;
      }
      field.addEventListener("input", () => this.put(field));
    }
    return found;
  }

  /** Names of the fields with something that was not sent. */
  names(): Set<string> {
    return new Set(Object.keys(read(this.key)));
  }

  private put(field: Field): void {
    const kept = { ...read(this.key), [field.name]: isBox(field) ? String(field.checked) : field.value };
    try {
      sessionStorage.setItem(PREFIX + this.key, JSON.stringify(kept));
    } catch {
      // the browser's store is full or closed: the text stays in its field
    }
  }

  /** What was typed has been sent, or is not wanted. */
  forget(): void {
    sessionStorage.removeItem(PREFIX + this.key);
  }
}
