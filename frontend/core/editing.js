/**
 * What an edited text is made of: the tokens that the edit leaves untouched, with their ids, and the text to tokenize. Pure.
 *
 * Text that was typed is tokenized as a whole, so an edit next to it takes it in. Tokens that were picked stay as they are.
 *
 * @typedef {import("./tree.js").Tree} Tree
 * @typedef {import("./tree.js").Run} Run
 * @typedef {import("./tokens.js").Token} Token
 * @typedef {string | number[]} Part  of a prompt: text, or token ids
 *
 * @typedef {object} Composed
 * @property {Part[]} parts  in turn
 * @property {Run[]} runs  the tokens of the answer that come from typed text
 * @property {Token[]} lost  removed tokens that the editor does not show: special ones, and parts of characters
 *
 * @typedef {object} Unit  a part of the text that an edit keeps or takes in as a whole
 * @property {readonly Token[]} tokens
 * @property {string} text
 * @property {boolean} typed
 * @property {boolean} whole  typed, and no token of it was removed since
 * @property {number} start  in the editor's text
 * @property {number} end
 */
import { groups, textOf } from "./tokens.js";
import * as tree from "./tree.js";

/** @param {string} text @returns {string} as an editor holds it, with \n for every line break */
export function inEditor(text) {
  return text.replace(/\r\n?/g, "\n");
}

/** @type {WeakMap<Tree, {base: number, text: string, front: string, composed: Composed}>} the latest of each tree */
const known = new WeakMap();

/**
 * @param {Tree} all @param {number} base  the node whose text was edited
 * @param {string} edited @param {readonly number[]} front  special tokens that the tokenizer adds in front of every text
 * @returns {Composed}
 */
export function compose(all, base, edited, front) {
  const found = known.get(all);
  if (found?.base === base && found.text === edited && found.front === String(front)) return found.composed;
  const composed = composeAnew(unitsOf(all, base), edited, front);
  known.set(all, { base, text: edited, front: String(front), composed });
  return composed;
}

/** @param {readonly Unit[]} units @param {string} edited @param {readonly number[]} front @returns {Composed} */
function composeAnew(units, edited, front) {
  const [old, text] = [units.map((unit) => unit.text).join(""), edited].map(inEditor);
  const fronted = String(idsOf(units).slice(0, front.length)) === String(front);
  if (fronted && units.every((unit) => unit.typed)) return { parts: [edited], runs: [{ text: edited, start: 0, end: undefined }], lost: [] };
  if (old === text) return { parts: [idsOf(units)], runs: [], lost: [] };
  const [from, to] = changed(old, text, new Set(units.flatMap(({ start, end }) => [start, end])));
  const stays = units.some(({ start, end }) => start < end && (end <= from || start >= to));
  // A letter that both texts happen to end in does not make them one.
  if (to > from && !stays && 2 * (from + old.length - to) < old.length) return replaced(units, edited, fronted ? front.length : 0);
  const [touched, after] = places(units, from, to, old.length);
  const lost = units.slice(touched, after).flatMap(({ start, end, tokens }) => (start === end ? tokens : []));
  const first = units.slice(0, touched).findLastIndex(({ typed, text: words }) => !typed || !words) + 1;
  const next = after + units.slice(after).findIndex(({ typed }) => !typed);
  const rest = units.slice(next < after ? units.length : next);
  const [before, behind] = [idsOf(units.slice(0, first)), idsOf(rest)];
  const written = text.slice(first && units[first - 1].end, text.length - (rest.length ? old.length - rest[0].start : 0));
  // The tokenizer puts its special tokens in front of a first text.
  const begins = first ? String(before) === String(front) : fronted;
  const nothing = !written && (first > 0 || !begins || !front.length);
  const some = nothing ? [[...before, ...behind]] : [...(begins ? [] : [before]), written, behind];
  const parts = some.filter((part, at) => part.length || (at === 0 && !nothing));
  const run = { text: written, start: begins ? 0 : before.length, end: -behind.length || undefined };
  return { parts: parts.length ? parts : [""], runs: [...(nothing ? [] : [run]), ...runsOf(rest)], lost };
}

/**
 * Hardly anything of the text is left: the new one is tokenized alone, without what belonged to the old one.
 * @param {readonly Unit[]} units @param {string} edited @param {number} front  how many tokens the tokenizer adds by itself
 * @returns {Composed}
 */
function replaced(units, edited, front) {
  const lost = units.flatMap(({ start, end, tokens, typed }) => (start === end && !typed ? tokens : []));
  const added = front && units[0].start === units[0].end && !units[0].typed ? front : 0;
  return { parts: [edited], runs: [{ text: edited, start: 0, end: undefined }], lost: lost.slice(added) };
}

/**
 * @param {readonly Unit[]} units @param {number} from @param {number} to @param {number} length of the text
 * @returns {[number, number]} index of the first unit that the change touches, and of the first behind it
 */
function places(units, from, to, length) {
  // Between two characters, what the editor does not show comes after the text that is inserted there.
  const between = from === to && from > 0 && from < length;
  const isBefore = (/** @type {Unit} */ { start, end }) => (start === end && between ? start < from : end <= from);
  const touched = units.findIndex((unit) => !isBefore(unit));
  if (touched < 0) return [units.length, units.length];
  const after = units.findIndex(({ start }, at) => at >= touched && start >= to);
  return [touched, after < 0 ? units.length : after];
}

/**
 * @param {string} old @param {string} text @param {ReadonlySet<number>} seams  where tokens meet
 * @returns {[number, number]} the range of `old` that was replaced
 */
function changed(old, text, seams) {
  const least = Math.min(old.length, text.length);
  let from = 0;
  while (from < least && old[from] === text[from]) from++;
  if (/[\ud800-\udbff]/.test(old[from - 1] ?? "")) from--; // not inside a surrogate pair
  let behind = 0;
  while (behind < least - from && old[old.length - 1 - behind] === text[text.length - 1 - behind]) behind++;
  if (/[\udc00-\udfff]/.test(old[old.length - behind] ?? "")) behind--;
  const to = old.length - behind;
  // Of “a b b” either “ b” or “b ” may have been removed: rather whole tokens.
  for (let by = 0; by <= from; by++) {
    if (seams.has(from - by) && seams.has(to - by)) return [from - by, to - by];
    if (old[to - by - 1] !== text[text.length - behind - by - 1]) break;
  }
  return [from, to];
}

/** @param {readonly Unit[]} units @returns {number[]} */
function idsOf(units) {
  return units.flatMap(({ tokens }) => tokens.map((token) => token.id));
}

/** @param {readonly Unit[]} units at the end of the text @returns {Run[]} the typed ones */
function runsOf(units) {
  let behind = 0;
  return units.toReversed().flatMap(({ tokens, text, typed, whole }) => {
    const end = -behind || undefined;
    behind += tokens.length;
    return typed ? [{ text: whole ? text : null, start: -behind, end }] : [];
  });
}

/** @param {Tree} all @param {number} base @returns {Unit[]} in order */
function unitsOf(all, base) {
  /** @type {Unit[]} */
  const units = [];
  let at = 0;
  let last = "";
  const add = (/** @type {readonly Token[]} */ tokens, /** @type {string} */ text, /** @type {boolean} */ typed, whole = false) => {
    // A line break of two characters may lie in two tokens.
    const end = at + inEditor(text).length - (last === "\r" && text[0] === "\n" ? 1 : 0);
    units.push({ tokens, text, typed, whole, start: at, end });
    [at, last] = [end, text.at(-1) ?? last];
  };
  for (const { nodes, text, typed } of tree.runs(all, base)) {
    const tokens = tree.tokens(nodes);
    if (text !== null) add(tokens, text, true, true);
    else for (const each of parted(tokens, typed)) add(each, textOf(each), typed && !each[0].special);
  }
  return units;
}

/** @param {readonly Token[]} tokens @param {boolean} typed @returns {(readonly Token[])[]} typed ones together; others by character */
function parted(tokens, typed) {
  const characters = groups(tokens).map(({ start, count }) => tokens.slice(start, start + count));
  const parts = typed ? together(characters) : characters;
  // Bytes that only make text together stay together.
  return parts.map(textOf).join("") === textOf(tokens) || tokens.some((token) => token.special) ? parts : [tokens];
}

/** @param {(readonly Token[])[]} characters @returns {(readonly Token[])[]} with a special token alone and others joined */
function together(characters) {
  /** @type {Token[][]} */
  const parts = [];
  for (const each of characters) {
    const last = parts.at(-1);
    if (last && !last[0].special && !each[0].special) last.push(...each);
    else parts.push([...each]);
  }
  return parts;
}
