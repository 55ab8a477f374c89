/**
 * The models that A's is most often compared with, told by their names: with or without an adapter, base or instruct. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {"base" | "instruct" | "adapter"} Kin
 *
 * @typedef {object} Relative
 * @property {string} name
 * @property {Kin} kin
 */
import * as format from "../../core/format.js";
import { COMPARE } from "../../core/words_later.js";
import { otherModel } from "./model.js";

const MOST = 6;
const JOIN = /\s+\+\s+/;
const TUNED = /[-_. ](?:instruct|it|chat|sft|dpo|rlhf)(?=$|[-_. ])/i;
const PLAIN = /[-_. ](?:base|pt|pretrained)(?=$|[-_. ])/i;

/** @param {State} state @returns {Relative[]} of A's model, among those that the server has or is loading */
export function relatives({ model, models }) {
  if (model === null) return [];
  const found = (models ?? []).filter((each) => each.state !== "failed" && each.name !== model).flatMap(({ name }) => {
    const kin = kinOf(model, name);
    return kin ? [{ name, kin }] : [];
  });
  const order = ["base", "instruct", "adapter"];
  return found.sort((one, other) => order.indexOf(one.kin) - order.indexOf(other.kin)).slice(0, MOST);
}

/** @param {State} state @param {string} name @returns {string} the model that a press chooses for B: that one, or A's again */
export function pressed(state, name) {
  return otherModel(state) === name ? (state.model ?? name) : name;
}

/** @param {Relative} relative @param {readonly Relative[]} all @returns {{short: string, long: string}} such as "Base" and "Base: SmolLM2-135M" */
export function label({ name, kin }, all) {
  if (kin === "adapter") {
    const short = `+ ${format.shortName(name.split(JOIN).at(-1) ?? name)}`;
    return { short, long: `${short} (${COMPARE.kin.adapter})` };
  }
  const long = `${COMPARE.kin[kin]}: ${format.shortName(name)}`;
  return { short: all.filter((each) => each.kin === kin).length > 1 ? long : COMPARE.kin[kin], long };
}

/** @param {string} mine @param {string} name @returns {Kin | null} what that model is to mine; null: nothing */
export function kinOf(mine, name) {
  const [[base, adapter], [other, added]] = [mine.split(JOIN), name.split(JOIN)];
  if (adapter || added) return base !== other ? null : added ? "adapter" : "base";
  const [here, there] = [typeOf(mine), typeOf(name)];
  if (here.stem !== there.stem || here.tuned === there.tuned) return null;
  // Of “X” and “X-Base” the first is tuned; of “X” and “X-Instruct” the second.
  return there.tuned > here.tuned ? "instruct" : "base";
}

/** @param {string} name @returns {{stem: string, tuned: -1 | 0 | 1}} 0: the name doesn't say */
function typeOf(name) {
  const last = (name.replace(/[\\/]+$/, "").split(/[\\/:]/).at(-1) ?? name).replace(/\.gguf$/i, "");
  const stem = last.replace(TUNED, "").replace(PLAIN, "").toLowerCase();
  return { stem, tuned: TUNED.test(last) ? 1 : PLAIN.test(last) ? -1 : 0 };
}
