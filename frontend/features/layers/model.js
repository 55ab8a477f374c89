/**
 * How the prediction forms: what is asked about the layers, and what the figures show. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/distribution.js").Candidate} Candidate
 * @typedef {import("../../core/slices_later.js").LayersAnswer} LayersAnswer
 * @typedef {import("../../core/slices_later.js").LayerPart} LayerPart
 * @typedef {import("../../core/slices_later.js").Layering} Layering
 * @typedef {import("../../core/slices.js").Trouble} Trouble
 * @typedef {import("../../net/layers.js").Question} Question
 */
import { lengthOf } from "../../core/display.js";
import { barsHere, focusHere, wishedBar } from "../../core/focus.js";
import * as format from "../../core/format.js";
import { showing } from "../../core/frame.js";
import { layerHere } from "../../core/inside.js";
import { answerHere } from "../../core/questions.js";
import { answerKey } from "../../core/state.js";
import { shown } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { LAYERS } from "../../core/words_later.js";

const MOST_CANDIDATES = 100; // per layer
const MOST_WATCHED = 32;
const FIRST = 8; // of the answer's tokens that are followed through the layers

/** @param {State} state @returns {Candidate | null} what the token in focus is compared with */
export function contrastHere(state) {
  const focus = focusHere(state)?.token.id;
  return wishedBar(state, state.layering.contrast) ?? barsHere(state).find(({ token }) => token.id !== focus) ?? null;
}

/** @param {State} state @returns {import("../../core/slices.js").Facts["refusals"]} why the model can't tell */
export function refusals({ models, model }) {
  return models?.find((each) => each.name === model)?.facts?.refusals ?? { layers: "", contrast: "", attention: "" };
}

/** @param {State} state @returns {Question | null} for the chart's position; null while it has no answer */
export function question(state) {
  const { model, current, settings, layering } = state;
  const here = answerHere(state);
  const focus = focusHere(state);
  if (model === null || current === null || here === null || focus === null || state.dragging || state.play?.kind === "write") return null;
  const tokenIds = tree.tokenIds(state.tree, current);
  const text = answerKey(model, tokenIds);
  const against = contrastHere(state);
  const refused = refusals(state);
  const { temperature } = settings;
  const known = layering.answer?.text === text && layering.answer.temperature === temperature ? layering.answer : null;
  const first = here.candidates.slice(0, FIRST).map(({ token }) => token.id);
  const watch = [...new Set([...first, focus.token.id, ...(against ? [against.token.id] : []), ...(known ? leaders(known) : [])])].slice(0, MOST_WATCHED);
  const topK = Math.min(settings.topK, MOST_CANDIDATES, here.vocabSize);
  /** @type {[number, number] | null} */
  const contrast = against && !refused.contrast ? [focus.token.id, against.token.id] : null;
  const attention = layering.attending && !refused.attention;
  return { key: JSON.stringify([text, temperature, topK, watch, contrast, attention]), text, model, tokenIds, temperature, topK, watch, contrast, attention };
}

/** @param {State} state @returns {Question | null} while the tab is in view and its answer is not there */
export function wanted(state) {
  if (!showing(state, "layers") || state.lost !== null || refusals(state).layers) return null;
  const asked = question(state);
  if (asked === null || state.models?.find((each) => each.name === asked.model)?.state !== "ready") return null;
  const { answer, trouble } = state.layering;
  return trouble?.key === asked.key || (answer && covers(answer, asked)) ? null : asked;
}

/** @param {LayersAnswer} answer @param {Question} asked @returns {boolean} */
function covers(answer, asked) {
  const watched = new Set(answer.layers[0].watched.map(({ token }) => token.id));
  const same = answer.text === asked.text && answer.temperature === asked.temperature && answer.topK >= asked.topK;
  const told = asked.contrast === null || (answer.contrast !== null && asked.contrast.every((id, at) => id === answer.contrast?.[at]));
  return same && told && asked.watch.every((id) => watched.has(id)) && (!asked.attention || answer.attention.length > 0);
}

/** @param {State} state @returns {LayersAnswer | null} of the text of now, at any temperature */
export function here(state) {
  const { answer } = state.layering;
  const { model, current } = state;
  if (answer === null || model === null || current === null || state.draft !== null || focusHere(state) === null) return null;
  return answer.text === answerKey(model, tree.tokenIds(state.tree, current)) ? answer : null;
}

/** @param {State} state @param {Question} asked @param {LayersAnswer} answer @returns {State} */
export function receive(state, asked, answer) {
  const before = state.layering.answer;
  const attention = !answer.attention.length && before?.text === answer.text ? before.attention : answer.attention;
  return change(state, { answer: { ...answer, attention }, trouble: null });
}

/** @param {State} state @param {Trouble} trouble @returns {State} */
export function fail(state, trouble) {
  return change(state, { trouble });
}

/** @param {State} state @returns {State} */
export function retry(state) {
  return state.layering.trouble ? change(state, { trouble: null }) : state;
}

/** @param {State} state @param {Partial<Pick<Layering, "contrast" | "scale" | "attending">>} changes @returns {State} */
export function adjust(state, changes) {
  return change(state, { ...changes, trouble: null });
}

/** @param {State} state @param {number} layer @returns {State} with its bars in the chart; the last one is the answer */
export function choose(state, layer) {
  const answer = here(state);
  if (answer === null || state.current === null) return state;
  return change(state, { chosen: layer >= answer.layers.length - 1 ? null : { at: state.current, layer: Math.max(0, layer) } });
}

/** @param {State} state @param {LayersAnswer} answer @returns {number} the layer in view */
export function layerInView(state, answer) {
  return layerHere(state) ?? answer.layers.length - 1;
}

/** @param {LayersAnswer} answer @returns {number[]} ids of the tokens that ever led, the latest first */
export function leaders(answer) {
  return [...new Set(answer.layers.map(({ candidates }) => candidates[0]?.token.id).filter((id) => id !== undefined).reverse())];
}

/** @param {LayersAnswer} answer @returns {Candidate[]} the tokens followed through the layers, as the answer has them */
export function followed(answer) {
  return [...answer.layers[answer.layers.length - 1].watched];
}

/** @param {LayersAnswer} answer @param {number} layer @param {number} id of a token @returns {Candidate | null} null: not told */
export function placeOf(answer, layer, id) {
  const { watched, candidates } = answer.layers[layer];
  return [...watched, ...candidates].find(({ token }) => token.id === id) ?? null;
}

/** @param {Pick<Candidate, "probability" | "rank">} place @param {Layering["scale"]} scale @param {number} vocabulary its size @returns {number} in [0, 1] */
export function height({ probability, rank }, scale, vocabulary) {
  if (scale === "rank") return vocabulary > 1 ? 1 - Math.log(rank) / Math.log(vocabulary) : 1;
  return lengthOf(probability, scale);
}

/** @param {LayersAnswer} answer @param {number} id @param {Layering["scale"]} scale @param {number} vocabulary @returns {number[]} one height per layer */
export function heights(answer, id, scale, vocabulary) {
  return answer.layers.map((_, layer) => {
    const place = placeOf(answer, layer, id);
    return place ? height(place, scale, vocabulary) : 0;
  });
}

/** @param {LayersAnswer} answer @returns {{attention: number, mlp: number, other: number}[]} by layer */
export function columns({ layers, parts }) {
  const found = layers.map(() => ({ attention: 0, mlp: 0, other: 0 }));
  for (const { layer, part, change: by } of parts) found[layer][part === "attention" || part === "mlp" ? part : "other"] += by;
  return found;
}

/** @param {LayersAnswer} answer @returns {string} the three parts that add most, for or against */
export function strongestWords({ parts }) {
  const most = [...parts].sort((one, other) => Math.abs(other.change) - Math.abs(one.change)).slice(0, 3);
  return LAYERS.strongest(most.map(({ part, layer, change: by }) => LAYERS.part(LAYERS.parts[part], part === "bias" ? 0 : layer, plus(by))).join(", "));
}

/** @param {number} value @returns {string} signed, such as "+3.10" */
export function plus(value) {
  return value > 0 ? `+${format.signed(value)}` : format.signed(value);
}

/** @param {LayersAnswer} answer @returns {string} when the model settled on its answer */
export function commitmentWords({ layers, commitment: { top1, top3, half } }) {
  const total = layers.length - 1;
  const winner = layers[total].candidates[0];
  return winner ? LAYERS.commitment(shown(winner.token), top1, top3, half, total) : "";
}

/** @param {LayersAnswer} answer @param {number} layer @returns {string} for screen readers */
export function leadWords({ layers }, layer) {
  const [first] = layers[layer].candidates;
  const place = layer === layers.length - 1 ? LAYERS.final(layer) : LAYERS.place(layer, layers.length - 1);
  return first ? LAYERS.leads(place, shown(first.token), format.percent(first.probability)) : place;
}

/** @param {LayersAnswer} answer @param {number} layer from 1 @param {number | null} head null: the mean of all @returns {number[]} a weight per token */
export function weights({ attention }, layer, head) {
  const heads = attention[layer - 1] ?? [];
  if (head !== null && heads[head]) return [...heads[head]];
  return (heads[0] ?? []).map((_, at) => heads.reduce((sum, each) => sum + each[at], 0) / heads.length);
}

/** @param {State} state @param {Partial<Layering>} changes @returns {State} */
function change(state, changes) {
  return { ...state, layering: { ...state.layering, ...changes } };
}
