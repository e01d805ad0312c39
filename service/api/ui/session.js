// Knows who has logged in, and offers only what this caller may do.

import { forgetKey, hasKey, logOut, whoami } from "./api.js";
import { byId, h } from "./dom.js";
import { forgetAll } from "./drafts.js";

const NEEDED = {
  apply: ["decide"],
  queue: ["read", "audit"],
  recent: ["read", "audit"],
  detail: ["read", "audit"],
  docs: [],
};
let caller = { name: null, roles: [] };

export const name = () => caller.name;

/** Whether the caller has one of these roles; everybody has, where no users are configured. */
export const may = (...roles) => roles.some((role) => caller.roles.includes(role));

export const mayOpen = (view) => NEEDED[view].length === 0 || may(...NEEDED[view]);

/** Asks who the caller is, and shows the name and the pages that are open to them. */
export async function begin() {
  caller = await whoami();
  for (const link of document.querySelectorAll("nav a")) {
    link.hidden = !mayOpen(link.dataset.view);
  }
  byId("caller").replaceChildren(...(caller.name === null ? [] : [
    h("span", { title: `Roles: ${caller.roles.join(", ") || "none"}` }, caller.name),
    h("button", { type: "button", class: "quiet", click: end }, "Log out"),
  ]));
}

async function end() {
  forgetAll();
  if (hasKey()) forgetKey();
  else await logOut();
  location.hash = "#/";
  location.reload();
}
