// Requests to the API. What goes wrong is a `Problem`, as the API says it (RFC 9457).

export type Row = Record<string, unknown>;
export interface Fault { pointer: string; message: string; value?: unknown; allowed?: string[] | null }

/** An answer of a question: rows (a backtest has nodes in their place), what they cover (of two points one after the other), notes a reader must know of, and the receipt. */
export interface Answer {
  rows: Row[];
  notes?: string[];
  receipt: Row;
  coverage?: Row | Row[];
  total?: Row;
  [more: string]: unknown;
}

export class Problem extends Error {
  constructor(
    readonly status: number, readonly kind: string, readonly title: string, detail: string,
    readonly faults: readonly Fault[] = [], readonly errorId = "",
  ) {
    super(detail);
  }

  /** Whether a valuation is missing, which the plan of the question names. */
  get notValued(): boolean {
    return this.kind === "urn:varlake:problem:not-valued";
  }

  /** Whether the question takes longer than a request may. */
  get outOfTime(): boolean {
    return ["urn:varlake:problem:out-of-time", "urn:varlake:problem:too-much"].includes(this.kind);
  }

  /** Whether whoever asks is signed in, and has to show it once more: what is asked gives rights. */
  get notFresh(): boolean {
    return this.kind === "urn:varlake:problem:not-fresh";
  }

  /** Whether whoever asks has to sign in (again). */
  get signedOut(): boolean {
    return this.status === 401;
  }
}

const PREFIX = "/api/v1";

/** Whether the service is reached: events `lost` and `found`. */
export const network = new EventTarget();
let reached = true;

function tellReached(now: boolean): void {
  if (reached === now) return;
  reached = now;
  network.dispatchEvent(new Event(now ? "found" : "lost"));
}

/**
 * What stands between a request and the service, set by the shell. signIn : asks to sign in, or to do so once more; true once that is done.
 * csrf : what a request that may change something shows of its session, once it is `known` who asks.
 */
export const access: { signIn: (again: boolean) => Promise<boolean>; csrf: string; known: Promise<unknown> } = { signIn: async () => false, csrf: "", known: Promise.resolve() };

async function problemOf(response: Response): Promise<Problem> {
  try {
    const p = await response.json();
    return new Problem(response.status, p.type, p.title, p.detail, p.errors ?? [], p.error_id);
  } catch {
    return new Problem(response.status, "", "No answer that can be read", `The service answered ${response.status} ${response.statusText}.`);
  }
}

/**
 * The response, whatever its type; a `Problem` where it is none of success, or where the service is not reached.
 * Where a session has ended, whoever asks is asked to sign in, and then the request is sent again as it was.
 */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await sent(path, init);
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (problem.signedOut && await access.signIn(problem.notFresh)) return request(path, init);
  throw problem;
}

async function sent(path: string, init: RequestInit): Promise<Response> {
  if (init.method) await access.known;
  const headers = { "X-Requested-With": "varlake", ...(access.csrf && { "X-CSRF-Token": access.csrf }), ...init.headers };
  try {
    const response = await fetch(PREFIX + path, { credentials: "same-origin", ...init, headers });
    tellReached(true);
    return response;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    tellReached(false);
    throw new Problem(0, "", "The service is not reached", "The connection to varlake is lost. What you have typed is kept; try again.");
  }
}

const texts = new WeakMap<object, string>();

async function read<T>(response: Response): Promise<T> {
  const text = await response.text();
  const value = JSON.parse(text) as T;
  if (typeof value === "object" && value !== null) texts.set(value, text);
  return value;
}

/** The JSON that a value was read from. Its numbers stand as the service wrote them: written anew 5.0 is 5, and a receipt altered. */
export function textOf(value: object): string {
  return texts.get(value) ?? JSON.stringify(value);
}

const { rawJSON } = JSON as unknown as { rawJSON?: (text: string) => unknown };

/** A part of what was read, with its own JSON. */
export function partOf<T extends object>(value: object, name: string): T {
  const exact = (_key: string, v: unknown, { source }: { source?: string } = {}) => (typeof v === "number" && rawJSON && source ? rawJSON(source) : v);
  const text = JSON.stringify((JSON.parse(textOf(value), exact as (key: string, v: unknown) => unknown) as Row)[name]);
  const part = JSON.parse(text) as T;
  texts.set(part, text);
  return part;
}

export async function get<T = Row>(path: string, parameters?: URLSearchParams, signal?: AbortSignal): Promise<T> {
  const query = parameters?.toString();
  const response = await request(query ? `${path}?${query}` : path, { headers: { Accept: "application/json" }, signal });
  return read<T>(response);
}

export async function send<T = Row>(method: "POST" | "DELETE" | "PUT" | "PATCH", path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const json = body === undefined ? {} : { body: JSON.stringify(body) };
  const headers = { Accept: "application/json", "Content-Type": "application/json" };
  const response = await request(path, { method, headers, signal, ...json });
  return response.status === 204 ? (null as T) : read<T>(response);
}
