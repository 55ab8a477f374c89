/**
 * The buttons for the next step (most likely token, roll, generate) and the dice settings.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import { DICE_LIMITS, fitDice } from "../../core/settings.js";
import { CONTROLS, DICE } from "../../core/words.js";
import { setHidden, setText, setVariable } from "../../ui/dom.js";
import { playWords } from "./model.js";

const PRESSES = /^(Enter| )$/;
const SLIDES = /^(Arrow|Page|Home|End)/;
const MODIFIES = /^(Shift|Control|Alt|AltGraph|Meta|CapsLock|NumLock|ScrollLock|Fn|FnLock)$/;

/** @param {HTMLElement} root @param {HTMLElement} dice @param {Verbs} verbs @returns {(state: State) => void} */
export function mountDice(root, dice, verbs) {
  const part = (/** @type {string} */ selector, from = root) => /** @type {HTMLElement} */ (from.querySelector(selector));
  const input = (/** @type {string} */ selector) => /** @type {HTMLInputElement} */ (part(selector, dice));
  const [write, words] = ["[data-verb=write]", ".said"].map((selector) => part(selector));
  const [seed, fresh, pace] = ["#seed", "#fresh-seed", "#pace"].map(input);
  const [paceWords, trouble] = [".pace-words", ".trouble"].map((selector) => part(selector, dice));
  let writing = false;

  part("[data-verb=most-likely]").addEventListener("click", verbs.mostLikely);
  part("[data-verb=roll]").addEventListener("click", () => verbs.play("roll"));
  write.addEventListener("click", () => (writing ? verbs.stop() : verbs.play("write")));
  part("[data-verb=tally]", dice).addEventListener("click", () => verbs.play("tally"));
  fresh.addEventListener("change", () => verbs.setDice({ fresh: fresh.checked }));
  pace.addEventListener("input", () => verbs.setDice({ pace: pace.valueAsNumber }));
  seed.addEventListener("input", () => {
    const good = seed.value !== "" && fitDice({ seed: seed.valueAsNumber });
    setText(trouble, good ? "" : CONTROLS.whole(DICE.seed, 0, DICE_LIMITS.seed.most));
    setHidden(trouble, good);
    seed.ariaInvalid = String(!good);
    // A typed seed is kept for the next rolls.
    if (good) verbs.setDice({ seed: seed.valueAsNumber, fresh: false });
  });

  // Any action stops generating, except its own buttons and the speed; a modifier key alone is none yet.
  const onHand = (/** @type {Event} */ event) => {
    const target = /** @type {Element | null} */ (event.target instanceof Element ? event.target : null);
    const [onWrite, onPace] = [target?.closest("[data-verb=write]"), target === pace];
    const key = event instanceof KeyboardEvent ? event.key : null;
    const own = key === null ? Boolean(onWrite) || onPace : key === "w" || MODIFIES.test(key) || (onWrite && PRESSES.test(key)) || (onPace && SLIDES.test(key));
    if (writing && !own) verbs.stop();
  };
  for (const name of ["pointerdown", "keydown"]) document.addEventListener(name, onHand, { capture: true });

  return (state) => {
    writing = state.play?.kind === "write";
    root.toggleAttribute("data-writing", writing);
    setText(part(".write-label"), writing ? DICE.stop : DICE.generate);
    const said = playWords(state);
    setText(words, said);
    setHidden(words, !said);
    fresh.checked = state.dice.fresh;
    if (document.activeElement !== seed) {
      seed.value = String(state.dice.seed);
      seed.ariaInvalid = "false";
      setHidden(trouble, true);
    }
    if (pace.valueAsNumber !== state.dice.pace) pace.value = String(state.dice.pace);
    setVariable(pace, "--at", String((pace.valueAsNumber - Number(pace.min)) / (Number(pace.max) - Number(pace.min))));
    setText(paceWords, `${state.dice.pace}/s`);
    pace.ariaValueText = DICE.rate(state.dice.pace);
  };
}
