import assert from "node:assert/strict";
import test from "node:test";
import { marks } from "../../../frontend/core/marks.js";
import { bytePieces, decode, groups, hex, pending, spell, spoken, textOf } from "../../../frontend/core/tokens.js";

let nextId = 0;
/** @param {string | number[]} content @param {boolean} [special] */
const token = (content, special = false) => ({
  id: nextId++,
  bytes: typeof content === "string" ? new TextEncoder().encode(content) : Uint8Array.from(content),
  special,
});
/** @param {import("../../../frontend/core/tokens.js").Piece[]} pieces what a reader sees */
const seen = (pieces) => pieces.map((piece) => piece.glyph || piece.text).join("");
/** @param {import("../../../frontend/core/tokens.js").Piece[]} pieces what a copy holds */
const copied = (pieces) => pieces.map((piece) => piece.text).join("");

test("blanks are seen, runs of them counted, and the text itself is unchanged", () => {
  for (const [text, drawn] of [
    [" the", "·the"],
    ["the", "the"],
    ["   x", "···x"],
    ["        x", "·×8x"],
    ["\n", "↵"],
    ["\n\n\n\n\n", "↵×5"],
    ["\t\tx", "⇥⇥x"],
    ["a b", "a·b"],
    ["end ", "end·"],
    ["\r\n", "U+000D↵"],
    ["\u0000", "U+0000"],
    ["\u007f", "U+007F"],
    ["\u00a0", "U+00A0"],
    ["\u200b", "U+200B"],
    ["\u3000", "U+3000"],
    ["\ufeff", "U+FEFF"],
  ]) {
    assert.equal(seen(marks(text)), drawn);
    assert.equal(copied(marks(text)), text);
  }
});

test("characters that turn the direction of text are drawn by number, never applied", () => {
  for (const code of [0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069, 0x200e, 0x200f, 0x061c]) {
    const text = `a${String.fromCodePoint(code)}b`;
    const pieces = marks(text);
    assert.deepEqual(pieces.map((piece) => piece.kind), ["text", "mark", "text"]);
    assert.equal(pieces[1].glyph, `U+${code.toString(16).toUpperCase().padStart(4, "0")}`);
  }
});

test("joiners stay in the character they shape, and are seen alone", () => {
  for (const whole of ["👩‍🚀", "❤️", "می‌خواهم", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]) assert.deepEqual(marks(whole).map((piece) => piece.kind), ["text"]);
  assert.equal(seen(marks("\u200d")), "U+200D");
  assert.equal(seen(marks("\ufe0f")), "U+FE0F");
});

test("markup is text", () => {
  const [piece] = marks("<script>alert(1)</script>");
  assert.deepEqual([piece.kind, piece.text], ["text", "<script>alert(1)</script>"]);
});

test("a token of 5 kB is drawn in part, and says so", () => {
  const pieces = marks("x".repeat(5000));
  assert.ok(seen(pieces).length < 500);
  assert.match(seen(pieces), /… \+4600$/);
  assert.doesNotThrow(() => marks(`${"x".repeat(399)}😀${"y".repeat(50)}`));
});

test("half characters are bytes until the other half comes", () => {
  const [first, second] = [token([0xe2, 0x9c]), token([0x93])];
  const [half] = groups([first]);
  assert.equal(half.open, true);
  assert.deepEqual(half.pieces.map((piece) => [piece.kind, piece.glyph]), [["byte", "E2"], ["byte", "9C"]]);
  const [fused, ...rest] = groups([first, second]);
  assert.deepEqual(rest, []);
  assert.deepEqual([fused.count, seen(fused.pieces), fused.open], [2, "✓", false]);
});

test("a character split over four tokens fuses, with the text around it", () => {
  const fused = groups([token([0x20, 0xf0]), token([0x9f]), token([0x98]), token([0x80, 0x21])]);
  assert.deepEqual([fused.length, fused[0].count, seen(fused[0].pieces)], [1, 4, "·😀!"]);
});

test("bytes that never become a character stand alone and do not swallow what follows", () => {
  const found = groups([token([0xe2]), token("A"), token([0x93]), token(" b")]);
  assert.deepEqual(found.map((group) => seen(group.pieces)), ["E2", "A", "93", "·b"]);
  assert.deepEqual(found.map((group) => group.count), [1, 1, 1, 1]);
});

test("overlong forms, surrogates and stray bytes are bytes, exactly", () => {
  for (const bytes of [[0xc0, 0x80], [0xed, 0xa0, 0x80], [0xff], [0xf5, 0x80], [0x80, 0x80]]) {
    const [group] = groups([token(bytes)]);
    assert.deepEqual(group.pieces.map((piece) => piece.glyph).join(" "), hex(Uint8Array.from(bytes)));
  }
});

test("a special token is a label and not part of the text", () => {
  const tokens = [token("<|endoftext|>", true), token("Hi")];
  const [label, text] = groups(tokens);
  assert.deepEqual([label.special, seen(label.pieces), text.special], [true, "<|endoftext|>", false]);
  assert.equal(textOf(tokens), "Hi");
});

test("a special token between the halves of a character keeps them apart", () => {
  const found = groups([token([0xe2, 0x9c]), token("<s>", true), token([0x93])]);
  assert.deepEqual(found.map((group) => seen(group.pieces)), ["E29C", "<s>", "93"]);
});

test("the text joins bytes over tokens and keeps a byte order mark", () => {
  assert.equal(textOf([token([0xe2, 0x9c]), token([0x93, 0x20])]), "✓ ");
  assert.equal(textOf([token("\ufeffa")]), "\ufeffa");
  assert.equal(textOf([token([0x61, 0xe2, 0x9c]), token([0x20, 0x93])]), "a ");
  assert.equal(textOf([token("a\ufffd"), token([0xe2])]), "a\ufffd", "a replacement character of the text itself stays");
});

test("what waits for the rest of a character is known, and who completes it", () => {
  const before = pending([token("a"), token([0x62, 0xe2, 0x9c])]);
  assert.equal(hex(before), "E2 9C");
  assert.equal(spell(token([0x93]), before).completes, "✓");
  assert.equal(spell(token("x"), before).completes, "");
  assert.equal(pending([token("whole")]).length, 0);
  assert.equal(pending([]).length, 0);
  assert.equal(pending([token([0xe2]), token("<s>", true)]).length, 0);
});

test("words for a screen reader", () => {
  assert.equal(spoken(token(" the")), "space the");
  assert.equal(spoken(token("\n\n")), "2 line breaks");
  assert.equal(spoken(token([0xe2, 0x9c])), "byte E2 byte 9C");
  assert.equal(spoken(token("\u202e")), "right-to-left override");
  assert.equal(spoken(token("<|im_end|>", true)), "special token <|im_end|>");
});

test("an empty token breaks nothing", () => {
  assert.deepEqual(groups([token("")]).map((group) => group.pieces), [[]]);
  assert.equal(decode(new Uint8Array()), "");
});

test("texts in many scripts, cut at every byte, come back whole", () => {
  const texts = ["Hello", "Grüße", "Привет", "שלום", "مرحبا", "नमस्ते", "สวัสดี", "你好", "こんにちは", "안녕하세요", "👩‍👩‍👧‍👦", "ᚠᛇᚻ"];
  for (const text of texts) {
    const tokens = Array.from(new TextEncoder().encode(text), (byte) => token([byte]));
    assert.equal(textOf(tokens), text);
    assert.equal(groups(tokens).map((group) => copied(group.pieces)).join(""), text);
    assert.ok(groups(tokens).every((group) => !group.open));
  }
});

test("punctuation has a name for the ear, except inside words and numbers", () => {
  const said = [
    [",", "comma"],
    [" (", "space opening parenthesis"],
    ["...", "3 periods"],
    ["!\"", "exclamation mark quote"],
    ["'s", "apostrophe s"],
    ["don't", "don't"],
    ["3.14", "3.14"],
    [".\n", "period line break"],
    [" –", "space en dash"],
    ["well-known", "well-known"],
    ["the", "the"],
    ["C++", "C 2 plus signs"],
    ["。", "ideographic full stop"],
  ];
  for (const [text, words] of said) assert.equal(spoken({ id: 1, bytes: new TextEncoder().encode(text), special: false }), words, text);
});

test("the bytes of one token of a character stand alone", () => {
  assert.deepEqual(bytePieces(token([0xe2, 0x98])).map(({ glyph, spoken: words }) => [glyph, words]), [["E2", "byte E2"], ["98", "byte 98"]]);
});
