/** Formats numbers and names for display. */

const THIN = "\u202f";
const LONGEST_NAME = 80; // characters
const SMALLEST = -690; // log of the smallest probability that is not denormal
const LOCALE = "en-US";
const COUNTS = new Intl.NumberFormat(LOCALE);
const EXACT = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 3 });
const PLURALS = new Intl.PluralRules(LOCALE);
/** @type {Partial<Record<Intl.LDMLPluralRule, string>>} */
const TOKENS = { one: "token", other: "tokens" };
const EXPONENTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/**
 * @param {number} probability in [0, 1]
 * @returns {string} one decimal from 1 %, significant digits below; never "0.0 %" or "100.0 %" unless exact
 */
export function percent(probability) {
  return `${percentDigits(probability)}${THIN}%`;
}

/** @param {number} probability @returns {string} */
function percentDigits(probability) {
  const value = probability * 100;
  if (!(value > 0)) return "0";
  if (value >= 100) return "100";
  if (value > 99.999) return ">99.999";
  // Enough digits to differ from 100 %.
  if (value > 99.9) return value.toFixed(-Math.floor(Math.log10(100 - value)));
  if (value >= 0.995) return value.toFixed(1);
  const magnitude = Math.floor(Math.log10(value));
  if (magnitude >= -3) return value.toFixed(1 - magnitude);
  const [digits, exponent] = value.toExponential(0).split("e-");
  return tiny(digits, exponent);
}

/** @param {string} digits @param {string} exponent below zero, without its sign */
function tiny(digits, exponent) {
  return `${digits}×10⁻${exponent.replace(/\d/g, (digit) => EXPONENTS[Number(digit)])}`;
}

/** @param {number} logprob @returns {string} as `percent`, also for probabilities below the smallest double */
export function percentOf(logprob) {
  if (logprob > SMALLEST || logprob === -Infinity) return percent(Math.exp(logprob));
  const power = logprob / Math.LN10 + 2;
  const digit = Math.round(10 ** (power - Math.floor(power)));
  const [shown, exponent] = digit === 10 ? [1, -Math.floor(power) - 1] : [digit, -Math.floor(power)];
  return `${tiny(String(shown), String(exponent))}${THIN}%`;
}

/** @param {number} probability a power of ten @returns {string} such as "0.01 %" */
export function round(probability) {
  return `${Number((probability * 100).toPrecision(1))}${THIN}%`;
}

/** @param {number} value @returns {string} such as "−0.49", with a minus sign as wide as a digit; "−∞" for -Infinity */
export function signed(value) {
  if (value === -Infinity) return "−∞";
  const digits = Math.abs(value).toFixed(2);
  return value < 0 && Number(digits) !== 0 ? `−${digits}` : digits;
}

/** @param {number} difference of two probabilities @returns {string} in percentage points, such as "+12.3" or "−0.04"; "±0" only if equal */
export function points(difference) {
  const value = Math.abs(difference * 100);
  if (!(value >= 0.005)) return value > 1e-4 ? "≈0" : "±0";
  return `${difference < 0 ? "−" : "+"}${value.toFixed(value >= 0.995 ? 1 : 2)}`;
}

/** @param {number} value @returns {string} such as 49,142 */
export function count(value) {
  return COUNTS.format(Math.round(value));
}

/** @param {number} value @returns {string} such as 0.001 or 1,000: a limit, or what was set */
export function plain(value) {
  return EXACT.format(value);
}

/** @param {number} number @returns {string} such as "1 token", "5,000 tokens" */
export function tokens(number) {
  return `${plain(number)} ${TOKENS[PLURALS.select(number)] ?? TOKENS.other}`;
}

/** @param {number} bits @returns {string} "0.00 bits" only if exactly 0 */
export function bits(bits) {
  if (bits > 1e-9 && bits < 0.005) return "<0.01 bits";
  return `${Math.max(0, bits).toFixed(bits < 0.095 && bits > 1e-9 ? 2 : 1)} bits`;
}

/** @param {number} entropy in bits @param {boolean} cutting whether filters, which it ignores, are on @param {boolean} [steps] they are sampler steps @returns {string} */
export function openness(entropy, cutting, steps = false) {
  return `${bits(entropy)}${steps ? " before all steps" : cutting ? " before top-p/min-p" : ""}: ${sureness(entropy)}`;
}

/**
 * @param {number} entropy in bits
 * @returns {string} the perplexity: the number of equally likely choices with the same entropy
 */
export function sureness(entropy) {
  const choices = 2 ** entropy;
  if (choices < 1.05) return "certain";
  if (choices < 1.5) return "nearly certain";
  return `about ${choices < 100 ? Math.max(2, Math.round(choices)) : count(Number(choices.toPrecision(2)))} equally likely choices`;
}

/** @param {number} done @param {number} total in bytes @returns {string} such as "312 of 724 MB" */
export function bytes(done, total) {
  const unit = Math.max(done, total) >= 1e9 ? { size: 1e9, name: "GB", digits: 1 } : { size: 1e6, name: "MB", digits: 0 };
  const digits = Math.max(done, total) < 1e7 ? 1 : unit.digits;
  const number = (/** @type {number} */ value) => (value / unit.size).toFixed(digits);
  return total > 0 ? `${number(done)} of ${number(total)} ${unit.name}` : `${number(done)} ${unit.name}`;
}

/** @param {number} seconds @returns {string} such as "about 2 min left" */
export function timeLeft(seconds) {
  if (!Number.isFinite(seconds) || seconds < 0) return "";
  if (seconds < 5) return "a few seconds left";
  if (seconds < 55) return `about ${Math.ceil(seconds / 5) * 5} s left`;
  if (seconds < 55 * 60) return `about ${Math.max(1, Math.round(seconds / 60))} min left`;
  return `about ${Math.max(1, Math.round(seconds / 3600))} h left`;
}

/** @param {number} parameters @returns {string} such as "362 M parameters" */
export function parameters(parameters) {
  const [size, unit] = parameters >= 1e9 ? [1e9, "B"] : [1e6, "M"];
  const value = parameters / size;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit} parameters`;
}

/** @param {string} message @param {string | null} field @returns {string} the message without the field's name, to show next to it */
export function beside(message, field) {
  const words = field && message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message;
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** @param {string} name of a model: a Hub id, a folder or `bundled` @returns {string} the short name */
export function shortName(name) {
  if (name === "bundled") return "Demo model";
  const [base, adapter] = name.split(/\s+\+\s+/);
  if (adapter) return `${shortName(base)} + ${shortName(adapter)}`;
  return (name.replace(/[\\/]+$/, "").split(/[\\/]/).at(-1) || name).slice(0, LONGEST_NAME).toWellFormed();
}

/** @param {string} device such as cpu or cuda:0 @returns {string} */
export function deviceName(device) {
  if (device === "cpu") return "CPU";
  if (device === "mps") return "Apple GPU";
  if (device === "cuda:all") return "all GPUs";
  return device.startsWith("cuda") ? `GPU${device.replace("cuda", "").replace(/^:0$/, "").replace(":", " ")}` : device;
}
