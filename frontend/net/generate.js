/**
 * Asks for the continuation of a prompt, token by token.
 *
 * @typedef {import("../core/distribution.js").Answer} Answer
 * @typedef {import("../core/state.js").Question} Question
 */
import { read } from "./api.js";
import { stream } from "./events.js";
import { BadAnswer, list, object, readAnswer } from "./wire.js";

const AT_ONCE = 32; // tokens of one call: what is sent ahead, and lost if the reader stops

/**
 * @param {Question} question about token ids @param {{seed: number, vocabSize: number, contextLimit: number}} given @param {AbortSignal} signal
 * @returns {AsyncGenerator<Answer>} what the model says at each position, with the token drawn there; until the text ends
 * @throws {import("./api.js").CallFailed}
 */
export async function* generate({ model, tokenIds, settings }, { seed, vocabSize, contextLimit }, signal) {
  const ids = [.../** @type {number[]} */ (tokenIds)];
  const { topK, temperature, topP, minP } = settings;
  const how = { model, seed, top_k: topK, temperature, ...(topP < 1 && { top_p: topP }), ...(minP > 0 && { min_p: minP }), include_partition: true };
  for (let ended = false; !ended; ) {
    const most = ids.length + AT_ONCE;
    for await (const { name, data } of stream("api/generate", { ...how, token_ids: [...ids], max_tokens: AT_ONCE }, signal)) {
      if (name === "finish") ended = data?.finish_reason !== "length";
      if (name !== "token") continue;
      const answer = read(data, () => readGenerated(data, { model, settings, count: ids.length, limit: contextLimit, vocabSize }));
      ids.push(answer.drawn[0].token.id);
      yield answer;
    }
    ended ||= ids.length < most;
  }
}

/**
 * @param {any} json @param {{model: string, settings: Question["settings"], count: number, limit: number, vocabSize: number}} asked `count`: tokens before it
 * @returns {Answer} as next-token has it, without the number that drew the token @throws {BadAnswer}
 */
export function readGenerated(json, { model, settings, count, limit, vocabSize }) {
  const candidates = list(json?.candidates, "candidates");
  if (candidates.length !== Math.min(settings.topK, vocabSize)) throw new BadAnswer(`candidates holds ${candidates.length} tokens, not ${settings.topK}`);
  const prompt = { token_count: count, context_limit: limit };
  const whole = { ...json, model, prompt, drawn: [object(json.token, "token")], vocab_size: vocabSize };
  return readAnswer(whole, { model, text: null, whole: false, draws: [0], watch: [], ...settings });
}
