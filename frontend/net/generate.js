/**
 * Asks for the continuation of a prompt, token by token.
 *
 * @typedef {import("../core/distribution.js").Answer} Answer
 * @typedef {import("../core/state.js").Question} Question
 */
import { asked, samplingOf, settingsAt } from "../core/chain.js";
import { read } from "./api.js";
import { stream } from "./events.js";
import { withSampling } from "./sampled.js";
import { BadAnswer, list, object, readAnswer } from "./wire.js";

const AT_ONCE = 32; // tokens of one call: what is sent ahead, and lost if the reader stops
const MOST_SENT = 3200; // candidates of one call

/** @param {Question["settings"]} settings @param {number} count @returns {Question["settings"]} a mask that holds from the next token on goes on to hold from there */
export function heldFrom(settings, count) {
  const chain = settings.chain?.map((step) => (step.name === "mask" && step.on ? { ...step, from: step.from ?? count } : step));
  return chain ? { ...settings, chain } : settings;
}

/**
 * @param {Question} question about token ids @param {{seed: number, vocabSize: number, contextLimit: number}} given @param {AbortSignal} signal
 * @returns {AsyncGenerator<Answer>} what the model says at each position, with the token drawn there; until the text ends
 * @throws {import("./api.js").CallFailed}
 */
export async function* generate({ model, tokenIds, settings }, { seed, vocabSize, contextLimit }, signal) {
  const ids = [.../** @type {number[]} */ (tokenIds)];
  const { topK } = settings;
  const { constrained_from: from, ...sampling } = samplingOf(settings);
  const how = { model, seed, top_k: topK, ...sampling, include_partition: true };
  const together = Math.max(1, Math.min(AT_ONCE, Math.floor(MOST_SENT / topK)));
  for (let ended = false; !ended; ) {
    const most = ids.length + together;
    for await (const { name, data } of stream("api/generate", { ...how, ...begun(ids, from, together) }, signal)) {
      if (name === "finish") ended = data?.finish_reason !== "length";
      if (name !== "token") continue;
      const answer = read(data, () => readGenerated(data, { model, settings: settingsAt(settings, ids.length), count: ids.length, limit: contextLimit, vocabSize }));
      ids.push(answer.drawn[0].token.id);
      yield answer;
    }
    ended ||= ids.length < most;
  }
}

/** @param {readonly number[]} ids @param {number | undefined} from  where a masked text began @param {number} together @returns {object} that text goes on as a stream that broke off */
function begun(ids, from, together) {
  if (from === undefined) return { token_ids: [...ids], max_tokens: together };
  const text = ids.slice(from);
  return { token_ids: ids.slice(0, from), resume: [{ index: 0, token_ids: text }], max_tokens: text.length + together };
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
  const answer = readAnswer(whole, { model, text: null, whole: false, draws: [0], watch: [], ...settings });
  return asked(settings) ? withSampling({ watched: [], ...whole }, answer, settings) : answer;
}
