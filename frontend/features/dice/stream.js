/**
 * Answers for generating: one stream goes ahead of the reader, who takes them at the pace that was chosen. What it can't say,
 * and what it breaks off before, is asked for one by one.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/state.js").Question} Question
 * @typedef {import("../../core/distribution.js").Answer} Answer
 *
 * @typedef {object} Flight
 * @property {string} of  what must not change: model, settings, seed
 * @property {AsyncGenerator<Answer>} answers
 * @property {number[]} ids  of the prompt, and of what was drawn of the answers so far
 * @property {Promise<IteratorResult<Answer>>} next
 * @property {AbortController} controller
 *
 * @typedef {ReturnType<typeof createStream>} Stream
 */
import { CallFailed, nextToken } from "../../net/api.js";
import { generate, heldFrom } from "../../net/generate.js";
import { find } from "../models/model.js";

/** @param {{read: () => State}} page */
export function createStream({ read }) {
  /** @type {Flight | null} */
  let flight = null;
  let broken = false;

  /** Call after every change: nothing is generated that nobody waits for. */
  function consider() {
    if (read().play?.kind === "write") return;
    broken = false;
    if (flight) end();
  }

  function end() {
    flight?.controller.abort();
    flight?.next.catch(() => {});
    flight = null;
  }

  /** @param {Question} question @param {AbortSignal} signal @returns {Promise<Answer>} @throws {CallFailed} */
  async function ask(question, signal) {
    const facts = find(read(), question.model)?.facts;
    const { tokenIds, draws, coin, watch } = question;
    if (read().play?.kind !== "write" || broken || !facts || !tokenIds?.length || watch.length) return nextToken(question, signal);
    const { seed } = read().dice;
    const settings = heldFrom(question.settings, tokenIds.length);
    const of = JSON.stringify([question.model, settings, seed]);
    if (flight?.of !== of || String(flight.ids) !== String(tokenIds)) {
      end();
      const controller = new AbortController();
      const answers = generate({ ...question, settings }, { seed, vocabSize: facts.vocabSize, contextLimit: facts.contextLimit }, controller.signal);
      flight = { of, answers, ids: [...tokenIds], next: answers.next(), controller };
    }
    const mine = flight;
    const { done, value } = await mine.next.catch((error) => {
      if (!(error instanceof CallFailed) || flight !== mine) throw error;
      broken = true;
      return { done: true, value: undefined };
    });
    if (signal.aborted) throw signal.reason;
    if (done || !value) {
      if (flight === mine) end();
      return nextToken(question, signal);
    }
    if (flight === mine) {
      mine.ids.push(value.drawn[0].token.id);
      mine.next = mine.answers.next(); // a step ahead
      mine.next.catch(() => {});
    }
    return { ...value, draws, sampling: value.sampling && { ...value.sampling, coin } };
  }

  return { ask, consider };
}
