/**
 * Presenting in large type: the line about the model, and the stage bar.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import { stepsWords } from "../../core/chain.js";
import { shortName } from "../../core/format.js";
import { build } from "../../ui/build.js";
import { afterwards, setHidden, setText } from "../../ui/dom.js";
import { mountStage } from "../stage/view.js";
import { statusLine } from "../status/model.js";

/** @param {HTMLElement} line @param {import("../frame/room.js").Page} page @returns {(state: State) => void} */
export function mount(line, page) {
  const { verbs } = page;
  const words = build("span", { class: "room-words" });
  const stage = build("div", { class: "stage", id: "stage", role: "group" });
  line.append(words, stage);
  const updateStage = mountStage(stage, line, page);
  const root = document.documentElement;
  let presenting = false;
  let full = false; // whether the presentation is in full screen
  let turn = Promise.resolve(); // while full screen is entered or left, a browser ignores or undoes the other

  // Escape leaves full screen without a key event on the page.
  document.addEventListener("fullscreenchange", () => {
    if (full && !document.fullscreenElement) verbs.present(false);
    full = document.fullscreenElement !== null;
  });

  async function fill() {
    if (presenting === (document.fullscreenElement !== null)) return;
    await (presenting ? root.requestFullscreen?.() : document.exitFullscreen());
  }

  return (state) => {
    const { room, settings, model } = state;
    if (room.presenting !== presenting) {
      presenting = room.presenting;
      full = false; // a late exit belongs to the previous presentation
      root.toggleAttribute("data-presenting", presenting);
      // If full screen is refused, present within the window.
      turn = turn.then(fill).catch(() => {});
      // The focused element may be hidden now: move focus to the bars, and back afterwards.
      afterwards(() => {
        const to = presenting ? ".bars [tabindex='0']" : "#extras-open";
        if (!document.activeElement?.checkVisibility()) /** @type {HTMLElement | null} */ (document.querySelector(to))?.focus();
      });
    }
    setHidden(line, !presenting);
    updateStage(state);
    if (!presenting) return;
    const cut = [settings.topP < 1 ? `top-p ${settings.topP}` : "", settings.minP > 0 ? `min-p ${settings.minP}` : "", stepsWords(settings)].filter(Boolean);
    const { tone, words: busy } = statusLine(state);
    setText(words, [tone === "busy" ? busy : model === null ? "" : shortName(model), `temperature ${settings.temperature}`, ...cut].filter(Boolean).join(" · "));
  };
}
