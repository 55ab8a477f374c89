/**
 * Draws the places in view on a canvas.
 *
 * @typedef {import("./layout.js").Place} Place
 * @typedef {import("./camera.js").Camera} Camera
 * @typedef {Record<"ink" | "quiet" | "accent" | "grown" | "surface", string>} Colours
 */
import { HEIGHT } from "./layout.js";

const THICKEST = 14; // of a connection that all probability flows through
const LEGIBLE = 0.4; // scale below which words are not drawn
const FAINT = 0.6;

/**
 * @param {CanvasRenderingContext2D} context of a canvas of `width` × `height` CSS pixels
 * @param {readonly Place[]} places @param {Camera} camera
 * @param {{width: number, height: number, colours: Colours, focused: number | null, font: string}} how
 */
export function paint(context, places, camera, { width, height, colours, focused, font }) {
  context.clearRect(0, 0, width, height);
  context.save();
  context.scale(camera.scale, camera.scale);
  context.translate(-camera.x, -camera.y);
  const [top, bottom] = [camera.y - HEIGHT, camera.y + height / camera.scale + HEIGHT];
  const [left, right] = [camera.x, camera.x + width / camera.scale];
  for (const place of places) {
    const before = place.parent === null ? null : places[place.parent];
    if (!before || Math.max(place.y, before.y) < top || Math.min(place.y, before.y) > bottom) continue;
    if (before.x > right || place.x < left) continue;
    connect(context, before, place, colours, camera.scale);
  }
  context.font = font;
  context.textBaseline = "middle";
  for (const place of places) {
    if (place.y < top || place.y > bottom || place.x > right || place.x + place.width < left) continue;
    box(context, place, colours, focused === place.index, camera.scale);
  }
  context.restore();
}

/** @param {CanvasRenderingContext2D} context @param {Place} from @param {Place} to @param {Colours} colours @param {number} scale */
function connect(context, from, to, colours, scale) {
  const [x, y, end, middle] = [from.x + from.width, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
  const bend = (end - x) / 2;
  context.beginPath();
  context.moveTo(x, y);
  context.bezierCurveTo(x + bend, y, end - bend, middle, end, middle);
  context.lineWidth = Math.max(1 / scale, THICKEST * to.flow);
  context.strokeStyle = to.way ? colours.accent : colours.grown;
  context.globalAlpha = to.own === null ? FAINT : 1;
  context.stroke();
  context.globalAlpha = 1;
}

/** @param {CanvasRenderingContext2D} context @param {Place} place @param {Colours} colours @param {boolean} focused @param {number} scale */
function box(context, place, colours, focused, scale) {
  const { x, y, width, own, way, here, words } = place;
  context.globalAlpha = own === null ? FAINT : 1;
  context.fillStyle = colours.surface;
  context.strokeStyle = way ? colours.accent : colours.grown;
  context.lineWidth = here ? 2.5 : 1;
  context.setLineDash(own === null ? [3, 3] : []);
  context.fillRect(x, y, width, HEIGHT);
  context.strokeRect(x, y, width, HEIGHT);
  context.setLineDash([]);
  context.globalAlpha = 1;
  if (scale >= LEGIBLE) {
    context.fillStyle = own === null ? colours.quiet : colours.ink;
    context.fillText(words, x + 7, y + HEIGHT / 2 + 1);
  }
  if (!focused) return;
  context.lineWidth = 2 / scale;
  context.strokeStyle = colours.ink;
  context.strokeRect(x - 3 / scale, y - 3 / scale, width + 6 / scale, HEIGHT + 6 / scale);
}
