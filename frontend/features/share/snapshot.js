/**
 * The data on screen, and its export as text, JSON and CSV. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/tokens.js").Token} Token
 * @typedef {import("../../core/cuts.js").CutRow} CutRow
 * @typedef {import("../../core/cuts.js").CutDrawing} Drawing
 *
 * @typedef {object} Snapshot
 * @property {string} model
 * @property {string} text
 * @property {string | null} typed  the text if it was typed and names of special tokens in it are those; otherwise only the ids are exact
 * @property {readonly Token[]} tokens  the prompt
 * @property {import("../../core/settings.js").Settings} settings
 * @property {Drawing} drawing
 * @property {number} vocabulary  its size
 * @property {readonly import("../../core/slices.js").Pin[]} pins  shown with it
 * @property {string | null} versus  name of the pin compared with
 * @property {ReadonlyMap<number, number> | null} rolled  how often each token was drawn
 * @property {string} rolls  describes the rolls
 */
import { toBase64 } from "../../core/base64.js";
import { samplingOf, stepsWords } from "../../core/chain.js";
import { othersWords } from "../../core/cuts.js";
import * as format from "../../core/format.js";
import { scene, settingsHere } from "../../core/questions.js";
import { decode, hex, noToken, spell, spoken } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { CHART } from "../../core/words.js";
import { playWords, tally } from "../dice/model.js";
import { idsOf, known, stripsOf } from "../pins/model.js";

/** @param {State} state @returns {Snapshot | null} null while the bars are stale */
export function snapshot(state) {
  const now = scene(state);
  if (!now || now.stale || state.current === null) return null;
  const { model, typed } = tree.node(state.tree, state.current);
  const { drawing } = now;
  const tokens = tree.tokens(tree.path(state.tree, state.current));
  const settings = settingsHere(state);
  const { versus } = state;
  const pins = state.pins.filter(known);
  const rolled = tally(state);
  const shown = { drawing, vocabulary: drawing.rows.length + drawing.otherCount, pins, versus, rolled, rolls: rolled ? playWords(state) : "" };
  return { model, text: tree.text(state.tree, state.current), typed: state.literal ? null : typed, tokens, settings, ...shown };
}

/** @param {Snapshot} now @returns {string} with the field names of the HTTP API */
export function toJson({ model, text, tokens, settings, drawing, vocabulary, pins }) {
  const said = {
    model,
    text,
    token_ids: tokens.map((token) => token.id),
    top_k: settings.topK,
    temperature: settings.temperature,
    top_p: settings.topP,
    min_p: settings.minP,
    ...(drawing.sampling && { ...samplingOf(settings), steps: drawing.sampling.left }),
    candidates: drawing.rows.map(({ candidate, probability, share, fell }) => ({
      token_id: candidate.token.id,
      text: decode(candidate.token.bytes),
      bytes: toBase64(candidate.token.bytes),
      is_special: candidate.token.special,
      rank: candidate.rank,
      logit: candidate.logit,
      probability,
      logprob: probability > 0 ? Math.log(probability) : null,
      after_cut: share,
      cut_by: fell,
    })),
    other_count: drawing.otherCount,
    other_probability: drawing.otherProbability,
    kept: drawing.kept.known ? { count: drawing.kept.count, probability: drawing.kept.probability } : null,
    entropy_bits: drawing.entropyBits,
    vocab_size: vocabulary,
    ...(pins.length && { pins: pins.map(pinned) }),
  };
  return `${JSON.stringify(said, null, 2)}\n`;
}

/** @param {import("../../core/slices.js").Pin} pin */
function pinned(pin) {
  const { name, model, prompt, settings, entropyBits, cells } = pin;
  return {
    name,
    model,
    text: prompt,
    token_ids: idsOf(pin),
    temperature: settings.temperature,
    top_p: settings.topP,
    min_p: settings.minP,
    entropy_bits: entropyBits,
    candidates: cells.map(({ token, share }, at) => ({
      token_id: token.id,
      text: decode(token.bytes),
      bytes: toBase64(token.bytes),
      is_special: token.special,
      rank: at + 1,
      after_cut: share,
    })),
  };
}

const COLUMNS = ["side", "model", "prompt", "temperature", "filters", "rank", "token", "bytes", "probability", "logprob", "token_id"];
const NOW = "current";

/**
 * @param {Snapshot} now
 * @returns {string} CSV: a row per side and token, with its probability after temperature and filters; each side's other tokens
 *   in its last row; token bytes in hex
 */
export function toCsv({ model, text, settings, drawing, pins }) {
  const shown = new Set(drawing.rows.map(({ candidate }) => hex(candidate.token.bytes)));
  const rest = drawing.otherCount ? [{ name: othersWords(drawing), share: drawing.otherShare }] : [];
  const sides = [
    { side: NOW, model, prompt: text, settings, rows: [...drawing.rows.map(({ candidate: { rank, token }, share }) => ({ rank, token, share })), ...rest] },
    ...pins.map(({ name, model: its, prompt, settings: set, cells }) => {
      const rows = cells.map(({ token, share }, at) => ({ rank: at + 1, token, share }));
      const listed = rows.filter(({ rank, token }) => rank <= drawing.rows.length || shown.has(hex(token.bytes)));
      const left = Math.max(0, 1 - listed.reduce((sum, { share }) => sum + share, 0));
      return { side: name, model: its, prompt, settings: set, rows: [...listed, { name: "others", share: left }] };
    }),
  ];
  const lines = sides.flatMap(({ side, model: its, prompt, settings: set, rows }) => {
    const head = [side, cell(its), cell(prompt), set.temperature, cell(filtersOf(set))];
    return rows.map(({ share, ...row }) => {
      const numbers = [share, share > 0 ? Math.log(share) : ""];
      if (!("token" in row)) return [...head, "", cell(row.name), "", ...numbers, ""];
      const { rank, token } = row;
      return [...head, rank, cell(noToken(token) ? spoken(token) : (decode(token.bytes) ?? "")), hex(token.bytes), ...numbers, token.id];
    });
  });
  return [COLUMNS, ...lines].map((row) => `${row.join(",")}\r\n`).join("");
}

/** @param {Snapshot["settings"]} settings @returns {string} such as "top-p 0.9, min-p 0.05"; empty if none is on */
function filtersOf(settings) {
  const { topP, minP } = settings;
  return [topP < 1 ? `top-p ${topP}` : "", minP > 0 ? `min-p ${minP}` : "", stepsWords(settings)].filter(Boolean).join(", ");
}

/** @param {Snapshot} now @returns {string} as an aligned table */
export function toText(now) {
  const { model, text, settings, drawing, pins } = now;
  const rows = drawing.rows.map((row) => {
    const { candidate, share, fell } = row;
    const sides = stripsOf(now, row).map(({ name, share: its, known }) => `${name} ${known ? "" : "≤ "}${format.percent(its)}`);
    return [`${candidate.rank}`, drawn(candidate.token), format.percent(share), [fell ? CHART.removed(fell) : "", ...sides].filter(Boolean).join("  ")];
  });
  if (drawing.otherCount) rows.push(["", othersWords(drawing), format.percent(drawing.otherShare), ""]);
  const [ranks, names, shares] = [0, 1, 2].map((column) => Math.max(...rows.map((row) => [...row[column]].length)));
  const pad = (/** @type {string} */ words, /** @type {number} */ width) => " ".repeat(Math.max(0, width - [...words].length));
  const lines = rows.map(([rank, name, share, note]) =>
    `${pad(rank, ranks)}${rank}  ${name}${pad(name, names)}  ${pad(share, shares)}${share}${note && `  ${note}`}`.trimEnd());
  const how = (/** @type {string} */ name, /** @type {Snapshot["settings"]} */ set) => [format.shortName(name), `temperature ${set.temperature}`, filtersOf(set)].filter(Boolean).join(", ");
  const sides = pins.map((pin) => `${pin.name}: ${pin.text || "(no text)"}, ${how(pin.model, pin.settings)}`);
  const head = [text, "", how(model, settings), format.openness(drawing.entropyBits, drawing.cutting, Boolean(drawing.sampling)), ...sides];
  return `${[...head, "", ...lines].join("\n")}\n`;
}

/** @param {Token} token @returns {string} with invisible characters marked */
export function drawn(token) {
  return spell(token).pieces.map((piece) => piece.glyph || piece.text).join("");
}

/** @param {string} text @returns {string} a quoted cell, safe from formula injection */
export function cell(text) {
  const guarded = /^\s*[=+\-@＝＋－＠|]|^[\t\r\n]/u.test(text) ? `'${text}` : text;
  return `"${guarded.replaceAll('"', '""')}"`;
}
