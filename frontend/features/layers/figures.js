/**
 * Three figures over one axis, the layers: tokens as a heat map, tokens as lines, and what each block adds.
 *
 * @typedef {import("../../core/slices_later.js").LayersAnswer} LayersAnswer
 * @typedef {import("../../core/slices_later.js").Layering} Layering
 * @typedef {import("../../core/distribution.js").Candidate} Candidate
 *
 * @typedef {object} Shown
 * @property {LayersAnswer} answer
 * @property {Layering["scale"]} scale
 * @property {number} vocabulary  its size
 * @property {number} focus  token id
 * @property {number | null} against  token id
 */
import { shown, spell } from "../../core/tokens.js";
import { LAYERS } from "../../core/words_later.js";
import { build } from "../../ui/build.js";
import { setAttribute } from "../../ui/dom.js";
import { drawPieces } from "../../ui/token.js";
import { columns, followed, heights } from "./model.js";

const SVG = "http://www.w3.org/2000/svg";
const TALL = 100; // units of the lines' and the bars' height
const TICKS = 3; // at most, between the first and the last layer

/** @param {string} tag @param {Record<string, string | number>} attributes @param {...Node} children */
function shape(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** @param {{hover: (layer: number | null) => void, choose: (layer: number) => void}} parts called with the layer under the pointer */
export function createFigures({ hover, choose }) {
  const figure = (/** @type {string} */ name, /** @type {string} */ title) => {
    const svg = shape("svg", { preserveAspectRatio: "none", role: "img", class: `layers-${name}` });
    const names = build("div", { class: "layers-names", "aria-hidden": "true" });
    return { svg, names, root: build("div", { class: "layers-figure", "data-figure": name }, build("h3", {}, title), names, svg) };
  };
  const map = figure("map", LAYERS.mapTitle);
  const lines = figure("lines", LAYERS.lines);
  const bars = figure("bars", LAYERS.contributions);
  const axis = build("div", { class: "layers-axis", "aria-hidden": "true" });
  const all = [map, lines, bars];
  const root = build("div", { class: "layers-figures" }, ...all.slice(0, 2).map((each) => each.root), axis);
  /** @type {Element[]} */
  let marks = [];
  let count = 0;
  /** @type {unknown[]} */
  let drawn = [];

  for (const { svg } of all) {
    const layerAt = (/** @type {PointerEvent} */ event) => {
      const box = svg.getBoundingClientRect();
      return Math.max(0, Math.min(count - 1, Math.floor(((event.clientX - box.left) / box.width) * count)));
    };
    for (const name of ["pointerenter", "pointermove"]) svg.addEventListener(name, (event) => hover(layerAt(/** @type {PointerEvent} */ (event))));
    svg.addEventListener("pointerleave", () => hover(null));
    svg.addEventListener("click", (event) => choose(layerAt(/** @type {PointerEvent} */ (event))));
  }

  /** @param {Element} svg @param {number} top @param {number} tall @param {number | null} commitment */
  function frame(svg, top, tall, commitment) {
    setAttribute(svg, "viewBox", `0 ${top} ${count} ${tall}`);
    const here = shape("rect", { class: "layers-here", y: top, width: 1, height: tall });
    marks.push(here);
    // Between the layers before and those from which on the answer leads.
    const settled = commitment ? [shape("line", { class: "layers-settled", x1: commitment, x2: commitment, y1: top, y2: top + tall })] : [];
    svg.append(...settled, here);
  }

  /** @param {Shown} what */
  function drawMap({ answer, scale, vocabulary, focus, against }) {
    const rows = followed(answer);
    map.names.replaceChildren(...rows.map(({ token }) => build("span", { "data-role": token.id === focus ? "focus" : token.id === against ? "against" : "other" }, drawPieces(spell(token).pieces))));
    map.svg.replaceChildren(...rows.flatMap(({ token }, row) =>
      heights(answer, token.id, scale, vocabulary).map((value, layer) => shape("rect", { x: layer, y: row, width: 1, height: 1, class: "layers-cell", "fill-opacity": value.toFixed(3) })),
    ));
    const leads = rows.flatMap(({ token }, row) =>
      answer.layers.flatMap(({ candidates }, layer) => (candidates[0]?.token.id === token.id ? [shape("path", { d: `M${layer + 0.5} ${row + 0.3}v0.4`, class: "layers-lead" })] : [])),
    );
    map.svg.append(...leads);
    map.svg.style.setProperty("--rows", String(rows.length));
    setAttribute(map.svg, "aria-label", LAYERS.map(LAYERS.scales[scale].toLowerCase()));
    frame(map.svg, 0, rows.length, answer.commitment.top1);
  }

  /** @param {Shown} what */
  function drawLines({ answer, scale, vocabulary, focus, against }) {
    const rows = followed(answer);
    const rank = (/** @type {number} */ id) => (id === focus ? 2 : id === against ? 1 : 0);
    const sorted = [...rows].sort((one, other) => rank(one.token.id) - rank(other.token.id));
    lines.svg.replaceChildren(...sorted.map(({ token }) => {
      const points = heights(answer, token.id, scale, vocabulary).map((value, layer) => `${layer + 0.5},${(TALL * (1 - value)).toFixed(1)}`);
      return shape("polyline", { points: points.join(" "), class: "layers-line", "data-role": ["other", "against", "focus"][rank(token.id)] });
    }));
    const name = (/** @type {number | null} */ id) => {
      const found = rows.find(({ token }) => token.id === id);
      return found ? shown(found.token) : "";
    };
    lines.names.replaceChildren(...LAYERS.ends[scale].map((words) => build("span", {}, words)));
    setAttribute(lines.svg, "aria-label", LAYERS.linesLabel(name(focus), name(against)));
    frame(lines.svg, -2, TALL + 4, answer.commitment.top1);
  }

  /** @param {Shown} what */
  function drawBars({ answer }) {
    const all = columns(answer);
    const most = Math.max(1e-9, ...all.flatMap(({ attention, mlp, other }) => [attention, mlp, other].map(Math.abs)));
    const bar = (/** @type {number} */ x, /** @type {number} */ width, /** @type {number} */ value, /** @type {string} */ part) => {
      const tall = (Math.abs(value) / most) * (TALL / 2);
      return shape("rect", { x, width, y: value > 0 ? TALL / 2 - tall : TALL / 2, height: tall, class: "layers-bar", "data-part": part, "data-sign": value < 0 ? "against" : "for" });
    };
    bars.svg.replaceChildren(
      shape("line", { class: "layers-zero", x1: 0, x2: count, y1: TALL / 2, y2: TALL / 2 }),
      ...all.flatMap(({ attention, mlp, other }, layer) => [
        bar(layer + 0.06, 0.42, attention, "attention"),
        bar(layer + 0.52, 0.42, mlp, "mlp"),
        ...(other ? [bar(layer + 0.2, 0.6, other, "other")] : []),
      ]),
    );
    bars.names.replaceChildren(build("span", {}, `+${most.toFixed(1)}`), build("span", {}, "0"), build("span", {}, `−${most.toFixed(1)}`));
    setAttribute(bars.svg, "aria-label", LAYERS.contributions);
    frame(bars.svg, 0, TALL, null);
  }

  function drawAxis() {
    const last = count - 1;
    const step = [1, 2, 5, 10, 20, 50, 100].find((each) => last / each <= TICKS + 1) ?? last;
    const ticks = [0, ...Array.from({ length: Math.max(0, Math.ceil(last / step) - 1) }, (_, at) => (at + 1) * step).filter((each) => last - each >= step / 2), last];
    axis.replaceChildren(...ticks.map((layer) => {
      const mark = build("span", {}, String(layer));
      mark.style.setProperty("--at", String((layer + 0.5) / count));
      return mark;
    }));
  }

  /** @param {Shown} what @param {number} layer in view */
  function update(what, layer) {
    const { answer, scale, focus, against } = what;
    const now = [answer, scale, focus, against];
    if (now.some((each, at) => each !== drawn[at])) {
      drawn = now;
      marks = [];
      count = answer.layers.length;
      drawMap(what);
      drawLines(what);
      drawBars(what);
      drawAxis();
    }
    for (const mark of marks) setAttribute(mark, "x", String(layer));
  }

  return { root, bars: bars.root, update };
}
