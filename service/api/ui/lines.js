// The lines of a history on the form: a table as text, as a spreadsheet copies it.

import { h } from "./dom.js";
import { number } from "./format.js";

const TRUTHS = { true: true, yes: true, 1: true, false: false, no: false, 0: false };

/** Returns the control in which lines are pasted. */
export function createLines(id, field) {
  return h("textarea", {
    id, name: field.name, rows: 5, spellcheck: "false", autocomplete: "off",
    placeholder: field.lines.map((part) => part.name).join("\t"),
  });
}

export const linesHint = (field) =>
  "Paste a table from a spreadsheet, with a row of names: " +
  `${field.lines.map((part) => part.name).join(", ")}. ${emptyHint(field)} ` +
  `At most ${number(field.max_lines)}; lines count where ${field.date} is before the decision.`;

const emptyHint = ({ asked_by: keys }) => keys.length
  ? `Leave it empty to have the lines of “${keys.join(", ")}” looked up; a row of names alone says ` +
    "that there are none."
  : "Leave it empty where there are no lines.";

/** Returns the lines that a text states; the service refuses what is wrong by line and name. */
export function readLines(field, text, parse) {
  const rows = text.split(/\r?\n/).filter((row) => row.trim() !== "");
  if (rows.length === 0) return field.optional || field.asked_by.length ? undefined : [];
  const delimiter = ["\t", ";"].find((sign) => rows[0].includes(sign)) ?? ",";
  const cells = (row) => row.split(delimiter).map((cell) => cell.trim().replace(/^"(.*)"$/, "$1"));
  const names = cells(rows[0]).map((name) => find(field, name));
  return rows.slice(1).map((row) => Object.fromEntries(cells(row)
    .map((cell, place) => [names[place] ?? `column ${place + 1}`, cell])
    .filter(([, cell]) => cell !== "")
    .map(([name, cell]) => [name, typed(field.lines.find((p) => p.name === name), cell, parse)])));
}

/** Returns lines as the text that is pasted. */
export function writeLines(field, lines) {
  if (!lines?.length) return "";
  const names = field.lines.map((part) => part.name);
  const rows = lines.map((line) => names.map((name) => line[name] ?? "").join("\t"));
  return [names.join("\t"), ...rows].join("\n");
}

function find(field, name) {
  const same = (word) => word?.toLowerCase() === name.toLowerCase();
  return field.lines.find((part) => same(part.name) || same(part.title))?.name ?? name;
}

function typed(part, cell, parse) {
  const options = part?.constraints?.enum;
  if (options) return options.find((option) => String(option) === cell) ?? cell;
  if (part?.type === "boolean") return TRUTHS[cell.toLowerCase()] ?? cell;
  return part?.type === "integer" || part?.type === "number" ? parse(cell) : cell;
}
