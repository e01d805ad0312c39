// Shows above the page why a request failed: no service, no model or no key.

import { hasKey, setKey } from "./api.js";
import { byId, h, icon } from "./dom.js";

const NOT_LOGGED_IN = "You were not logged in. Try again, or ask who runs this service.";

export const clear = () => byId("notice").replaceChildren();

/** Shows a problem and what to do about it; `again` repeats the request. */
export function show(problem, again) {
  const body = problem.status === 401 ? keyForm(problem, again) : trouble(problem, again);
  byId("notice").replaceChildren(body);
  body.querySelector("input")?.focus();
}

/** Shows that the identity provider did not let the person in; `again` starts the page. */
export function showFailedLogIn(again) {
  const problem = { status: 403, message: NOT_LOGGED_IN };
  byId("notice").replaceChildren(trouble(problem, () => { location.hash = "#/"; again(); }));
}

function trouble(problem, again) {
  const [head, text] = words(problem);
  return h("div", { class: "notice", role: "alert" },
    icon("warn"),
    h("div", {}, h("strong", {}, head), h("p", {}, text)),
    h("button", { type: "button", class: "quiet", click: () => { clear(); again(); } },
      "Try again"));
}

function words(problem) {
  if (problem.status === 0) {
    return ["The service cannot be reached",
      "Your entries are kept. The service may be restarting; try again in a moment."];
  }
  if (problem.status === 503) return ["The service cannot decide at the moment", problem.message];
  if (problem.status === 403) return ["This is not allowed", problem.message];
  if (problem.status === 429) return ["Too many requests", problem.message];
  if (problem.status === 404) return ["Not found", problem.message];
  return ["The request failed", problem.message];
}

function keyForm(problem, again) {
  const input = h("input", { 
    id: "key", type: "password", autocomplete: "off", required: true, pattern: "[ -~]+",
    title: "ASCII characters",
  });
  const submit = (event) => {
    event.preventDefault();
    setKey(input.value.trim());
    clear();
    again();
  };
  const text = location.hash === "#/log-in-failed" ? NOT_LOGGED_IN : hasKey()
    ? "The service did not accept this key."
    : "This service asks for an API key. It is kept in this tab only, until you close it.";
  const logIn = problem.offersLogIn
    ? h("p", {}, h("a", { class: "button", href: "login" }, "Log in"), " or enter a key.")
    : "";
  return h("form", { class: "notice key", submit },
    icon("warn"),
    h("div", { role: "alert" }, h("strong", {}, "API key"), h("p", {}, text), logIn),
    h("div", { class: "row" }, h("label", { for: "key" }, "Key"), input,
      h("button", { type: "submit" }, "Continue")));
}
