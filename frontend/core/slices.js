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
 * @property {number} count  tokens
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
 * @typedef {object} OtherText  the second column's own text
 * @property {string} text
 * @property {number | null} at  the node at which the first column stood; null: not known yet. What is picked after it is added here too
 * @property {{model: string, ids: readonly number[]} | null} read  how a model tokenized it
 *
 * @typedef {object} Comparison  the second column of the view Compare
 * @property {string | null} model  null: the first column's
 * @property {number | null} temperature  null: the first column's
 * @property {OtherText | null} prompt  null: the first column's
 * @property {Compared | null} answer  the newest
 * @property {Trouble | null} trouble
 *
 * @typedef {object} ComparedPlace  of a token in one of two distributions, cut as the settings say
 * @property {number} id
 * @property {number} rank
 * @property {number} probability
 *
 * @typedef {object} ComparedRow
 * @property {Token} token
 * @property {ComparedPlace | null} a  null: this column's model has no such token
 * @property {ComparedPlace | null} b
 *
 * @typedef {object} Compared  how two distributions differ
 * @property {string} key  of the question
 * @property {readonly ComparedRow[]} rows  the top of both
 * @property {ComparedRow | null} gained  the one that gained most from A to B
 * @property {ComparedRow | null} lost
 * @property {{ab: number, ba: number}} kl  in bits, possibly infinite
 * @property {number} js  in bits
 * @property {number} moved  total variation distance
 * @property {readonly number[]} overlap  of the first n of both, from n = 1
 * @property {{a: number, b: number}} unmatched  probability of tokens that the other model doesn't have
 * @property {boolean} byBytes  the tokenizers differ
 * @property {{a: readonly number[], b: readonly number[]}} ids  both prompts' tokens
 *
 * @typedef {object} GrownNode  a continuation that the server found
 * @property {number} id  from 1
 * @property {number} parent  0: the node that the growth began at
 * @property {Token} token
 * @property {number} rank
 * @property {number} logprob  after its parent, at temperature 1
 * @property {number} pathLogprob
 * @property {boolean} end  it ends the text
 *
 * @typedef {object} Growth
 * @property {readonly GrownNode[]} nodes  parents first
 * @property {{covered: number, open: number, pruned: number} | null} mass  how all probability is divided
 *
 * @typedef {object} Grown  of the view Tree; does not outlive a reload
 * @property {ReadonlyMap<number, Growth>} growths  by the node they began at, oldest first
 * @property {{at: number, depth: number, most: number} | null} running
 * @property {string | null} trouble  why the last one ended
 *
 * @typedef {"system" | "user" | "assistant"} Role
 *
 * @typedef {object} Turn  of a conversation
 * @property {Role} role
 * @property {string} content
 * @property {readonly Token[] | null} tokens  of the content, if they were picked: they are kept as they are
 *
 * @typedef {object} Part  tokens in a row of a rendered conversation
 * @property {number | null} message  index of the turn; the number of turns for what begins the next one; null: none
 * @property {boolean} content  not the template's
 * @property {number} count
 *
 * @typedef {object} Talk  a conversation, in the order of its tokens
 * @property {readonly Turn[]} turns
 * @property {readonly Part[]} parts
 * @property {boolean} open  the last turn goes on; else the assistant's next one has begun
 *
 * @typedef {object} AskedTalk  an edited conversation that has no tokens yet
 * @property {readonly Turn[]} turns
 * @property {boolean} open
 * @property {readonly Token[]} tail  of the open turn, which come after it
 * @property {string} text  the draft that stands for it
 * @property {boolean} typed  the change was typed
 *
 * @typedef {object} Chat
 * @property {ReadonlyMap<number, Talk>} talks  by the node at which the template's text ends
 * @property {AskedTalk | null} asked
 * @property {boolean} typing  the last change was typed, and goes on: one undo step
 * @property {boolean} entered  the surface has its conversation
 * @property {number | null} left  the node at which the conversation was left
 * @property {import("./initial.js").UndoStep | null} text  where the text was left
 * @property {boolean} marks  the template's tokens are shown
 * @property {Trouble | null} trouble  why it has no tokens
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

/** @type {Comparison} */
export const FIRST_COMPARISON = { model: null, temperature: null, prompt: null, answer: null, trouble: null };

/** @type {Grown} */
export const FIRST_GROWN = { growths: new Map(), running: null, trouble: null };

/** @type {Chat} */
export const FIRST_CHAT = { talks: new Map(), asked: null, typing: false, entered: false, left: null, text: null, marks: false, trouble: null };
/** @type {import("./explaining.js").Layering} */
export const FIRST_LAYERING = { answer: null, trouble: null, chosen: null, contrast: null, scale: "log", attending: false };

/** @type {import("./explaining.js").Influencing} */
export const FIRST_INFLUENCING = { results: new Map(), trouble: null, stopped: null, contrast: null, unit: "word", method: "take_out" };

/** @type {Room} */
export const FIRST_ROOM = {
  presenting: false,
  guessing: false,
  seen: null,
  tour: { at: null, offered: true, mark: null, own: null },
  keys: true,
};
