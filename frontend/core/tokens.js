/**
 * Decodes token bytes to text and displayable pieces.
 *
 * @typedef {import("./marks.js").Piece} Piece
 *
 * @typedef {object} Token
 * @property {number} id  in its model's vocabulary
 * @property {Uint8Array} bytes  exactly what it adds to the text, possibly part of a character
 * @property {boolean} special  a control token (BOS, EOS, role) that is not part of the text; without bytes, an id that the
 *   model has but its tokenizer does not
 *
 * @typedef {object} Group  adjacent tokens that share a character
 * @property {number} start  index of its first token
 * @property {number} count  number of tokens: more than one if they split a character
 * @property {Piece[]} pieces
 * @property {boolean} special
 * @property {boolean} open  ends with an incomplete character
 */
import { LONGEST_DRAWN, marks } from "./marks.js";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @param {Uint8Array} bytes @returns {string | null} null if not valid UTF-8 */
export function decode(bytes) {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}

/** @param {readonly Uint8Array[]} parts */
export function join(parts) {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** @param {readonly Token[]} tokens @returns {string} their text, without special tokens and incomplete characters */
export function textOf(tokens) {
  const bytes = join(tokens.filter((token) => !token.special).map((token) => token.bytes));
  return decode(bytes) ?? runs(bytes).filter((run) => typeof run === "string").join("");
}

/** @type {WeakMap<Uint8Array, ReturnType<typeof wholeness>>} keyed by the tokens' bytes, which never change */
const known = new WeakMap();
/** @type {WeakMap<Uint8Array, Piece[]>} */
const drawn = new WeakMap();

/**
 * @template T
 * @param {WeakMap<Uint8Array, T>} cache @param {Uint8Array} bytes of one token @param {(bytes: Uint8Array) => T} make
 * @returns {T} computed once, since every step walks the whole text
 */
function once(cache, bytes, make) {
  const found = cache.get(bytes) ?? make(bytes);
  cache.set(bytes, found);
  return found;
}

/** @param {Uint8Array} bytes @returns {"whole" | "open" | "broken"} open: valid, but ends inside a character */
export function wholeness(bytes) {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    decoder.decode(bytes, { stream: true });
  } catch {
    return "broken";
  }
  return decode(bytes) === null ? "open" : "whole";
}

/** @param {Uint8Array} bytes @returns {string} such as "E2 9C" */
export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ");
}

/** @param {readonly Token[]} tokens @returns {Group[]} */
export function groups(tokens) {
  /** @type {Group[]} */
  const found = [];
  let start = 0;
  const close = (/** @type {number} */ end, /** @type {boolean} */ open) => {
    if (end <= start) return;
    const [first] = tokens.slice(start, end);
    const drawing = end - start === 1 ? once(drawn, first.bytes, pieces) : pieces(join(tokens.slice(start, end).map((token) => token.bytes)));
    found.push({ start, count: end - start, pieces: drawing, special: false, open });
    start = end;
  };
  tokens.forEach((token, index) => {
    if (token.special) {
      close(index, true);
      found.push({ start: index, count: 1, pieces: label(token), special: true, open: false });
      start = index + 1;
      return;
    }
    const whole = () => (start === index ? once(known, token.bytes, wholeness) : wholeness(join(tokens.slice(start, index + 1).map((each) => each.bytes))));
    let state = whole();
    if (state === "broken" && index > start) {
      close(index, true);
      state = whole();
    }
    if (state !== "open") close(index + 1, false);
  });
  close(tokens.length, true);
  return found;
}

/** @param {readonly Token[]} tokens @returns {Uint8Array} the incomplete character at the end */
export function pending(tokens) {
  const last = groups(tokens.slice(-4)).at(-1);
  if (!last || last.special || !last.open) return new Uint8Array();
  const bytes = join(tokens.slice(-4).slice(last.start).map((token) => token.bytes));
  for (let length = 1; length <= Math.min(3, bytes.length); length++) {
    const tail = bytes.subarray(bytes.length - length);
    if (wholeness(tail) === "open") return tail;
  }
  return new Uint8Array();
}

/** @param {Token} token @returns {boolean} an id without a token, which can't be appended */
export function noToken({ special, bytes }) {
  return special && bytes.length === 0;
}

/** @param {Token} token @returns {string} quoted for a sentence, with invisible characters marked and bidi isolated */
export function shown(token) {
  return noToken(token) ? spoken(token) : `“\u2068${drawnName(token)}\u2069”`;
}

/** @param {Token} token @returns {string} shortened, with invisible characters marked */
export function drawnName(token) {
  const drawn = spell(token).pieces.map((piece) => piece.glyph || piece.text).join("");
  return drawn.length > 24 ? `${drawn.slice(0, 24).toWellFormed()}…` : drawn;
}

/**
 * A token as displayed after `before`, the bytes of an incomplete character.
 * @param {Token} token @param {Uint8Array} [before]
 * @returns {{pieces: Piece[], completes: string}} `completes`: the character it completes, if any
 */
export function spell(token, before = new Uint8Array()) {
  if (token.special) return { pieces: label(token), completes: "" };
  const whole = before.length ? decode(join([before, token.bytes])) : null;
  return { pieces: pieces(token.bytes), completes: whole ?? "" };
}

/** @param {Token} token @returns {string} for screen readers, such as "space the" */
export function spoken(token) {
  return spell(token)
    .pieces.map((piece) => piece.spoken)
    .join(" ");
}

/** @param {Token} token @returns {Piece[]} its bytes, one by one */
export function bytePieces({ bytes }) {
  return Array.from(bytes, byte);
}

/** @param {number} value @returns {Piece} */
function byte(value) {
  const glyph = hex(Uint8Array.of(value));
  return { kind: "byte", text: "", glyph, spoken: `byte ${glyph}` };
}

/** @param {Token} token @returns {Piece[]} */
function label(token) {
  const name = noToken(token) ? `no token, id ${token.id}` : (decode(token.bytes) ?? hex(token.bytes));
  return [{ kind: "text", text: name.slice(0, LONGEST_DRAWN), glyph: "", spoken: noToken(token) ? name : `special token ${name}` }];
}

/** @param {Uint8Array} bytes @returns {Piece[]} text where the bytes are valid UTF-8, single bytes elsewhere */
function pieces(bytes) {
  const whole = decode(bytes);
  if (whole !== null) return marks(whole);
  return runs(bytes).flatMap((run) => (typeof run === "string" ? marks(run) : byte(run)));
}

/** @param {Uint8Array} bytes @returns {(string | number)[]} runs of text, and each byte outside of them */
function runs(bytes) {
  /** @type {(string | number)[]} */
  const found = [];
  let from = 0;
  const flush = (/** @type {number} */ to) => {
    if (to > from) found.push(/** @type {string} */ (decode(bytes.subarray(from, to))));
  };
  for (let at = 0; at < bytes.length; ) {
    const length = lengthOf(bytes[at]);
    if (length && decode(bytes.subarray(at, at + length)) !== null) {
      at += length;
      continue;
    }
    flush(at);
    found.push(bytes[at]);
    from = at += 1;
  }
  flush(bytes.length);
  return found;
}

/** @param {number} lead @returns {number} length of the character that `lead` starts; 0 if none */
function lengthOf(lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xc2) return 0;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
}
