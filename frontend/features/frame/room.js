/**
 * One view, surface or inspector tab: loads when first shown.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/initial.js").State} State
 *
 * @typedef {object} Page  what the page offers to what it loads
 * @property {Verbs} verbs
 * @property {(transition: (state: State) => State) => void} act  changes the state
 * @property {() => void} draw  now rather than in a later frame
 * @property {() => State} read
 * @property {(consider: () => void) => void} consider  adds what is to run after every change, such as an asker's `consider`
 *
 * @typedef {object} Entry  in `registry.js`
 * @property {string} name
 * @property {string} [label]
 * @property {string} [id]  of its element, if the page has it from the start
 * @property {string} [field]  where what is typed goes: the last such field gets the focus after a click on its tab
 * @property {(state: State) => boolean} [when]  it is shown, if no tab or opener says so
 * @property {readonly string[]} [styles]
 * @property {() => Promise<{mount: (root: HTMLElement, page: Page) => (state: State) => void}>} [load]
 */
import { COMMON, FRAME } from "../../core/words.js";
import { loadStyle } from "../../ui/load.js";

const SLOW_MS = 300;

/** @param {Entry} entry @param {HTMLElement} root that it fills @param {Page} page @returns {(state: State, shown: boolean) => void} loads it once it is shown */
export function createRoom({ styles = [], load }, root, page) {
  /** @type {((state: State) => void) | null} */
  let update = null;
  let begun = false;

  async function begin() {
    begun = true;
    const slow = setTimeout(() => say(FRAME.loading), SLOW_MS);
    try {
      const [{ mount }] = await Promise.all([/** @type {NonNullable<typeof load>} */ (load)(), ...styles.map(loadStyle)]);
      root.replaceChildren();
      update = mount(root, page);
      page.act((now) => ({ ...now })); // draws it
    } catch {
      begun = false;
      say(FRAME.broken).append(again());
    } finally {
      clearTimeout(slow);
    }
  }

  /** @param {string} words */
  function say(words) {
    const line = document.createElement("p");
    line.className = "room-words";
    line.role = "status";
    line.append(words, " ");
    root.replaceChildren(line);
    root.hidden = false;
    return line;
  }

  function again() {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = COMMON.again;
    button.addEventListener("click", begin);
    return button;
  }

  return (state, shown) => {
    if (update) update(state);
    else if (shown && load && !begun && !root.childElementCount) void begin();
  };
}
