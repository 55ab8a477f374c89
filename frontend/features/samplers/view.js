/**
 * The list of sampler steps in the settings: each can be switched, moved and set, and says what it left.
 *
 * @typedef {import("../frame/room.js").Page} Page
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices_later.js").Step} Step
 * @typedef {import("../../core/slices_later.js").StepName} StepName
 */
import { rowInFocus } from "../../core/questions.js";
import { shown } from "../../core/tokens.js";
import { build } from "../../ui/build.js";
import { setAttribute, setText } from "../../ui/dom.js";
import { ABOUT_TOKENS, ORDERS, PARAMETERS, PLAIN, addToken, chainOf, fitsStep, lefts, move, orderOf, removeToken, reorder, reset, setStep, turn } from "./model.js";
import { follow } from "./follow.js";
import { createForm } from "./form.js";
import { SAMPLERS } from "./words.js";

/** @param {HTMLElement} root @param {Page} page @returns {(state: State) => void} */
export function mount(root, page) {
  const { act, read } = page;
  follow(page);
  const list = build("ol", { class: "sampler-steps", "aria-label": SAMPLERS.list });
  const said = build("p", { class: "visually-hidden", role: "status" });
  const orders = /** @type {(keyof typeof ORDERS)[]} */ (Object.keys(ORDERS)).map((order) => {
    const button = build("button", { type: "button", class: "quiet" }, SAMPLERS.orders[order]);
    button.addEventListener("click", () => act((now) => reorder(now, order)));
    return { order, button };
  });
  const clear = build("button", { type: "button", class: "quiet" }, SAMPLERS.reset);
  clear.addEventListener("click", () => act(reset));
  const presets = build("div", { class: "sampler-orders", role: "group", "aria-label": SAMPLERS.order }, `${SAMPLERS.order} `, ...orders.map(({ button }) => button), clear);
  root.append(build("p", { class: "sampler-words" }, SAMPLERS.what), presets, list, said);
  const steps = new Map(chainOf(read()).map(({ name }) => [name, createStep(name)]));
  list.append(...[...steps.values()].map(({ item }) => item));

  list.addEventListener("dragover", (event) => {
    const over = /** @type {Element} */ (event.target).closest("li");
    const dragged = list.querySelector("[data-dragged]");
    if (!over || !dragged) return;
    event.preventDefault();
    if (over === dragged) return;
    const name = /** @type {StepName} */ (/** @type {HTMLElement} */ (dragged).dataset.step);
    act((now) => move(now, name, [...list.children].indexOf(over)));
  });

  /** @param {StepName} name @param {number} by */
  function shift(name, by) {
    act((now) => move(now, name, chainOf(now).findIndex((step) => step.name === name) + by));
    const chain = chainOf(read());
    setText(said, SAMPLERS.moved(SAMPLERS.names[name], chain.findIndex((step) => step.name === name) + 1, chain.length));
  }

  /** @param {StepName} name */
  function createStep(name) {
    const title = SAMPLERS.names[name];
    const plain = PLAIN.includes(name);
    const use = build("input", { type: "checkbox", disabled: plain, "aria-description": SAMPLERS.hints[name] });
    use.addEventListener("change", () => act((now) => turn(now, name, use.checked)));
    const up = mover("up", -1);
    const down = mover("down", 1);
    const left = build("span", { class: "sampler-left" });
    const grip = build("span", { class: "sampler-grip", draggable: "true", "aria-hidden": "true" }, "⠿");
    const head = build("div", { class: "sampler-head" }, grip, build("label", { class: "check", title: SAMPLERS.hints[name] }, use, ` ${title}`), left, up, down);
    const inputs = Object.keys(PARAMETERS[name]).map((parameter) => createInput(name, parameter));
    const tokens = name === "mask" ? createForm(page) : ABOUT_TOKENS.includes(name) ? createTokens(name) : null;
    const body = build("div", { class: "sampler-body" }, ...inputs.map(({ label }) => label), ...(tokens ? [tokens.part] : []));
    const item = build("li", { "data-step": name }, head, ...(plain ? [] : [body]));
    grip.addEventListener("dragstart", (event) => {
      item.setAttribute("data-dragged", "");
      event.dataTransfer?.setData("text/plain", title);
      event.dataTransfer?.setDragImage(item, 0, 0);
    });
    grip.addEventListener("dragend", () => item.removeAttribute("data-dragged"));

    /** @param {"up" | "down"} way @param {number} by */
    function mover(way, by) {
      const button = build("button", { type: "button", class: "quiet", "aria-label": SAMPLERS[way](title) }, by < 0 ? "↑" : "↓");
      button.addEventListener("click", () => shift(name, by));
      return button;
    }

    /** @param {Step} step @param {number} at @param {number} total @param {{count: number, probability: number} | undefined} result @param {State} state */
    function update(step, at, total, result, state) {
      const { temperature, topP, minP } = state.settings;
      const off = { temperature: temperature === 1, top_p: topP === 1, min_p: minP === 0 };
      use.checked = plain ? !off[/** @type {keyof typeof off} */ (name)] : step.on;
      body.hidden = !step.on && !step.lost;
      setAttribute(up, "aria-disabled", String(at === 0));
      setAttribute(down, "aria-disabled", String(at === total - 1));
      setText(left, result ? SAMPLERS.left(result.count, result.probability) : plain ? SAMPLERS.above : "");
      for (const input of inputs) input.update(step);
      tokens?.update(step, state);
    }

    return { item, update };
  }

  /** @param {StepName} name @param {string} parameter */
  function createInput(name, parameter) {
    const { least, most, step } = PARAMETERS[name][parameter];
    const words = SAMPLERS.parameters[/** @type {keyof typeof SAMPLERS.parameters} */ (parameter)];
    const trouble = build("span", { class: "trouble", role: "status", id: `sampler-${name}-${parameter}-trouble` });
    const input = build("input", {
      class: "number",
      type: "number",
      min: String(least),
      max: String(most),
      step: step === 1 ? "1" : "any",
      inputmode: "decimal",
      "aria-describedby": trouble.id,
      "aria-label": `${SAMPLERS.names[name]}: ${words}`,
    });
    input.addEventListener("input", () => {
      const good = fitsStep(name, parameter, input.valueAsNumber);
      setText(trouble, good ? "" : SAMPLERS.range(least, most));
      input.setAttribute("aria-invalid", String(!good));
      if (good) act((now) => setStep(now, name, parameter, input.valueAsNumber));
    });
    input.addEventListener("blur", () => {
      setText(trouble, "");
      input.removeAttribute("aria-invalid");
      input.value = String(chainOf(read()).find((each) => each.name === name)?.values[parameter]);
    });
    const label = build("label", {}, `${words} `, input, trouble);
    const update = (/** @type {Step} */ { values }) => {
      if (document.activeElement !== input && input.valueAsNumber !== values[parameter]) input.value = String(values[parameter]);
    };
    return { label, update };
  }

  /** @param {StepName} name */
  function createTokens(name) {
    const add = build("button", { type: "button", class: "quiet" });
    const chips = build("ul", { class: "sampler-tokens" });
    const none = build("p", { class: "sampler-words" }, SAMPLERS.none);
    let key = "";
    add.addEventListener("click", () => {
      const token = rowInFocus(read())?.candidate.token;
      if (token) act((now) => addToken(now, name, { id: token.id, text: shown(token) }));
    });

    /** @param {Step} step @param {State} state */
    function update({ tokens }, state) {
      const token = rowInFocus(state)?.candidate.token;
      add.hidden = !token || tokens.some(({ id }) => id === token.id);
      if (token) setText(add, SAMPLERS.add(shown(token)));
      none.hidden = tokens.length > 0;
      const now = JSON.stringify(tokens);
      if (now === key) return;
      key = now;
      chips.replaceChildren(
        ...tokens.map(({ id, text }) => {
          const remove = build("button", { type: "button", class: "quiet", "aria-label": SAMPLERS.remove(text) }, "×");
          remove.addEventListener("click", () => act((before) => removeToken(before, name, id)));
          return build("li", {}, build("bdi", {}, text), remove);
        }),
      );
    }

    return { part: build("div", {}, chips, none, add), update };
  }

  return (state) => {
    const chain = chainOf(state);
    const results = lefts(state);
    const order = orderOf(state);
    for (const each of orders) setAttribute(each.button, "aria-pressed", String(each.order === order));
    chain.forEach((step, at) => {
      const found = steps.get(step.name);
      if (!found) return;
      found.update(step, at, chain.length, results.get(step.name), state);
      if (list.children[at] === found.item) return;
      const focus = /** @type {HTMLElement | null} */ (document.activeElement);
      list.insertBefore(found.item, list.children[at]);
      if (focus && found.item.contains(focus)) focus.focus(); // moving an element takes its focus
    });
  };
}

