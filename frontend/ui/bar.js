/** Sets a bar's length. */
import { lengthOf } from "../core/display.js";
import { setVariable } from "./dom.js";

/** @param {HTMLElement} bar @param {number} share @param {import("../core/display.js").Display["scale"]} scale */
export function setLength(bar, share, scale) {
  setVariable(bar, "--share", String(lengthOf(share, scale)));
}
