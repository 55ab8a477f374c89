/**
 * The stage bar: temperature, dice, guessing and highlighting for mouse and touch while presenting. It hides itself.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/initial.js").State} State
 */
import { inspecting } from "../../core/frame.js";
import { DICE } from "../../core/words.js";
import { setText, setVariable } from "../../ui/dom.js";
import { SHADES } from "../scores/model.js";

const IDLE_MS = 3000;

/** @param {HTMLElement} line of the presentation @param {Verbs} verbs @returns {(state: State) => void} */
export function mountStage(line, verbs) {
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (line.querySelector(selector));
  const [roll, write, guess, inspect, leave] = ["roll", "write", "guess", "inspect", "leave"].map((verb) => part(`[data-verb=${verb}]`));
  const output = part("output");
  const slider = /** @type {HTMLInputElement} */ (part("input"));
  const choice = /** @type {HTMLSelectElement} */ (part("select"));
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let hiding;
  /** @type {State | null} */
  let state = null;

  roll.addEventListener("click", () => verbs.play("roll"));
  write.addEventListener("click", () => (state?.play?.kind === "write" ? verbs.stop() : verbs.play("write")));
  guess.addEventListener("click", () => verbs.guess(!state?.room.guessing));
  inspect.addEventListener("click", () => state && verbs.setInspector(!inspecting(state)));
  leave.addEventListener("click", () => verbs.present(false));
  choice.addEventListener("change", () => verbs.shade(SHADES.find((each) => each === choice.value) ?? "none"));
  slider.addEventListener("input", () => verbs.set({ temperature: slider.valueAsNumber }, true));
  for (const name of ["change", "pointerup", "keyup", "blur"]) slider.addEventListener(name, verbs.release);
  for (const name of ["pointermove", "pointerdown", "focusin"]) document.addEventListener(name, wake);

  /** Shows the bar until nothing has moved for a while; it stays while it is pointed at or in focus. */
  function wake() {
    if (!state?.room.presenting) return;
    line.toggleAttribute("data-awake", true);
    clearTimeout(hiding);
    hiding = setTimeout(doze, IDLE_MS);
  }

  function doze() {
    if (line.matches(":hover, :focus-within")) hiding = setTimeout(doze, IDLE_MS);
    else line.removeAttribute("data-awake");
  }

  return (now) => {
    const began = now.room.presenting && !state?.room.presenting;
    state = now;
    if (!now.room.presenting) return;
    if (began) wake();
    const { temperature } = now.settings;
    if (slider.valueAsNumber !== temperature) slider.value = String(temperature);
    setVariable(slider, "--at", String(slider.valueAsNumber / Number(slider.max)));
    setText(output, String(temperature));
    const writing = now.play?.kind === "write";
    setText(write, writing ? DICE.stop : DICE.generate);
    guess.ariaPressed = String(now.room.guessing);
    inspect.ariaExpanded = String(inspecting(now));
    if (choice.value !== now.shading.by) choice.value = now.shading.by;
  };
}
