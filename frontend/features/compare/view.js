/**
 * The view Compare: what B asks, how both distributions differ, and the rows of both.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../frame/room.js").Page} Page
 */
import * as format from "../../core/format.js";
import { fits, LIMITS } from "../../core/settings.js";
import { textHere } from "../../core/state.js";
import { CONTROLS } from "../../core/words.js";
import { COMPARE } from "../../core/words_later.js";
import { compare } from "../../net/compare.js";
import { createAsker } from "../../net/asker.js";
import { build } from "../../ui/build.js";
import { afterwards, setAttribute, setText } from "../../ui/dom.js";
import * as models from "./model.js";
import { mountDifferences } from "./differences.js";
import { maskWords } from "./masks.js";
import { label, pressed, relatives } from "./relatives.js";
import { createRow } from "./row.js";

const WRITING_MS = 300;

/** @param {HTMLElement} root @param {Page} page @returns {(state: State) => void} */
export function mount(root, { verbs, act, read, consider }) {
  const model = build("select", { "aria-label": COMPARE.model });
  const temperature = build("input", { type: "number", min: "0", max: "100", step: "0.1", inputmode: "decimal", "aria-label": COMPARE.temperature, "aria-describedby": "compare-trouble" });
  const { least, most } = LIMITS.temperature;
  const wrong = build("p", { class: "trouble", id: "compare-trouble", role: "status", hidden: true }, CONTROLS.number(COMPARE.temperature, least, most));
  const text = build("textarea", { rows: "2", spellcheck: "false", dir: "auto", "aria-label": COMPARE.prompt });
  const first = { text: build("bdi", { class: "compare-text" }), model: build("span"), temperature: build("span") };
  const button = (/** @type {string} */ words, /** @type {() => void} */ press) => {
    const made = build("button", { type: "button" }, words);
    made.addEventListener("click", press);
    return made;
  };
  const same = button(COMPARE.sameText, () => act((now) => models.writeOther(now, null)));
  const kin = build("div", { class: "compare-kin", role: "group", "aria-label": COMPARE.relatives });
  const reading = build("span");
  const other = button("", () => act(models.readOther));
  const special = build("p", { class: "special-note", role: "status" }, reading, " ", other);
  other.className = "quiet";
  const shorter = button(COMPARE.shorter, () => act((now) => models.writeOther(now, models.withoutSentence(textHere(now)))));
  const swap = button(COMPARE.swap, () => act(models.swap));
  const pin = button(COMPARE.pin, () => verbs.pin());
  const close = button(COMPARE.close, () => verbs.chooseView("bars"));
  close.className = "compare-back";
  const again = button(COMPARE.again, () => act(models.retry));
  const sums = build("ul", { class: "compare-sums" });
  const said = build("p", { class: "compare-said", role: "status" });
  const list = build("ol", { class: "compare-rows", "aria-label": COMPARE.rows });
  const differences = mountDifferences({ verbs, act, read, consider });
  const side = (/** @type {"a" | "b"} */ name, /** @type {(Node | string)[]} */ ...parts) =>
    build("section", { class: "compare-side", "data-side": name, "aria-label": COMPARE.sides[name] }, build("h2", {}, COMPARE.sides[name]), ...parts);
  root.append(
    build(
      "div",
      { class: "compare" },
      build(
        "div",
        { class: "compare-sides" },
        side("a", build("div", { class: "compare-asked" }, first.model, first.temperature), first.text, build("div", { class: "compare-acts" }, swap, pin, close, again)),
        side("b", kin, build("div", { class: "compare-asked" }, model, build("label", {}, COMPARE.degrees, " ", temperature)), wrong, text, special, build("div", { class: "compare-texts" }, same, shorter)),
      ),
      said,
      sums,
      differences.root,
      list,
    ),
  );
  /** @type {ReturnType<typeof createRow>[]} */
  const rows = [];
  /** @type {unknown} */
  let drawn = null;

  model.addEventListener("change", () => act((now) => models.chooseOther(now, model.value)));
  kin.addEventListener("click", (event) => {
    const name = /** @type {HTMLElement} */ (event.target).closest("button")?.dataset.model;
    if (name) act((now) => models.chooseOther(now, pressed(now, name)));
  });
  temperature.addEventListener("input", () => {
    const chosen = temperature.value === "" && !temperature.validity.badInput ? null : temperature.valueAsNumber;
    const good = chosen === null || fits("temperature", chosen);
    setAttribute(temperature, "aria-invalid", String(!good));
    wrong.hidden = good;
    if (good) act((now) => models.heatOther(now, chosen));
  });
  text.addEventListener("input", () => act((now) => models.writeOther(now, text.value)));
  list.addEventListener("click", (event) => {
    const at = rows.findIndex(({ button: each }) => each.contains(/** @type {Node} */ (event.target)));
    const row = models.here(read())?.rows[at];
    if (row) act((now) => models.pick(now, row));
  });
  list.addEventListener("keydown", (event) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    const at = rows.findIndex(({ button: each }) => each === document.activeElement);
    const to = rows[at + step];
    if (!step || at < 0 || !to || to.item.hidden) return;
    event.preventDefault();
    to.button.focus();
  });

  const asker = createAsker({
    read,
    act,
    ask: compare,
    wanted: models.wanted,
    receive: models.receive,
    fail: models.fail,
    retry: models.retry,
    delay: (_, question) => (question.own ? WRITING_MS : 0),
  });
  consider(asker.consider);
  queueMicrotask(asker.consider);

  /** @param {State} state */
  function heads(state) {
    const { settings, models: all, comparison } = state;
    const names = (all ?? []).filter((each) => each.state === "ready").map((each) => each.name);
    if (!names.includes(models.otherModel(state))) names.push(models.otherModel(state));
    if ([...model.options].map((option) => option.value).join("\n") !== names.join("\n")) {
      model.replaceChildren(...names.map((name) => build("option", { value: name }, format.shortName(name))));
    }
    model.value = models.otherModel(state);
    const degrees = String(models.otherTemperature(state));
    if (document.activeElement !== temperature && wrong.hidden && temperature.value !== degrees) temperature.value = degrees;
    const words = models.otherText(state);
    if (text.value !== words && !(document.activeElement === text && comparison.prompt !== null && text.value === comparison.prompt.text)) {
      text.value = words;
      if (document.activeElement !== text) afterwards(() => (text.scrollTop = text.scrollHeight));
    }
    setText(first.model, state.model === null ? "" : format.shortName(state.model));
    setText(first.temperature, `${COMPARE.degrees} ${settings.temperature}`);
    const shown = models.firstText(state);
    const end = shown.length > 300 ? `… ${shown.slice(-300).toWellFormed()}` : shown;
    if (first.text.textContent !== end) {
      setText(first.text, end);
      afterwards(() => (first.text.scrollTop = first.text.scrollHeight));
    }
    const read = models.otherReading(state);
    special.hidden = !read;
    setText(reading, read?.words ?? "");
    setText(other, read?.offer ?? "");
    family(state);
    same.disabled = comparison.prompt === null;
    shorter.disabled = models.withoutSentence(shown) === null;
  }

  /** @param {State} state */
  function family(state) {
    const all = relatives(state);
    kin.hidden = !all.length;
    if ([...kin.children].map((each) => /** @type {HTMLElement} */ (each).dataset.model).join("\n") !== all.map(({ name }) => name).join("\n")) {
      kin.replaceChildren(
        ...all.map((each) => {
          const { short, long } = label(each, all);
          return build("button", { type: "button", "data-model": each.name, "aria-label": long, title: each.name }, short);
        }),
      );
    }
    for (const each of kin.children) setAttribute(each, "aria-pressed", String(/** @type {HTMLElement} */ (each).dataset.model === models.otherModel(state)));
  }

  return (state) => {
    heads(state);
    differences.update(state);
    const { answer, trouble } = state.comparison;
    const compared = models.here(state);
    const equal = models.alike(state);
    const failed = trouble !== null && models.question(state, true)?.key === trouble.key;
    again.hidden = !failed || trouble.again;
    const words = state.draft !== null ? COMPARE.draft : equal ? COMPARE.unequal : failed ? trouble.message : compared ? maskWords(models.question(state, true)) : models.absentWords(state) || COMPARE.waiting;
    setText(said, words);
    said.toggleAttribute("data-failed", failed);
    const known = equal ? null : (compared ?? answer);
    list.toggleAttribute("data-stale", known !== null && compared === null);
    sums.hidden = list.hidden = known === null;
    if (known === null || known === drawn) return;
    drawn = known;
    sums.replaceChildren(...models.told(known).map((line) => build("li", {}, line)));
    known.rows.forEach((row, at) => {
      if (!rows[at]) {
        rows[at] = createRow();
        list.append(rows[at].item);
      }
      rows[at].update(row);
    });
    rows.forEach(({ item }, at) => (item.hidden = at >= known.rows.length));
  };
}
