// Starts the page: reads the model's description, makes the form, and switches between the views.

import { decisions, docs, explain, modelInfo, newRequestKey, predict, queue } from "./api.js";
import { caseNote } from "./case.js";
import { decisionCard, reasons } from "./decision.js";
import { showDetail } from "./detail.js";
import { byId, h } from "./dom.js";
import { effectsCard } from "./effects.js";
import { createForm } from "./form.js";
import { createList } from "./list.js";
import * as notice from "./notice.js";
import { overrideForm } from "./officer.js";
import * as session from "./session.js";
import { whatIfCard } from "./whatif.js";

const TITLES = {
  apply: "Application", queue: "Open referrals", recent: "Decisions", detail: "One decision",
  docs: "API",
};
const REFERENCE = {
  name: "reference", title: "Application number", type: "string", table: "case",
  help: "Yours, if you have one; decisions with the same number are one case",
};
const page = { title: "Credit decision" };

async function boot() {
  let info;
  try {
    await session.begin();
    info = await modelInfo();
  } catch (problem) {
    byId("form").replaceChildren();
    notice.show(problem, boot);
    return;
  }
  const { contract, policy } = info;
  page.fields = new Map(contract.fields.map((field) => [field.name, field]));
  const fields = contract.fields.filter((field) =>
    field.known_at === "application" || field.known_at === info.model.mode);
  page.policy = policy;
  page.identity = info.identity ?? {};
  page.title = byId("brand").textContent = info.page.title;
  byId("about").textContent = info.page.subtitle;
  byId("model").textContent = describe(info.model);
  const asked = page.fields.has(REFERENCE.name) ? fields : [REFERENCE, ...fields];
  asked.push(...contract.keys, ...contract.history);
  page.form = createForm(asked, { example: info.example, submit: (application) => decide(application), edited });
  const shared = { fields: page.fields, ratings: Object.keys(policy.ratings), failed: notice.show };
  page.queue = createList("queue-body", { ...shared, fetchPage: queue, further: "Next",
    none: "No case waits for a decision." });
  page.recent = createList("recent-body", { ...shared, fetchPage: decisions, byDecision: true,
    further: "Older", none: "No decision has been recorded yet." });
  byId("form").replaceChildren(page.form.element);
  empty();
  route();
}

const describe = ({ candidate, trained_on: trained }) =>
  [candidate, trained?.from && `trained on ${trained.from.slice(0, 4)}–${trained.to.slice(0, 4)}`]
    .filter(Boolean).join(" · ");

function empty() {
  byId("result").replaceChildren(h("div", { class: "card blank" },
    h("img", { src: "ui/icon.svg", alt: "", width: 48, height: 48 }),
    h("h2", {}, "No decision yet"),
    h("p", { class: "muted" }, "Fill in the application, or start from the example, and press " +
      "“Decide”. The decision, its reasons and what would change it appear here.")));
}

function edited() {
  byId("stale")?.removeAttribute("hidden");
}

async function decide(application, key = newRequestKey()) {
  if (page.deciding) return;
  page.deciding = true;
  page.form.busy(true);
  notice.clear();
  try {
    const answer = await predict(application, key);
    page.form.refuse([]);
    page.form.forget();
    showAnswer(answer, application);
  } catch (problem) {
    if (problem.isRefusal) page.form.refuse(problem.errors);
    else notice.show(problem, () => decide(application, key));
  } finally {
    page.deciding = false;
    page.form.busy(false);
  }
}

function showAnswer(answer, application) {
  const more = h("div", { class: "stack" });
  const stale = h("p", { id: "stale", class: "stale", role: "status", hidden: true },
    "The form has changed since this decision.");
  byId("result").replaceChildren(h("div", { class: "stack" },
    stale,
    caseNote(answer.case, answer.reference),
    decisionCard(answer, page.policy),
    h("p", { class: "muted record" }, "Recorded as ", session.mayOpen("detail")
      ? h("a", { href: `#/decision/${answer.prediction_id}` }, answer.prediction_id)
      : answer.prediction_id),
    answer.decision === "refer" && session.may("review")
      ? overrideForm(answer.prediction_id, page.fields, notice.show) : "",
    more));
  byId("result").querySelector(".verdict").focus({ preventScroll: true });
  byId("result").scrollIntoView({ block: "start" });
  showMore(more, answer, application);
}

async function showMore(place, answer, application) {
  place.replaceChildren(h("p", { class: "muted loading" }, "The explanation is being made…"));
  try {
    const explained = await explain(application);
    place.replaceChildren(
      answer.decision === "approve" && explained.reasons.length
        ? h("section", { class: "card" }, reasons(explained, "What counted against it"))
        : "",
      effectsCard(explained, page.fields),
      ...whatIfCard({
        application, explained, decided: answer, fields: page.fields, failed: notice.show,
        use: start,
      }));
  } catch (problem) {
    place.replaceChildren();
    notice.show(problem, () => showMore(place, answer, application));
  }
}

function start(application) {
  page.form.fill(application);
  if (location.hash === "#/" || location.hash === "") byId("apply-title").focus();
  else location.hash = "#/";
}

function route() {
  if (location.hash && !location.hash.startsWith("#/")) return;
  const [, name, id] = location.hash.split("/");
  const isDecision = name === "decision" && id;
  if (name === "log-in-failed") notice.showFailedLogIn(boot);
  const asked = ["queue", "recent", "docs"].includes(name) ? name : isDecision ? "detail" : "apply";
  const view = !page.form || session.mayOpen(asked)
    ? asked : ["queue", "docs"].find(session.mayOpen);
  for (const each of Object.keys(TITLES)) byId(each).hidden = each !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[view]} · ${page.title}`;
  if (view === "docs") showDocs();
  if (!page.form) return;
  for (const list of ["queue", "recent"]) page[list][list === view ? "show" : "hide"]();
  const means = { ...page, start, failed: notice.show };
  if (view === "detail") showDetail(decodeURIComponent(id), means);
}

async function showDocs() {
  try {
    const described = new DOMParser().parseFromString(await docs(), "text/html");
    described.querySelector("h1").remove();
    byId("docs-body").replaceChildren(...described.querySelector("main").children);
  } catch (problem) {
    notice.show(problem, page.form ? showDocs : boot);
  }
}

window.addEventListener("hashchange", () => {
  notice.clear();
  route();
  if (location.hash.startsWith("#/")) document.querySelector(".view:not([hidden]) h1").focus();
});
route();
boot();
