/**
 * The form of a masked text: as it is written, and as the server reads it. Pure.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {NonNullable<import("../../core/slices_later.js").Step["form"]>} Form
 */
import * as tree from "../../core/tree.js";

export const KINDS = /** @type {const} */ (["choices", "regex", "json_schema", "grammar"]);
/** @type {Form} */
export const BLANK = { kind: "choices", choices: "", regex: "", json_schema: "", grammar: "" };

/** @param {any} form that was saved @returns {boolean} */
export function fitsForm(form) {
  return KINDS.includes(form?.kind) && KINDS.every((kind) => typeof form[kind] === "string");
}

/** @param {Form | undefined} form @returns {object | null} null if it is blank, or no JSON */
export function wireOf(form) {
  if (!form) return null;
  const { kind, [kind]: text } = form;
  if (!text.trim()) return null;
  if (kind === "choices") return { choices: linesOf(text) };
  if (kind !== "json_schema") return { [kind]: text };
  const { schema } = readSchema(text);
  return schema && { json_schema: schema };
}

/** @param {Form} form @returns {string} why it can’t be sent; empty if it can, or is blank */
export function faultOf({ kind, ...form }) {
  return kind === "json_schema" && form.json_schema.trim() ? readSchema(form.json_schema).fault : "";
}

/** @param {string} text @returns {string[]} each once: blanks at their ends count, empty lines don’t */
export function linesOf(text) {
  return [...new Set(text.split("\n"))].filter(Boolean);
}

/** @param {State} state @returns {number | null} how many tokens come before the chart’s place; null while the text has no answer */
export function placeOf({ tree: all, current, draft }) {
  return draft !== null || current === null ? null : tree.path(all, current).length;
}

/** @param {string} text @returns {{schema: object | null, fault: string}} */
function readSchema(text) {
  try {
    const schema = JSON.parse(text);
    const good = typeof schema === "object" && schema !== null && !Array.isArray(schema);
    return good ? { schema, fault: "" } : { schema: null, fault: "A JSON Schema is an object: { … }." };
  } catch (error) {
    return { schema: null, fault: `Not JSON yet: ${/** @type {Error} */ (error).message}.` };
  }
}
