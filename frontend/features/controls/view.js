/**
 * The settings, each as a slider and a number; filters behind “More”.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import { cuts } from "../../core/cuts.js";
import * as format from "../../core/format.js";
import { hidden, scene } from "../../core/questions.js";
import { LIMITS, fits } from "../../core/settings.js";
import { setText, setVariable } from "../../ui/dom.js";
import { keptWords } from "../steps/model.js";

const CONTROLS = /** @type {const} */ ([
  { name: "temperature", id: "temperature", label: "Temperature", field: "temperature", kind: "a number" },
  { name: "topK", id: "top-k", label: "Top-k", field: "top_k", kind: "a whole number" },
  { name: "topP", id: "top-p", label: "Top-p", field: "top_p", kind: "a number" },
  { name: "minP", id: "min-p", label: "Min-p", field: "min_p", kind: "a number" },
]);

/** @param {HTMLElement} root @param {Verbs} verbs @returns {(state: State) => void} */
export function mountControls(root, verbs) {
  const updates = CONTROLS.map((control) => mountControl(root, verbs, control));
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (root.querySelector(selector));
  const [more, cutOffs, kept] = [".more-open", ".more", ".kept"].map(part);
  more.addEventListener("click", () => verbs.unfold("more", more.ariaExpanded !== "true"));
  return (state) => {
    for (const update of updates) update(state);
    more.ariaExpanded = String(state.open.more);
    more.toggleAttribute("data-on", cuts(state.settings));
    cutOffs.hidden = !state.open.more;
    const drawing = scene(state)?.drawing;
    if (!drawing && hidden(state)) setText(kept, "");
    if (drawing) setText(kept, keptWords(drawing.kept, drawing.rows.length + drawing.otherCount));
  };
}

/** @param {HTMLElement} root @param {Verbs} verbs @param {typeof CONTROLS[number]} control @returns {(state: State) => void} */
function mountControl(root, verbs, { name, id, label, field, kind }) {
  const part = (/** @type {string} */ suffix) => /** @type {HTMLInputElement} */ (root.querySelector(`#${id}${suffix}`));
  const [slider, number, trouble] = ["", "-number", "-trouble"].map(part);
  const { least, most } = LIMITS[name];
  let refused = "";

  slider.addEventListener("input", () => accept(slider.valueAsNumber, true));
  for (const event of ["change", "pointerup", "keyup", "blur"]) slider.addEventListener(event, verbs.release);
  number.addEventListener("input", () => {
    const value = number.valueAsNumber;
    if (fits(name, value)) accept(value, false);
    else say(`${label} is ${kind} from ${least} to ${most}.`);
  });
  number.addEventListener("blur", () => accept(NaN, false));

  /** @param {number} value NaN: keep the setting @param {boolean} dragging */
  function accept(value, dragging) {
    say("");
    if (Number.isNaN(value)) number.value = slider.dataset.exact ?? number.value;
    else verbs.set({ [name]: value }, dragging);
  }

  /** @param {string} words */
  function say(words) {
    refused = words;
    setText(trouble, words);
    trouble.hidden = !words;
    number.setAttribute("aria-invalid", String(words !== ""));
  }

  return ({ settings, trouble: found }) => {
    const value = settings[name];
    slider.dataset.exact = String(value);
    if (slider.valueAsNumber !== value) slider.value = String(value);
    const [from, to] = [Number(slider.min), Number(slider.max)];
    setVariable(slider, "--at", String((slider.valueAsNumber - from) / (to - from)));
    // Don't rewrite what is being typed, such as "1." before "1.5".
    if (number.valueAsNumber !== value && !refused && document.activeElement !== number) number.value = String(value);
    if (refused) return;
    const words = found?.field === field ? format.beside(found.message, field) : "";
    setText(trouble, words);
    trouble.hidden = !words;
  };
}
