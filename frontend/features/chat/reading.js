/**
 * How names of special tokens in the messages are read: as those tokens, or as plain characters. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import { talking } from "../../core/chat.js";
import * as tree from "../../core/tree.js";
import { namedIn, readingWords } from "../prompt/model.js";
import { again, blocks, here, turnsOf } from "./model.js";

/** @param {State} state @returns {{words: string, offer: string} | null} how they are read, and what else could be */
export function specialWords(state) {
  return here(state) ? readingWords(named(state), state.literal) : null;
}

/** @param {State} state @returns {State} with the messages read the other way */
export function readOther(state) {
  return { ...again(state, turnsOf(state)), literal: named(state) !== null || !state.literal };
}

/** @param {State} state @returns {import("../../core/tokens.js").Token | null} a special token that a message names */
function named(state) {
  if (talking(state)) return null;
  const turns = turnsOf(state);
  const found = blocks(state).map(({ at, nodes }) => {
    const written = nodes.filter(({ content, own }) => content && !own).map(({ node }) => node);
    return at === null ? null : namedIn(tree.tokens(written), turns[at].content);
  });
  return found.find((each) => each !== null) ?? null;
}
