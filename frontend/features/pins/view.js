/**
 * Pinned distributions: a strip under every bar, and a summary of the differences.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices.js").Pin} Pin
 * @typedef {import("./model.js").Strip} Strip
 */
import { stepsWords } from "../../core/chain.js";
import { cuts } from "../../core/cuts.js";
import * as format from "../../core/format.js";
import { hidden } from "../../core/questions.js";
import { shown } from "../../core/tokens.js";
import { PINS } from "../../core/words.js";
import { setLength } from "../../ui/bar.js";
import { setAttribute, setHidden, setText, setVariable } from "../../ui/dom.js";
import { missingWords } from "./linked.js";
import { difference, gapWords, known, present, unpinnable, unpinned } from "./model.js";

const SAME = 5e-5;

/** @param {HTMLElement} root @param {Verbs} verbs @returns {(state: State) => void} */
export function mountPins(root, verbs) {
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (root.querySelector(selector));
  const [list, words, removed, back] = [".pins-list", ".pins-words", ".pins-removed", ".pins-removed button"].map(part);
  const open = /** @type {HTMLButtonElement} */ (document.getElementById("pin"));
  const chart = /** @type {HTMLElement} */ (root.closest(".chart"));
  /** @type {Map<string, ReturnType<typeof createChip>>} */
  const chips = new Map();
  let wanted = false; // focus Undo once it appears

  open.addEventListener("click", verbs.pin);
  list.addEventListener("click", (event) => {
    const button = /** @type {Element} */ (event.target).closest("button");
    const name = button?.dataset.name;
    if (!name) return;
    if (button.dataset.verb === "versus") return verbs.versus(name);
    verbs.unpin(name);
    wanted = true;
  });
  back.addEventListener("click", () => {
    verbs.repin();
    open.focus();
  });

  return (state) => {
    const why = unpinnable(state);
    setAttribute(open, "aria-disabled", String(why !== ""));
    open.title = why || "Pin these bars to compare others with them";
    const last = unpinned(state);
    setHidden(root, (!state.pins.length && !last) || hidden(state));
    const held = removed.contains(document.activeElement);
    setHidden(removed, !last);
    setText(part(".pins-removed span"), last ? PINS.unpinned(last.name) : "");
    if (last && wanted) back.focus();
    else if (!last && held) open.focus();
    wanted = false;
    setVariable(chart, "--pins", String(state.pins.length));
    chart.toggleAttribute("data-pinned", state.pins.length > 0);
    for (const [name, { item }] of chips) {
      if (state.pins.some((pin) => pin.name === name)) continue;
      item.remove();
      chips.delete(name);
    }
    state.pins.forEach((pin, index) => {
      const chip = chips.get(pin.name) ?? createChip(pin.name);
      chips.set(pin.name, chip);
      chip.update(pin, pin.name === state.versus, pin.model !== state.model, missingWords(state, pin));
      if (list.children[index] !== chip.item) list.insertBefore(chip.item, list.children[index] ?? null);
    });
    const against = state.pins.find((pin) => pin.name === state.versus && known(pin));
    const now = against && present(state);
    if (now || !against) setText(words, against && now ? differenceWords(against, difference(against, now), cuts(state.settings) || cuts(against.settings)) : "");
  };
}

/**
 * @param {HTMLElement} fill of the row's track @param {HTMLElement} delta @param {readonly Strip[]} strips
 * @param {import("../../core/display.js").Display["scale"]} scale
 * @returns {string} the difference for screen readers
 */
export function drawStrips(fill, delta, strips, scale) {
  const drawn = /** @type {HTMLElement[]} */ ([...fill.querySelectorAll(".strip")]);
  for (const extra of drawn.slice(strips.length)) extra.remove();
  let said = "";
  let points = "";
  strips.forEach(({ name, share, known, by }, at) => {
    const strip = drawn[at] ?? fill.appendChild(createStrip());
    if (strip.dataset.name !== name) strip.dataset.name = name;
    setVariable(strip, "--at", String(strips.length - 1 - at));
    setLength(strip, known ? share : 0, scale);
    if (by === null) return;
    points = gapWords({ known, by });
    said = known ? `, ${format.percent(share)} in ${name}` : `, at most ${format.percent(share)} in ${name}`;
  });
  setText(delta, points);
  return said;
}

function createStrip() {
  const strip = document.createElement("span");
  strip.className = "strip";
  return strip;
}

/** @param {string} name */
function createChip(name) {
  const item = document.createElement("li");
  const [choose, remove] = ["pin-choose", "quiet pin-remove"].map((kind) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = kind;
    button.dataset.name = name;
    return button;
  });
  const letter = document.createElement("span");
  letter.className = "pin-letter";
  letter.dataset.name = name;
  letter.textContent = name;
  const text = document.createElement("bdi");
  text.className = "pin-text";
  const how = document.createElement("span");
  how.className = "pin-how";
  choose.append(letter, text, how);
  choose.dataset.verb = "versus";
  remove.textContent = "×";
  remove.ariaLabel = PINS.unpin(name);
  item.append(choose, remove);

  /** @param {Pin} pin @param {boolean} chosen @param {boolean} foreign from another model @param {string} missing why it has no numbers */
  function update(pin, chosen, foreign, missing) {
    const { temperature, topP, minP } = pin.settings;
    setText(text, missing || pin.text || "∅");
    setText(how, [foreign ? format.shortName(pin.model) : "", `T ${temperature}`, topP < 1 ? `top-p ${topP}` : "", minP > 0 ? `min-p ${minP}` : "", stepsWords(pin.settings)].filter(Boolean).join(", "));
    choose.setAttribute("aria-pressed", String(chosen));
  }

  return { item, update };
}

/** @param {Pin} pin @param {import("./model.js").Difference} difference @param {boolean} cutting whether either is filtered @returns {string} */
function differenceWords({ name }, { moved, exact, rose, fell, bits }, cutting) {
  if (moved < SAME) return (exact ? PINS.same : PINS.seemsSame)(name);
  const gain = rose ? PINS.gain(shown(rose.token), rose.by) : "";
  const drop = fell ? PINS.drop(shown(fell.token), fell.by) : "";
  const changes = [gain, drop].filter(Boolean).join(", ");
  const entropy = Math.abs(bits) < 0.05 ? "" : PINS.entropy(bits, cutting);
  const points = format.percent(moved).replace(/\s*%$/, "");
  return `${PINS.differs(name, points, exact)}${changes && `: ${changes}`}.${entropy}`;
}
