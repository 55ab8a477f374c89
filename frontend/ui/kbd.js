/** Words with keys in them. */
import { build } from "./build.js";

/** @param {string} words keys are in brackets @returns {(Node | string)[]} */
export function withKeys(words) {
  return words.split(/\[(.+?)\]/).map((part, at) => (at % 2 ? build("kbd", {}, part) : part));
}
