/**
 * Keeps one request in flight, the one the state asks for. A newer request aborts the older one, so only the newest answer
 * is used.
 *
 * @typedef {import("../core/state.js").State} State
 * @typedef {import("../core/state.js").Question} Question
 */
import * as outcomes from "../core/outcomes.js";
import * as questions from "../core/questions.js";
import { CallFailed } from "./api.js";

const TYPING_MS = 120;
const SETTING_MS = 80;
const LONGEST_WAIT_MS = 10_000;
const THINKING_MS = [400, 8_000];

/**
 * @param {object} parts
 * @param {() => State} parts.read
 * @param {(transition: (state: State) => State) => void} parts.act
 * @param {(question: any, signal: AbortSignal) => Promise<any>} parts.ask
 * @param {(state: State) => any} [parts.wanted]  the request to send, with its key, or null
 * @param {(state: State, question: any, answer: any) => State} [parts.receive]
 * @param {(state: State, trouble: import("../core/state.js").Trouble) => State} [parts.fail]
 * @param {(state: State) => State} [parts.retry]
 * @param {(state: State, key: string, long: boolean) => State} [parts.think]  the answer is slow, or very slow
 * @param {(state: State, question: any) => number} [parts.delay]  milliseconds to debounce
 * @returns {{consider: () => boolean, asking: () => boolean}} `consider` must be called after every state change; it says
 *   whether it has sent a request
 */
export function createAsker({
  read,
  act,
  ask,
  wanted = questions.wanted,
  receive = outcomes.receive,
  fail = outcomes.fail,
  retry = outcomes.retry,
  think = (state) => state,
  delay: delayOf = delayOfBars,
}) {
  /** @type {{key: string, controller: AbortController, timer: ReturnType<typeof setTimeout> | undefined} | null} */
  let flight = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let again;
  let failures = 0;

  function consider() {
    const question = wanted(read());
    if (question?.key === flight?.key) return false;
    clearTimeout(flight?.timer);
    flight?.controller.abort();
    flight = null;
    if (!question) return false;
    const mine = { key: question.key, controller: new AbortController(), timer: undefined };
    flight = mine;
    const delay = delayOf(read(), question);
    if (delay) flight.timer = setTimeout(() => void send(question, mine), delay);
    else void send(question, mine);
    return !delay;
  }

  /** @param {{key: string}} question @param {{controller: AbortController}} mine */
  async function send(question, mine) {
    /** @type {(state: State) => State} */
    let outcome;
    const thinking = THINKING_MS.map((wait, at) => setTimeout(() => act((state) => think(state, question.key, at > 0)), wait));
    mine.controller.signal.addEventListener("abort", () => thinking.forEach(clearTimeout));
    try {
      const answer = await ask(question, mine.controller.signal);
      failures = 0;
      outcome = (state) => receive(state, question, answer);
    } catch (error) {
      if (mine.controller.signal.aborted) return;
      outcome = (state) => fail(state, troubleOf(question, error));
    } finally {
      thinking.forEach(clearTimeout);
    }
    if (flight !== mine) return;
    flight = null;
    act(outcome);
  }

  /** @param {{key: string}} question @param {unknown} error @returns {import("../core/state.js").Trouble} */
  function troubleOf(question, error) {
    if (!(error instanceof CallFailed)) throw error;
    const wait = error.retryAfterMs ?? (error.code === "unreachable" ? 1000 : null);
    if (wait !== null) {
      clearTimeout(again);
      again = setTimeout(() => act(retry), Math.min(LONGEST_WAIT_MS, wait * 2 ** failures));
      failures += 1;
    }
    return { key: question.key, message: error.message, code: error.code, field: error.field, again: wait !== null };
  }

  return { consider, asking: () => flight !== null };
}

/** @param {State} state @param {Question} question @returns {number} milliseconds to debounce */
function delayOfBars(state, question) {
  if (question.text !== null || question.parts) return state.session === null ? 0 : TYPING_MS;
  return questions.answerHere(state) ? SETTING_MS : 0;
}
