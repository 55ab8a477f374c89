/**
 * Base64, for JSON, links and browser storage; and tokens as JSON can hold them.
 *
 * @typedef {import("./tokens.js").Token} Token
 */

/** @param {string} text @returns {Uint8Array} @throws {DOMException} if it is not base64 */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** @param {Uint8Array} bytes @returns {string} */
export function toBase64(bytes) {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** @param {Token} token @returns {{id: number, bytes: string, special: boolean}} */
export function freezeToken({ id, bytes, special }) {
  return { id, bytes: toBase64(bytes), special };
}

/** @param {any} saved @returns {Token} @throws {DOMException} if its bytes are not base64 */
export function thawToken({ id, bytes, special }) {
  return { id, bytes: fromBase64(bytes), special: Boolean(special) };
}
