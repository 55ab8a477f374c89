/**
 * What the frame offers: a line each. What has `load` is loaded when first shown: its module exports
 * `mount(root, page)`, which returns the function that draws a state.
 *
 * @typedef {import("./features/frame/room.js").Entry} Entry
 */
import { ROOMS } from "./core/words.js";

/** @type {readonly Entry[]} what stands in the middle */
export const VIEWS = [
  { name: "bars", label: ROOMS.bars, id: "chart" },
  { name: "tree", label: ROOMS.tree, styles: ["features/tree/style.css"], load: () => import("./features/tree/view.js") },
  { name: "compare", label: ROOMS.compare, styles: ["features/compare/style.css", "features/compare/differences.css"], load: () => import("./features/compare/view.js") },
];

/** @type {readonly Entry[]} how the text is written */
export const SURFACES = [
  { name: "text", label: ROOMS.text, id: "prompt", field: "#text" },
  { name: "chat", label: ROOMS.chat, field: ".turn textarea", styles: ["features/chat/style.css"], load: () => import("./features/chat/view.js") },
];

/** @type {readonly Entry[]} over the page or folded in it, with the openers `[data-verb=<name>]` or `[popovertarget=<id>]` */
export const PANELS = [
  { name: "examples", id: "examples", load: () => import("./features/examples/view.js") },
  { name: "share", id: "share-panel", styles: ["features/share/style.css"], load: () => import("./features/share/view.js") },
  { name: "samplers", id: "samplers", styles: ["features/samplers/style.css"], load: () => import("./features/samplers/view.js") },
  { name: "explain", id: "explain", styles: ["features/explain/style.css"], load: () => import("./features/explain/view.js") },
  { name: "keys", id: "keys", styles: ["features/keys/style.css"], load: () => import("./features/keys/list.js") },
];

/** @type {readonly Entry[]} what appears once the state has it */
export const PARTS = [
  {
    name: "presentation",
    id: "room-line",
    when: ({ room }) => room.presenting,
    styles: ["features/presentation/style.css", "features/stage/style.css"],
    load: () => import("./features/presentation/view.js"),
  },
  { name: "shade", id: "shade", when: ({ shading }) => shading.by !== "none", styles: ["features/scores/style.css"], load: () => import("./features/scores/view.js") },
  { name: "tour", id: "tour", when: ({ room }) => room.tour.at !== null, styles: ["features/tour/style.css"], load: () => import("./features/tour/view.js") },
];

/** @type {readonly Entry[]} of the inspector */
export const TABS = [
  { name: "why", label: ROOMS.why, styles: ["features/why/style.css"], load: () => import("./features/why/view.js") },
  { name: "layers", label: ROOMS.layers, styles: ["features/layers/style.css"], load: () => import("./features/layers/view.js") },
  { name: "paths", label: ROOMS.paths, styles: ["features/paths/style.css"], load: () => import("./features/paths/view.js") },
  {
    name: "numbers",
    label: ROOMS.numbers,
    styles: ["features/likely/style.css", "features/steps/style.css"],
    load: () => import("./features/numbers/view.js"),
  },
  { name: "settings", label: ROOMS.settings, id: "settings" },
];
