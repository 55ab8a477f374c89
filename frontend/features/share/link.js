/**
 * Links that restore text, token ids, settings and model. They use the URL fragment, which browsers don't send to the server,
 * and are validated as untrusted input. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import { fromBase64, toBase64 } from "../../core/base64.js";
import { shortName } from "../../core/format.js";
import { SETTINGS, LIMITS, fits } from "../../core/settings.js";
import { ending, pastWithDraft, textHere } from "../../core/state.js";
import * as tree from "../../core/tree.js";
import { find } from "../models/model.js";
import { fromLink, toLink } from "../pins/linked.js";
import { NAMES } from "../pins/model.js";

const VERSION = 1;
const START = "#ntv=";
export const LONGEST_LINK = 32_000; // characters; mail and chat break longer ones
const MOST_ID = 2 ** 31 - 1;
const LONGEST_NAME = 1000;

/** The link is invalid; the message says why. */
export class BadLink extends Error {}

/** @param {string} fragment of an address @returns {boolean} whether it is a link of this page */
export function isLink(fragment) {
  return fragment.startsWith(START);
}

/** @param {State} state @returns {string | null} the fragment; null if too long */
export function linkOf(state) {
  const { model, draft, settings } = state;
  const end = draft === null ? ending(state) : null;
  const ids = end === null ? null : tree.tokenIds(state.tree, end);
  const pins = state.pins.length ? { pins: toLink(state.pins), versus: state.versus } : {};
  const said = { version: VERSION, model: end === null ? model : tree.node(state.tree, end).model, text: draft ?? textHere(state), ids, settings, ...pins };
  const fragment = START + pack(JSON.stringify(said));
  return fragment.length <= LONGEST_LINK ? fragment : null;
}

/**
 * @param {string} fragment of an address
 * @returns {{model: string | null, text: string, ids: number[] | null, settings: import("../../core/settings.js").Settings, pins: import("../pins/linked.js").LinkedPin[], versus: string | null} | null}
 *   null if it is not a link of this page
 * @throws {BadLink}
 */
export function readLink(fragment) {
  if (!isLink(fragment)) return null;
  if (fragment.length > LONGEST_LINK) throw new BadLink("it is longer than any that this page makes");
  const said = unpack(fragment.slice(START.length));
  if (typeof said !== "object" || said === null) throw new BadLink("it holds no settings");
  if (said.version !== VERSION) throw new BadLink("it was made by another version of this page");
  const { model, text, ids } = said;
  if (typeof text !== "string" || !text.isWellFormed()) throw new BadLink("its text is invalid");
  if (model !== null && (typeof model !== "string" || !model || model.length > LONGEST_NAME)) throw new BadLink("its model has no name");
  if (!(ids === null || goodIds(ids)) || (ids && model === null)) throw new BadLink("its tokens are no token ids");
  const pins = readPins(said.pins ?? []);
  return { model, text, ids, settings: readSettings(said.settings), pins, versus: pins.find(({ name }) => name === said.versus)?.name ?? pins.at(-1)?.name ?? null };
}

/** @param {any} ids @returns {boolean} */
function goodIds(ids) {
  return Array.isArray(ids) && ids.every((id) => Number.isInteger(id) && id >= 0 && id <= MOST_ID);
}

/** @param {any} said @returns {import("../pins/linked.js").LinkedPin[]} @throws {BadLink} */
function readPins(said) {
  if (!Array.isArray(said) || said.length > NAMES.length) throw new BadLink("its pins are invalid");
  return said.map((pin, at) => {
    const { name, model, ids, settings } = pin ?? {};
    const named = NAMES.includes(name) && said.findIndex((each) => each?.name === name) === at;
    if (!named || typeof model !== "string" || !model || model.length > LONGEST_NAME || !goodIds(ids)) throw new BadLink("its pins are invalid");
    return { name, model, ids, settings: readSettings(settings) };
  });
}

/** @param {State} state @param {string} fragment @returns {State} with the link opened, or the reason why not */
export function follow(state, fragment) {
  try {
    const link = readLink(fragment);
    if (!link) return state;
    const linked = link.ids && link.model ? { model: link.model, ids: link.ids } : null;
    const fresh = { ...state, past: pastWithDraft(state), current: ending(state), end: null, draft: link.text, base: null, session: null, linked, linkTrouble: null, trouble: null, play: null, said: null };
    const wish = link.model ?? state.wish;
    const speaks = wish !== null && find(state, wish)?.state === "ready" ? wish : state.model;
    const pins = link.pins.length ? { pins: fromLink(link.pins), versus: link.versus, unpinned: null } : {};
    return { ...fresh, ...pins, settings: link.settings, wish, model: speaks };
  } catch (error) {
    if (!(error instanceof BadLink)) throw error;
    return { ...state, linkTrouble: `This link can’t be opened: ${error.message}. Nothing here changed.` };
  }
}

/** @param {State} state @returns {string} a note about the link that was opened */
export function linkWords(state) {
  const { linked, models, model, linkTrouble } = state;
  if (linkTrouble) return linkTrouble;
  if (!linked || !models || linked.model === model) return "";
  const name = `\u2068${shortName(linked.model).slice(0, 60).toWellFormed()}\u2069`;
  const instead = model === null ? "" : ` ${shortName(model)} re-tokenizes its text, so the numbers will differ.`;
  const there = find(state, linked.model);
  if (there && there.state !== "failed") return `The link was made with ${name}, which is not ready yet.${instead}`;
  return `The link was made with ${name}, which this server ${there ? "could not load" : "does not offer"}.${instead}`;
}

/** @param {any} said @returns {import("../../core/settings.js").Settings} @throws {BadLink} */
function readSettings(said) {
  for (const name of SETTINGS) {
    if (!fits(name, said?.[name])) throw new BadLink(`its ${name} is not a number from ${LIMITS[name].least} to ${LIMITS[name].most}`);
  }
  return /** @type {any} */ (Object.fromEntries(SETTINGS.map((name) => [name, said[name]])));
}

/** @param {string} text @returns {string} in URL-safe base64 */
function pack(text) {
  return toBase64(new TextEncoder().encode(text)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** @param {string} packed @returns {any} @throws {BadLink} */
function unpack(packed) {
  try {
    const bytes = fromBase64(packed.replace(/-/g, "+").replace(/_/g, "/"));
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new BadLink("a part of it is missing or changed");
  }
}
