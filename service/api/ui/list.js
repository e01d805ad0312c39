// Lists decisions page by page: the queue of open referrals, and all decisions.

import { badge } from "./decision.js";
import { byId, h, icon } from "./dom.js";
import { percent, points, value, when } from "./format.js";

const PAGE = 20;
const PAUSE = 250;
const DECISIONS = { "": "All", refer: "Referred", approve: "Approved", decline: "Declined" };

/** Makes a list in the element `place`; `fetchPage(query, signal)` gives a page of it.
 *
 * A page has `records`, `next`, the cursor of the page after it, and a text `about` the list.
 */
export function createList(place, { fetchPage, fields, ratings, byDecision, further, none, failed }) {
  const query = {};
  let running;
  let timer;
  let next = null;
  const list = h("ul", { class: "log" });
  const status = h("p", { class: "muted", role: "status" });
  const more = h("button", { type: "button", class: "quiet", click: () => load(false) }, further);
  const set = (name, pause = 0) => (event) => {
    query[name] = event.target.value.trim();
    clearTimeout(timer);
    timer = setTimeout(() => load(true), pause);
  };
  const field = (name, text, control) => {
    control.setAttribute("id", `${place}-${name}`);
    return h("div", { class: "field" }, h("label", { for: control.id }, text), control);
  };
  const search = h("input", {
    id: `${place}-search`, type: "search", autocomplete: "off",
    "aria-describedby": `${place}-hint`, input: set("search", PAUSE),
  });
  const decisions = h("fieldset", { class: "choices" },
    h("legend", { class: "hidden-text" }, "Final decision"),
    Object.entries(DECISIONS).map(([name, text]) => h("label", { class: "choice" },
      h("input", { type: "radio", name: "filter", value: name, checked: name === "",
        change: set("decision") }), text)));
  const rating = h("select", { change: set("rating") },
    h("option", { value: "" }, "All"), ratings.map((name) => h("option", {}, name)));
  const body = [
    h("div", { class: "row search" },
      h("label", { for: search.id }, "Search"), search, byDecision ? decisions : "",
      h("button", { type: "button", class: "quiet", click: () => load(true) }, "Refresh")),
    h("p", { class: "hint", id: `${place}-hint` }, "A rating, or at least three letters of a " +
      "value, an application number, a reason, a name or a note."),
    h("details", {}, h("summary", {}, "Filters"), h("div", { class: "fields" },
      field("rating", "Rating", rating),
      field("officer", "Officer", h("input", { autocomplete: "off", input: set("officer", PAUSE) })),
      field("since", "From", h("input", { type: "date", change: set("since") })),
      field("until", "To", h("input", { type: "date", change: set("until") })))),
    status, list, more,
  ];

  async function load(anew) {
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    const wanted = Object.entries(query).filter(([, text]) => text);
    try {
      const page = await fetchPage(
        { limit: PAGE, next: anew ? null : next, ...Object.fromEntries(wanted) }, signal);
      const items = page.records.map((record) => item(record, fields));
      if (anew) list.replaceChildren(...items);
      else list.append(...items);
      next = page.next;
      more.hidden = !next;
      status.textContent = said(list.children.length, { page, wanted, further, none });
    } catch (problem) {
      if (!signal.aborted) failed(problem, () => load(anew));
    }
  }
  return {
    show: () => { byId(place).replaceChildren(...body); return load(true); },
    hide: () => byId(place).replaceChildren(),
  };
}

function said(count, { page, wanted, further, none }) {
  const all = page.about ?? "";
  if (count) return `${count} shown${page.next ? `; “${further}” shows more` : ""}${all}`;
  if (page.next) return `No match so far; “${further}” goes on.`;
  return wanted.length ? `No decision fits the search.${all}` : none;
}

function item(record, fields) {
  const [last] = record.overrides.slice(-1);
  const about = last
    ? `referred, then decided by ${last.author}${last.approver ? ` and ${last.approver}` : ""}`
    : record.pending ? `${record.pending.author} proposes to ${record.pending.decision}` : "";
  return h("li", {}, h("a", { href: `#/decision/${record.id}` },
    badge(record.final_decision),
    h("span", { class: "about" },
      record.reference ? h("b", {}, `${record.reference} · `) : "",
      record.erased ? "Erased" : summary(record.application, fields),
      about ? h("span", { class: "then" }, record.pending ? icon("warn") : "", about) : ""),
    h("span", { class: "figure" }, h("b", {}, percent(record.default_probability)), " PD"),
    h("span", { class: "figure" }, h("b", {}, points(record.credit_score)), ` · ${record.rating}`),
    h("time", { datetime: record.time, class: "muted" }, when(record.time))));
}

/** Returns the first fields of an application, by which it can be recognised. */
const summary = (application, fields) =>
  [...fields.values()].filter((field) => !field.protected && application[field.name] !== undefined)
    .slice(0, 3).map((field) => value(field, application[field.name])).join(" · ");
