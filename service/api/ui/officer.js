// What officers record about a decision: their own, a second officer's answer, and notes.

import { addNote, answerProposal, override } from "./api.js";
import { badge, WORDS } from "./decision.js";
import { h, icon } from "./dom.js";
import { keepDraft } from "./drafts.js";
import { sentence } from "./form.js";
import { number, when } from "./format.js";
import * as session from "./session.js";

const by = ({ author, time }) =>
  [h("b", {}, author), ", ", h("time", { datetime: time }, when(time))];

const quote = (text) => (text ? h("blockquote", {}, text) : "");

export const overrideNote = (entry) =>
  h("section", { class: "card override" },
    h("h3", {}, "Decided by a person"),
    h("p", {}, badge(entry.decision), " by ", by(entry)),
    quote(entry.reason),
    entry.approver ? h("p", {}, "Approved by ", h("b", {}, entry.approver)) : "",
    quote(entry.approval_reason));

export const rejectionNote = (entry) =>
  h("section", { class: "card override" },
    h("h3", {}, "A proposal was rejected"), h("p", {}, "by ", by(entry)), quote(entry.reason));

/** Returns what an officer may do about a referred decision now; `again` shows it anew. */
export function reviewCards(record, { fields, failed, again }) {
  if (record.pending) return [proposalCard(record.pending, fields, failed, again)];
  const open = record.decision === "refer" && record.overrides.length === 0;
  return open && session.may("review") ? [overrideForm(record.id, fields, failed, again)] : [];
}

export const overrideForm = (id, fields, failed, again) => officerForm({
  id: `override-${id}`,
  title: "Decide this case",
  text: "The case was referred to you. Your decision is recorded with your name and your reason, " +
    "and cannot be changed. If you decline, the applicant reads your reason in the letter.",
  choices: { legend: "Your decision", name: "decision",
    options: [["approve", "Approve"], ["decline", "Decline"]] },
  reason: "Reason",
  button: "Record the decision",
  send: ({ text, ...entered }) => override({ prediction_id: id, reason: text, ...entered }),
  done: again ?? ((entry) => (entry.kind === "proposal"
    ? proposalCard(entry, fields, failed) : overrideNote(entry))),
  failed,
});

function proposalCard(entry, fields, failed, again) {
  const { field, above } = entry.limit;
  const known = fields.get(field);
  const limit = `${known?.title || field} above ${number(above)} ${known?.unit ?? ""}`.trim();
  return h("section", { class: "card override", tabindex: "-1" },
    h("h3", {}, "A second officer must approve"),
    h("p", {}, badge(entry.decision), " is proposed by ", by(entry)),
    quote(entry.reason),
    h("p", { class: "muted" }, `${limit}: one officer alone may not decide. Until another one ` +
      "answers, the case stays open."),
    again && session.may("approve") && session.name() !== entry.author
      ? answerForm(entry, failed, again) : "");
}

const answerForm = (entry, failed, again) => officerForm({
  id: `answer-${entry.id}`,
  title: "Your answer",
  level: "h4",
  choices: { legend: `${WORDS[entry.decision]}, as ${entry.author} proposes?`, name: "answer",
    options: [["approve", "Yes, approve the proposal"], ["decline", "No, reject it"]] },
  reason: "Comment",
  optional: ({ answer }) => answer === "approve",
  button: "Record the answer",
  send: ({ answer, text, author }) => answerProposal({
    proposal_id: entry.id, approved: answer === "approve", reason: text || null, author,
  }),
  done: again,
  failed,
});

export function notesCard(record, failed, again) {
  const notes = record.notes.map((note) =>
    h("li", {}, h("p", { class: "muted" }, by(note)), quote(note.text)));
  return h("section", { class: "card notes" },
    h("h3", {}, "Notes"),
    notes.length ? h("ul", {}, notes)
      : h("p", { class: "muted" }, "Nobody has noted anything. Applicants never see notes."),
    session.may("review", "approve") ? h("details", {}, h("summary", {}, "Add a note"), officerForm({
      id: `note-${record.id}`,
      reason: "Note",
      button: "Add the note",
      send: (entered) => addNote({ prediction_id: record.id, ...entered }),
      done: again,
      failed,
    })) : "");
}

let forms = 0; // two views may show a form, and identifiers must be unique in the document

/** Returns a form with choices, a text and, where nobody is logged in, a name.
 *
 * `send(entered)` records it; `done(entry)` shows what was recorded, or returns what takes the
 * place of the form. What was entered stays after a reload.
 */
function officerForm({ id, title, level = "h3", text, choices, reason, optional, button, send, done, failed }) {
  const prefix = `form-${(forms += 1)}`;
  const parts = {
    ...(choices && { [choices.name]: part(`${prefix}-choice`,
      h("fieldset", { class: "choices" }, h("legend", {}, choices.legend),
        choices.options.map(([value, label]) => h("label", { class: "choice" },
          h("input", { type: "radio", name: choices.name, value, required: true }),
          icon(value), label)))) }),
    text: part(`${prefix}-text`, h("textarea", { name: "text", rows: 3, required: !optional }), reason),
    ...(session.name() === null && { author: part(`${prefix}-author`,
      h("input", { name: "author", autocomplete: "name", required: true }), "Your name") }),
  };
  const submit = async (event) => {
    event.preventDefault();
    if (form.inert) return;
    const entered = Object.fromEntries(
      Object.keys(parts).map((name) => [name, form.elements.namedItem(name).value.trim()]));
    if (!accept(parts, missing(entered, { choices, reason, optional }))) return;
    form.inert = true;
    try {
      const recorded = await send({ ...entered, author: entered.author ?? session.name() });
      draft.forget();
      const shown = done(recorded);
      if (!(shown instanceof Element)) return;
      shown.setAttribute("tabindex", "-1");
      form.replaceWith(shown);
      shown.focus();
    } catch (problem) {
      form.inert = false;
      const errors = problem.errors?.map((error) =>
        ({ ...error, field: error.field === "reason" ? "text" : error.field }));
      if (problem.isRefusal) accept(parts, errors);
      else failed(problem, () => form.requestSubmit());
    }
  };
  const form = h("form", { class: title && level === "h3" ? "card override" : "inner", novalidate: true, submit },
    title ? h(level, {}, title) : "",
    text ? h("p", { class: "muted" }, text) : "",
    Object.values(parts).map((one) => one.element),
    h("button", { type: "submit", class: "primary" }, button));
  const draft = keepDraft(form, id);
  return form;
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
  return { refuse, focus, element: h("div", { class: "field" },
    text ? h("label", { for: id }, text) : "", control, error) };
}

const missing = (entered, { choices, reason, optional }) => [
  ...(choices && !entered[choices.name]
    ? [{ field: choices.name, message: "Choose one of the two" }] : []),
  ...(entered.text || optional?.(entered)
    ? [] : [{ field: "text", message: reason === "Note" ? "Write the note" : "State the reason" }]),
  ...(entered.author === "" ? [{ field: "author", message: "State your name" }] : []),
];

function accept(parts, errors) {
  for (const one of Object.values(parts)) one.refuse();
  for (const error of errors) parts[error.field]?.refuse(sentence(error));
  parts[errors[0]?.field]?.focus();
  return errors.length === 0;
}
