// Lists and searches recent decisions.

import { logs } from "./api.js";
import { badge } from "./decision.js";
import { byId, h } from "./dom.js";
import { percent, points, value, when } from "./format.js";

const PAGE = 20;
const PAUSE = 250;
const FILTERS = { "": "All", refer: "Referred", approve: "Approved", decline: "Declined" };

export function createRecent(fields, failed) {
  const state = { text: "", decision: "", before: null };
  let running;
  let timer;
  const list = h("ul", { class: "log" });
  const status = h("p", { class: "muted", role: "status" });
  const older = h("button", { type: "button", class: "quiet", click: () => load(false) }, "Older");
  const input = h("input", {
    id: "search", type: "search", autocomplete: "off", "aria-describedby": "search-hint",
    input: () => {
      state.text = input.value.trim();
      clearTimeout(timer);
      timer = setTimeout(() => load(true), PAUSE);
    },
  });
  const filters = h("fieldset", { class: "choices" },
    h("legend", { class: "hidden-text" }, "Decision"),
    Object.entries(FILTERS).map(([name, text]) => h("label", { class: "choice" },
      h("input", {
        type: "radio", name: "filter", value: name, checked: name === "",
        change: () => { state.decision = name; load(true); },
      }), text)));
  byId("recent-body").replaceChildren(
    h("div", { class: "row search" },
      h("label", { for: "search" }, "Search"), input, filters,
      h("button", { type: "button", class: "quiet", click: () => load(true) }, "Refresh")),
    h("p", { class: "hint", id: "search-hint" },
      "Enter a rating, or at least three letters of a recorded value, reason or identifier."),
    status, list, older);

  async function load(anew) {
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    const search = [state.decision, state.text].filter(Boolean).join(" ");
    try {
      const page = await logs({ limit: PAGE, before: anew ? null : state.before, search }, signal);
      const items = page.records.map((record) => item(record, fields));
      if (anew) list.replaceChildren(...items);
      else list.append(...items);
      state.before = page.next_before;
      older.hidden = !page.next_before;
      status.textContent = said(list.children.length, search, page.next_before);
    } catch (problem) {
      if (!signal.aborted) failed(problem, () => load(anew));
    }
  }
  return { load: () => load(true) };
}

function said(count, search, further) {
  const noun = count === 1 ? "decision" : "decisions";
  if (count) return `${count} ${noun}${further ? ", and older ones" : ""}`;
  if (further) return "No match among the latest decisions; search earlier ones with “Older”.";
  if (search) return "No decision fits the search.";
  return "No decision has been recorded yet.";
}

function item(record, fields) {
  const [changed] = record.overrides;
  const then = changed
    ? h("span", { class: "then" }, "then ", badge(changed.decision), ` by ${changed.author}`)
    : "";
  return h("li", {}, h("a", { href: `#/decision/${record.id}` },
    badge(record.decision),
    h("span", { class: "about" }, summary(record.application, fields), then),
    h("span", { class: "figure" }, h("b", {}, percent(record.default_probability)), " PD"),
    h("span", { class: "figure" }, h("b", {}, points(record.credit_score)), ` · ${record.rating}`),
    h("time", { datetime: record.time, class: "muted" }, when(record.time))));
}

/** Returns the first fields of an application, by which it can be recognised. */
const summary = (application, fields) =>
  [...fields.values()].filter((field) => !field.protected && application[field.name] !== undefined)
    .slice(0, 3).map((field) => value(field, application[field.name])).join(" · ");
