// Keeps what is entered in a form until it is sent, so that a reload loses nothing; in this tab only.

const PREFIX = "credit-decision-draft:";

/** Restores a form's draft and keeps it from now on; returns functions that save and forget it. */
export function keepDraft(form, name) {
  const key = PREFIX + name;
  const save = () => sessionStorage.setItem(key, JSON.stringify([...new FormData(form)]));
  for (const [control, value] of JSON.parse(sessionStorage.getItem(key) ?? "[]")) {
    const found = form.elements.namedItem(control);
    if (found) found.value = value;
  }
  form.addEventListener("input", save);
  return { save, forget: () => sessionStorage.removeItem(key) };
}

export function forgetAll() {
  for (const key of Object.keys(sessionStorage)) {
    if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
  }
}
