// Creates elements: h("p", {class: "muted"}, "text", child).

const SVG = "http://www.w3.org/2000/svg";

export const h = (tag, attributes, ...children) =>
  build(document.createElement(tag), attributes, children);

export const svg = (tag, attributes, ...children) =>
  build(document.createElementNS(SVG, tag), attributes, children);

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else if (name === "css") {
      for (const [key, rule] of Object.entries(value)) node.style.setProperty(key, rule);
    } else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

export const byId = (id) => document.getElementById(id);

export const hiddenText = (text) => h("span", { class: "hidden-text" }, text);

export function icon(name) {
  const paths = {
    approve: "M4 12.5l5.2 5L20 6.5",
    refer: "M9 5v14M15 5v14",
    decline: "M6 6l12 12M18 6L6 18",
    warn: "M12 5v9M12 18.2v.6",
  };
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" },
    svg("path", { d: paths[name] }));
}
