/** What the page says, in English. Numbers and plurals come from `format.js`. Pure data. */

/** Names of views, surfaces and inspector tabs. */
export const ROOMS = {
  bars: "Bars",
  text: "Text",
  paths: "Paths",
  numbers: "Numbers",
  settings: "Settings",
};

export const FRAME = {
  loading: "Loading…",
  broken: "This part of the page didn’t load.",
  again: "Try again",
};

/** Headings of the column of numbers; percentages name themselves. */
export const COLUMNS = { percent: "", logprob: "log-probability", logit: "logit" };

export const STAGE = {
  generate: "Generate",
  stop: "Stop",
};

export const NUMBERS = {
  calculated: "How these numbers are calculated",
  likely: "How likely is …?",
  asked: "How likely is this text next?",
  token: "a token or a few words",
  spaces: "A leading space makes a different token; both are shown. \\n is a line break.",
  chances: "How likely it is",
};

export const PATHS = {
  all: "Everything tried",
  restore: "Undo delete",
  full: (/** @type {number} */ most) => `${most} branches are kept. Adding another deletes the oldest.`,
};
