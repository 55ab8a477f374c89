/**
 * The parts of the state that belong to one feature each: their types and initial values. Pure data.
 *
 * @typedef {import("./tree.js").Node} Node
 * @typedef {import("./tokens.js").Token} Token
 * @typedef {import("./distribution.js").Answer} Answer
 * @typedef {import("./distribution.js").Candidate} Candidate
 * @typedef {import("./settings.js").Settings} Settings
 *
 * @typedef {object} Trouble  why the last request failed
 * @property {string} key  of the request
 * @property {string} message  for the user, with what to do
 * @property {string} code
 * @property {string | null} field  the invalid request field, if one is
 * @property {boolean} again  retried automatically
 *
 * @typedef {object} Play
 * @property {"roll" | "write" | "tally"} kind  roll: one token; write: one after another; tally: many at one position, none appended
 * @property {number} wrote  tokens generated so far
 *
 * @typedef {"queued" | "downloading" | "loading" | "ready" | "failed"} ModelState
 *
 * @typedef {object} Facts
 * @property {number} parameters
 * @property {string} device
 * @property {string} dtype
 * @property {number} vocabSize
 * @property {number} contextLimit
 * @property {readonly number[]} endOfTextIds  the tokens that end a text
 * @property {readonly number[]} prefixTokenIds  special tokens that the tokenizer adds in front of every text
 * @property {string} chatRefusal  why the model has no conversations; else empty
 * @property {{layers: string, contrast: string, attention: string}} refusals  why it can't tell of its layers; empty: it can
 * @property {string} format  how the checkpoint holds its weights, such as FP8; empty: plainly
 * @property {string} note  what else there is to know of how it was loaded
 *
 * @typedef {object} Model
 * @property {string} name
 * @property {ModelState} state
 * @property {boolean} isDefault
 * @property {number} bytesDone  while downloading
 * @property {number} bytesTotal  while downloading; 0 while unknown
 * @property {string} reason  why it failed and what to do
 * @property {Facts | null} facts  once ready
 *
 * @typedef {object} Reread  how another model tokenized the current text
 * @property {string} model
 * @property {string} text
 * @property {readonly number[]} lengths  of its tokens in bytes; special ones have 0
 *
 * @typedef {object} Linked  tokens from a link
 * @property {string} model  whose vocabulary they are from
 * @property {readonly number[]} ids
 *
 * @typedef {object} Cell  one token of a distribution
 * @property {Token} token
 * @property {number} share  after temperature and cut-offs
 *
 * @typedef {object} Spread  the known part of a distribution
 * @property {string} model
 * @property {readonly Cell[]} cells  most likely first
 * @property {boolean} whole  no other token has any probability
 * @property {number} entropyBits  before cut-offs
 *
 * @typedef {object} PinPart
 * @property {string} name  "A", "B" or "C"
 * @property {string} key  of the answer it came from
 * @property {string} text  the end of its text, with invisible characters marked
 * @property {string} prompt  its text
 * @property {string | null} trouble  why its numbers could not be had, if it came with a link
 * @property {Settings} settings
 * @typedef {Spread & PinPart} Pin
 *
 * @typedef {readonly Token[] | number | null} Spelling  a number: how many anchor characters have failed; null: all have
 *
 * @typedef {object} Lookup  the server's numbers for a token at a position
 * @property {Candidate} candidate
 * @property {number} temperature  as requested
 * @property {Answer["partition"]} partition
 *
 * @typedef {object} Removed  a deleted branch that can be restored
 * @property {readonly Node[]} nodes  parents first
 * @property {number | null} current  the node where the text ended, if it was one of them
 * @property {string} words
 *
 * @typedef {"all" | "way" | "text" | "nothing"} Saved  what was saved: all branches, the current text with its tokens, its characters only, or nothing
 *
 * @typedef {"none" | "surprise" | "entropy"} Shade
 *
 * @typedef {object} Shading
 * @property {Shade} by  what the highlight shows
 * @property {boolean} curious  a token's card is open
 * @property {Trouble | null} trouble  why there are no scores
 *
 * @typedef {object} Tour
 * @property {number | null} at  index of the stop; null if the tour is not running
 * @property {boolean} offered  the invitation was shown; never again once accepted or declined
 * @property {{current: number | null, temperature: number} | null} mark  the state when the stop was reached
 * @property {import("./initial.js").UndoStep | null} own  the reader's text, if the tour was given a fresh one
 *
 * @typedef {object} Room  presenting to an audience
 * @property {boolean} presenting  only text and chart, in large type
 * @property {boolean} guessing  bars are hidden until revealed
 * @property {number | null} seen  the node whose bars were revealed
 * @property {Tour} tour
 * @property {boolean} keys  single-key shortcuts are on
 */

/** @type {Shading} */
export const FIRST_SHADING = { by: "none", curious: false, trouble: null };

/** @type {import("./slices_later.js").Comparison} */
export const FIRST_COMPARISON = { model: null, temperature: null, prompt: null, answer: null, trouble: null, scores: null, scoreTrouble: null, twins: null };

/** @type {import("./slices_later.js").Grown} */
export const FIRST_GROWN = { growths: new Map(), running: null, trouble: null };

/** @type {import("./slices_later.js").Chat} */
export const FIRST_CHAT = { talks: new Map(), asked: null, typing: false, entered: false, left: null, text: null, marks: false, trouble: null };

/** @type {import("./slices_later.js").Layering} */
export const FIRST_LAYERING = { answer: null, trouble: null, chosen: null, contrast: null, scale: "log", attending: false };

/** @type {import("./slices_later.js").Influencing} */
export const FIRST_INFLUENCING = { results: new Map(), trouble: null, stopped: null, contrast: null, unit: "word", method: "take_out" };

/** @type {Room} */
export const FIRST_ROOM = {
  presenting: false,
  guessing: false,
  seen: null,
  tour: { at: null, offered: true, mark: null, own: null },
  keys: true,
};
