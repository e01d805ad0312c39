// Offers the letter and the explanation to the applicant about a recorded decision.

import { document as fetched, hasKey } from "./api.js";
import { h } from "./dom.js";

export function lettersCard(id, failed) {
  const button = (name, text) => h("button",
    { type: "button", class: "quiet", click: () => download(id, name, failed) }, text);
  return h("section", { class: "card" },
    h("h3", {}, "For the applicant"),
    h("p", { class: "muted" }, "Both state the final outcome, and no internal figure."),
    h("div", { class: "row" },
      button("letter", "Letter (PDF)"), button("explanation", "Explanation (PDF)"),
      hasKey() ? "" : h("a", { href: `v1/predictions/${encodeURIComponent(id)}/explanation.html`,
        target: "_blank", rel: "noopener" }, "Read and print the explanation")));
}

async function download(id, name, failed) {
  try {
    const content = await fetched(`predictions/${encodeURIComponent(id)}/${name}.pdf`);
    const href = URL.createObjectURL(content);
    h("a", { href, download: `${name}-${id}.pdf` }).click();
    URL.revokeObjectURL(href);
  } catch (problem) {
    failed(problem, () => download(id, name, failed));
  }
}
