/**
 * What the page's scripts say, in English; what stands still is in `index.html`, and longer explanations are in the models
 * of the tour, the examples and “What am I looking at?”; views and tabs that load later have theirs in `words_later.js`.
 * Numbers and plurals go through Intl. Pure data.
 */
import * as format from "./format.js";

const { count } = format;

/** Names of views, surfaces and inspector tabs. */
export const ROOMS = {
  bars: "Bars",
  tree: "Tree",
  compare: "Compare",
  text: "Text",
  chat: "Chat",
  why: "Why",
  layers: "Layers",
  paths: "Paths",
  numbers: "Numbers",
  settings: "Settings",
};

export const COMMON = {
  again: "Try again",
  byItself: (/** @type {string} */ message) => `${message} The page will try again by itself.`,
};

export const FRAME = { loading: "Loading…", broken: "This part of the page didn’t load." };

export const CHART = {
  next: "What might come next",
  here: "What else could go here",
  layer: "What this layer would say",
  removed: (/** @type {string} */ filter) => `removed by ${filter}`,
  unfiltered: "before top-p/min-p",
  unsampled: "before all steps",
  untempered: "before temperature",
  others: (/** @type {number} */ number, /** @type {boolean} */ kept) => `${count(number)} ${number === 1 ? "other" : "others"}${kept ? " kept" : ""}`,
};

export const PROMPT = {
  unread: "not tokenized",
  character: "A partial character",
  removed: (/** @type {string} */ what, /** @type {boolean} */ one) => `${what} ${one ? "was" : "were"} removed with the text around ${one ? "it" : "them"}. Undo brings ${one ? "it" : "them"} back.`,
  textAlone: (/** @type {string} */ what, /** @type {boolean} */ one, /** @type {string} */ model) =>
    `${what} ${one ? "was" : "were"} removed because ${model} reads the text alone. Undo brings ${one ? "it" : "them"} back.`,
  more: (/** @type {string} */ names, /** @type {number} */ more) => (more ? `${names} and ${count(more)} more` : names),
  part: (/** @type {number} */ at, /** @type {number} */ total) => `, token ${count(at)} of ${count(total)}`,
};

export const ANNOUNCER = {
  temperature: (/** @type {number} */ temperature, /** @type {string} */ bar) => `Temperature ${temperature}${bar && `: ${bar}`}.`,
};

/** Headings of the column of numbers; percentages name themselves. */
export const COLUMNS = { percent: "", logprob: "log-probability", logit: "logit" };

export const CONTROLS = {
  temperature: "Temperature",
  topK: "Bars shown",
  topP: "Top-p",
  minP: "Min-p",
  number: (/** @type {string} */ name, /** @type {number} */ least, /** @type {number} */ most) => `${name} must be a number from ${format.plain(least)} to ${format.plain(most)}.`,
  whole: (/** @type {string} */ name, /** @type {number} */ least, /** @type {number} */ most) => `${name} must be a whole number from ${count(least)} to ${count(most)}.`,
};

export const DICE = {
  generate: "Generate",
  stop: "Stop",
  seed: "The seed",
  rate: (/** @type {number} */ pace) => `${format.tokens(pace)} per second`,
  generating: (/** @type {number} */ wrote) => `Generating, ${format.tokens(wrote)} so far. Any key or click stops it.`,
  stopped: (/** @type {number} */ wrote) => `Stopped after ${format.tokens(wrote)}.`,
  generated: (/** @type {number} */ wrote) => `${format.tokens(wrote)} generated.`,
  landed: (/** @type {number} */ at, /** @type {string} */ token, /** @type {number} */ rank, /** @type {number} */ probability) =>
    `The dart landed at ${format.percent(at)}: ${token}, rank ${count(rank)}, ${format.percent(probability)}.`,
  missed: (/** @type {string} */ token) => `The dart landed on ${token}, so nothing was appended.`,
  tallied: (/** @type {number} */ total, /** @type {number} */ seed, /** @type {number} */ among) =>
    `${count(total)} rolls with seed ${seed}: ${count(among)} landed on these bars, ${count(total - among)} on the others.`,
  ended: (/** @type {string} */ token) => `The text has ended: ${token}.`,
  full: (/** @type {number} */ limit) => `The text fills the model’s context window of ${format.tokens(limit)}.`,
};

export const LOOKBACK = {
  back: "Back to the end",
  answer: "Back to the answer",
  layer: (/** @type {number} */ layer, /** @type {number} */ total) =>
    layer ? `Layer ${count(layer)} of ${count(total)}: what the model would say if it stopped here.` : "Embedding, before the first of the layers: what the model would say from the last token alone.",
  place: (/** @type {number} */ number, /** @type {number} */ total, /** @type {string} */ token) => `Token ${count(number)} of ${count(total)} is ${token}`,
  first: "It is the first token: these are the bars of an empty text.",
};

export const MODELS = {
  demo: "the demo model",
  Demo: "The demo model",
  ready: "ready",
  downloading: "downloading",
  loading: "loading into memory",
  queued: "waiting to load",
  failed: "It could not be loaded",
  standard: "default",
  download: (/** @type {string} */ name) => `Download of ${name}`,
};

export const STATUS = {
  connecting: "Connecting to the server…",
  none: "The server offers no models.",
  lost: (/** @type {string} */ reason) => `${reason} Reconnecting; your text is safe.`,
  failed: (/** @type {string} */ model, /** @type {string} */ reason) => `${model} can’t be used. ${reason}`,
  using: (/** @type {string} */ model) => `Using ${model}.`,
  usingUntilThen: (/** @type {string} */ model) => `Using ${model} until then.`,
  usingUntilSwitch: (/** @type {string} */ model) => `Using ${model} until you switch.`,
  is: (/** @type {string} */ model, /** @type {string} */ state) => `${model} is ${state}.`,
  use: (/** @type {string} */ model) => `Use ${model}`,
  meanwhile: (/** @type {string} */ model) => `Use ${model} meanwhile`,
  thinking: (/** @type {string} */ model) => `${model} is thinking…`,
  long: (/** @type {string} */ model) => `${model} is still thinking: the text is long, or the server is busy. Your text is safe.`,
  reading: (/** @type {string} */ model) => `${model} is re-tokenizing the text.`,
  read: (/** @type {string} */ model, /** @type {number} */ now, /** @type {number} */ before, /** @type {string} */ other) =>
    `${model} re-tokenized the text: ${format.tokens(now)}, ${format.tokens(before)} with ${other}.`,
  alike: (/** @type {string} */ model, /** @type {number} */ count, /** @type {string} */ other) =>
    `${model} splits the text into the same ${format.tokens(count)} as ${other}.`,
  way: "Browser storage is full: reloading keeps this text, but not the other paths.",
  text: "Browser storage is full: reloading keeps only the characters of this text.",
  nothing: "Browser storage is full or blocked; reloading loses your work.",
};

export const PINS = {
  most: (/** @type {number} */ most) => `${count(most)} are pinned; unpin one first`,
  hidden: "The bars are hidden: show them first",
  stale: "These bars are not those of the text yet",
  loading: "loading…",
  elsewhere: "its model is not on this server",
  failed: "its model could not be loaded",
  twice: (/** @type {string} */ name) => `Already pinned as ${name}.`,
  unpinned: (/** @type {string} */ name) => `${name} unpinned.`,
  unpin: (/** @type {string} */ name) => `Unpin ${name}`,
  same: (/** @type {string} */ name) => `Same as ${name}.`,
  seemsSame: (/** @type {string} */ name) => `Same as ${name}, as far as these tokens show.`,
  gain: (/** @type {string} */ token, /** @type {number} */ by) => `biggest gain ${token} (${format.points(by)})`,
  drop: (/** @type {string} */ token, /** @type {number} */ by) => `biggest drop ${token} (${format.points(by)})`,
  entropy: (/** @type {number} */ bits, /** @type {boolean} */ filtered) =>
    ` Entropy ${format.bits(Math.abs(bits))} ${bits < 0 ? "lower" : "higher"}${filtered ? ` ${CHART.unfiltered}` : ""}.`,
  differs: (/** @type {string} */ name, /** @type {string} */ points, /** @type {boolean} */ exact) => `Differs from ${name} by ${exact ? "" : "at least "}${points} points`,
};

export const DETAIL = {
  probability: "probability",
  surprise: "surprise",
  entropy: "entropy here",
  first: "none: first token",
  infinite: "infinite",
  waiting: "loading…",
};

/** What ids without a token are: rows of the model that its tokenizer does not know. */
export const NONE = {
  appended: (/** @type {number} */ id) => `Nothing was appended: the model has a row for id ${id}, but its tokenizer has no token for it.`,
  hint: "Can’t be appended: the model has a row for this id, but its tokenizer has no token for it",
  kind: "none: the tokenizer has no token with this id",
};

export const NET = {
  models: (/** @type {string} */ fault) => `The list of models can’t be read: ${fault}`,
  unreachable: "The page can’t reach its server",
  offline: "This device is offline",
  inference: "The inference server can’t be reached",
  late: "The server didn’t answer within a minute.",
  silent: (/** @type {number} */ status) => `The server answered ${status} without an explanation.`,
  unreadable: (/** @type {string} */ fault) => `The server’s answer can’t be read: ${fault}.`,
};
