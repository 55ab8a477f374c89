/**
 * Example texts that each demonstrate something, even with the demo model. Pure.
 *
 * @typedef {object} Starter
 * @property {string} name
 * @property {string} text
 * @property {string} shows  what to look for
 * @property {readonly [import("../../core/slices_later.js").Role, string][]} [turns]  of a conversation; `text` is its last
 *
 * @typedef {import("../../core/state.js").State} State
 */
import { begin } from "./begin.js";

/** @type {readonly Starter[]} */
export const STARTERS = [
  {
    name: "A story begins",
    text: "Once upon a time",
    shows: "One or two tokens get nearly everything: the model is sure, but not certain.",
  },
  {
    name: "It copies",
    text: "Lily lost her red ball. She looked for her red",
    shows: "It repeats an earlier phrase: one bar gets almost everything.",
  },
  {
    name: "No clear favourite",
    text: "The boy cried because",
    shows: "Even the longest bar has less than half: there is more than one way to go on.",
  },
  {
    name: "An ambiguous word",
    text: "Tom has a cold",
    shows: "An illness, or a cold day? The bars hold both readings.",
  },
  {
    name: "One letter decides",
    text: "Tom was hungry so he ate an",
    shows: "After “an” only some words fit. Take the n away and compare.",
  },
  {
    name: "A rhyme",
    text: "Little star, how bright you are. Little car, you drive so",
    shows: "“far” would rhyme. Does the model hear it?",
  },
  {
    name: "A fact",
    text: "The grass is green and the sky is",
    shows: "It learned no facts as such: it repeats patterns from its training text.",
  },
  {
    name: "Arithmetic",
    text: "Lily had one apple. Mom gave her one more. Now Lily had",
    shows: "A small model cannot add: see how low “two” ranks. A larger one does better.",
  },
  {
    name: "Half a word",
    text: "The girl was very curi",
    shows: "Half a word is split into different tokens than the whole. How many bars complete it?",
  },
  {
    name: "An emoji",
    text: "I have a ☀",
    shows: "One character for us, three tokens for the demo model: it reads bytes.",
  },
  {
    name: "Who is meant?",
    text: "Ben is a boy. Sue is a girl. Ben said that",
    shows: "It keeps track of who is who: compare “he” and “she”.",
  },
  {
    name: "Habits",
    text: "The nurse said that",
    shows: "“she” or “he”? The bars mirror the texts that the model learned from. Try “The doctor”.",
  },
  {
    name: "A conversation",
    text: "What is the capital of France?",
    turns: [["user", "What is the capital of France?"]],
    shows: "An instruct model answers instead of going on with the question. Show the template to see what it really reads.",
  },
  {
    name: "A role to play",
    text: "How was your day?",
    turns: [["system", "You are a grumpy pirate. Answer in one sentence."], ["user", "How was your day?"]],
    shows: "Change the system message, and see how the first word of the answer changes.",
  },
  {
    name: "A follow-up",
    text: "And the largest?",
    turns: [["user", "Name the smallest planet."], ["assistant", "Mercury."], ["user", "And the largest?"]],
    shows: "The question makes sense only with what came before: remove the first two messages and compare.",
  },
];

/** @param {State} state @param {Starter} starter @returns {State} with it as a separate undo step */
export function start(state, { text, turns }) {
  return begin(state, text, turns);
}
