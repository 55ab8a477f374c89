/**
 * A menu or panel over the page, or a part of it that is folded, whose script loads when it is first opened, or about to be.
 *
 * @typedef {import("../../core/initial.js").State} State
 * @typedef {import("./room.js").Entry} Entry
 * @typedef {import("./room.js").Page} Page
 */
import { FRAME } from "../../core/words.js";
import { build } from "../../ui/build.js";
import { loadStyle } from "../../ui/load.js";

/** @param {Document} document @param {Entry} entry @param {Page} page @returns {(state: State) => void} */
export function mountLater(document, { name, id, styles = [], load }, page) {
  const root = /** @type {HTMLElement} */ (document.getElementById(/** @type {string} */ (id)));
  const failed = build("p", { class: "trouble", role: "status" }, FRAME.broken);
  /** @type {((state: State) => void) | null} */
  let update = null;
  /** @type {Promise<void> | null} */
  let loading = null;
  const dialog = root instanceof HTMLDialogElement ? root : null;
  /** @param {boolean} on  nothing answers yet, but its title takes the focus */
  function hold(on) {
    root.toggleAttribute("data-coming", on);
    for (const part of /** @type {HTMLElement[]} */ ([...root.children])) part.inert = on && !part.hasAttribute("autofocus") && part.localName !== "summary";
  }

  const begin = () => (loading ??= start());

  async function start() {
    failed.remove();
    hold(true);
    try {
      const [{ mount }] = await Promise.all([/** @type {NonNullable<typeof load>} */ (load)(), ...styles.map(loadStyle)]);
      update = mount(root, page);
      update(page.read());
    } catch {
      loading = null;
      root.append(failed);
    }
    hold(false);
  }

  for (const toggled of ["beforetoggle", "toggle"]) {
    root.addEventListener(toggled, (event) => {
      if (event.target === root && /** @type {ToggleEvent} */ (event).newState === "open") void begin();
    });
  }
  for (const opener of document.querySelectorAll(`[popovertarget="${id}"]`)) opener.addEventListener("pointerenter", begin);
  for (const opener of document.querySelectorAll(`[data-verb="${name}"]`)) {
    opener.addEventListener("pointerenter", begin);
    opener.addEventListener("click", async () => {
      await begin();
      if (dialog) dialog.showModal();
      else root.togglePopover();
    });
  }
  return (state) => update?.(state);
}
