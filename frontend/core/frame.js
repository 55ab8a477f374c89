/**
 * The frame of the page: which view, surface and inspector tab are shown. Pure.
 *
 * @typedef {object} Frame
 * @property {string} view  what stands in the middle: "bars", or another one of `registry.js`
 * @property {string} surface  how the text is written: "text", or another one
 * @property {boolean | null} inspector  opened or closed by the user; null: it opens by itself where there is room
 * @property {string} tab  of the inspector
 * @property {boolean} wide  there is room for the inspector, with the docked tab below or beside the chosen one
 * @property {number | null} bar  token id of the bar that had the focus last; null: the first one
 * @property {boolean | null} staged  the inspector was opened while presenting; null: not presenting
 * @property {{selector: string} | null} aim  what to focus once the tab is there
 *
 * @typedef {{frame: Frame}} Framed  the part of the state that matters here
 */

/** The tab that has a place of its own where there is room. */
export const DOCKED = "numbers";

/** @type {Frame} */
export const FIRST_FRAME = { view: "bars", surface: "text", inspector: null, tab: "paths", wide: false, bar: null, staged: null, aim: null };

/** @param {Framed} state @returns {boolean} the inspector is open */
export function inspecting({ frame }) {
  return frame.staged ?? frame.inspector ?? frame.wide;
}

/** @param {Framed} state @returns {boolean} the docked tab has its place beside the chosen one */
export function docking({ frame }) {
  return frame.wide && frame.staged === null;
}

/** @param {Framed} state @param {string} tab @returns {boolean} the inspector shows that tab */
export function showing(state, tab) {
  return inspecting(state) && (state.frame.tab === tab || (docking(state) && tab === DOCKED));
}

/**
 * @template {Framed} S
 * @param {S} state @param {string} tab @param {string | null} [selector] what to focus in it @returns {S} with the inspector open there
 */
export function openTab(state, tab, selector = null) {
  const { frame } = state;
  const chosen = docking(state) && tab === DOCKED ? frame.tab : tab;
  return { ...state, frame: { ...frame, ...opened(frame, true), tab: chosen, aim: selector === null ? null : { selector } } };
}

/** @template {Framed} S @param {S} state @param {boolean} open @returns {S} */
export function setInspector(state, open) {
  return inspecting(state) === open ? state : { ...state, frame: { ...state.frame, ...opened(state.frame, open), aim: null } };
}

/** @param {Frame} frame @param {boolean} open @returns {Partial<Frame>} while presenting it is opened for the stage only */
function opened({ staged }, open) {
  return staged === null ? { inspector: open } : { staged: open };
}

/** @template {Framed} S @param {S} state @param {boolean} presenting @returns {S} with the inspector closed for the stage, or as it was before */
export function stage(state, presenting) {
  const next = { ...state, frame: { ...state.frame, staged: presenting ? false : null } };
  const tab = docking(next) && next.frame.tab === DOCKED ? FIRST_FRAME.tab : next.frame.tab;
  return { ...next, frame: { ...next.frame, tab } };
}

/** @template {Framed} S @param {S} state @param {string} view @returns {S} */
export function chooseView(state, view) {
  return state.frame.view === view ? state : { ...state, frame: { ...state.frame, view } };
}

/** @template {Framed} S @param {S} state @param {string} surface @returns {S} */
export function chooseSurface(state, surface) {
  return state.frame.surface === surface ? state : { ...state, frame: { ...state.frame, surface } };
}

/** @template {Framed} S @param {S} state @param {number} id of the bar's token @returns {S} */
export function focusBar(state, id) {
  return state.frame.bar === id ? state : { ...state, frame: { ...state.frame, bar: id } };
}

/** @template {Framed} S @param {S} state @param {boolean} wide @returns {S} after the page's width has changed */
export function fit(state, wide) {
  if (state.frame.wide === wide) return state;
  const tab = wide && state.frame.tab === DOCKED ? FIRST_FRAME.tab : state.frame.tab;
  return { ...state, frame: { ...state.frame, wide, tab } };
}

/** @param {any} saved @returns {Frame} what outlives a reload, of whatever was saved */
export function readFrame(saved) {
  const named = (/** @type {any} */ value, /** @type {string} */ fresh) => (typeof value === "string" ? value : fresh);
  return {
    ...FIRST_FRAME,
    view: named(saved?.view, FIRST_FRAME.view),
    surface: named(saved?.surface, FIRST_FRAME.surface),
    inspector: typeof saved?.inspector === "boolean" ? saved.inspector : null,
    tab: named(saved?.tab, FIRST_FRAME.tab),
  };
}
