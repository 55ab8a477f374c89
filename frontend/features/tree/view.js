/**
 * The view Tree: everything tried with this model, and what was grown from it.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../frame/room.js").Page} Page
 * @typedef {import("./layout.js").Place} Place
 * @typedef {import("./camera.js").Camera} Camera
 */
import * as format from "../../core/format.js";
import { ending } from "../../core/state.js";
import { TREE } from "../../core/words_later.js";
import { build } from "../../ui/build.js";
import { afterwards, setAttribute, setText } from "../../ui/dom.js";
import * as cameras from "./camera.js";
import { createGrower } from "./grower.js";
import { HEIGHT, extent, neighbour, placeAt, places } from "./layout.js";
import * as models from "./model.js";
import { paint } from "./paint.js";
import { follow } from "./pointer.js";

const STEP = 1.25;
const LETTERS = 12; // units that words are high
const LOOKS = ["(prefers-color-scheme: dark)", "(forced-colors: active)", "(prefers-contrast: more)"];
const COLOURS = /** @type {const} */ (["ink", "quiet", "accent", "grown", "surface"]);

/** @param {HTMLElement} root @param {Page} page @returns {(state: State) => void} */
export function mount(root, { act, read, consider }) {
  const button = (/** @type {string} */ words, /** @type {() => void} */ press) => {
    const made = build("button", { type: "button" }, words);
    made.addEventListener("click", press);
    return made;
  };
  const choice = (/** @type {string} */ words, /** @type {readonly number[]} */ values, /** @type {number} */ chosen) => {
    const select = build("select", {}, ...values.map((value) => build("option", { value: String(value), selected: value === chosen }, format.count(value))));
    return { select, label: build("label", {}, words, " ", select) };
  };
  const depth = choice(TREE.depth, models.DEPTHS, 3);
  const size = choice(TREE.nodes, models.SIZES, 50);
  const begin = button(TREE.grow, grow);
  const stop = button(TREE.stop, () => act((now) => models.end(now)));
  const clear = button(TREE.clear, () => act(models.clear));
  const view = { width: 0, height: 0 }; // in units: pixels where type has its usual size, more where it is larger
  let unit = 1;
  const middle = (/** @type {number} */ factor) => () => move(cameras.zoom(camera, view.width / 2, view.height / 2, factor));
  const [larger, smaller, all] = [button(TREE.larger, middle(STEP)), button(TREE.smaller, middle(1 / STEP)), button(TREE.whole, fit)];
  for (const each of [larger, smaller]) each.className = "tree-zoom";
  const said = build("p", { class: "tree-said", role: "status" });
  const canvas = build("canvas", { "aria-hidden": "true" });
  let item = build("div", { role: "treeitem", class: "tree-item", hidden: true });
  const stage = build("div", { class: "tree-stage", role: "tree", tabindex: "0", "aria-label": TREE.label }, canvas, item);
  const offer = build("p", { class: "tree-offer", hidden: true }, TREE.offer, " ", button(TREE.growHere, () => {
    stage.focus();
    grow();
  }));
  const probes = COLOURS.map((name) => build("i", { class: `tree-colour tree-${name}`, hidden: true }));
  root.append(
    build(
      "div",
      { class: "tree" },
      build("div", { class: "tree-acts" }, begin, stop, depth.label, size.label, clear, larger, smaller, all),
      said,
      build("div", { class: "tree-frame" }, stage, offer),
      build("p", { class: "tree-hint" }, TREE.hint),
      ...probes,
    ),
  );
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  /** @type {Camera} */
  let camera = { x: 0, y: 0, scale: 1 };
  /** @type {Place[]} */
  let drawn = [];
  /** @type {unknown[]} */
  let laid = [];
  /** @type {{own: number | null, grown: Place["grown"]} | null} */
  let chosen = null;
  let follows = settle; // how the camera goes with changes of the tree; once the user has moved it, it stays
  let frame = 0;

  const grower = createGrower({ read, act });
  consider(grower.consider);
  new ResizeObserver(([{ contentRect }]) => {
    unit = parseFloat(getComputedStyle(item).fontSize) / LETTERS;
    [view.width, view.height] = [contentRect.width / unit, contentRect.height / unit];
    [canvas.width, canvas.height] = [contentRect.width * devicePixelRatio, contentRect.height * devicePixelRatio];
    follows();
  }).observe(stage);
  for (const look of LOOKS) matchMedia(look).addEventListener("change", redraw);
  follow(stage, {
    pan: (dx, dy) => move(cameras.pan(camera, dx / unit, dy / unit)),
    zoom: (x, y, factor) => move(cameras.zoom(camera, x / unit, y / unit, factor)),
    press: (x, y) => press(x / unit, y / unit),
  });
  stage.addEventListener("focus", redraw);
  stage.addEventListener("blur", redraw);
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = { "+": middle(STEP), "=": middle(STEP), "-": middle(1 / STEP), 0: fit, g: grow, Enter: take, " ": take };
    const known = Object.entries(keys).find(([key]) => key === event.key)?.[1];
    if (!known && !event.key.startsWith("Arrow")) return;
    event.preventDefault();
    event.stopPropagation();
    if (known) known();
    else choose(drawn[neighbour(drawn, at(), event.key)]);
  });

  /** @returns {number} the index of the chosen place, or of the one where the text ends */
  function at() {
    const found = chosen && drawn.find(({ own, grown }) => own === chosen?.own && grown?.root === chosen?.grown?.root && grown?.id === chosen?.grown?.id);
    return (found || drawn.find(({ here }) => here) || drawn[0])?.index ?? -1;
  }

  /** @param {Place | undefined} place */
  function choose(place) {
    if (!place) return;
    chosen = { own: place.own, grown: place.grown };
    camera = cameras.reveal(camera, place, HEIGHT, view);
    describe();
    redraw();
  }

  /** @param {number} x @param {number} y */
  function press(x, y) {
    const place = placeAt(drawn, camera.x + x / camera.scale, camera.y + y / camera.scale);
    if (!place) return;
    choose(place);
    take();
  }

  function take() {
    const place = drawn[at()];
    if (!place) return;
    chosen = null; // where the text ends from now on
    act((now) => models.take(now, place));
  }

  /** From the chosen place; what was grown there is taken first. */
  function grow() {
    const place = drawn[at()];
    if (place?.grown) take();
    act((now) => {
      const from = place?.own ?? ending(now);
      return from === null ? now : models.begin(now, from, Number(depth.select.value), Number(size.select.value));
    });
  }

  /** @param {Camera} next */
  function move(next) {
    follows = redraw;
    camera = next;
    redraw();
  }

  function fit() {
    follows = fit;
    if (view.width) camera = cameras.whole(extent(drawn), view);
    redraw();
  }

  function settle() {
    const place = drawn[at()];
    if (view.width && place) camera = cameras.readable(extent(drawn), view, place);
    redraw();
  }

  function redraw() {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      const colours = /** @type {any} */ (Object.fromEntries(COLOURS.map((name, index) => [name, getComputedStyle(probes[index]).color])));
      const sharp = devicePixelRatio * unit;
      context.setTransform(sharp, 0, 0, sharp, 0, 0);
      const focused = document.activeElement === stage ? at() : null;
      paint(context, drawn, camera, { ...view, colours, focused, font: `${LETTERS}px ${getComputedStyle(item).fontFamily}` });
    });
  }

  function describe() {
    const place = drawn[at()];
    // An element of its own for each place: only another active descendant is announced.
    const id = !place ? "" : place.grown ? `tree-${place.grown.root}-${place.grown.id}` : `tree-${place.own}`;
    if (id !== item.id) {
      const next = build("div", { role: "treeitem", class: "tree-item", id });
      item.replaceWith(next);
      item = next;
      if (id) setAttribute(stage, "aria-activedescendant", id);
      else stage.removeAttribute("aria-activedescendant");
    }
    item.hidden = !place;
    if (!place) return;
    const siblings = place.parent === null ? drawn.filter(({ parent }) => parent === null).map(({ index }) => index) : drawn[place.parent].children;
    const likely = place.probability === null ? "" : `, ${TREE.likely(format.percent(place.probability), format.percent(place.flow))}`;
    setText(item, `${place.words}${likely}, ${place.grown ? TREE.grown : TREE.tried}${place.here ? `, ${TREE.here}` : ""}`);
    setAttribute(item, "aria-level", String(place.depth));
    setAttribute(item, "aria-setsize", String(siblings.length));
    setAttribute(item, "aria-posinset", String(siblings.indexOf(place.index) + 1));
    setAttribute(item, "aria-selected", String(place.here));
  }

  return (state) => {
    const { grown, tree, model } = state;
    const growing = grown.running !== null;
    begin.disabled = growing || state.draft !== null || state.current === null || state.lost !== null;
    stop.hidden = !growing;
    clear.hidden = !grown.growths.size;
    setText(said, state.current === null ? TREE.empty : models.told(state) || (growing ? TREE.growing : ""));
    said.toggleAttribute("data-failed", grown.trouble !== null);
    const end = ending(state);
    offer.hidden = begin.disabled || grown.growths.size > 0 || forked(tree, model);
    if (laid[0] === tree && laid[1] === grown.growths && laid[2] === end && laid[3] === model) return;
    laid = [tree, grown.growths, end, model];
    drawn = places(state);
    describe();
    afterwards(follows);
  };
}

/** @param {State["tree"]} all @param {string | null} model @returns {boolean} more than one way on was tried somewhere */
function forked({ nodes }, model) {
  for (const { children, parent, model: of } of nodes.values()) if (of === model && parent !== null && children.length > 1) return true;
  return false;
}
