/**
 * The tab Layers: how the prediction forms from layer to layer.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices_later.js").LayersAnswer} LayersAnswer
 * @typedef {import("../frame/room.js").Page} Page
 */
import { barsHere, choices, focusHere } from "../../core/focus.js";
import * as format from "../../core/format.js";
import { layerHere, leaveLayer } from "../../core/inside.js";
import { answerHere, hidden } from "../../core/questions.js";
import { shown, spell } from "../../core/tokens.js";
import { COMMON } from "../../core/words.js";
import { LAYERS } from "../../core/words_later.js";
import { createAsker } from "../../net/asker.js";
import { layers as ask } from "../../net/layers.js";
import { build } from "../../ui/build.js";
import { setAttribute, setText } from "../../ui/dom.js";
import { createPicker } from "../../ui/picker.js";
import { drawPieces } from "../../ui/token.js";
import { createSaves } from "../share/saves.js";
import { createAttention } from "./attention.js";
import { createFigures } from "./figures.js";
import * as models from "./model.js";

const MOVING_MS = 120; // along the bars
const TOP = 5;

/** @param {HTMLElement} root @param {Page} page @returns {(state: State) => void} */
export function mount(root, { verbs, act, read, consider }) {
  /** @type {number | null} */
  let hovered = null;
  const choose = (/** @type {number} */ layer) => act((now) => models.choose(now, layer));
  const slider = build("input", { type: "range", min: "0", step: "1", id: "layers-scrub", "aria-describedby": "layers-said" });
  const place = build("p", { class: "layers-place" });
  const said = build("p", { class: "layers-said", id: "layers-said", role: "status" });
  const again = build("button", { type: "button" }, COMMON.again);
  const focus = createPicker(LAYERS.token, (value) => verbs.focusBar(Number(value)));
  const against = createPicker(LAYERS.against, (value) => act((now) => models.adjust(now, { contrast: Number(value) })));
  const scale = createPicker(LAYERS.scale, (value) => act((now) => models.adjust(now, { scale: /** @type {any} */ (value) })));
  const figures = createFigures({ hover, choose });
  const topList = build("ol");
  const topState = build("p");
  const top = build("section", { class: "layers-top", "aria-label": LAYERS.top }, topList, topState);
  const sum = build("p", { class: "layers-sum" });
  const adds = build("section", { class: "layers-adds" }, figures.bars, build("p", { class: "layers-key" }, build("span", { "data-part": "attention" }, LAYERS.parts.attention), build("span", { "data-part": "mlp" }, LAYERS.parts.mlp)), sum);
  const attention = createAttention({ act, read });
  const picture = async () => {
    const [{ svg }, { palette }] = await Promise.all([import("./picture.js"), import("../share/colours.js")]);
    const answer = models.here(read());
    return answer && svg(answer, shownNow(read(), answer), palette());
  };
  const save = (/** @type {"toCsv" | "toJson"} */ form) => async () => {
    const exports = await import("./exports.js");
    const answer = models.here(read());
    return answer && exports[form](answer);
  };
  const body = build(
    "div",
    { class: "layers-body" },
    build("div", { class: "layers-scrub" }, build("label", { for: "layers-scrub" }, LAYERS.scrub), slider, place, scale.root),
    top,
    figures.root,
    build("div", { class: "layers-pair" }, focus.root, against.root),
    adds,
    attention.root,
    build("details", { class: "layers-meaning" }, build("summary", {}, LAYERS.meaning), build("p", {}, LAYERS.lens), build("p", {}, LAYERS.direct)),
    createSaves("next-token-layers", { csv: save("toCsv"), json: save("toJson"), svg: picture }),
  );
  root.append(said, again, body);
  scale.update(Object.entries(LAYERS.scales).map(([value, words]) => ({ value, words })), "log");

  slider.addEventListener("input", () => choose(slider.valueAsNumber));
  again.addEventListener("click", () => act(models.retry));
  // As Escape elsewhere: first back to the answer, then out of the inspector.
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || layerHere(read()) === null) return;
    event.preventDefault();
    act(leaveLayer);
  });
  const asker = createAsker({
    read,
    act,
    ask,
    wanted: models.wanted,
    receive: models.receive,
    fail: models.fail,
    retry: models.retry,
    delay: (now, { text }) => (now.layering.answer?.text === text ? MOVING_MS : 0),
  });
  consider(asker.consider);
  queueMicrotask(asker.consider);

  /** @param {number | null} layer under the pointer */
  function hover(layer) {
    if (hovered === layer) return;
    hovered = layer;
    const answer = models.here(read());
    if (answer) drawTop(answer, hovered ?? models.layerInView(read(), answer));
  }

  /** @param {State} state @param {LayersAnswer} answer */
  function shownNow(state, answer) {
    const [focused, other] = answer.contrast ?? [focusHere(state)?.token.id ?? -1, models.contrastHere(state)?.token.id ?? null];
    return { answer, scale: state.layering.scale, vocabulary: answerHere(state)?.vocabSize ?? 2, focus: focused, against: other };
  }

  /** @param {LayersAnswer} answer @param {number} layer */
  function drawTop(answer, layer) {
    const { candidates, entropyBits, klBits } = answer.layers[layer];
    const total = answer.layers.length - 1;
    setText(place, layer === total ? LAYERS.final(total) : LAYERS.place(layer, total));
    topList.replaceChildren(...candidates.slice(0, TOP).map(({ token, probability }) =>
      build("li", {}, build("span", { class: "layers-token" }, drawPieces(spell(token).pieces)), build("span", { class: "layers-value" }, format.percent(probability)))));
    setText(topState, LAYERS.state(format.bits(entropyBits), layer === total ? "" : klBits === Infinity ? LAYERS.far : format.bits(klBits)));
  }

  /** @param {State} state @param {LayersAnswer} answer */
  function drawAdds(state, answer) {
    const refused = models.refusals(state).contrast;
    figures.bars.hidden = !answer.contrast;
    if (!answer.contrast) return setText(sum, refused);
    const [one, other] = answer.contrast.map((id) => models.placeOf(answer, 0, id)?.token);
    if (one && other) setText(sum, `${LAYERS.adds(shown(one), shown(other), models.plus(answer.difference))}${answer.beforeCap ? LAYERS.cap : ""} ${models.strongestWords(answer)}`);
  }

  /** @param {State} state @param {LayersAnswer | null} answer @returns {string} */
  function words(state, answer) {
    const refused = models.refusals(state).layers;
    const { trouble } = state.layering;
    if (refused) return refused;
    if (hidden(state)) return LAYERS.hidden;
    if (trouble && models.question(state)?.key === trouble.key) return trouble.again ? COMMON.byItself(trouble.message) : trouble.message;
    if (answer) return models.commitmentWords(answer);
    return answerHere(state) ? LAYERS.waiting : LAYERS.empty;
  }

  return (state) => {
    const answer = models.here(state);
    const { trouble, scale: by } = state.layering;
    const failed = trouble !== null && models.question(state)?.key === trouble.key;
    setText(said, words(state, answer));
    said.toggleAttribute("data-failed", failed);
    again.hidden = !failed || trouble.again;
    const stale = answer === null;
    body.toggleAttribute("data-stale", stale);
    body.hidden = state.layering.answer === null || hidden(state) || models.refusals(state).layers !== "";
    if (stale) return;
    const total = answer.layers.length - 1;
    const layer = models.layerInView(state, answer);
    setAttribute(slider, "max", String(total));
    if (slider.valueAsNumber !== layer) slider.value = String(layer);
    setAttribute(slider, "aria-valuetext", models.leadWords(answer, layer));
    scale.select.value = by;
    const bars = barsHere(state);
    const chosen = focusHere(state);
    const other = models.contrastHere(state);
    if (chosen) focus.update(choices(bars.includes(chosen) ? bars : [chosen, ...bars]), String(chosen.token.id));
    against.update(choices(bars.filter(({ token }) => token.id !== chosen?.token.id)), String(other?.token.id ?? ""));
    figures.update(shownNow(state, answer), layer);
    drawTop(answer, hovered ?? layer);
    drawAdds(state, answer);
    attention.update(state, answer, layer);
  };
}
