/**
 * Asks for the tokens of a conversation in a model's own template.
 *
 * @typedef {object} ChatQuestion
 * @property {string} key  equal for equal questions
 * @property {string} model
 * @property {readonly {role: import("../core/slices_later.js").Role, content: string}[]} turns
 * @property {boolean} open  the last turn goes on; else the assistant's next one begins
 * @property {boolean} literal  names of special tokens in what the turns say are plain characters
 *
 * @typedef {object} ChatToken
 * @property {import("../core/tokens.js").Token} token
 * @property {number | null} message  index of its turn; the number of turns for the next one; null: none
 * @property {boolean} content  not the template's
 */
import { call, read } from "./api.js";
import { BadAnswer, list, number, readToken } from "./wire.js";

/** @param {ChatQuestion} question @param {AbortSignal} signal @returns {Promise<ChatToken[]>} @throws {import("./api.js").CallFailed} */
export async function renderChat({ model, turns, open, literal }, signal) {
  const body = { model, messages: turns, ...(open ? { continue_final_message: true } : { add_generation_prompt: true }), ...(literal && { special: "text" }) };
  const json = await call("api/chat/render", body, signal);
  return read(json, () => readChat(json, { model, turns }));
}

/** @param {any} json @param {Pick<ChatQuestion, "model" | "turns">} asked @returns {ChatToken[]} @throws {BadAnswer} */
export function readChat(json, { model, turns }) {
  if (json?.model !== model) throw new BadAnswer(`model is ${JSON.stringify(json?.model)}, not ${model}`);
  const tokens = list(json.tokens, "tokens").map((each, at) => {
    const message = each?.message === null ? null : number(each?.message, `tokens[${at}].message`, 0);
    if (message !== null && message > turns.length) throw new BadAnswer(`tokens[${at}].message is ${message} of ${turns.length}`);
    return { token: readToken(each, `tokens[${at}]`), message, content: Boolean(each.is_content) };
  });
  if (!tokens.length) throw new BadAnswer("tokens is empty");
  return tokens;
}
