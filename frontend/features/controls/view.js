/**
 * The settings, each as a slider and a number; filters in the inspector’s settings.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import { stepsWords } from "../../core/chain.js";
import { cuts, keptWords } from "../../core/cuts.js";
import * as format from "../../core/format.js";
import { hidden, scene } from "../../core/questions.js";
import { LIMITS, fits } from "../../core/settings.js";
import { CONTROLS } from "../../core/words.js";
import { setHidden, setText, setVariable } from "../../ui/dom.js";

const ALL = /** @type {const} */ ([
  { name: "temperature", id: "temperature", field: "temperature", kind: "number" },
  { name: "topK", id: "top-k", field: "top_k", kind: "whole" },
  { name: "topP", id: "top-p", field: "top_p", kind: "number" },
  { name: "minP", id: "min-p", field: "min_p", kind: "number" },
]);

/** @param {Document} page @param {Verbs} verbs @returns {(state: State) => void} */
export function mountControls(page, verbs) {
  const updates = ALL.map((control) => mountControl(page, verbs, control));
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (page.querySelector(selector));
  const [more, kept, line, sheet, bars, steps] = [".more-open", ".kept", "#controls", "#settings", "#bars-shown", ".samplers-on"].map(part);
  const narrow = matchMedia("(max-width: 46rem)");
  narrow.addEventListener("change", settle);
  settle();

  /** On a phone the controls are one line: the number of bars moves to the settings. */
  function settle() {
    if (narrow.matches) sheet.prepend(bars);
    else line.insertBefore(bars, line.children[1]);
  }

  return (state) => {
    for (const update of updates) update(state);
    more.toggleAttribute("data-on", cuts(state.settings));
    const words = stepsWords(state.settings);
    setText(steps, words && `(${words})`);
    const drawing = scene(state)?.drawing;
    if (!drawing && hidden(state)) setText(kept, "");
    if (drawing) setText(kept, keptWords(drawing.kept, drawing.rows.length + drawing.otherCount));
  };
}

/** @param {Document} page @param {Verbs} verbs @param {typeof ALL[number]} control @returns {(state: State) => void} */
function mountControl(page, verbs, { name, id, field, kind }) {
  const part = (/** @type {string} */ suffix) => /** @type {HTMLInputElement} */ (page.querySelector(`#${id}${suffix}`));
  const [slider, number, trouble] = ["", "-number", "-trouble"].map(part);
  const { least, most } = LIMITS[name];
  let refused = "";

  slider.addEventListener("input", () => accept(slider.valueAsNumber, true));
  for (const event of ["change", "pointerup", "keyup", "blur"]) slider.addEventListener(event, verbs.release);
  number.addEventListener("input", () => {
    const value = number.valueAsNumber;
    if (fits(name, value)) accept(value, false);
    else say(CONTROLS[kind](CONTROLS[name], least, most));
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
    setHidden(trouble, !words);
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
    setHidden(trouble, !words);
  };
}
