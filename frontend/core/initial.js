/**
 * The shape of the page's state, and its first value. Pure data.
 *
 * @typedef {import("./tree.js").Tree} Tree
 * @typedef {import("./tokens.js").Token} Token
 * @typedef {import("./distribution.js").Answer} Answer
 * @typedef {import("./distribution.js").Candidate} Candidate
 * @typedef {import("./slices.js").Model} Model
 * @typedef {import("./questions.js").Question} Question
 * @typedef {import("./settings.js").Settings} Settings
 * @typedef {import("./settings.js").Dice} Dice
 * @typedef {import("./slices.js").Trouble} Trouble
 * @typedef {import("./slices.js").Play} Play
 *
 * @typedef {number | {text: string, at: number | null}} UndoStep  an undo step: a node, or a draft and the node it started from
 *
 * @typedef {object} State
 * @property {Tree} tree
 * @property {number | null} current  the node whose next token the chart shows; null before the first answer
 * @property {number | null} end  the node at the end of the text while the chart is at an earlier position
 * @property {string | null} draft  text that has no answer yet
 * @property {boolean} literal  names of special tokens in typed text are plain characters
 * @property {number | null} base  the node whose text was edited last, until the next step; null if the text is a new one
 * @property {"typing" | "typed" | null} session  typing: since the last step; typed: and an answer has arrived since
 * @property {string | null} told  an earlier text of this session that had its answer: what its edit removed has been said
 * @property {readonly UndoStep[]} past
 * @property {readonly UndoStep[]} future
 * @property {Settings} settings
 * @property {Dice} dice
 * @property {import("./display.js").Display} display
 * @property {readonly import("./slices.js").Pin[]} pins
 * @property {{pin: import("./slices.js").Pin, versus: string | null, at: number | null} | null} unpinned  the pin removed last, and where
 * @property {string | null} versus  name of the pin to compare with
 * @property {string} likely  the text typed into "How likely is …?"
 * @property {ReadonlyMap<string, import("./slices.js").Spelling>} spellings  tokenizations of such texts
 * @property {ReadonlyMap<string, import("./slices.js").Lookup>} lookups  of their tokens
 * @property {Trouble | null} probeTrouble  why the lookup failed
 * @property {import("./slices.js").Linked | null} linked  tokens from a link, until they have an answer
 * @property {string | null} linkTrouble  why a link could not be opened
 * @property {Play | null} play  the sampling in progress
 * @property {string | null} said  how it ended
 * @property {readonly import("./slices.js").Removed[]} removed  deleted branches, newest last
 * @property {import("./slices.js").Saved} saved  how much of this survives a reload
 * @property {import("./frame.js").Frame} frame  the view, the surface and the inspector
 * @property {boolean} dragging  a control is being dragged; no requests
 * @property {import("./slices.js").Shading} shading  the text's highlight
 * @property {ReadonlyMap<string, Answer>} answers  by model and token ids, newest last
 * @property {string | null} drawn  key of the answer shown, while the next one is awaited
 * @property {readonly Model[] | null} models  null until the server has sent them
 * @property {ReadonlyMap<string, {at: number, done: number, rate: number}>} progress  download rates, in bytes per second
 * @property {string | null} wish  the model chosen; null for the server's default
 * @property {string | null} model  the model in use
 * @property {string | null} lost  why the server can't be reached
 * @property {Trouble | null} trouble
 * @property {{key: string, long: boolean} | null} thinking  the request whose answer is slow
 * @property {{model: string, message: string} | null} loadTrouble
 * @property {import("./slices.js").Reread | null} reread  how another model tokenized the current text
 * @property {import("./slices.js").Room} room
 * @property {import("./slices_later.js").Comparison} comparison
 * @property {import("./slices_later.js").Grown} grown
 * @property {import("./slices_later.js").Chat} chat
 * @property {import("./slices_later.js").Layering} layering
 * @property {import("./slices_later.js").Influencing} influencing
 */
import { FIRST_DISPLAY } from "./display.js";
import { FIRST_FRAME } from "./frame.js";
import { FIRST_DICE, FIRST_SETTINGS } from "./settings.js";
import { FIRST_CHAT, FIRST_COMPARISON, FIRST_GROWN, FIRST_INFLUENCING, FIRST_LAYERING, FIRST_ROOM, FIRST_SHADING } from "./slices.js";
import * as tree from "./tree.js";

export const FIRST_TEXT = "Once upon a time";

/** @returns {State} */
export function initial() {
  return {
    tree: tree.EMPTY,
    current: null,
    end: null,
    draft: FIRST_TEXT,
    literal: false,
    base: null,
    session: null,
    told: null,
    past: [],
    future: [],
    settings: FIRST_SETTINGS,
    dice: FIRST_DICE,
    display: FIRST_DISPLAY,
    pins: [],
    unpinned: null,
    versus: null,
    likely: "",
    spellings: new Map(),
    lookups: new Map(),
    probeTrouble: null,
    linked: null,
    linkTrouble: null,
    play: null,
    said: null,
    removed: [],
    saved: "all",
    frame: FIRST_FRAME,
    dragging: false,
    shading: FIRST_SHADING,
    answers: new Map(),
    drawn: null,
    models: null,
    progress: new Map(),
    wish: null,
    model: null,
    lost: null,
    trouble: null,
    thinking: null,
    loadTrouble: null,
    reread: null,
    room: FIRST_ROOM,
    comparison: FIRST_COMPARISON,
    grown: FIRST_GROWN,
    chat: FIRST_CHAT,
    layering: FIRST_LAYERING,
    influencing: FIRST_INFLUENCING,
  };
}
