/** Loads the style sheet of a feature when it is first opened. */

/** @type {Map<string, Promise<void>>} */
const loaded = new Map();

/** @param {string} path from the page @returns {Promise<void>} once it applies */
export function loadStyle(path) {
  const known = loaded.get(path);
  if (known) return known;
  /** @type {Promise<void>} */
  const loading = new Promise((done, fail) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = path;
    link.addEventListener("load", () => done());
    link.addEventListener("error", () => {
      loaded.delete(path);
      link.remove();
      fail(new Error(path));
    });
    document.head.append(link);
  });
  loaded.set(path, loading);
  return loading;
}
