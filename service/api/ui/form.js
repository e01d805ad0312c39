// Makes the form of an application from the contract's fields.

import { h } from "./dom.js";
import { keepDraft } from "./drafts.js";
import { createLines, linesHint, readLines, writeLines } from "./lines.js";
import { capital, given, heading, label, number, truth, word } from "./format.js";

const GROUPED = /^-?\d{1,3}(,\d{3})+(\.\d+)?$/;
const PLAIN = /^-?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

/** Returns the number that a text states; the service refuses any other text by its field. */
export function parse(text) {
  const bare = text.replace(/\s/g, "");
  const plain = GROUPED.test(bare) ? bare.replaceAll(",", "") : bare;
  return PLAIN.test(plain) && Number.isFinite(Number(plain)) ? Number(plain) : text;
}

export const isNumber = (field) =>
  !field.constraints?.enum && (field.type === "integer" || field.type === "number");

function choices(field) {
  if (field.constraints?.enum) return field.constraints.enum;
  return field.type === "boolean" ? [true, false] : null;
}

/** Returns one field: its element, and `read`, `write` and `refuse`. */
function createField(field) {
  const id = `field-${field.name}`;
  const options = choices(field);
  const control = field.lines ? createLines(id, field)
    : options ? select(id, field, options) : input(id, field);
  const hint = h("p", { class: "hint", id: `${id}-hint` }, hintText(field));
  const error = h("p", { class: "error", id: `${id}-error` });
  control.setAttribute("aria-describedby", hint.textContent ? `${hint.id} ${error.id}` : error.id);
  const refuse = (message) => {
    error.textContent = message ?? "";
    if (message) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  };
  control.addEventListener("input", () => refuse());
  const element = h("div", { class: "field" },
    h("label", { for: id }, label(field),
      field.constraints?.required ? h("span", { class: "must", "aria-hidden": "true" }, " *") : ""),
    h("div", { class: "control" }, control,
      field.unit ? h("span", { class: "unit" }, field.unit) : ""),
    hint, error);
  return {
    field, element, control, refuse,
    read: () => read(control, field, options),
    write: (value) => write(control, field, options, value),
  };
}

function input(id, field) {
  const digits = isNumber(field) && (field.constraints?.minimum ?? -1) >= 0;
  const node = h("input", {
    id, name: field.name, autocomplete: "off",
    type: field.type === "date" ? "date" : "text",
    inputmode: digits ? (field.type === "integer" ? "numeric" : "decimal") : undefined,
    required: field.constraints?.required,
  });
  if (isNumber(field)) {
    node.addEventListener("change", () => write(node, field, null, parse(node.value.trim())));
  }
  return node;
}

function select(id, field, options) {
  const texts = options.map((option) =>
    option === true ? "Yes" : option === false ? "No" : word(String(option)));
  return h("select", { id, name: field.name, required: field.constraints?.required },
    h("option", { value: "" }, field.constraints?.required ? "Choose…" : "Not given"),
    texts.map((text, index) => h("option", { value: index }, text)));
}

function read(control, field, options) {
  const text = control.value.trim();
  if (field.lines) return readLines(field, text, parse);
  if (text === "") return undefined;
  if (options) return options[Number(text)];
  return isNumber(field) ? parse(text) : text;
}

function write(control, field, options, value) {
  if (field.lines) control.value = writeLines(field, value);
  else if (!given(value)) control.value = "";
  else if (options) control.value = String(options.indexOf(truth(field, value)));
  else control.value = typeof value === "number" ? number(value) : String(value);
}

function hintText(field) {
  if (field.lines) return linesHint(field);
  const { minimum: low, maximum: high } = field.constraints ?? {};
  const bounds = !isNumber(field) ? ""
    : given(low) && given(high) ? `${number(low)} to ${number(high)}`
      : given(low) ? `${number(low)} or more` : given(high) ? `${number(high)} or less` : "";
  return [field.help, bounds].filter(Boolean).join(" · ");
}

/** Returns the whole form; it calls `submit(application)` with the fields that have a value. */
export function createForm(fields, { example, submit, edited }) {
  const parts = fields.map(createField);
  const byName = new Map(parts.map((part) => [part.field.name, part]));
  const summary = h("div", { class: "general", tabindex: "-1" });
  const button = h("button", { type: "submit", class: "primary" }, "Decide");
  const fill = (application) => {
    for (const part of parts) part.write(application[part.field.name]), part.refuse();
    summary.replaceChildren();
    edited();
    draft.save();
  };
  const element = h("form", {
    novalidate: true, "aria-label": "Application", input: edited,
    submit: (event) => { event.preventDefault(); submit(readAll(parts)); },
  },
  h("div", { class: "row start" },
    h("button", { type: "button", class: "quiet", click: () => fill(example) },
      "Fill in an example"),
    h("p", { class: "muted" }, h("span", { class: "must" }, "*"), " must be filled in")),
  summary,
  groups(parts),
  h("div", { class: "actions" }, button,
    h("button", { type: "button", class: "quiet", click: () => fill({}) }, "Clear")));
  const refuse = (errors) => showErrors(errors, byName, summary);
  const draft = keepDraft(element, "application");
  const busy = (state) => {
    if (state) button.setAttribute("aria-busy", "true");
    else button.removeAttribute("aria-busy");
    button.textContent = state ? "Deciding…" : "Decide";
  };
  return { element, fill, refuse, busy, forget: draft.forget };
}

const readAll = (parts) =>
  Object.fromEntries(parts.map((part) => [part.field.name, part.read()])
    .filter(([, value]) => value !== undefined));

function groups(parts) {
  const open = parts.filter((part) => !part.field.protected);
  const tables = [...new Set(open.map((part) => part.field.table))];
  const sets = tables.map((table) => fieldset(
    tables.length > 1 ? heading(table) : "About the application", [],
    open.filter((part) => part.field.table === table)));
  const kept = parts.filter((part) => part.field.protected);
  if (kept.length === 0) return sets;
  const note = "These answers are never used for the decision. The lender checks with them that " +
    "groups are treated alike.";
  return [...sets, fieldset("Recorded for fairness monitoring only", note, kept, "protected")];
}

const fieldset = (legend, note, parts, kind) =>
  h("fieldset", { class: kind }, h("legend", {}, legend),
    note.length ? h("p", { class: "muted" }, note) : "",
    h("div", { class: "fields" }, parts.map((part) => part.element)));

const isMissing = (error, byName) => error.code === "missing" && byName.has(error.field);

/** Shows each error at its field and all of them above the form, and focuses the first field. */
function showErrors(errors, byName, summary) {
  const fields = new Map([...byName].map(([name, part]) => [name, part.field]));
  for (const part of byName.values()) part.refuse();
  const rootOf = ({ field }) => byName.has(field) ? field : field?.replace(/\[.*/, "");
  for (const error of errors) {
    byName.get(rootOf(error))?.refuse(isMissing(error, byName) ? "Fill this in"
      : rootOf(error) === error.field ? sentence(error, fields) : error.message);
  }
  summary.replaceChildren(...(errors.length ? summarise(errors, byName, fields) : []));
  const first = [...byName.values()].find((part) => part.control.hasAttribute("aria-invalid"));
  if (errors.length) (first?.control ?? summary).focus();
}

/** Returns what is wrong, with links to the fields; those that are empty share one sentence. */
function summarise(errors, byName, fields) {
  const link = (name) => {
    const { control, field } = byName.get(name);
    const go = (event) => { event.preventDefault(); control.focus(); };
    return h("a", { href: `#${control.id}`, click: go }, label(field));
  };
  const empty = errors.filter((error) => isMissing(error, byName));
  const rest = errors.filter((error) => !empty.includes(error));
  return [
    h("h2", {}, "Nothing was decided yet"),
    h("ul", {},
      empty.length ? h("li", {}, "Fill in ", empty.map((error, index) =>
        [index ? ", " : "", link(error.field)])) : "",
      rest.map((error) => h("li", {},
        byName.has(error.field) ? [link(error.field), ": "] : "",
        error.field?.includes("[") ? error.message : sentence(error, fields)))),
  ];
}

/** Returns an error's message with fields' titles in place of names, without the first one. */
export function sentence({ field, message }, fields = new Map()) {
  const rest = field && message.startsWith(field) ? message.slice(field.length) : message;
  const text = rest.replace(/^[: ]+/, "").replace(/[\w.]+/g, (part) => {
    if (fields.has(part)) return `“${label(fields.get(part))}”`;
    return /^\d{4,}$/.test(part) ? number(part) : part;
  });
  return capital(text);
}
