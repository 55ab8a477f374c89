/** A random session id per tab, so the server can schedule fairly between pages. */

const KEY = "next-token-visualizer-session";
const NAME = /^[0-9a-f]{32}$/;

/** @param {() => Pick<Storage, "getItem" | "setItem">} storage @returns {() => string} 32 hex digits */
export function createSession(storage) {
  let name = "";
  return () => (name ||= stored(storage) ?? fresh());
}

/** @param {() => Pick<Storage, "getItem" | "setItem">} storage @returns {string | null} null if storage is blocked or full */
function stored(storage) {
  try {
    const store = storage();
    const found = store.getItem(KEY);
    if (found !== null && NAME.test(found)) return found;
    const made = fresh();
    store.setItem(KEY, made);
    return made;
  } catch {
    return null;
  }
}

/** @returns {string} */
function fresh() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
