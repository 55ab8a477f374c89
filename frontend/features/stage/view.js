/**
 * The stage bar: temperature, dice, guessing and highlighting for mouse and touch while presenting. It hides itself.
 *
 * @typedef {import("../../core/initial.js").State} State
 */
import { inspecting } from "../../core/frame.js";
import { DICE } from "../../core/words.js";
import { STAGE } from "../../core/words_later.js";
import { build } from "../../ui/build.js";
import { setText, setVariable } from "../../ui/dom.js";
import { withKeys } from "../../ui/kbd.js";
import { drawIcon } from "../../ui/token.js";
import { SHADES } from "../scores/model.js";

const IDLE_MS = 3000;

const INSPECTOR = "M2 3h12v10H2zM10 3v10";

/** @param {HTMLElement} stage that it fills @param {HTMLElement} line of the presentation @param {import("../frame/room.js").Page} page @returns {(state: State) => void} */
export function mountStage(stage, line, { verbs, read }) {
  const button = (/** @type {string} */ verb, /** @type {Record<string, string>} */ attributes, /** @type {(Node | string)[]} */ ...words) => build("button", { type: "button", "data-verb": verb, ...attributes }, ...words);
  const roll = button("roll", {}, STAGE.roll);
  const write = button("write", {}, DICE.generate);
  const guess = button("guess", {}, STAGE.guess);
  const name = build("span", { class: "stage-name" }, STAGE.inspector);
  const inspect = button("inspect", { "aria-controls": "inspector", "aria-keyshortcuts": "I", "aria-label": STAGE.inspector }, drawIcon(INSPECTOR), name);
  const leave = button("leave", { class: "quiet" }, ...withKeys(STAGE.leave));
  const slider = build("input", { type: "range", min: "0", max: "2", step: "0.05" });
  const output = build("output");
  const choice = /** @type {HTMLSelectElement} */ (document.getElementById("shade-choice")?.cloneNode(true));
  choice.removeAttribute("id");
  stage.ariaLabel = STAGE.label;
  stage.append(build("label", { class: "stage-warmth" }, build("span", {}, STAGE.temperature), " ", slider, " ", output), roll, write, guess, choice, inspect, leave);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let hiding;
  let shown = false;

  roll.addEventListener("click", () => verbs.play("roll"));
  write.addEventListener("click", () => (read().play?.kind === "write" ? verbs.stop() : verbs.play("write")));
  guess.addEventListener("click", () => verbs.guess(!read().room.guessing));
  inspect.addEventListener("click", () => verbs.setInspector(!inspecting(read())));
  leave.addEventListener("click", () => verbs.present(false));
  choice.addEventListener("change", () => verbs.shade(SHADES.find((each) => each === choice.value) ?? "none"));
  slider.addEventListener("input", () => verbs.set({ temperature: slider.valueAsNumber }, true));
  for (const name of ["change", "pointerup", "keyup", "blur"]) slider.addEventListener(name, verbs.release);
  for (const name of ["pointermove", "pointerdown", "focusin"]) document.addEventListener(name, wake);

  /** Shows the bar until nothing has moved for a while; it stays while it is pointed at or in focus. */
  function wake() {
    if (!read().room.presenting) return;
    line.toggleAttribute("data-awake", true);
    clearTimeout(hiding);
    hiding = setTimeout(doze, IDLE_MS);
  }

  function doze() {
    if (line.matches(":hover, :focus-within")) hiding = setTimeout(doze, IDLE_MS);
    else line.removeAttribute("data-awake");
  }

  return (now) => {
    const began = now.room.presenting && !shown;
    shown = now.room.presenting;
    if (!shown) return;
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
