/**
 * Describes one model's name and state.
 *
 * @typedef {import("../../core/slices.js").Model} Model
 */
import * as format from "../../core/format.js";
import { MODELS } from "../../core/words.js";

/** @param {Model} model @returns {string} its state */
export function stateOf(model, rate = 0) {
  switch (model.state) {
    case "ready":
      return model.facts ? factsOf(model) : MODELS.ready;
    case "downloading": {
      const left = rate > 0 && model.bytesTotal > 0 ? format.timeLeft((model.bytesTotal - model.bytesDone) / rate) : "";
      const done = model.bytesDone || model.bytesTotal ? format.bytes(model.bytesDone, model.bytesTotal) : "";
      return [MODELS.downloading, done, left].filter(Boolean).join(", ");
    }
    case "loading":
      return MODELS.loading;
    case "queued":
      return MODELS.queued;
    case "failed":
      return sentence(model.reason || MODELS.failed);
  }
}

/** @param {Model} model @returns {number | null} download progress in [0, 1]; null if unknown */
export function downloaded(model) {
  if (model.state !== "downloading" || !(model.bytesTotal > 0)) return null;
  return Math.min(1, model.bytesDone / model.bytesTotal);
}

/** @param {string} name @returns {string} within a sentence */
export function named(name) {
  return name === "bundled" ? MODELS.demo : format.shortName(name);
}

/** @param {string} name @returns {string} at the start of a sentence; the name of a model is not capitalised */
export function first(name) {
  return name === "bundled" ? MODELS.Demo : format.shortName(name);
}

/** @param {Model} model that is ready @returns {string} its size, device, format and note */
export function factsOf(model) {
  const facts = /** @type {import("../../core/slices.js").Facts} */ (model.facts);
  const parts = [format.parameters(facts.parameters), format.deviceName(facts.device), facts.format, facts.note];
  return parts.filter(Boolean).join(", ");
}

/** @param {string} words @returns {string} with a capital letter and a full stop */
export function sentence(words) {
  const whole = words.trim().charAt(0).toUpperCase() + words.trim().slice(1);
  return /[.!?…]$/.test(whole) || !whole ? whole : `${whole}.`;
}
