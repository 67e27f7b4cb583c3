// Figures as people read them. The figures themselves are the server's: nothing here adds up.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 6 });

/** A figure: amounts of a thousand and more without decimals; what is missing as a dash, never as zero. */
export function figure(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0"; // minus zero too
  if (typeof value === "number") return Math.abs(value) >= 1000 ? whole.format(value) : fine.format(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });

/** A figure for the axis of a picture: 12.3M. */
export function short(value: number): string {
  return compact.format(value);
}

/** A name of a column or parameter in words. */
export function words(name: string): string {
  return name.replace(/^attribute\./, "").replaceAll("_", " ").replaceAll("-", " ");
}
