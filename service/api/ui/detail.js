// Shows one recorded decision with everything that was recorded about it.

import { explain, prediction } from "./api.js";
import { showCase } from "./case.js";
import { decisionCard, finalCard } from "./decision.js";
import { byId, h } from "./dom.js";
import { effectsCard } from "./effects.js";
import { given, heading, label, number, value, when } from "./format.js";
import { lettersCard } from "./letters.js";
import { notesCard, overrideNote, rejectionNote, reviewCards } from "./officer.js";
import { may } from "./session.js";

export async function showDetail(id, { fields, identity, start, failed }) {
  const body = byId("detail-body");
  body.replaceChildren(h("p", { class: "muted loading" }, "The decision is being fetched…"));
  let record;
  try {
    record = await prediction(id);
  } catch (problem) {
    body.replaceChildren(h("p", {}, h("a", { href: "#/recent" }, "To the recent decisions")));
    failed(problem, () => showDetail(id, { fields, identity, start, failed }));
    return;
  }
  const effects = h("div", {});
  const about = h("div", {});
  const again = () => showDetail(id, { fields, identity, start, failed }).then(() =>
    byId("detail").querySelector(".verdict")?.focus());
  body.replaceChildren(h("div", { class: "split" },
    h("div", { class: "stack" }, finalCard(record), record.overrides.map(overrideNote),
      decisionCard(record, record.policy, record.overrides.length ? "h3" : "h2"),
      record.erased ? "" : reviewCards(record, { fields, failed, again }), record.rejections.map(rejectionNote),
      about, effects),
    h("div", { class: "stack" }, applicationCard(record, fields, start),
      record.erased ? "" : [notesCard(record, failed, again), lettersCard(id, failed)], identityCard(record))));
  showCase(about, record).catch((problem) => failed(problem, () => showCase(about, record)));
  if (may("decide", "review") && !record.erased) await showEffects(effects, record, { fields, identity });
}

const pair = (name, text) => h("div", {}, h("dt", {}, name), h("dd", {}, text));

/** Returns a value; the lines of a history can be opened. */
function stated(field, raw) {
  if (!Array.isArray(raw) || raw.length === 0) return value(field, raw);
  const line = (parts) => Object.values(parts).filter(given).map((part) => value(null, part));
  return h("details", {}, h("summary", {}, value(field, raw)),
    h("ol", {}, raw.map((parts) => h("li", {}, line(parts).join(" · ")))));
}

function applicationCard({ application, erased }, fields, start) {
  if (erased) {
    return h("section", { class: "card" },
      h("h3", {}, "Application"),
      h("p", { class: "muted" }, "Erased: what the applicant stated, and the reasons, were removed."));
  }
  const names = [...new Set([...fields.keys(), ...Object.keys(application)])]
    .filter((name) => name in application);
  return h("section", { class: "card" },
    h("h3", {}, "Application"),
    h("dl", { class: "pairs" }, names.map((name) => pair(
      fields.get(name) ? label(fields.get(name)) : heading(name),
      stated(fields.get(name), application[name])))),
    h("button", { type: "button", class: "quiet", click: () => start(application) },
      "Start a new application from this"));
}

function identityCard({ id, time, identity, caller, sequence, hash, sources = {} }) {
  const parts = Object.entries(identity).filter(([, text]) => text);
  return h("section", { class: "card" },
    h("h3", {}, "Record"),
    h("dl", { class: "pairs code" },
      pair("Time", h("time", { datetime: time }, when(time))),
      pair("Identifier", id),
      caller ? pair("Asked by", caller.name) : "",
      Object.entries(sources).map(([name, { lines, as_of: asOf }]) =>
        pair(`${heading(name)}, fetched`,
          `${number(lines)} ${lines === 1 ? "line" : "lines"}, as of ${when(asOf)}`)),
      parts.map(([name, text]) => pair(heading(name), String(text))),
      pair("Number in the ledger", String(sequence)),
      pair("Hash", hash)));
}

/** Shows what each item added to the score, as long as the model and the policy that decided serve. */
async function showEffects(place, record, { fields, identity }) {
  const others = ["model", "policy"].filter((part) =>
    identity[part] && identity[part] !== record.identity[part]);
  if (others.length) {
    place.replaceChildren(h("p", { class: "muted history" },
      `The present ${others.join(" or ")} is not the one that decided, so the points of each item ` +
      "are not shown. All else on this page is what was recorded."));
    return;
  }
  try {
    place.replaceChildren(effectsCard(await explain(record.application), fields));
  } catch (problem) {
    const text = `There is no explanation: ${problem.message}`;
    place.replaceChildren(h("p", { class: "muted" }, text));
  }
}
