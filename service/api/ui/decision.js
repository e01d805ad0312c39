// Shows a decision: the verdict, the probability of default, the score and the reasons.

import { h, hiddenText, icon } from "./dom.js";
import { frequency, percent, points } from "./format.js";
import { scale } from "./scale.js";

export const WORDS = { approve: "Approve", refer: "Refer", decline: "Decline" };

export const badge = (decision) =>
  h("span", { class: `badge ${decision}` }, icon(decision), WORDS[decision] ?? decision);

/** Returns a sentence that says why the policy decides so at this probability. */
export function because({ decision, default_probability: pd }, policy) {
  if (!policy) return "The policy of that time was not recorded.";
  const { approve_below: approve, decline_from: decline } = policy;
  const byRisk = pd < approve ? "approve" : pd < decline ? "refer" : "decline";
  if (decision !== byRisk) return "A rule of the policy requires this decision, whatever the risk.";
  return {
    approve: "The risk is below the cut-off.",
    refer: "The risk is close to the cut-off, so a person decides.",
    decline: "The risk is above the cut-off.",
  }[decision];
}

/** Returns the final decision as the headline of a case that a person has decided. */
export function finalCard({ final_decision: decision, overrides }) {
  if (overrides.length === 0) return "";
  return h("section", { class: "card decided" }, h("div", { class: `banner ${decision}` },
    h("h2", { tabindex: "-1", class: "verdict" }, icon(decision),
      hiddenText("Final decision: "), WORDS[decision] ?? decision),
    h("p", {}, "This is the final decision. The policy had referred the case to a person.")));
}

/** Returns a card with the verdict, figures, scale and reasons; `level` is the heading's level. */
export function decisionCard(answer, policy, level = "h2") {
  const { decision } = answer;
  const head = h(level, { tabindex: "-1", class: "verdict" },
    icon(decision), hiddenText("Decision: "), WORDS[decision] ?? decision);
  return h("section", { class: "card decided" },
    h("div", { class: `banner ${decision}` }, head, h("p", {}, because(answer, policy))),
    figures(answer),
    policy ? scale(policy, answer) : "",
    reasons(answer, "Principal reasons"));
}

const figure = (name, value, note) =>
  h("div", {}, h("dt", {}, name), h("dd", {}, h("b", {}, value), h("span", {}, note)));

const figures = (answer) => h("dl", { class: "figures" },
  figure("Probability of default", percent(answer.default_probability),
    frequency(answer.default_probability)),
  figure("Score", points(answer.credit_score), "points"),
  figure("Rating", answer.rating, ""));

export function reasons({ reasons: list }, title) {
  if (list.length === 0) return "";
  return h("div", { class: "reasons" },
    h("h3", {}, title), h("ol", {}, list.map((reason) => h("li", {}, reason.text))));
}
