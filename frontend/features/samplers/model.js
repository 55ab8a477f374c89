/**
 * The list of sampler steps: switching, ordering and setting them. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices_later.js").Chain} Chain
 * @typedef {import("../../core/slices_later.js").Step} Step
 * @typedef {import("../../core/slices_later.js").StepName} StepName
 */
import { asked } from "../../core/chain.js";
import { scene, settingsHere } from "../../core/questions.js";
import { set } from "../../core/settings.js";
import { BLANK, fitsForm, placeOf, wireOf } from "./forms.js";

const PENALTY = { least: -2, most: 2, step: 0.1, first: 0.5 };
const LAST = { least: 0, most: 100_000, step: 1, first: 0 };
const SMALL = { least: 0.0001, most: 1, step: 0.001, first: 0.001 };

/** @type {Readonly<Record<StepName, Readonly<Record<string, {least: number, most: number, step: number, first: number}>>>>} in transformers’ order */
export const PARAMETERS = {
  mask: {},
  logit_bias: { bias: { least: -100, most: 100, step: 0.5, first: 5 } },
  ban: {},
  repetition_penalty: { penalty: { least: 0.01, most: 100, step: 0.05, first: 1.1 }, last: LAST },
  frequency_penalty: { penalty: PENALTY, last: LAST },
  presence_penalty: { penalty: PENALTY, last: LAST },
  temperature: {},
  top_h: { share: { least: 0.001, most: 1, step: 0.05, first: 0.5 } },
  top_k: { count: { least: 1, most: 1_000_000, step: 1, first: 40 } },
  top_p: {},
  min_p: {},
  typical_p: { mass: { least: 0.001, most: 1, step: 0.05, first: 0.9 } },
  top_n_sigma: { sigmas: { least: 0.01, most: 100, step: 0.1, first: 1 } },
  epsilon: { least: SMALL },
  eta: { least: SMALL },
  xtc: { probability: { least: 0, most: 1, step: 0.1, first: 0.5 }, threshold: { least: 0, most: 0.5, step: 0.01, first: 0.1 } },
};
export const PLAIN = /** @type {readonly StepName[]} */ (["temperature", "top_p", "min_p"]);
export const ABOUT_TOKENS = /** @type {readonly StepName[]} */ (["logit_bias", "ban"]);
export const MOST_TOKENS = 100;

/** transformers’ order, which has no place for some: these come where others put them. */
export const ORDERS = {
  transformers: /** @type {readonly StepName[]} */ (Object.keys(PARAMETERS)),
  llamaCpp: /** @type {readonly StepName[]} */ (
    "mask logit_bias ban repetition_penalty frequency_penalty presence_penalty top_n_sigma top_h top_k typical_p top_p min_p epsilon eta xtc temperature".split(" ")
  ),
};

/** @type {Chain} */
export const FIRST_CHAIN = ORDERS.transformers.map((name) => {
  const values = Object.fromEntries(Object.entries(PARAMETERS[name]).map(([parameter, { first }]) => [parameter, first]));
  return made({ name, on: PLAIN.includes(name), wire: null, values, tokens: [], ...(name === "mask" && { form: BLANK, from: null }) });
});

/** @param {Step} step @returns {Step} with what the server reads of it */
export function made(step) {
  const { name, values, tokens } = step;
  const ids = tokens.map(({ id }) => id);
  const penalty = { penalty: values.penalty, ...(values.last > 0 && { last: values.last }) };
  const wire = {
    mask: wireOf(step.form),
    ban: ids.length ? ids : null,
    logit_bias: ids.length ? ids.map((id) => ({ token_id: id, bias: values.bias })) : null,
    xtc: values,
    repetition_penalty: penalty,
    frequency_penalty: penalty,
    presence_penalty: penalty,
  };
  return { ...step, wire: name in wire ? wire[/** @type {keyof typeof wire} */ (name)] : (Object.values(values)[0] ?? null) };
}

/** @param {State} state @returns {Chain} */
export function chainOf({ settings }) {
  const { chain } = settings;
  const valid = chain?.every(({ name, values, form }) => name in PARAMETERS && Object.keys(PARAMETERS[name]).every((each) => typeof values?.[each] === "number") && (name !== "mask" || fitsForm(form)));
  if (!chain || !valid) return FIRST_CHAIN;
  const whole = chain.some(({ name }) => name === "mask") ? chain : [FIRST_CHAIN[0], ...chain]; // saved before there were masks
  return whole.length === FIRST_CHAIN.length ? whole : FIRST_CHAIN;
}

/** @param {State} state @param {Chain} chain @returns {State} */
function withChain(state, chain) {
  return set(state, { chain });
}

/** @param {State} state @param {StepName} name @param {Partial<Step>} changes @returns {State} */
export function changed(state, name, changes) {
  return withChain(state, chainOf(state).map((step) => (step.name === name ? made({ ...step, ...changes }) : step)));
}

/** @param {State} state @param {StepName} name @param {boolean} on @returns {State} */
export function turn(state, name, on) {
  if (name === "mask") return changed(state, name, { on, lost: false, from: on ? placeOf(state) : null });
  return PLAIN.includes(name) ? state : changed(state, name, { on });
}

/** @param {StepName} name @param {string} parameter @param {number} value @returns {boolean} whether it is in range */
export function fitsStep(name, parameter, value) {
  const { least, most, step } = PARAMETERS[name][parameter];
  return value >= least && value <= most && (step !== 1 || Number.isInteger(value));
}

/** @param {State} state @param {StepName} name @param {string} parameter @param {number} value @returns {State} unchanged if out of range; setting a step turns it on */
export function setStep(state, name, parameter, value) {
  const { values } = stepOf(state, name);
  return fitsStep(name, parameter, value) ? changed(state, name, { values: { ...values, [parameter]: value }, on: true }) : state;
}

/** @param {State} state @param {StepName} name @param {number} to the place it moves to @returns {State} */
export function move(state, name, to) {
  const chain = chainOf(state);
  const from = chain.findIndex((step) => step.name === name);
  if (to < 0 || to >= chain.length || to === from) return state;
  const rest = chain.filter((step) => step.name !== name);
  return withChain(state, [...rest.slice(0, to), chain[from], ...rest.slice(to)]);
}

/** @param {State} state @param {keyof typeof ORDERS} order @returns {State} */
export function reorder(state, order) {
  return withChain(state, ORDERS[order].map((name) => stepOf(state, name)));
}

/** @param {State} state @returns {keyof typeof ORDERS | null} the order that the steps are in, if it has a name */
export function orderOf(state) {
  const names = chainOf(state).map(({ name }) => name);
  const found = Object.entries(ORDERS).find(([, order]) => String(order) === String(names));
  return /** @type {any} */ (found?.[0] ?? null);
}

/** @param {State} state @returns {State} with temperature, top-p and min-p alone */
export function reset(state) {
  const { chain: _, ...settings } = state.settings;
  return set({ ...state, settings }, {});
}

/** @param {State} state @param {StepName} name @param {{id: number, text: string}} token @returns {State} with the step about one more token, and on */
export function addToken(state, name, token) {
  const { tokens } = stepOf(state, name);
  if (tokens.length >= MOST_TOKENS || tokens.some(({ id }) => id === token.id)) return state;
  return changed(state, name, { tokens: [...tokens, token], on: true });
}

/** @param {State} state @param {StepName} name @param {number} id @returns {State} */
export function removeToken(state, name, id) {
  return changed(state, name, { tokens: stepOf(state, name).tokens.filter((token) => token.id !== id) });
}

/** @param {State} state @returns {ReadonlyMap<StepName, {count: number, probability: number}>} what each step of the chart left; empty while it is stale */
export function lefts(state) {
  const now = scene(state);
  const { sampling } = now?.drawing ?? {};
  const names = /** @type {StepName[]} */ ((asked(settingsHere(state)) ?? []).flatMap(Object.keys));
  return new Map(!now || now.stale || !sampling ? [] : names.map((name, at) => [name, sampling.left[at]]));
}

/** @param {State} state @param {StepName} name @returns {Step} */
export function stepOf(state, name) {
  return /** @type {Step} */ (chainOf(state).find((step) => step.name === name));
}
