/**
 * The tab Why: which parts of the text push the token in focus, for and against it.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../frame/room.js").Page} Page
 * @typedef {import("./model.js").Row} Row
 * @typedef {import("../../net/influence.js").Question} Question
 */
import { barsHere, choices, focusHere } from "../../core/focus.js";
import { marks } from "../../core/marks.js";
import { answerHere, hidden } from "../../core/questions.js";
import { COMMON } from "../../core/words.js";
import { WHY } from "../../core/words_later.js";
import { createAsker } from "../../net/asker.js";
import { influence } from "../../net/influence.js";
import { build } from "../../ui/build.js";
import { afterwards, setText, setVariable } from "../../ui/dom.js";
import { createPicker } from "../../ui/picker.js";
import { drawPieces } from "../../ui/token.js";
import { createSaves } from "../share/saves.js";
import * as models from "./model.js";
import { createTint } from "./tint.js";

const MOVING_MS = 120; // along the bars
const ALL = "";
const MOST_ROWS = 200;

/** @param {HTMLElement} root @param {Page} page @returns {(state: State) => void} */
export function mount(root, { verbs, act, read, consider }) {
  const button = (/** @type {string} */ words, /** @type {() => void} */ press) => {
    const made = build("button", { type: "button" }, words);
    made.addEventListener("click", press);
    return made;
  };
  const options = (/** @type {Record<string, string>} */ all) => Object.entries(all).map(([value, words]) => ({ value, words }));
  const focus = createPicker(WHY.asked, (value) => verbs.focusBar(Number(value)));
  const against = createPicker(WHY.against, (value) => act((now) => models.adjust(now, { contrast: value === ALL ? null : Number(value) })));
  const unit = createPicker(WHY.unit, (value) => act((now) => models.adjust(now, { unit: /** @type {any} */ (value) })));
  const method = createPicker(WHY.method, (value) => act((now) => models.adjust(now, { method: /** @type {any} */ (value) })));
  const stop = button(WHY.stop, () => act(models.stop));
  const quicker = button(WHY.quicker, () => {
    act((now) => models.adjust(now, { method: "hide" }));
    method.select.focus();
  });
  const again = button(WHY.again, () => act(models.resume));
  const said = build("p", { class: "why-said" });
  const spoken = build("p", { class: "visually-hidden", role: "status" });
  const strongest = build("ul", { class: "why-strongest" });
  const disagree = build("p", { class: "why-disagree", role: "status" });
  const legend = build("p", { class: "why-legend" });
  const list = build("ol", { class: "why-rows", "aria-label": WHY.list });
  const limits = build("details", { class: "why-meaning" }, build("summary", {}, WHY.meaning), build("p", {}, WHY.scale), ...Object.values(WHY.limits).map((words) => build("p", {}, words)));
  const body = build("div", { class: "why-body" }, strongest, disagree, legend, list);
  const pair = build("div", { class: "why-pair" }, focus.root, against.root);
  root.append(
    pair,
    build("div", { class: "why-how" }, unit.root, method.root),
    build("div", { class: "why-line" }, said, stop, again, quicker),
    spoken,
    body,
    limits,
    createSaves("next-token-influence", {
      csv: async () => (await import("./exports.js")).toCsv(read()),
      json: async () => (await import("./exports.js")).toJson(read()),
      svg: async () => {
        const [{ svg }, { palette }] = await Promise.all([import("./picture.js"), import("../share/colours.js")]);
        return svg(read(), palette());
      },
    }),
  );
  unit.update(options(WHY.units), "word");
  method.update(options(WHY.methods), "take_out");
  /** @type {unknown[]} */
  let drawn = [];

  const tint = createTint(/** @type {HTMLElement} */ (document.querySelector("main")));
  const asker = createAsker({
    read,
    act,
    ask: follow,
    wanted: models.wanted,
    receive: (now, { key }, end) => models.add(now, key, end),
    fail: models.fail,
    retry: models.retry,
    delay: (now) => (now.influencing.results.size ? MOVING_MS : 0),
  });
  consider(asker.consider);
  let tinting = false;
  consider(() => {
    if (tinting) return;
    tinting = true;
    afterwards(() => {
      tinting = false;
      tint(read());
    });
  });
  queueMicrotask(asker.consider);

  /** @param {Question} asked @param {AbortSignal} signal */
  async function follow(asked, signal) {
    for await (const part of influence(asked, signal)) {
      if (part.kind === "end") return part;
      act((now) => (signal.aborted ? now : models.add(now, asked.key, part)));
    }
  }

  /** @param {Row} row */
  function line({ unit: part, push, quick, strength }) {
    const name = build("span", { class: "why-part" }, drawPieces(marks(part.text)));
    name.classList.toggle("special", part.special);
    const bar = build("span", { class: "why-bar", "data-push": Number(push) < 0 ? "against" : "for" });
    setVariable(bar, "--share", strength.toFixed(4));
    const item = build("li", { "data-quick": quick, "data-first": part.first }, name, build("span", { class: "why-track" }, bar), build("span", { class: "why-value" }, models.pushWords(push)));
    item.title = [quick ? WHY.quick : "", part.first ? WHY.sinks : ""].filter(Boolean).join("; ");
    if (item.title) item.append(build("span", { class: part.first ? "why-note" : "visually-hidden" }, item.title));
    return item;
  }

  /** @param {State} state @returns {string} */
  function words(state) {
    if (hidden(state)) return WHY.hidden;
    const { trouble } = state.influencing;
    if (trouble && trouble.key === models.question(state)?.key) return trouble.again ? COMMON.byItself(trouble.message) : trouble.message;
    return answerHere(state) ? models.progressWords(state) : WHY.empty;
  }

  return (state) => {
    const { influencing } = state;
    const bars = barsHere(state);
    const target = focusHere(state);
    const known = models.here(state);
    const asked = models.question(state);
    const failed = influencing.trouble !== null && influencing.trouble.key === asked?.key;
    if (target) {
      focus.update(choices(bars.includes(target) ? bars : [target, ...bars]), String(target.token.id));
      const others = choices(bars.filter(({ token }) => token.id !== target.token.id));
      against.update([{ value: ALL, words: WHY.all }, ...others], String(models.contrastHere(state)?.token.id ?? ALL));
    }
    for (const [picker, chosen] of /** @type {const} */ ([[unit, influencing.unit], [method, influencing.method]])) picker.select.value = chosen;
    const now = words(state);
    setText(said, now);
    said.toggleAttribute("data-failed", failed);
    stop.hidden = models.wanted(state) === null;
    quicker.hidden = !models.slow(state);
    again.hidden = !(influencing.stopped !== null && influencing.stopped === asked?.key) && !(failed && !influencing.trouble?.again);
    body.toggleAttribute("data-stale", known === null);
    body.hidden = target === null;
    pair.hidden = hidden(state);
    if (!known?.end) setText(spoken, "");
    if (known === null || (drawn[0] === known && drawn[1] === influencing.method)) return;
    drawn = [known, influencing.method];
    const sentences = models.sentences(state, known);
    strongest.replaceChildren(...sentences.map((each) => build("li", {}, each)));
    setText(disagree, models.disagreement(state));
    setText(legend, WHY.legend(models.targetName(state)));
    list.replaceChildren(...models.sorted(models.rows(known, influencing.method)).slice(0, MOST_ROWS).map(line));
    if (known.end) setText(spoken, `${now} ${sentences[0] ?? ""}`);
  };
}
