/**
 * Draws the places in view on a canvas.
 *
 * @typedef {import("./layout.js").Place} Place
 * @typedef {import("./camera.js").Camera} Camera
 * @typedef {Record<"ink" | "quiet" | "accent" | "grown" | "surface", string>} Colours
 */
import { GAP, HEIGHT } from "./layout.js";

const THICKEST = 14; // of a connection that all probability flows through
const LEGIBLE = 0.4; // scale below which words are not drawn
const FAINT = 0.6;
const VISIBLE = 6; // pixels that a curve needs to look unlike a line
const HAIRLINE = 0.99; // pixels; browsers draw strokes below one pixel without outlining them first

/**
 * @param {CanvasRenderingContext2D} context of a canvas of `width` × `height` CSS pixels
 * @param {readonly Place[]} places @param {Camera} camera
 * @param {{width: number, height: number, colours: Colours, focused: number | null, font: string}} how
 */
export function paint(context, places, camera, { width, height, colours, focused, font }) {
  const legible = camera.scale >= LEGIBLE;
  context.clearRect(0, 0, width, height);
  context.save();
  context.scale(camera.scale, camera.scale);
  context.translate(-camera.x, -camera.y);
  const [top, bottom] = [camera.y - HEIGHT, camera.y + height / camera.scale + HEIGHT];
  const [left, right] = [camera.x, camera.x + width / camera.scale];
  const within = (/** @type {Place} */ { x, y, width: wide }) => y >= top && y <= bottom && x <= right && x + wide >= left;
  const passes = (/** @type {Place} */ { x, y, width: wide, parent }) => {
    const before = parent === null ? null : places[parent];
    const [from, to] = [before?.x ?? x, legible ? x : x + wide];
    return from <= right && to >= left && Math.max(y, before?.y ?? y) >= top && Math.min(y, before?.y ?? y) <= bottom;
  };
  connect(context, places, places.filter(passes), colours, camera.scale, legible);
  context.font = font;
  context.textBaseline = "middle";
  for (const place of legible ? places.filter(within) : []) box(context, place, colours);
  const at = focused === null ? undefined : places[focused];
  if (at) frame(context, at, colours, camera.scale);
  context.restore();
}

/**
 * Connections, and unless boxes stand there, the places themselves as lines: one path for all that look alike, since a
 * stroke costs more than its curves.
 *
 * @param {CanvasRenderingContext2D} context @param {readonly Place[]} all @param {readonly Place[]} shown
 * @param {Colours} colours @param {number} scale @param {boolean} boxes
 */
function connect(context, all, shown, colours, scale, boxes) {
  const curved = GAP * scale >= VISIBLE;
  for (const { thickness, way, faint, alike } of styles(shown, scale)) {
    context.beginPath();
    for (const { x, y, width, parent } of alike) {
      const [to, before] = [y + HEIGHT / 2, parent === null ? null : all[parent]];
      if (before) {
        const [start, from, bend] = [before.x + before.width, before.y + HEIGHT / 2, (x - before.x - before.width) / 2];
        context.moveTo(start, from);
        if (curved && from !== to) context.bezierCurveTo(start + bend, from, x - bend, to, x, to);
        else context.lineTo(x, to);
      } else context.moveTo(x, to);
      if (!boxes) context.lineTo(x + width, to);
    }
    context.lineWidth = thickness / scale;
    context.strokeStyle = way ? colours.accent : colours.grown;
    context.globalAlpha = faint ? FAINT : 1;
    context.stroke();
  }
  context.globalAlpha = 1;
}

/** @param {readonly Place[]} shown @param {number} scale what looks alike, the text's way last; thickness in half pixels, at least one pixel */
function styles(shown, scale) {
  /** @type {Map<number, {thickness: number, way: boolean, faint: boolean, alike: Place[]}>} */
  const found = new Map();
  for (const place of shown) {
    const [halves, way, faint] = [Math.max(2, Math.round(2 * THICKEST * place.flow * scale)), place.way, place.own === null];
    const key = (Number(way) * 2 + Number(!faint)) * 1e4 + halves;
    const style = found.get(key);
    if (style) style.alike.push(place);
    else found.set(key, { thickness: halves === 2 ? HAIRLINE : halves / 2, way, faint, alike: [place] });
  }
  return [...found].sort(([one], [other]) => one - other).map(([, style]) => style);
}

/** @param {CanvasRenderingContext2D} context @param {Place} place @param {Colours} colours */
function box(context, { x, y, width, own, way, here, words }, colours) {
  context.globalAlpha = own === null ? FAINT : 1;
  context.fillStyle = colours.surface;
  context.strokeStyle = way ? colours.accent : colours.grown;
  context.lineWidth = here ? 2.5 : 1;
  context.setLineDash(own === null ? [3, 3] : []);
  context.fillRect(x, y, width, HEIGHT);
  context.strokeRect(x, y, width, HEIGHT);
  context.setLineDash([]);
  context.globalAlpha = 1;
  context.fillStyle = own === null ? colours.quiet : colours.ink;
  context.fillText(words, x + 7, y + HEIGHT / 2 + 1);
}

/** @param {CanvasRenderingContext2D} context @param {Place} place that the keyboard is at @param {Colours} colours @param {number} scale */
function frame(context, { x, y, width }, colours, scale) {
  context.lineWidth = 2 / scale;
  context.strokeStyle = colours.ink;
  context.strokeRect(x - 3 / scale, y - 3 / scale, width + 6 / scale, HEIGHT + 6 / scale);
}
