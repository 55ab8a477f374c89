/**
 * Combines the tab's own storage with the one shared by all tabs: a reload restores its own state even if another tab was
 * used since, and a new tab starts from the last used one.
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
      // An unused tab must not overwrite what others saved.
      if (last.get(key) === value) return;
      try {
        own().setItem(key, value);
      } catch {
        own().removeItem(key); // a stale value would hide the shared one
      }
      shared().setItem(key, value);
      last.set(key, value);
    },
  };
}
