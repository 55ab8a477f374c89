/**
 * Calls to the gateway.
 *
 * @typedef {import("../core/state.js").Question} Question
 * @typedef {import("../core/distribution.js").Answer} Answer
 * @typedef {import("../core/slices.js").Model} Model
 */
import { samplingOf } from "../core/chain.js";
import { NET } from "../core/words.js";
import { createSession } from "./session.js";
import { BadAnswer, inWords, readAnswer, readModels, readScores } from "./wire.js";

const PATIENCE_MS = 60_000;
const REOPEN_MS = 2_000;
const session = createSession(() => sessionStorage);

/** A failed call, with a message for the user. */
export class CallFailed extends Error {
  /**
   * @param {string} message @param {string} code the gateway's, or `unreachable`, `bad_answer`, `timeout`
   * @param {{field?: string | null, retryAfterMs?: number | null}} [more]
   */
  constructor(message, code, { field = null, retryAfterMs = null } = {}) {
    super(message);
    this.code = code;
    this.field = field;
    this.retryAfterMs = retryAfterMs;
  }
}

/** @param {Question} question @param {AbortSignal} signal @returns {Promise<Answer>} @throws {CallFailed} */
export async function nextToken(question, signal) {
  const { model, text, tokenIds, parts, settings, draws, coin, watch, whole, literal } = question;
  const body = {
    ...(parts ? { parts } : text !== null ? { text } : { token_ids: tokenIds }),
    ...(whole && { include_prompt_tokens: true }),
    ...(literal && { special: "text" }),
    model,
    top_k: settings.topK,
    ...samplingOf(settings, coin),
    ...(draws.length && { draws }),
    ...(watch.length && { watch_token_ids: watch }),
    include_partition: true,
  };
  const json = await call("api/next-token", body, signal);
  const answer = read(json, () => readAnswer(json, { ...question, ...settings }));
  if (!("samplers" in body)) return answer;
  const { withSampling } = await import("./sampled.js");
  return read(json, () => withSampling(json, answer, settings, coin));
}

/**
 * @param {{model: string, tokenIds: readonly number[]}} asked @param {AbortSignal} signal
 * @returns {Promise<import("../core/tree.js").Score[]>} @throws {CallFailed}
 */
export async function scores({ model, tokenIds }, signal) {
  const json = await call("api/score", { model, token_ids: tokenIds }, signal);
  return read(json, () => readScores(json, { model, tokenIds }));
}

/** @param {string} name @returns {Promise<void>} once loading has started @throws {CallFailed} */
export async function loadModel(name) {
  await call("api/models/load", { name });
}

/**
 * Streams the models and every change, or the error while the server is unreachable; reconnects automatically.
 * @param {(models: Model[]) => void} onModels @param {(reason: string) => void} onLost
 * @returns {() => void} closes the stream
 */
export function watchModels(onModels, onLost) {
  /** @type {EventSource | undefined} */
  let source;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let received = false;
  const open = () => {
    clearTimeout(timer);
    source?.close();
    source = new EventSource("api/models/events");
    source.addEventListener("models", (event) => {
      received = true;
      try {
        onModels(readModels(JSON.parse(event.data)));
      } catch (error) {
        onLost(NET.models(messageOf(error)));
      }
    });
    source.addEventListener("unreachable", (event) => {
      received = true;
      onLost(reasonOf(event.data));
    });
    source.addEventListener("error", () => {
      source.close();
      onLost(navigator.onLine ? NET.unreachable : NET.offline);
      timer = setTimeout(open, REOPEN_MS);
    });
  };
  // Being offline doesn't mean unreachable: the server may be on this device.
  for (const event of ["online", "offline"]) addEventListener(event, open);
  open();
  // index.html preloads the list, so the first request need not wait for the stream.
  fetch("api/models")
    .then((response) => response.json())
    .then((json) => received || onModels(readModels(json)))
    .catch(() => {});
  return () => {
    for (const event of ["online", "offline"]) removeEventListener(event, open);
    clearTimeout(timer);
    source?.close();
  };
}

/** @param {string} path @param {object} body @param {AbortSignal} [signal] @returns {Promise<any>} @throws {CallFailed} */
export async function call(path, body, signal) {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  try {
    const response = await post(path, body, signal ? AbortSignal.any([signal, patience]) : patience);
    return await response.json().catch(() => undefined);
  } catch (error) {
    if (patience.aborted && !signal?.aborted) throw new CallFailed(NET.late, "timeout");
    throw error;
  }
}

/** @param {string} path @param {object} body @param {AbortSignal} signal @returns {Promise<Response>} one that succeeded @throws {CallFailed} */
export async function post(path, body, signal) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json", "x-session": session() },
      body: JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new CallFailed(`${NET.unreachable}.`, "unreachable");
  }
  if (response.ok) return response;
  const json = await response.json().catch(() => undefined);
  const seconds = Number(response.headers.get("retry-after"));
  throw new CallFailed(
    typeof json?.error === "string" ? inWords(json.error) : NET.silent(response.status),
    typeof json?.code === "string" ? json.code : `http_${response.status}`,
    {
      field: typeof json?.field === "string" ? json.field : null,
      retryAfterMs: seconds > 0 ? Math.min(60, seconds) * 1000 : response.status >= 502 || response.status === 429 ? 1000 : null,
    },
  );
}

/** @template T @param {any} json @param {(json: any) => T} reader @returns {T} */
export function read(json, reader) {
  try {
    return reader(json);
  } catch (error) {
    if (error instanceof BadAnswer || error instanceof TypeError) {
      throw new CallFailed(NET.unreadable(error.message), "bad_answer");
    }
    throw error;
  }
}

/** @param {string} data of an `unreachable` event */
function reasonOf(data) {
  try {
    const reason = JSON.parse(data).error;
    if (typeof reason === "string" && reason) return inWords(reason);
  } catch {
    // The reason is optional.
  }
  return NET.inference;
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
