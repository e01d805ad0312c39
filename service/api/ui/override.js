// Records a person's decision about a referred application, in addition to the model's.

import { override } from "./api.js";
import { badge } from "./decision.js";
import { h, icon } from "./dom.js";
import { sentence } from "./form.js";
import { when } from "./format.js";
import * as session from "./session.js";

export const overrideNote = ({ decision, reason, author, time }) =>
  h("section", { class: "card override" },
    h("h3", {}, "Decided by a person"),
    h("p", {}, badge(decision), " by ", h("b", {}, author), ", ",
      h("time", { datetime: time }, when(time))),
    h("blockquote", {}, reason));

let forms = 0; // two views may show a form, and identifiers must be unique in the document

/** Returns the form; when its decision is recorded, a note replaces the form. */
export function overrideForm(id, failed) {
  const prefix = `override-${(forms += 1)}`;
  const choice = ["approve", "decline"].map((decision) => h("label", { class: "choice" },
    h("input", { type: "radio", name: "decision", value: decision, required: true }),
    icon(decision), decision === "approve" ? "Approve" : "Decline"));
  const parts = {
    decision: part(`${prefix}-decision`,
      h("fieldset", { class: "choices" }, h("legend", {}, "Your decision"), choice)),
    reason: part(`${prefix}-reason`, h("textarea", { rows: 3, required: true }), "Reason"),
    ...(session.name() === null && { author: part(`${prefix}-author`,
      h("input", { autocomplete: "name", required: true }), "Your name") }),
  };
  const send = async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    if (form.inert) return;
    const body = { prediction_id: id, ...entered(form, parts) };
    if (!accept(parts, missing(body))) return;
    form.inert = true;
    try {
      const recorded = await override(body);
      const note = overrideNote({ ...body, time: new Date().toISOString(), ...recorded });
      note.setAttribute("tabindex", "-1");
      form.replaceWith(note);
      note.focus();
    } catch (problem) {
      form.inert = false;
      if (problem.isRefusal) accept(parts, problem.errors);
      else failed(problem, () => form.requestSubmit());
    }
  };
  return h("form", { class: "card override", novalidate: true, submit: send },
    h("h3", {}, "Decide this case"),
    h("p", { class: "muted" }, "The case was referred to you. Your decision is recorded with " +
      "your name and your reason, and cannot be changed. If you decline, the applicant reads " +
      "your reason in the letter."),
    Object.values(parts).map((one) => one.element),
    h("button", { type: "submit", class: "primary" }, "Record the decision"));
}

function part(id, control, text) {
  const error = h("p", { class: "error", id: `${id}-error` });
  control.setAttribute("id", id);
  control.setAttribute("aria-describedby", error.id);
  const refuse = (message) => {
    error.textContent = message ?? "";
    if (message && !control.matches("fieldset")) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  };
  control.addEventListener("input", () => refuse());
  const focus = () => (control.querySelector("input") ?? control).focus();
  return { refuse, focus, control, element: h("div", { class: "field" },
    text ? h("label", { for: id }, text) : "", control, error) };
}

const entered = (form, parts) => ({
  decision: form.elements.decision.value,
  reason: parts.reason.control.value.trim(),
  author: parts.author ? parts.author.control.value.trim() : session.name(),
});

const missing = ({ decision, reason, author }) => [
  ...(decision ? [] : [{ field: "decision", message: "Choose approve or decline" }]),
  ...(reason ? [] : [{ field: "reason", message: "State the reason" }]),
  ...(author ? [] : [{ field: "author", message: "State your name" }]),
];

function accept(parts, errors) {
  for (const one of Object.values(parts)) one.refuse();
  for (const error of errors) parts[error.field]?.refuse(sentence(error));
  parts[errors[0]?.field]?.focus();
  return errors.length === 0;
}
