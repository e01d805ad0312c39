// Draws the scale of credit scores with its ratings, the cut-offs and this application's score.

import { h, svg } from "./dom.js";
import { percent, points } from "./format.js";

/** Returns the credit score of a probability of default by the policy's scale. */
export function score({ base_score: base, base_odds: odds, pdo }, pd) {
  return base + (pdo / Math.LN2) * (Math.log((1 - pd) / pd) - Math.log(odds));
}

function geometry(policy) {
  const bounds = Object.entries(policy.ratings);
  const inner = bounds.slice(0, -1).map(([, pd]) => score(policy, pd));
  const approve = score(policy, policy.approve_below);
  const decline = policy.decline_from < 1 ? score(policy, policy.decline_from) : -Infinity;
  const marks = [...inner, approve, decline].filter(Number.isFinite);
  const pad = Math.max((Math.max(...marks) - Math.min(...marks)) / 5, policy.pdo);
  const low = Math.min(...marks) - pad;
  const high = Math.max(...marks) + pad;
  const at = (value) => 100 * Math.min(1, Math.max(0, (value - low) / (high - low)));
  const edges = [high, ...inner, low];
  const ratings = bounds.map(([name], index) =>
    ({ name, from: at(edges[index + 1]), to: at(edges[index]) }));
  const zones = [
    { name: "Decline", kind: "decline", from: 0, to: at(decline) },
    { name: "Refer", kind: "refer", from: at(decline), to: at(approve) },
    { name: "Approve", kind: "approve", from: at(approve), to: 100 },
  ];
  return { at, ratings, zones, approve, decline };
}

export function scale(policy, answer) {
  const { at, ratings, zones, approve, decline } = geometry(policy);
  const text = limits(policy, approve, decline);
  const picture = svg("svg", {
    class: "scale", height: 96, width: "100%", role: "img",
    "aria-label": `Score ${points(answer.credit_score)}, rating ${answer.rating}. ${text}`,
  },
  ratings.map((part, index) => segment(part, index, ratings.length)),
  ratings.filter((part) => part.name === answer.rating).map(frame),
  zones.filter((zone) => zone.to > zone.from).map(band),
  pointer(at(answer.credit_score), points(answer.credit_score)));
  return h("figure", { class: "score" }, picture, h("figcaption", { class: "muted" }, text));
}

function limits(policy, approve, decline) {
  const below = percent(policy.approve_below);
  const approved = `Approved above ${points(approve)} points (PD under ${below})`;
  if (!Number.isFinite(decline)) return `${approved}.`;
  return `${approved}; declined from ${points(decline)} down (PD ${percent(policy.decline_from)} ` +
    "and more).";
}

const width = (part) => `${part.to - part.from}%`;
const middle = (part) => `${(part.from + part.to) / 2}%`;

function segment(part, index, count) {
  const shade = 0.42 - (0.34 * index) / Math.max(1, count - 1);
  return [
    svg("rect",
      { x: `${part.from}%`, y: 32, width: width(part), height: 24, "fill-opacity": shade }),
    svg("text", { x: middle(part), y: 49 }, part.name),
  ];
}

const frame = (part) =>
  svg("rect", { x: `${part.from}%`, y: 32, width: width(part), height: 24, class: "current" });

const band = (zone) => [
  svg("rect", { x: `${zone.from}%`, y: 62, width: width(zone), height: 6, class: zone.kind }),
  svg("text", { x: middle(zone), y: 86, class: "zone" }, zone.name),
];

const pointer = (x, text) => [
  svg("text", { x: `${Math.min(95, Math.max(5, x))}%`, y: 14, class: "here" }, text),
  svg("svg", { x: `${x}%`, y: 20, overflow: "visible" },
    svg("path", { d: "M-6 0h12l-6 9z", class: "needle" }),
    svg("path", { d: "M0 9v27", class: "line" })),
];
