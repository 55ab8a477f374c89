/**
 * Where the last position looks, shown on demand.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices_later.js").LayersAnswer} LayersAnswer
 * @typedef {import("../frame/room.js").Page} Page
 */
import * as format from "../../core/format.js";
import { spell, spoken } from "../../core/tokens.js";
import * as tree from "../../core/tree.js";
import { LAYERS } from "../../core/words_later.js";
import { build } from "../../ui/build.js";
import { setText, setVariable } from "../../ui/dom.js";
import { createPicker } from "../../ui/picker.js";
import { drawPieces } from "../../ui/token.js";
import * as models from "./model.js";

const MEAN = "mean";
const MOST_SHOWN = 400; // tokens

/** @param {Pick<Page, "act" | "read">} page @returns {{root: HTMLElement, update: (state: State, answer: LayersAnswer, layer: number) => void}} */
export function createAttention({ act, read }) {
  /** @type {number | null} */
  let head = null;
  const picker = createPicker(LAYERS.head, (value) => {
    head = value === MEAN ? null : Number(value);
    act((now) => ({ ...now })); // draws it
  });
  const words = build("p", { class: "layers-looks" });
  const list = build("ol", { class: "layers-weights" });
  const root = build("details", { class: "layers-attention" }, build("summary", {}, LAYERS.attention), build("p", {}, LAYERS.notInfluence), picker.root, words, list);
  /** @type {unknown[]} */
  let drawn = [];

  root.addEventListener("toggle", () => {
    if (read().layering.attending !== root.open) act((now) => models.adjust(now, { attending: root.open }));
  });

  /** @param {State} state @param {LayersAnswer} answer @param {number} layer */
  function update(state, answer, layer) {
    if (!root.open) return;
    const refused = models.refusals(state).attention;
    const told = answer.attention.length > 0 && layer > 0 && !refused;
    picker.root.hidden = list.hidden = !told;
    if (!told) return setText(words, refused || (layer === 0 ? LAYERS.noBlock : LAYERS.waiting));
    const heads = answer.attention[layer - 1].length;
    if (head !== null && head >= heads) head = null;
    picker.update([{ value: MEAN, words: LAYERS.mean }, ...Array.from({ length: heads }, (_, at) => ({ value: String(at), words: String(at + 1) }))], head === null ? MEAN : String(head));
    const now = [answer.attention, answer.text, layer, head];
    if (now.every((each, at) => each === drawn[at])) return;
    drawn = now;
    setText(words, LAYERS.looks(LAYERS.place(layer, answer.layers.length - 1)));
    const tokens = state.current === null ? [] : tree.tokens(tree.path(state.tree, state.current));
    const all = models.weights(answer, layer, head);
    const from = Math.max(0, tokens.length - MOST_SHOWN);
    list.replaceChildren(...tokens.slice(from).map((token, at) => {
      const weight = all[from + at] ?? 0;
      const item = build("li", { class: "token", title: format.percent(weight), "aria-label": `${spoken(token)}, ${format.percent(weight)}` }, drawPieces(spell(token).pieces), build("span", { class: "layers-weight" }, format.percent(weight)));
      setVariable(item, "--weight", weight.toFixed(4));
      return item;
    }));
  }

  return { root, update };
}
