// Cells as a spreadsheet gives them to the clipboard, or a file has them: a header, and a row a line.

export interface Sheet {
  header: string[];
  rows: string[][];
}

/** Cells by line. Quotation marks as in RFC 4180; the separator is the one that the first line has most of: tab, semicolon or comma. */
export function cellsOf(text: string): string[][] {
  const first = text.split("\n", 1)[0] ?? "";
  const separator = ["\t", ";", ","].reduce((best, c) => (first.split(c).length > first.split(best).length ? c : best));
  const lines: string[][] = [[]];
  let [cell, quoted] = ["", false];
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') cell += text[++i];
      else quoted = false;
    } else if (c === '"' && cell.trim() === "") [cell, quoted] = ["", true];
    else if (c === separator || c === "\n") {
      lines.at(-1)!.push(cell.trim());
      cell = "";
      if (c === "\n") lines.push([]);
    } else if (c !== "\r") cell += c;
  }
  lines.at(-1)!.push(cell.trim());
  return lines.filter((line) => line.some((value) => value !== ""));
}

/** The text with its first line as the header; throws with what is wrong with it. */
export function sheetOf(text: string): Sheet {
  const [header = [], ...rows] = cellsOf(text.replace(/^\uFEFF/, ""));
  const twice = header.find((name, i) => header.indexOf(name) !== i);
  if (rows.length === 0) throw new Error("Expected a line of column names, such as instrument_type and quantity, and below it a line a trade.");
  if (twice !== undefined) throw new Error(`The column ${twice || "without a name"} stands twice; name every column once.`);
  const wrong = rows.findIndex((row) => row.length > header.length);
  if (wrong >= 0) throw new Error(`Line ${wrong + 2} has ${rows[wrong]!.length} cells, and the header ${header.length}.`);
  return { header, rows };
}
