/**
 * The model picker, with each model's state.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices.js").Model} Model
 */
import { shortName } from "../../core/format.js";
import { COMMON, MODELS } from "../../core/words.js";
import { setHidden, setText } from "../../ui/dom.js";
import { find, wished } from "./model.js";
import { downloaded, stateOf } from "./words.js";

/** @param {HTMLElement} root @param {Verbs} verbs @returns {(state: State) => void} */
export function mountModels(root, verbs) {
  const open = /** @type {HTMLButtonElement} */ (root.querySelector(".models-open"));
  const name = /** @type {HTMLElement} */ (root.querySelector(".models-name"));
  const panel = /** @type {HTMLElement} */ (root.querySelector(".models-list"));
  const list = /** @type {HTMLElement} */ (root.querySelector("ul"));
  /** @type {Map<string, ReturnType<typeof createEntry>>} */
  const entries = new Map();

  list.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    const model = button?.dataset.model;
    if (!button || model === undefined) return;
    if (button.dataset.verb === "load") verbs.load(model);
    else {
      verbs.choose(model);
      panel.hidePopover();
    }
  });

  return (state) => {
    const speaker = find(state, state.model);
    const want = wished(state);
    setText(name, shortName(state.model ?? want?.name ?? "…"));
    open.title = state.model ?? "";
    open.dataset.state = state.lost !== null ? "failed" : (speaker?.state ?? "queued");
    const models = state.models ?? [];
    for (const [known, { item }] of entries) {
      if (models.some((model) => model.name === known)) continue;
      item.remove();
      entries.delete(known);
    }
    models.forEach((model, index) => {
      const entry = entries.get(model.name) ?? createEntry(model.name);
      entries.set(model.name, entry);
      entry.update(model, state, model === want);
      if (list.children[index] !== entry.item) list.insertBefore(entry.item, list.children[index] ?? null);
    });
  };
}

/** @param {string} name */
function createEntry(name) {
  const item = document.createElement("li");
  const choose = made("button", "entry");
  const title = made("bdi", "model-name");
  const detail = made("span", "model-state");
  const progress = /** @type {HTMLProgressElement} */ (made("progress", "model-progress"));
  const again = made("button", "model-again");
  const trouble = made("p", "trouble");
  for (const button of [choose, again]) {
    button.setAttribute("type", "button");
    button.dataset.model = name;
  }
  again.dataset.verb = "load";
  again.textContent = COMMON.again;
  title.textContent = shortName(name);
  choose.title = name;
  progress.max = 1;
  progress.setAttribute("aria-label", MODELS.download(name));
  choose.append(title, detail);
  item.append(choose, progress, again, trouble);

  /** @param {Model} model @param {State} state @param {boolean} wanted */
  function update(model, state, wanted) {
    item.dataset.state = model.state;
    choose.setAttribute("aria-pressed", String(wanted));
    setText(detail, `${stateOf(model, state.progress.get(name)?.rate)}${model.isDefault ? ` · ${MODELS.standard}` : ""}`);
    const share = downloaded(model);
    setHidden(progress, model.state !== "downloading");
    if (share === null) progress.removeAttribute("value");
    else progress.value = share;
    setHidden(again, model.state !== "failed");
    const words = state.loadTrouble?.model === name ? state.loadTrouble.message : "";
    setHidden(trouble, !words);
    setText(trouble, words);
  }

  return { item, update };
}

/** @param {string} tag @param {string} name @returns {HTMLElement} */
function made(tag, name) {
  const element = document.createElement(tag);
  element.className = name;
  return element;
}
