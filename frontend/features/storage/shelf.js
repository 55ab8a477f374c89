/**
 * Where a page keeps what it has: its tab's own storage, and the one that all tabs share. A reload finds its own again,
 * though another tab was used since; a new tab begins where a page was used last.
 *
 * @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} Store
 */

/** @param {() => Store} own @param {() => Store} shared @returns {Pick<Storage, "getItem" | "setItem">} */
export function createShelf(own, shared) {
  /** @type {Map<string, string | null>} */
  const last = new Map();
  return {
    getItem(key) {
      const found = own().getItem(key) ?? shared().getItem(key);
      last.set(key, found);
      return found;
    },
    setItem(key, value) {
      // A tab where nothing was done leaves to the others what they have kept since.
      if (last.get(key) === value) return;
      try {
        own().setItem(key, value);
      } catch {
        own().removeItem(key); // what is old would hide what is new
      }
      shared().setItem(key, value);
      last.set(key, value);
    },
  };
}
