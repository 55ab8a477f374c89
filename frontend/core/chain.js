/**
 * Sampler steps beyond temperature, top-p and min-p, or in another order. Pure.
 *
 * @typedef {import("./slices_later.js").Chain} Chain
 * @typedef {Omit<import("./settings.js").Settings, "topK">} Sampled
 */

/** @param {Sampled} settings @param {number} [coin] @returns {{[name: string]: any}[] | null} as the server reads them; null if temperature, top-p and min-p say it all, in that order */
export function asked({ chain, temperature, topP, minP }, coin) {
  if (!chain) return null;
  /** @type {{[name: string]: any}} */
  const plain = { temperature: temperature === 1 ? null : temperature, top_p: topP < 1 ? topP : null, min_p: minP > 0 ? minP : null };
  const steps = chain.flatMap(({ name, on, wire }) => {
    const value = name in plain ? plain[name] : on ? wire : null;
    return value === null ? [] : [{ [name]: name === "xtc" && coin !== undefined ? { ...value, coin } : value }];
  });
  const names = steps.flatMap(Object.keys);
  return names.some((name) => !(name in plain)) || names.indexOf("temperature") > 0 ? steps : null;
}

/** @param {Sampled} settings @param {number} [coin] @returns {{[field: string]: any}} as the server reads it */
export function samplingOf(settings, coin) {
  const samplers = asked(settings, coin);
  const { chain, temperature, topP, minP } = settings;
  const from = chain?.find(({ name, on, wire }) => name === "mask" && on && wire)?.from ?? null;
  return samplers ? { samplers, ...(from !== null && { constrained_from: from }) } : { temperature, ...(topP < 1 && { top_p: topP }), ...(minP > 0 && { min_p: minP }) };
}

/** @param {Sampled} settings @returns {string} such as "5 sampler steps"; empty if temperature, top-p and min-p say it all */
export function stepsWords(settings) {
  const { length } = asked(settings) ?? [];
  return length ? `${length} sampler ${length === 1 ? "step" : "steps"}` : "";
}

/** @param {Sampled} settings @returns {string} equal for equal steps; empty for none */
export function keyOf(settings) {
  const steps = asked(settings);
  return steps ? JSON.stringify(samplingOf(settings)) : "";
}

/** @template {Sampled} S @param {S} settings @param {number} count of tokens; NaN: unknown @returns {S} as they are after so many: a mask holds from its first token on, if that is not the next one */
export function settingsAt(settings, count) {
  const chain = settings.chain?.flatMap((step) => (step.from > count ? [] : [step.from === undefined || step.from < count ? step : { ...step, from: null }]));
  return chain ? { ...settings, chain } : settings;
}

/** @param {import("./distribution.js").Answer} answer @param {Sampled} settings @returns {boolean} the answer has these steps, or none if there are none */
export function answersSteps({ sampling }, settings) {
  return (sampling?.key ?? "") === keyOf(settings);
}

/** @param {any} saved @returns {Chain | undefined} what was saved, if it is a chain; whether its numbers are in range is the server’s to say */
export function readChain(saved) {
  const good = Array.isArray(saved) && saved.every((step) => step && /^[a-z_]+$/.test(step.name) && typeof step.on === "boolean" && Array.isArray(step.tokens));
  return good && saved.length >= 15 && new Set(saved.map(({ name }) => name)).size === saved.length ? saved : undefined;
}
