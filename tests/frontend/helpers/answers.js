/** Values for the tests: distributions computed the long way, and the JSON a server would send of them. */

/** @param {number} seed @returns {() => number} in [0, 1) */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** @param {number} seed @param {number} size @param {number} spread @returns {number[]} normally distributed */
export function logits(seed, size, spread) {
  const next = random(seed);
  return Array.from({ length: size }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - next()));
    return spread * radius * Math.cos(2 * Math.PI * next()) + 3;
  });
}

/** @param {number[]} values @param {number} temperature @returns {number[]} softmax, as written in a textbook */
export function softmax(values, temperature) {
  const most = Math.max(...values);
  const powers = values.map((value) => Math.exp((value - most) / temperature));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** @param {number[]} shares @returns {number} */
export function entropy(shares) {
  return -shares.reduce((total, share) => total + (share > 0 ? share * Math.log2(share) : 0), 0);
}

/** @param {number[]} values @returns {object[]} the contract's grid: 33 inverse temperatures from 0.2 to 10 */
export function partition(values) {
  const most = Math.max(...values);
  return Array.from({ length: 33 }, (_, at) => {
    const b = 0.2 * 50 ** (at / 32);
    const shares = softmax(values, 1 / b);
    const mean = shares.reduce((total, share, id) => total + share * values[id], 0);
    return {
      inverse_temperature: b,
      log_sum_exp: b * most + Math.log(values.reduce((total, value) => total + Math.exp(b * (value - most)), 0)),
      mean_logit: mean,
      variance: shares.reduce((total, share, id) => total + share * (values[id] - mean) ** 2, 0),
    };
  });
}

/** @param {number[]} values @returns {any} the contract's point at inverse temperature 0 */
export function atZero(values) {
  const finite = values.filter((value) => value > -Infinity);
  const mean = finite.reduce((total, value) => total + value, 0) / finite.length;
  return {
    inverse_temperature: 0,
    log_sum_exp: Math.log(finite.length),
    mean_logit: mean,
    variance: finite.reduce((total, value) => total + (value - mean) ** 2, 0) / finite.length,
  };
}

/** @param {string} text @returns {string} base64 of its UTF-8 */
export function base64(text) {
  return Buffer.from(text, "utf8").toString("base64");
}

/** @param {number} id @param {string} text @param {boolean} [special] @returns {any} a token as the server sends it */
export function wireToken(id, text, special = false) {
  return { token_id: id, text, bytes: base64(text), is_special: special };
}

/**
 * @param {number[]} values the logits of the vocabulary
 * @param {{temperature?: number, topK?: number, topP?: number, minP?: number, draws?: number[], watch?: readonly number[], tokens?: any[], model?: string}} [options]
 * @returns {any} an answer as the server sends it
 */
export function wireAnswer(values, { temperature = 1, topK = 10, topP = 1, minP = 0, draws = [], watch = [], tokens = undefined, model = "tiny" } = {}) {
  const shares = softmax(values, temperature);
  const order = values.map((_, id) => id).sort((a, b) => values[b] - values[a] || a - b);
  const candidate = (/** @type {number} */ id) => ({
    ...wireToken(id, ` w${id}`),
    rank: order.indexOf(id) + 1,
    logit: values[id],
    probability: shares[id],
    logprob: Math.log(shares[id]),
  });
  const left = kept(order.map((id) => shares[id]), topP, minP);
  return {
    model,
    prompt: { token_count: tokens?.length ?? 1, cached_tokens: 0, context_limit: 512, ...(tokens && { tokens }) },
    candidates: order.slice(0, topK).map(candidate),
    watched: watch.map(candidate),
    drawn: draws.map((draw) => {
      let point = draw * left.probability;
      return candidate(order[order.slice(0, left.count - 1).findIndex((id) => (point -= shares[id]) < 0)] ?? order[left.count - 1]);
    }),
    kept: left,
    partition: partition(values),
    partition_at_zero: atZero(values),
    other_probability: order.slice(topK).reduce((total, id) => total + shares[id], 0),
    entropy_bits: entropy(shares),
    vocab_size: values.length,
    lookahead_hit: false,
    timings_ms: { queue: 0, tokenize: 0, model: 0, total: 0 },
  };
}

/** @param {number[]} shares in descending order @param {number} topP @param {number} minP @returns {{count: number, probability: number}} */
export function kept(shares, topP, minP) {
  let count = 0;
  let sum = 0;
  while (count < shares.length && (topP === 1 || sum < topP - 1e-12) && shares[count] >= minP * shares[0]) sum += shares[count++];
  return { count, probability: count === shares.length ? 1 : sum };
}
