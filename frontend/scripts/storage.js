/**
 * The state in localStorage, so that a reload loses nothing. Knows one versioned format; anything else is left aside.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./tree.js").Node} Node
 */
import { readDisplay } from "./display.js";
import { MOST_TYPED } from "./likely.js";
import { NAMES } from "./pins.js";
import { SETTINGS, fitDice, fits } from "./settings.js";
import { ending, initial, textHere } from "./state.js";
import * as tree from "./tree.js";
import { fromBase64, toBase64 } from "./wire.js";

const KEY = "next-token-visualizer";
const VERSION = 1;
const MOST_CHARACTERS = 2_000_000;

/** @param {Pick<Storage, "setItem">} storage @param {State} state */
export function save(storage, state) {
  try {
    storage.setItem(KEY, pack(state));
  } catch {
    // A full or forbidden storage costs the memory of this page, never the page.
  }
}

/** @param {Pick<Storage, "getItem">} storage @returns {State} what was kept, or a fresh start */
export function load(storage) {
  try {
    const kept = storage.getItem(KEY);
    return kept === null ? initial() : unpack(kept);
  } catch {
    return initial();
  }
}

/** @param {State} state @returns {string} everything tried; where that is too long, the way here; then the text alone */
export function pack(state) {
  const whole = JSON.stringify(record(state, [...state.tree.nodes.values()]));
  if (whole.length <= MOST_CHARACTERS) return whole;
  const alone = { ...state, past: [], future: [] };
  const way = JSON.stringify(record(alone, wayTo(state)));
  if (way.length <= MOST_CHARACTERS) return way;
  return JSON.stringify(record({ ...alone, current: null, end: null, draft: state.draft ?? textHere(state) }, []));
}

/** @param {string} packed @returns {State} @throws where it is not of this format */
export function unpack(packed) {
  const kept = JSON.parse(packed);
  if (kept.version !== VERSION) throw new RangeError(`version ${kept.version}`);
  const nodes = new Map(kept.nodes.map((/** @type {any} */ each) => [each.id, thawed(each)]));
  for (const each of nodes.values()) {
    if (each.parent !== null) nodes.get(each.parent).children.push(each.id);
    if (!nodes.has(each.latest)) each.latest = null;
  }
  const state = initial();
  const known = (/** @type {any} */ place) => typeof place?.text === "string" || nodes.has(place);
  const settings = { ...state.settings };
  for (const name of SETTINGS) if (fits(name, kept.settings?.[name])) settings[name] = kept.settings[name];
  const pins = thawedPins(kept.pins);
  const current = nodes.has(kept.current) ? kept.current : null;
  return {
    ...state,
    tree: { nodes, nextId: 1 + Math.max(0, ...nodes.keys()) },
    current,
    draft: typeof kept.draft === "string" ? kept.draft : current === null ? state.draft : null,
    session: typeof kept.draft === "string" && current !== null ? "typing" : null,
    past: kept.past.filter(known),
    future: kept.future.filter(known),
    settings,
    dice: kept.dice && fitDice(kept.dice) ? { ...state.dice, ...kept.dice } : state.dice,
    display: readDisplay(kept.display),
    pins,
    versus: pins.find((pin) => pin.name === kept.versus)?.name ?? pins.at(-1)?.name ?? null,
    likely: typeof kept.likely === "string" ? kept.likely.slice(0, MOST_TYPED) : "",
    open: unfolded(state.open, kept.open),
    room: { ...state.room, ...roomOf(kept.room) },
    wish: typeof kept.wish === "string" ? kept.wish : null,
    model: typeof kept.model === "string" ? kept.model : null,
  };
}

/** @param {State} state @param {readonly Node[]} nodes */
function record(state, nodes) {
  const { draft, past, future, settings, dice, display, versus, likely, open, wish, model } = state;
  const { guessing, seen, keys, tour } = state.room;
  const room = { guessing, seen, keys, offered: tour.offered };
  const pins = state.pins.map((pin) => ({ ...pin, cells: pin.cells.map(({ token, share }) => ({ ...frozenToken(token), share })) }));
  const rest = { current: ending(state), draft, past, future, settings, dice, display, pins, versus, likely, open, wish, model, room };
  return { version: VERSION, nodes: nodes.map(frozen), ...rest };
}

/** @param {State} state @returns {Node[]} the nodes on the way to the current one, with the root */
function wayTo(state) {
  const end = ending(state);
  if (end === null) return [];
  const way = tree.path(state.tree, end);
  const root = tree.node(state.tree, way[0]?.parent ?? end);
  return [root, ...way];
}

/** @param {Node} node */
function frozen({ children: _, token, ...rest }) {
  return { ...rest, token: token && frozenToken(token) };
}

/** @param {any} kept @returns {any} */
function thawed(kept) {
  const { id, parent, model, token, probability, rank, typed, latest } = kept;
  return { id, parent, model, token: token && thawedToken(token), probability, rank, typed, latest, children: [] };
}

/** @param {import("./tokens.js").Token} token */
function frozenToken({ id, bytes, special }) {
  return { id, bytes: toBase64(bytes), special };
}

/** @param {any} kept @returns {import("./tokens.js").Token} */
function thawedToken({ id, bytes, special }) {
  return { id, bytes: fromBase64(bytes, "bytes"), special: Boolean(special) };
}

/** @param {any} kept @returns {import("./pins.js").Pin[]} those that are whole, each name once */
function thawedPins(kept) {
  /** @type {import("./pins.js").Pin[]} */
  const pins = [];
  for (const pin of Array.isArray(kept) ? kept : []) {
    const { name, key, text, model, settings, whole, entropyBits, cells } = pin ?? {};
    const words = [key, text, model].every((each) => typeof each === "string") && NAMES.includes(name) && Array.isArray(cells);
    const good = words && Number.isFinite(entropyBits) && SETTINGS.every((each) => fits(each, settings?.[each]));
    if (!good || pins.some((each) => each.name === name) || !cells.every(({ share }) => share >= 0 && share <= 1)) continue;
    const read = cells.map((/** @type {any} */ cell) => ({ token: thawedToken(cell), share: cell.share }));
    pins.push({ name, key, text, model, settings, whole: whole === true, entropyBits, cells: read });
  }
  return pins;
}

/** @param {any} kept @returns {Partial<State["room"]>} nobody presents, and nobody walks, after a reload */
function roomOf(kept) {
  return {
    guessing: kept?.guessing === true,
    seen: typeof kept?.seen === "number" ? kept.seen : null,
    keys: kept?.keys !== false,
    tour: { at: null, offered: kept?.offered !== false, mark: null },
  };
}

/** @param {State["open"]} fresh @param {any} kept @returns {State["open"]} */
function unfolded(fresh, kept) {
  const names = /** @type {(keyof State["open"])[]} */ (Object.keys(fresh));
  return /** @type {any} */ (Object.fromEntries(names.map((name) => [name, kept?.[name] === true])));
}
