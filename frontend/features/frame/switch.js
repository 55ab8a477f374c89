/**
 * A row of tabs and what each of them shows. With one tab there is no row.
 *
 * @typedef {import("../../core/initial.js").State} State
 * @typedef {import("./room.js").Entry} Entry
 * @typedef {import("./room.js").Page} Page
 */
import { hidden } from "../../core/questions.js";
import { build } from "../../ui/build.js";
import { afterwards, setAttribute, setHidden } from "../../ui/dom.js";
import { createRoom } from "./room.js";

const STEPS = new Map([["ArrowRight", 1], ["ArrowDown", 1], ["ArrowLeft", -1], ["ArrowUp", -1]]);

/**
 * @param {HTMLElement} list of tabs
 * @param {readonly Entry[]} entries
 * @param {{kind: string, page: Page, choose: (name: string) => void, place: (root: HTMLElement) => void}} parts
 *   `kind`: begins the ids; `place`: puts an element made here into the page
 */
export function createSwitch(list, entries, { kind, page, choose, place }) {
  /** @type {string | null} whose field gets the focus once it is there: what is typed after a click goes there */
  let wanted = null;
  const rooms = entries.map((entry) => {
    const id = entry.id ?? `${kind}-${entry.name}`;
    const root = document.getElementById(id) ?? build("section", { id, class: kind });
    if (!root.isConnected) place(root);
    const tab = build("button", { type: "button", role: "tab", id: `${kind}-tab-${entry.name}`, "aria-controls": id }, entry.label ?? entry.name);
    tab.addEventListener("click", (event) => {
      choose(entry.name);
      const { pointerType } = /** @type {PointerEvent} */ (event);
      wanted = entry.field && pointerType && pointerType !== "touch" ? entry.name : null;
      if (wanted !== null) lead();
    });
    if (entries.length > 1) {
      root.role = "tabpanel";
      root.setAttribute("aria-labelledby", tab.id);
    }
    list.append(tab);
    return { name: entry.name, field: entry.field, root, tab, draw: createRoom(entry, root, page) };
  });
  list.role = "tablist";
  setHidden(list, entries.length < 2);
  list.addEventListener("keydown", (event) => {
    const tabs = rooms.map(({ tab }) => tab).filter((tab) => !tab.hidden);
    const at = tabs.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const step = STEPS.get(event.key);
    const to = event.key === "Home" ? 0 : event.key === "End" ? tabs.length - 1 : step === undefined ? -1 : (at + step + tabs.length) % tabs.length;
    if (at < 0 || to < 0) return;
    event.preventDefault();
    tabs[to].focus();
    tabs[to].click();
  });

  /**
   * @param {State} state @param {string} chosen
   * @param {{beside?: string | null, open?: boolean}} [shown] `beside`: shown as well, without a tab; `open`: false while none is shown
   */
  function update(state, chosen, { beside = null, open = true } = {}) {
    const guessing = hidden(state); // what is not shown must not keep the answer either
    const known = rooms.some(({ name }) => name === chosen && name !== beside);
    const now = known ? chosen : rooms[0].name;
    for (const { name, root, tab, draw } of rooms) {
      const shown = open && (name === now || name === beside);
      setHidden(root, !shown);
      setHidden(tab, name === beside);
      setAttribute(tab, "aria-selected", String(name === now));
      setAttribute(tab, "tabindex", name === now ? "0" : "-1");
      if (shown || guessing) draw(state, shown);
    }
    if (wanted !== null) afterwards(lead);
  }

  /** Moves the focus to where typing goes, as soon as that is there. */
  function lead() {
    const { root, tab, field } = rooms.find(({ name }) => name === wanted) ?? {};
    const free = document.activeElement === tab || document.activeElement === document.body;
    if (!root || !field || !free) wanted = null;
    if (!root || !field || !free || root.hidden) return;
    const fields = /** @type {HTMLTextAreaElement[]} */ ([...root.querySelectorAll(field)]);
    const target = fields.filter((each) => each.checkVisibility()).at(-1);
    if (!target) return;
    wanted = null;
    target.focus();
    if (!target.selectionEnd) target.setSelectionRange(target.value.length, target.value.length);
  }

  return { update };
}
