// Shows which decisions were made about a case before, so that nobody asks until it is approved.

import { caseDecisions } from "./api.js";
import { badge } from "./decision.js";
import { h } from "./dom.js";
import { when } from "./format.js";

/** Returns a note about the earlier decisions of an answer's case; "" where there are none. */
export function caseNote(described, reference) {
  if (!described || described.earlier.length === 0) return "";
  const { number, earlier } = described;
  return h("section", { class: "card case", role: "note" },
    h("h3", {}, `Decision ${number} about ${reference}`),
    h("p", { class: "muted" }, number > earlier.length + 1
      ? `The newest ${earlier.length} of the ${number - 1} before it:` : "Decided before:"),
    h("ul", {}, earlier.map(item)));
}

const item = ({ prediction_id: id, timestamp, decision, final }) => h("li", {},
  badge(decision), final ? [" then ", badge(final)] : "", " ",
  h("a", { href: `#/decision/${id}` }, h("time", { datetime: timestamp }, when(timestamp))));

/** Puts the other decisions of a recorded decision's case into a place. */
export async function showCase(place, { reference, id }) {
  if (!reference) return;
  const { records } = await caseDecisions(reference);
  const number = records.length - records.findIndex((each) => each.id === id);
  const others = records.filter((each) => each.id !== id).map((each) => ({
    prediction_id: each.id, timestamp: each.time, decision: each.decision,
    final: each.overrides.length ? each.final_decision : null,
  }));
  place.replaceChildren(h("section", { class: "card case" },
    h("h3", {}, `Decision ${number} of ${records.length} about ${reference}`),
    others.length ? h("ul", {}, others.map(item))
      : h("p", { class: "muted" }, "There is no other decision about it.")));
}
