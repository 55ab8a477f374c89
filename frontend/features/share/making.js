/**
 * Makes the links that `link.js` reads. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices_later.js").LinkedOther} LinkedOther
 *
 * @typedef {object} Link
 * @property {string | null} model
 * @property {string} text
 * @property {number[] | null} ids
 * @property {import("../../core/settings.js").Settings} settings
 * @property {import("../pins/linked.js").LinkedPin[]} pins
 * @property {string | null} versus
 * @property {LinkedOther | null} other  null: the link doesn't lead to Compare
 */
import { toBase64 } from "../../core/base64.js";
import { ending, textHere } from "../../core/state.js";
import * as tree from "../../core/tree.js";
import { toLink } from "../pins/linked.js";
import { LONGEST_LINK, START, VERSION } from "./link.js";

/** @param {State} state @param {LinkedOther | null} [other] to lead to Compare @returns {string | null} the fragment; null if too long */
export function linkOf(state, other = null) {
  const { model, draft, settings } = state;
  const end = draft === null ? ending(state) : null;
  const ids = end === null ? null : tree.tokenIds(state.tree, end);
  const pins = state.pins.length ? { pins: toLink(state.pins), versus: state.versus } : {};
  const said = { version: VERSION, model: end === null ? model : tree.node(state.tree, end).model, text: draft ?? textHere(state), ids, settings, ...pins, ...(other && { other }) };
  const fragment = START + pack(JSON.stringify(said));
  return fragment.length <= LONGEST_LINK ? fragment : null;
}

/** @param {string} text @returns {string} in URL-safe base64 */
function pack(text) {
  return toBase64(new TextEncoder().encode(text)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
