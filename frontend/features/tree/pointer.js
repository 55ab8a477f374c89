/** Moves, pinches, wheel and presses on an element, with a mouse, a pen or fingers. */

const STILL = 6; // pixels within which a press stays a press
const WHEEL = 0.0015;

/**
 * @param {HTMLElement} element
 * @param {{pan: (dx: number, dy: number) => void, zoom: (x: number, y: number, factor: number) => void, press: (x: number, y: number) => void}} does
 */
export function follow(element, { pan, zoom, press }) {
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  let travelled = 0;
  const local = (/** @type {MouseEvent} */ event) => {
    const { left, top } = element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    if (!down.size) travelled = 0;
    down.set(event.pointerId, local(event));
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    const now = local(event);
    travelled += Math.hypot(now.x - before.x, now.y - before.y);
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    down.set(event.pointerId, now);
    if (travelled < STILL) return;
    if (!other) {
      pan(now.x - before.x, now.y - before.y);
      return;
    }
    const apart = Math.hypot(before.x - other.x, before.y - other.y);
    if (apart > 1) zoom((now.x + other.x) / 2, (now.y + other.y) / 2, Math.hypot(now.x - other.x, now.y - other.y) / apart);
    pan((now.x - before.x) / 2, (now.y - before.y) / 2);
  });
  element.addEventListener("pointerup", (event) => {
    if (!down.delete(event.pointerId) || down.size) return;
    const { x, y } = local(event);
    if (travelled < STILL) press(x, y);
  });
  element.addEventListener("pointercancel", (event) => down.delete(event.pointerId));
  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const { x, y } = local(event);
      if (event.ctrlKey || !event.shiftKey) zoom(x, y, Math.exp(-event.deltaY * WHEEL * (event.ctrlKey ? 6 : 1)));
      else pan(-event.deltaY, 0);
    },
    { passive: false },
  );
}
