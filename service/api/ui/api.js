// Sends requests to the service; a refusal is thrown as a Problem.

const KEY = "credit-decision-key";
const PATIENCE = 30_000;
const PAUSES = [300, 1000]; // milliseconds before a request that was lost on the way is sent again
const UNVERSIONED = new Set(["docs", "logout"]);

/** The errors of a request; `status` is 0 when the service could not be reached. */
export class Problem extends Error {
  constructor(status, errors, challenge = "") {
    super(errors.map((error) => error.message).join(" ") || `The service answered ${status}.`);
    this.status = status;
    this.errors = errors;
    this.challenge = challenge;
  }

  /** Whether people can log in at an identity provider. */
  get offersLogIn() {
    return this.challenge.includes("log-in");
  }

  /** Whether the request itself is wrong; then `errors` say what must be changed. */
  get isRefusal() {
    return [400, 413, 422].includes(this.status) && this.errors.length > 0;
  }
}

export const setKey = (key) => sessionStorage.setItem(KEY, key);

export const hasKey = () => sessionStorage.getItem(KEY) !== null;

export const forgetKey = () => sessionStorage.removeItem(KEY);

export const whoami = () => call("GET", "whoami");
export const logOut = () => send("POST", "logout");
export const modelInfo = () => call("GET", "model-info");
export const predict = (application, key) =>
  call("POST", "predict", application, undefined, { "idempotency-key": key });

/** Returns a key for one request, which the same request keeps when it is sent again. */
export const newRequestKey = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
export const explain = (application, signal) => call("POST", "explain", application, signal);
export const prediction = (id) => call("GET", `predictions/${encodeURIComponent(id)}`);
export const caseDecisions = (reference) => call("GET", `cases/${encodeURIComponent(reference)}`);
export const override = (body) => call("POST", "overrides", body);
export const answerProposal = (body) => call("POST", "approvals", body);
export const addNote = (body) => call("POST", "notes", body);

/** Returns a page of all decisions, newest first. */
export async function decisions({ next, ...query }, signal) {
  const page = await list("logs", { ...query, ...(next && { before: next }) }, signal);
  return { records: page.records, next: page.next_before };
}

/** Returns a page of the open referrals, those that wait longest first. */
export async function queue({ next, ...query }, signal) {
  const page = await list("queue", { ...query, ...(next && { after: next }) }, signal);
  return { records: page.records, next: page.next_after, about: ` (${page.open} open in all)` };
}

const list = (path, query, signal) =>
  call("GET", `${path}?${new URLSearchParams(query)}`, undefined, signal);

/** Returns the documentation of the API as HTML; a plain link to it could not send the key. */
export const docs = async () => (await send("GET", "docs")).text();

/** Returns a document of the service as a blob; a plain link to it could not send the key. */
export const document = async (path) => (await send("GET", path)).blob();

const call = async (method, path, body, signal, headers) =>
  (await send(method, path, body, signal, headers)).json().catch(() => ({}));

async function send(method, path, body, signal, more = {}) {
  const patience = AbortSignal.timeout(PATIENCE);
  const headers = { accept: "application/json", ...more };
  const key = sessionStorage.getItem(KEY);
  if (key) headers["x-api-key"] = key;
  if (body) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetchAgain(UNVERSIONED.has(path) ? path : `v1/${path}`, {
      method,
      headers,
      body: body && JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
    }, method === "GET" || path === "explain" || "idempotency-key" in more ? PAUSES : []);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, [{ message: "The service cannot be reached." }]);
  }
  if (response.ok) return response;
  throw new Problem(response.status, refusals(await response.json().catch(() => ({}))),
    response.headers.get("www-authenticate") ?? "");
}

/** Fetches, and tries again after each pause where no answer arrived: a network may have changed. */
async function fetchAgain(url, options, [pause, ...pauses]) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (options.signal.aborted || pause === undefined) throw error;
  }
  await new Promise((resolve) => { setTimeout(resolve, pause); });
  return fetchAgain(url, options, pauses);
}

function refusals(answer) {
  if (Array.isArray(answer.errors)) return answer.errors;
  const message = answer.error ?? answer.reason ?? answer.detail;
  return message ? [{ message: String(message) }] : [];
}
