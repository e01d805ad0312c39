// Shows what would change the decision, and sliders for other values; nothing is recorded.

import { explain } from "./api.js";
import { badge } from "./decision.js";
import { h } from "./dom.js";
import { given, label, percent, points, value } from "./format.js";
import { isNumber, sentence } from "./form.js";

const PAUSE = 200;

/** Returns a slider's minimum, maximum and step: round numbers within the contract's bounds. */
export function range(field, now) {
  const { minimum, maximum } = field.constraints ?? {};
  const usual = Math.max(Math.abs(now), Math.abs(Number(field.example) || 0));
  const reach = Math.max(20, 3 * usual);
  const top = Math.min(given(maximum) ? maximum : Infinity, reach);
  const bottom = given(minimum) ? minimum : now < 0 ? -reach : 0;
  const fine = 10 ** (Math.floor(Math.log10(Math.max(1, top - bottom))) - 2);
  const step = field.type === "integer" ? Math.max(1, fine) : fine;
  const first = Math.ceil(bottom / step) * step;
  return { min: Math.min(first, now), max: top, step };
}

export function whatIfCard({ application, decided, explained, fields, use, failed }) {
  const numeric = [...fields.values()].filter((field) =>
    isNumber(field) && !field.protected && given(application[field.name]));
  const outcome = h("div", { class: "outcome", role: "status" });
  const trial = createTrial(application, outcome, { decided, fields, failed });
  const sliders = new Map(numeric.map((field) =>
    [field.name, slider(field, application[field.name], trial.change)]));
  const attempt = (changes) => {
    reset();
    for (const { field, to } of changes) {
      trial.change(field, to);
      sliders.get(field)?.show(to);
    }
    outcome.scrollIntoView({ block: "center" });
  };
  function reset() {
    trial.reset();
    for (const [name, one] of sliders) one.show(application[name]);
  }
  const elements = (list) => list.map((field) => sliders.get(field.name).element);
  const main = numeric.filter((field) => field.actionable);
  const rest = numeric.filter((field) => !field.actionable);
  return [
    decided.decision === "approve" ? ""
      : changesCard(explained.what_would_change_it, fields, attempt),
    h("section", { class: "card whatif" },
      h("h3", {}, "What if?"),
      h("p", { class: "muted" }, "Try other values. Nothing here is recorded."),
      outcome,
      elements(main),
      rest.length ? further(elements(rest), main.length) : "",
      h("div", { class: "row" },
        h("button", { type: "button", class: "quiet", click: reset }, "Back to the application"),
        h("button", { type: "button", class: "quiet", click: () => use(trial.values()) },
          "Use in the form"))),
  ];
}

const further = (sliders, before) => h("details", { open: before === 0 },
  h("summary", {}, before ? `${sliders.length} more fields` : "Fields"), sliders);

function slider(field, now, change) {
  const id = `what-if-${field.name}`;
  const output = h("output", { for: id });
  const control = h("input", {
    id, type: "range", ...range(field, now),
    input: () => {
      const next = Number(Number(control.value).toPrecision(12));
      show(next);
      change(field.name, next);
    },
  });
  const show = (amount) => {
    control.value = amount;
    output.textContent = value(field, amount);
    output.classList.toggle("changed", amount !== now);
    control.setAttribute("aria-valuetext", output.textContent);
  };
  show(now);
  return { show, element: h("div", { class: "slider" },
    h("label", { for: id }, label(field)), output, control) };
}

/** Requests an explanation of the changed application after a pause; shows the last answer only. */
function createTrial(application, outcome, { decided, fields, failed }) {
  let changes = {};
  let timer;
  let running;
  const values = () => ({ ...application, ...changes });
  const show = (answer) => outcome.replaceChildren(...result(answer, decided));
  const ask = async () => {
    running = new AbortController();
    const { signal } = running;
    try {
      show(await explain(values(), signal));
    } catch (problem) {
      if (signal.aborted) return;
      if (!problem.isRefusal) failed(problem, ask);
      else {
        const told = problem.errors.map((error) => sentence(error, fields)).join(" ");
        outcome.replaceChildren(h("p", { class: "error" }, told));
      }
    }
  };
  const change = (name, next) => {
    changes[name] = next;
    clearTimeout(timer);
    running?.abort();
    timer = setTimeout(ask, PAUSE);
  };
  const reset = () => {
    changes = {};
    clearTimeout(timer);
    running?.abort();
    show(decided);
  };
  show(decided);
  return { change, reset, values };
}

function result(answer, decided) {
  const shift = 100 * (answer.default_probability - decided.default_probability);
  const text = shift === 0 ? "as decided"
    : `PD ${shift < 0 ? "lower" : "higher"} by ${Math.abs(shift).toFixed(1)} percentage points`;
  return [badge(answer.decision),
    h("span", {}, h("b", {}, percent(answer.default_probability)), " PD"),
    h("span", {}, h("b", {}, points(answer.credit_score)), " points"),
    h("span", {}, h("b", {}, answer.rating), " rating"),
    h("span", { class: "muted" }, text)];
}

function changesCard({ statement, ways }, fields, attempt) {
  return h("section", { class: "card changes" },
    h("h3", {}, "What would change it"),
    h("p", {}, statement),
    ways.length === 0 ? "" : h("ul", {}, ways.map((way) => h("li", {},
        h("span", {},
          way.changes.map((change, index) => [index ? ", and " : "", words(change, fields, way.changes.length > 1)]),
          h("span", { class: "muted" },
            ` (PD ${percent(way.default_probability)}, ${points(way.credit_score)} points)`)),
        h("button", { type: "button", class: "quiet", click: () => attempt(way.changes) },
          "Try it")))));
}

/** Returns a change in words; the limit of one of two holds while the other is as stated. */
function words({ field: name, from, to, until }, fields, isOfTwo) {
  const field = fields.get(name);
  const end = until === null ? "" : until === to ? " (exactly)" : ` (no further than ${value(field, until)}${isOfTwo ? " with the other as stated" : ""})`;
  return [label(field), ": ", h("b", {}, value(field, to)), " instead of ", value(field, from), end];
}
