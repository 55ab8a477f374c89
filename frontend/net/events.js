/** Reads an answer that comes as server-sent events. */
import { CallFailed, post } from "./api.js";
import { inWords } from "./wire.js";

/**
 * @param {string} path @param {object} body @param {AbortSignal} signal
 * @returns {AsyncGenerator<{name: string, data: any}>} until the stream ends @throws {CallFailed} also for an `error` event
 */
export async function* stream(path, body, signal) {
  const response = await post(path, body, signal);
  if (!response.body) throw new CallFailed("The server’s answer can’t be read: it is empty.", "bad_answer");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error) => {
        if (signal.aborted) throw error;
        throw new CallFailed("The stream broke off.", "unreachable");
      });
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = readEvent(block);
        if (event?.name === "error") throw new CallFailed(typeof event.data?.error === "string" ? inWords(event.data.error) : "The stream broke off.", String(event.data?.code));
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** @param {string} block @returns {{name: string, data: any} | null} null for a comment @throws {CallFailed} */
export function readEvent(block) {
  const lines = block.split("\n");
  const field = (/** @type {string} */ name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  const data = field("data");
  if (data === undefined) return null;
  try {
    return { name: field("event") ?? "message", data: JSON.parse(data) };
  } catch {
    throw new CallFailed("The server’s answer can’t be read: an event is not JSON.", "bad_answer");
  }
}
