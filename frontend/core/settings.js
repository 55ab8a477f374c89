/**
 * The settings and their ranges. Pure.
 *
 * @typedef {import("./state.js").State} State
 *
 * @typedef {object} Amounts
 * @property {number} topK
 * @property {number} temperature
 * @property {number} topP  1: off
 * @property {number} minP  0: off
 * @typedef {Amounts & {chain?: import("./slices_later.js").Chain}} Settings  `chain`: more sampler steps, or another order
 *
 * @typedef {object} Dice  how tokens are sampled
 * @property {number} seed  of the last roll; the same seed and text give the same token
 * @property {boolean} fresh  new seed for each roll
 * @property {number} pace  tokens per second when generating
 */

/** @type {Settings} */
export const FIRST_SETTINGS = { topK: 10, temperature: 1, topP: 1, minP: 0 };
/** @type {Dice} */
export const FIRST_DICE = { seed: 1, fresh: true, pace: 2 };
export const LIMITS = {
  topK: { least: 1, most: 1000 },
  temperature: { least: 0, most: 100 },
  topP: { least: 0.001, most: 1 },
  minP: { least: 0, most: 1 },
};
export const SETTINGS = /** @type {(keyof Amounts)[]} */ (Object.keys(LIMITS));
export const MOST_TYPED = 200; // characters to look up
export const DICE_LIMITS = { seed: { least: 0, most: 2 ** 32 - 1 }, pace: { least: 0.5, most: 20 } };

/** @param {keyof Amounts} name @param {unknown} value @returns {boolean} whether it is in range */
export function fits(name, value) {
  const { least, most } = LIMITS[name];
  return typeof value === "number" && value >= least && value <= most && (name !== "topK" || Number.isInteger(value));
}

/** @param {Partial<Dice>} changes @returns {boolean} whether all are in range */
export function fitDice({ seed = 0, pace = 1, fresh = true }) {
  const { seed: seeds, pace: paces } = DICE_LIMITS;
  const good = Number.isInteger(seed) && seed >= seeds.least && seed <= seeds.most;
  return good && typeof fresh === "boolean" && pace >= paces.least && pace <= paces.most;
}

/** @param {State} state @param {Partial<Settings>} changes @param {boolean} [dragging] while a slider is dragged @returns {State} */
export function set(state, changes, dragging = false) {
  const settings = { ...state.settings, ...changes };
  if (!SETTINGS.every((name) => fits(name, settings[name]))) return state;
  return { ...state, settings, dragging, trouble: null, play: null, said: null };
}

/** @param {State} state @returns {State} after dragging ended */
export function release(state) {
  return state.dragging ? { ...state, dragging: false } : state;
}
