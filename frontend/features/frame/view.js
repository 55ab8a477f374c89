/**
 * The frame: the switch between views, the switch between surfaces, and the inspector.
 *
 * @typedef {import("../../core/initial.js").State} State
 * @typedef {import("./room.js").Entry} Entry
 * @typedef {import("./room.js").Page} Page
 */
import { DOCKED, docking, inspecting } from "../../core/frame.js";
import { hidden } from "../../core/questions.js";
import { setAttribute, setHidden } from "../../ui/dom.js";
import { mountLater } from "./later.js";
import { createRoom } from "./room.js";
import { createSwitch } from "./switch.js";

const ROOMY = "(min-width: 100rem)"; // the inspector opens by itself
const BESIDE = "(min-width: 80rem)"; // it stands beside the chart, not on the controls

/**
 * @param {Document} document @param {Record<"views" | "surfaces" | "tabs" | "panels" | "parts", readonly Entry[]>} entries @param {Page} page
 * @returns {(state: State) => void}
 */
export function mountFrame(document, { views, surfaces, tabs, panels, parts }, page) {
  const { verbs, read } = page;
  const part = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (document.querySelector(selector));
  const [chart, prompt, inspector, body, toggle, more] = ["#chart", "#prompt", "#inspector", ".inspector-body", "#inspector-open", ".more-open"].map(part);
  const view = createSwitch(part("#views"), views, { kind: "view", page, choose: verbs.chooseView, place: (root) => chart.after(root) });
  const surface = createSwitch(part("#surfaces"), surfaces, { kind: "surface", page, choose: verbs.chooseSurface, place: (root) => prompt.after(root) });
  const tab = createSwitch(part(".inspector .tabs"), tabs, { kind: "panel", page, choose: verbs.openTab, place: (root) => body.append(root) });
  const later = panels.map((entry) => mountLater(document, entry, page));
  const rooms = parts.map((entry) => ({ ...entry, draw: createRoom(entry, part(`#${entry.id}`), page) }));
  const roomy = matchMedia(ROOMY);
  const beside = matchMedia(BESIDE);
  /** @type {unknown} */
  let aimed = null;

  roomy.addEventListener("change", () => verbs.fit(roomy.matches));
  if (roomy.matches) queueMicrotask(() => verbs.fit(true));
  toggle.addEventListener("click", () => verbs.setInspector(!inspecting(read())));
  part(".inspector-close").addEventListener("click", () => verbs.setInspector(false));
  // Beside the chart, More leads to the settings; below it, the same button opens and closes the sheet.
  more.addEventListener("click", () => {
    const { tab: chosen, inspector: touched } = read().frame;
    const open = inspecting(read());
    if (open && (chosen === "settings" || !beside.matches)) verbs.setInspector(false);
    else verbs.openTab(beside.matches || touched === null ? "settings" : chosen);
  });
  inspector.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault();
    verbs.setInspector(false);
  });

  /** Moves the focus to where it was asked for, as soon as that is there. */
  function aim() {
    const { aim: wanted } = read().frame;
    if (!wanted || wanted === aimed) return;
    const target = /** @type {HTMLElement | null} */ (inspector.querySelector(wanted.selector));
    if (!target?.checkVisibility()) return;
    aimed = wanted;
    target.focus();
  }

  return (now) => {
    const { frame } = now;
    const open = inspecting(now);
    if (!open && inspector.matches(":focus-within")) [toggle, more, part("#stage [data-verb=inspect]")].find((each) => each?.checkVisibility())?.focus();
    setHidden(inspector, !open);
    setAttribute(toggle, "aria-expanded", String(open));
    setAttribute(more, "aria-expanded", String(open && (frame.tab === "settings" || !beside.matches)));
    document.documentElement.toggleAttribute("data-inspecting", open);
    // Other views would tell what is to be guessed, and are not for the back row.
    const shown = hidden(now) || now.room.presenting ? "bars" : frame.view;
    if (document.documentElement.dataset.view !== shown) document.documentElement.dataset.view = shown;
    view.update(now, shown);
    surface.update(now, frame.surface);
    tab.update(now, frame.tab, { open, beside: docking(now) ? DOCKED : null });
    aim();
    for (const update of later) update(now);
    for (const { when, draw } of rooms) draw(now, when?.(now) ?? false);
  };
}
