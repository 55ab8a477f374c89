/**
 * The parts of the state that one feature each looks after: their shape, and what they are at first. Pure data: knows no
 * feature and no transition.
 *
 * @typedef {import("./tree.js").Node} Node
 * @typedef {import("./tokens.js").Token} Token
 * @typedef {import("./distribution.js").Answer} Answer
 * @typedef {import("./distribution.js").Candidate} Candidate
 * @typedef {import("./settings.js").Settings} Settings
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
 * @property {readonly number[]} prefixTokenIds  the special tokens that the tokenizer puts in front of every text
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
 * @typedef {object} Reread  the text at hand, as another model read it
 * @property {string} model
 * @property {string} text
 * @property {number} count  tokens
 *
 * @typedef {object} Linked  tokens that a link named
 * @property {string} model  in whose vocabulary they are
 * @property {readonly number[]} ids
 *
 * @typedef {object} Cell  one token of a distribution
 * @property {Token} token
 * @property {number} share  after temperature and cut-offs
 *
 * @typedef {object} Spread  a distribution, as far as it is at hand
 * @property {string} model
 * @property {readonly Cell[]} cells  the most likely first
 * @property {boolean} whole  no other token has a share
 * @property {number} entropyBits  before cut-offs
 *
 * @typedef {object} PinPart
 * @property {string} name  "A", "B" or "C"
 * @property {string} key  of the answer it was drawn from
 * @property {string} text  the end of the text it belongs to, with marks for what can't be seen
 * @property {Settings} settings
 * @typedef {Spread & PinPart} Pin
 *
 * @typedef {readonly Token[] | number | null} Spelling  a number: that many characters to stand behind have failed; null: all
 *
 * @typedef {object} Told  what the server said of a token at a place
 * @property {Candidate} candidate
 * @property {number} temperature  asked for
 * @property {Answer["partition"]} partition
 *
 * @typedef {object} Removed  a branch that can be brought back
 * @property {readonly Node[]} nodes  parents first
 * @property {number | null} current  the node the text ended at, where that was one of them
 * @property {string} words
 *
 * @typedef {"all" | "way" | "text" | "nothing"} Saved  everything tried, the text at hand with its tokens, or its words alone
 *
 * @typedef {"none" | "surprise" | "entropy"} Shade
 *
 * @typedef {object} Shading
 * @property {Shade} by  what the text is coloured by
 * @property {boolean} curious  a token's numbers are being looked at
 * @property {import("./state.js").Trouble | null} trouble  why there are no scores
 *
 * @typedef {object} Tour
 * @property {number | null} at  the stop; null while nobody walks
 * @property {boolean} offered  to a first visitor; never again once taken or declined
 * @property {{current: number | null, temperature: number} | null} mark  how things stood when the stop was reached
 *
 * @typedef {object} Room  the page in front of people
 * @property {boolean} presenting  text and chart alone, in large type
 * @property {boolean} guessing  bars are hidden until they are asked for
 * @property {number | null} seen  the node whose bars were asked for
 * @property {Tour} tour
 * @property {boolean} keys  letters, digits and signs act by themselves
 */

/** @type {Shading} */
export const FIRST_SHADING = { by: "none", curious: false, trouble: null };

/** @type {Room} */
export const FIRST_ROOM = {
  presenting: false,
  guessing: false,
  seen: null,
  tour: { at: null, offered: true, mark: null },
  keys: true,
};
