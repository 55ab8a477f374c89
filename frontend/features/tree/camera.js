/**
 * What part of the tree is in view. Pure.
 *
 * @typedef {{x: number, y: number, scale: number}} Camera  the point at the upper left, and pixels per unit
 * @typedef {{width: number, height: number}} Size
 */

export const [LEAST, MOST] = [0.004, 3]; // the least shows 2,000 branches on a phone
const MARGIN = 24;
const READABLE = 0.8;

/** @param {Camera} camera @param {number} x @param {number} y of the pointer, in pixels @param {number} factor @returns {Camera} zoomed around it */
export function zoom(camera, x, y, factor) {
  const scale = Math.min(MOST, Math.max(LEAST, camera.scale * factor));
  return { x: camera.x + x / camera.scale - x / scale, y: camera.y + y / camera.scale - y / scale, scale };
}

/** @param {Camera} camera @param {number} dx @param {number} dy in pixels @returns {Camera} */
export function pan(camera, dx, dy) {
  return { ...camera, x: camera.x - dx / camera.scale, y: camera.y - dy / camera.scale };
}

/** @param {Size} tree @param {Size} view @returns {Camera} with all of the tree in view, not enlarged */
export function whole(tree, view) {
  const scale = Math.min(1, Math.max(LEAST, Math.min((view.width - 2 * MARGIN) / Math.max(1, tree.width), (view.height - 2 * MARGIN) / Math.max(1, tree.height))));
  return { x: -MARGIN / scale, y: (tree.height - view.height / scale) / 2, scale };
}

/**
 * @param {Size} tree @param {Size} view @param {{x: number, y: number}} place
 * @returns {Camera} with all of the tree in view where its words stay readable, else with what follows that place
 */
export function readable(tree, view, place) {
  const all = whole(tree, view);
  if (all.scale >= READABLE) return all;
  return { x: place.x - view.width / 5 / READABLE, y: place.y - view.height / 5 / READABLE, scale: READABLE };
}

/** @param {Camera} camera @param {{x: number, y: number, width: number}} place @param {number} height @param {Size} view @returns {Camera} moved as little as puts the place in view */
export function reveal(camera, place, height, view) {
  const [margin, width, tall] = [MARGIN / camera.scale, view.width / camera.scale, view.height / camera.scale];
  const within = (/** @type {number} */ at, /** @type {number} */ size, /** @type {number} */ from, /** @type {number} */ room) =>
    size + 2 * margin > room ? at - margin : Math.min(at - margin, Math.max(from, at + size + margin - room));
  return { ...camera, x: within(place.x, place.width, camera.x, width), y: within(place.y, height, camera.y, tall) };
}
