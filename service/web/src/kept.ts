// Texts of a page that are long, or not sent yet. A short one stands in the address; a long one is kept in the tab, and the address has its name.

const PREFIX = "varlake.text ";
/** Characters of texts that an address takes. */
export const MOST_IN_ADDRESS = 4000;

function put(name: string, text: string): boolean {
  try {
    sessionStorage.setItem(PREFIX + name, text);
    return true;
  } catch {
    return false; // the browser's store is full or closed
  }
}

/** A name for a text that another text does not have (FNV-1a, twice 32 bits). */
function nameOf(text: string): string {
  let [one, two] = [0x811c9dc5, 0x01000193];
  for (let i = 0; i < text.length; i++) {
    one = Math.imul(one ^ text.charCodeAt(i), 0x01000193);
    two = Math.imul(two ^ text.charCodeAt(text.length - 1 - i), 0x01000193);
  }
  return [one, two].map((n) => (n >>> 0).toString(16).padStart(8, "0")).join("");
}

/** The texts as the address has them: all as they are where together they are short, else each by its name. */
export function inAddress(texts: readonly string[]): string[] {
  if (texts.reduce((n, t) => n + t.length, 0) <= MOST_IN_ADDRESS) return [...texts];
  return texts.map((text) => (put(nameOf(text), text) ? `kept:${nameOf(text)}` : text));
}

/** The text of a value of the address; null where it was kept in another tab and is not here. */
export function fromAddress(value: string): string | null {
  return value.startsWith("kept:") ? sessionStorage.getItem(PREFIX + value.slice("kept:".length)) : value;
}

/** What a text says as JSON; the text itself where it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

export const isKept = (value: string): boolean => value.startsWith("kept:");

/** What is typed and not sent, by page. */
export const draft = {
  put: (page: string, text: string): void => void put(`draft ${page}`, text),
  get: (page: string): string | null => sessionStorage.getItem(`${PREFIX}draft ${page}`),
  forget: (page: string): void => sessionStorage.removeItem(`${PREFIX}draft ${page}`),
};
