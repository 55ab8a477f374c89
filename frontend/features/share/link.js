/**
 * Links that restore text, token ids, settings, model, pins and what is compared; `making.js` makes them. They use the URL
 * fragment, which browsers don't send to the server, and are validated as untrusted input. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices_later.js").LinkedOther} LinkedOther
 * @typedef {import("./making.js").Link} Link
 */
import { fromBase64 } from "../../core/base64.js";
import { readChain } from "../../core/chain.js";
import { shortName } from "../../core/format.js";
import { chooseView } from "../../core/frame.js";
import { SETTINGS, LIMITS, fits } from "../../core/settings.js";
import { FIRST_COMPARISON } from "../../core/slices.js";
import { ending, pastWithDraft } from "../../core/state.js";
import { find } from "../models/model.js";
import { fromLink } from "../pins/linked.js";
import { NAMES } from "../pins/model.js";

export const VERSION = 1;
export const START = "#ntv=";
export const LONGEST_LINK = 32_000; // characters; mail and chat break longer ones
const MOST_ID = 2 ** 31 - 1;
const LONGEST_NAME = 1000;

/** The link is invalid; the message says why. */
export class BadLink extends Error {}

/** @param {string} fragment of an address @returns {boolean} whether it is a link of this page */
export function isLink(fragment) {
  return fragment.startsWith(START);
}

/**
 * @param {string} fragment of an address
 * @returns {Link | null} null if it is not a link of this page
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
  if (model !== null && !isName(model)) throw new BadLink("its model has no name");
  if (!(ids === null || goodIds(ids)) || (ids && model === null)) throw new BadLink("its tokens are no token ids");
  const pins = readPins(said.pins ?? []);
  const other = said.other === undefined ? null : readOther(said.other);
  return { model, text, ids, settings: readSettings(said.settings), pins, other, versus: pins.find(({ name }) => name === said.versus)?.name ?? pins.at(-1)?.name ?? null };
}

/** @param {any} ids @returns {boolean} */
function goodIds(ids) {
  return Array.isArray(ids) && ids.every((id) => Number.isInteger(id) && id >= 0 && id <= MOST_ID);
}

/** @param {any} name of a model @returns {boolean} */
function isName(name) {
  return typeof name === "string" && name !== "" && name.length <= LONGEST_NAME;
}

/** @param {any} said @returns {LinkedOther} @throws {BadLink} */
function readOther(said) {
  const { model = null, temperature = null, text = null, ids = null } = said ?? {};
  const asked = (model === null || isName(model)) && (temperature === null || fits("temperature", temperature));
  const written = text === null ? ids === null : typeof text === "string" && text.isWellFormed() && (ids === null || goodIds(ids));
  if (!asked || !written) throw new BadLink("what it compares is invalid");
  return { model, temperature, text, ids };
}

/** @param {any} said @returns {import("../pins/linked.js").LinkedPin[]} @throws {BadLink} */
function readPins(said) {
  if (!Array.isArray(said) || said.length > NAMES.length) throw new BadLink("its pins are invalid");
  return said.map((pin, at) => {
    const { name, model, ids, settings } = pin ?? {};
    const named = NAMES.includes(name) && said.findIndex((each) => each?.name === name) === at;
    if (!named || !isName(model) || !goodIds(ids)) throw new BadLink("its pins are invalid");
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
    const there = { ...fresh, ...pins, settings: link.settings, wish, model: speaks };
    return link.other ? chooseView({ ...there, comparison: comparisonOf(link.other, link.model) }, "compare") : there;
  } catch (error) {
    if (!(error instanceof BadLink)) throw error;
    return { ...state, linkTrouble: `This link can’t be opened: ${error.message}. Nothing here changed.` };
  }
}

/** @param {LinkedOther} other @param {string | null} reader whose tokens its ids are @returns {State["comparison"]} */
function comparisonOf({ model, temperature, text, ids }, reader) {
  const read = ids && reader !== null ? { model: reader, ids } : null;
  return { ...FIRST_COMPARISON, model, temperature, prompt: text === null ? null : { text, at: null, read } };
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
  const chain = readChain(said.chain);
  if (said.chain !== undefined && !chain) throw new BadLink("its sampler steps are invalid");
  return /** @type {any} */ ({ ...Object.fromEntries(SETTINGS.map((name) => [name, said[name]])), ...(chain && { chain }) });
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
