/**
 * Splits text into pieces, with visible marks and spoken names for invisible characters.
 *
 * @typedef {object} Piece  part of a token as displayed
 * @property {"text" | "mark" | "byte"} kind
 * @property {string} text  the characters themselves; for a byte, empty
 * @property {string} glyph  what to display for a mark or a byte; empty for text
 * @property {string} spoken  for screen readers
 */

export const LONGEST_DRAWN = 400; // characters of one token

// Joiners, selectors and tags modify the character before them and stay in the text; alone they are shown by code point.
const JOINERS = "\\u200c\\u200d\\ufe00-\\ufe0f\\u{e0020}-\\u{e007f}";
const UNSEEN =
  "\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u00a0\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f" +
  "\\u2000-\\u200b\\u200e\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u3000\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb" +
  "\\u{e0000}-\\u{e001f}\\u{e0080}-\\u{e0fff}";
const SPLIT = new RegExp(`( +|\\n+|\\t+|[${UNSEEN}]|(?<![^\\s${UNSEEN}])[${JOINERS}]+)`, "gu");
const NAMES = new Map([
  [0x0000, "null character"],
  [0x000d, "carriage return"],
  [0x001b, "escape character"],
  [0x00a0, "no-break space"],
  [0x00ad, "soft hyphen"],
  [0x200b, "zero-width space"],
  [0x200c, "zero-width non-joiner"],
  [0x200d, "zero-width joiner"],
  [0x200e, "left-to-right mark"],
  [0x200f, "right-to-left mark"],
  [0x202a, "left-to-right embedding"],
  [0x202b, "right-to-left embedding"],
  [0x202c, "end of direction"],
  [0x202d, "left-to-right override"],
  [0x202e, "right-to-left override"],
  [0x2066, "left-to-right isolate"],
  [0x2067, "right-to-left isolate"],
  [0x2069, "end of isolate"],
  [0x3000, "ideographic space"],
  [0xfeff, "byte order mark"],
]);

/** What screen readers pass over, or say differently from one another. */
const PUNCTUATION = new Map([
  [",", "comma"],
  [".", "period"],
  [";", "semicolon"],
  [":", "colon"],
  ["!", "exclamation mark"],
  ["?", "question mark"],
  ["…", "ellipsis"],
  ["'", "apostrophe"],
  ["’", "apostrophe"],
  ["‘", "opening single quote"],
  ['"', "quote"],
  ["“", "opening quote"],
  ["”", "closing quote"],
  ["«", "opening guillemet"],
  ["»", "closing guillemet"],
  ["(", "opening parenthesis"],
  [")", "closing parenthesis"],
  ["[", "opening bracket"],
  ["]", "closing bracket"],
  ["{", "opening brace"],
  ["}", "closing brace"],
  ["<", "less-than sign"],
  [">", "greater-than sign"],
  ["-", "hyphen"],
  ["–", "en dash"],
  ["—", "em dash"],
  ["_", "underscore"],
  ["/", "slash"],
  ["\\", "backslash"],
  ["|", "vertical bar"],
  ["*", "asterisk"],
  ["#", "number sign"],
  ["&", "ampersand"],
  ["@", "at sign"],
  ["%", "percent sign"],
  ["+", "plus sign"],
  ["=", "equals sign"],
  ["~", "tilde"],
  ["^", "caret"],
  ["`", "backtick"],
  ["$", "dollar sign"],
  ["·", "middle dot"],
  ["•", "bullet"],
  ["、", "ideographic comma"],
  ["。", "ideographic full stop"],
]);
const NAMED = /(.)\1*/gsu;

/** @param {string} text without invisible characters @returns {string} with its punctuation named, except inside a word or number */
function aloud(text) {
  /** @type {string[]} */
  const said = [];
  let at = 0;
  for (const { 0: run, 1: sign, index } of text.matchAll(NAMED)) {
    const name = PUNCTUATION.get(sign);
    const inside = run === sign && /[\p{L}\p{N}]$/u.test(text.slice(0, index)) && /^[\p{L}\p{N}]/u.test(text.slice(index + run.length));
    if (!name || inside) continue;
    said.push(text.slice(at, index), run === sign ? name : `${run.length} ${name}s`);
    at = index + run.length;
  }
  return [...said, text.slice(at)].filter(Boolean).join(" ");
}

/** @param {string} text @returns {Piece[]} the text with invisible characters marked */
export function marks(text) {
  const drawn = text.length > LONGEST_DRAWN ? text.slice(0, LONGEST_DRAWN).toWellFormed() : text;
  /** @type {Piece[]} */
  const found = drawn
    .split(SPLIT)
    .filter(Boolean)
    .map((part) => mark(part) ?? { kind: "text", text: part, glyph: "", spoken: aloud(part) });
  if (drawn !== text) {
    const left = text.length - LONGEST_DRAWN;
    found.push({ kind: "mark", text: "", glyph: `… +${left}`, spoken: `and ${left} more characters` });
  }
  return found;
}

/** @param {string} text @returns {string} its end on one line: single spaces as they are, other invisible characters marked */
export function oneLine(text) {
  return marks(text.slice(-LONGEST_DRAWN).toWellFormed()).map((piece) => (piece.text === " " ? " " : piece.glyph || piece.text)).join("");
}

/** @param {string} part @returns {Piece | null} */
function mark(part) {
  const code = /** @type {number} */ (part.codePointAt(0));
  const run = (/** @type {string} */ glyph, /** @type {string} */ name) => ({
    kind: /** @type {const} */ ("mark"),
    text: part,
    glyph: part.length > 3 ? `${glyph}×${part.length}` : glyph.repeat(part.length),
    spoken: part.length > 1 ? `${part.length} ${name}s` : name,
  });
  if (code === 0x20) return run("·", "space");
  if (code === 0x0a) return run("↵", "line break");
  if (code === 0x09) return run("⇥", "tab");
  SPLIT.lastIndex = 0;
  if (!SPLIT.test(part)) return null;
  const number = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  return { kind: "mark", text: part, glyph: number, spoken: NAMES.get(code) ?? number };
}
