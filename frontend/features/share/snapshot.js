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
 * @property {string | null} typed  the text if it was typed; otherwise only the ids are exact
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
import * as format from "../../core/format.js";
import { scene } from "../../core/questions.js";
import { decode, hex, noToken, spell, spoken } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { playWords, tally } from "../dice/model.js";

/** @param {State} state @returns {Snapshot | null} null while the bars are stale */
export function snapshot(state) {
  const now = scene(state);
  if (!now || now.stale || state.current === null) return null;
  const { model, typed } = tree.node(state.tree, state.current);
  const { drawing } = now;
  const tokens = tree.tokens(tree.path(state.tree, state.current));
  const { settings, pins, versus } = state;
  const rolled = tally(state);
  const shown = { drawing, vocabulary: drawing.rows.length + drawing.otherCount, pins, versus, rolled, rolls: rolled ? playWords(state) : "" };
  return { model, text: tree.text(state.tree, state.current), typed, tokens, settings, ...shown };
}

/** @param {Snapshot} now @returns {string} with the field names of the HTTP API */
export function toJson({ model, text, tokens, settings, drawing, vocabulary }) {
  const said = {
    model,
    text,
    token_ids: tokens.map((token) => token.id),
    top_k: settings.topK,
    temperature: settings.temperature,
    top_p: settings.topP,
    min_p: settings.minP,
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
  };
  return `${JSON.stringify(said, null, 2)}\n`;
}

const COLUMNS = ["rank", "token_id", "token", "bytes", "logit", "logprob", "probability", "after_cut", "cut_by"];

/** @param {Snapshot} now @returns {string} CSV with a header; other tokens in the last row; token bytes in hex */
export function toCsv({ drawing }) {
  const rows = drawing.rows.map(({ candidate: { rank, token, logit }, probability, share, fell }) => [
    rank, token.id, cell(noToken(token) ? spoken(token) : (decode(token.bytes) ?? "")), hex(token.bytes), Number.isFinite(logit) ? logit : "", probability > 0 ? Math.log(probability) : "", probability, share, fell ?? "",
  ]);
  const { otherCount, otherProbability: rest, otherShare } = drawing;
  if (otherCount) rows.push(["", "", cell(`${otherCount} others`), "", "", rest > 0 ? Math.log(rest) : "", rest, otherShare, ""]);
  return [COLUMNS, ...rows].map((row) => `${row.join(",")}\r\n`).join("");
}

/** @param {Snapshot} now @returns {string} as an aligned table */
export function toText({ model, text, settings, drawing }) {
  const rows = drawing.rows.map(({ candidate, share, fell }) => [`${candidate.rank}`, drawn(candidate.token), format.percent(share), fell ? `cut by ${fell}` : ""]);
  if (drawing.otherCount) rows.push(["", `${format.count(drawing.otherCount)} others`, format.percent(drawing.otherShare), ""]);
  const [ranks, names, shares] = [0, 1, 2].map((column) => Math.max(...rows.map((row) => [...row[column]].length)));
  const pad = (/** @type {string} */ words, /** @type {number} */ width) => " ".repeat(Math.max(0, width - [...words].length));
  const lines = rows.map(([rank, name, share, note]) =>
    `${pad(rank, ranks)}${rank}  ${name}${pad(name, names)}  ${pad(share, shares)}${share}${note && `  ${note}`}`.trimEnd());
  const { temperature, topP, minP } = settings;
  const cuts = `${topP < 1 ? `, top-p ${topP}` : ""}${minP > 0 ? `, min-p ${minP}` : ""}`;
  const head = [text, "", `${format.shortName(model)}, temperature ${temperature}${cuts}`, format.openness(drawing.entropyBits, drawing.cutting)];
  return `${[...head, "", ...lines].join("\n")}\n`;
}

/** @param {Token} token @returns {string} with invisible characters marked */
export function drawn(token) {
  return spell(token).pieces.map((piece) => piece.glyph || piece.text).join("");
}

/** @param {string} text @returns {string} a quoted cell, safe from formula injection */
function cell(text) {
  const guarded = /^\s*[=+\-@＝＋－＠|]|^[\t\r\n]/u.test(text) ? `'${text}` : text;
  return `"${guarded.replaceAll('"', '""')}"`;
}
