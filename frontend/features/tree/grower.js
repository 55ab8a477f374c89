/**
 * Keeps one growth in flight, the one the state names.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import * as tree from "../../core/tree.js";
import { CallFailed } from "../../net/api.js";
import { grow } from "../../net/grow.js";
import * as models from "./model.js";

/** @param {{read: () => State, act: (transition: (state: State) => State) => void}} page @returns {{consider: () => void}} must be called after every state change */
export function createGrower({ read, act }) {
  /** @type {{of: NonNullable<State["grown"]["running"]>, controller: AbortController} | null} */
  let flight = null;

  async function follow(/** @type {NonNullable<typeof flight>} */ mine) {
    const { at, depth, most } = mine.of;
    const { model } = tree.node(read().tree, at);
    const question = { model, tokenIds: tree.tokenIds(read().tree, at), depth, most };
    /** @type {string | null} */
    let trouble = null;
    try {
      for await (const part of grow(question, mine.controller.signal)) act((now) => models.add(now, at, part));
    } catch (error) {
      if (mine.controller.signal.aborted) return;
      if (!(error instanceof CallFailed)) throw error;
      trouble = error.message;
    }
    if (flight === mine) act((now) => models.end(now, trouble));
  }

  return {
    consider() {
      const { running } = read().grown;
      if (running === (flight?.of ?? null)) return;
      flight?.controller.abort();
      flight = running && { of: running, controller: new AbortController() };
      if (flight) void follow(flight);
    },
  };
}
