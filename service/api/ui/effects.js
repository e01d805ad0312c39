// Shows what each fact adds to the score, as a table with bars. The reasons name the same facts.

import { h, hiddenText } from "./dom.js";
import { heading, points, signed, value } from "./format.js";

const SHOWN = 8;

/** Returns a card; `explained` is an answer of `POST /explain`, `fields` the contract's by name. */
export function effectsCard(explained, fields) {
  const sorted = [...explained.contributions]
    .sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution));
  const widest = Math.abs(sorted[0]?.contribution ?? 0) || 1;
  const earned = sorted.reduce((sum, one) => sum + one.points, 0);
  const rows = sorted.map((one) => row(one, fields, widest));
  rows.slice(SHOWN).forEach((node) => { node.hidden = true; });
  return h("section", { class: "card" },
    h("h3", {}, "What changed the score"),
    h("p", { class: "muted" }, "The points that each item adds to the score of an average " +
      "application, or takes from it; beside them the log-odds of default."),
    h("table", { class: "effects" },
      h("thead", {}, h("tr", {},
        h("th", { scope: "col" }, "Item"),
        h("th", { scope: "col", class: "ends" },
          h("span", {}, "← costs"), h("span", {}, "earns →")),
        h("th", { scope: "col", class: "number" }, "Points"),
        h("th", { scope: "col", class: "number odds" }, "Log-odds"))),
      h("tbody", {}, rows),
      h("tfoot", {},
        total("Average application", explained.credit_score - earned, explained.base_value),
        total("This application", explained.credit_score, explained.margin))),
    rows.length > SHOWN ? more(rows.slice(SHOWN)) : "");
}

/** Returns a title as people read it, also where the contract gives none but the field's name. */
const readable = (title, field) => (title === field ? heading(field) : title);

/** Returns the applicant's values of a fact, one a line; those with another title are named. */
function valuesOf({ title, values }, fields) {
  return values.map((one) => {
    const text = value(fields.get(one.field) ?? one, one.value);
    const named = one.title === title ? text : `${readable(one.title, one.field)}: ${text}`;
    return h("span", { class: "muted" }, named);
  });
}

function row(fact, fields, widest) {
  const { title, contribution: odds, points: earned } = fact;
  const share = (50 * Math.abs(odds)) / widest;
  const bar = h("span", {
    class: odds > 0 ? "bar costs" : "bar earns",
    css: { width: `${share}%`, left: odds > 0 ? `${50 - share}%` : "50%" },
  });
  return h("tr", {},
    h("th", { scope: "row" }, title, valuesOf(fact, fields)),
    h("td", { class: "plot" }, bar, hiddenText(odds > 0 ? "costs points" : "earns points")),
    h("td", { class: "number" }, signed(earned, 1)),
    h("td", { class: "number odds" }, signed(odds, 2)));
}

const total = (name, score, odds) => h("tr", {},
  h("th", { scope: "row", colspan: 2 }, name),
  h("td", { class: "number" }, h("b", {}, points(score))),
  h("td", { class: "number odds" }, signed(odds, 2)));

function more(rows) {
  const button = h("button", { type: "button", class: "link", click });
  const say = (open) => {
    button.textContent = open ? "Show fewer" : `Show ${rows.length} more`;
    button.setAttribute("aria-expanded", String(open));
  };
  function click() {
    const open = rows[0].hidden;
    rows.forEach((node) => { node.hidden = !open; });
    say(open);
  }
  say(false);
  return button;
}
