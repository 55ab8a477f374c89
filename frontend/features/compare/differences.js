/**
 * One text under two models: its tokens, each with how much more or less likely B's model finds it. A click shows what else
 * could go there.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../frame/room.js").Page} Page
 * @typedef {import("./pairs.js").Pair} Pair
 */
import { chosen } from "../../core/lookback.js";
import { groups } from "../../core/tokens.js";
import { COMPARE, SCORED } from "../../core/words_later.js";
import { scores } from "../../net/api.js";
import { createAsker } from "../../net/asker.js";
import { scoreText } from "../../net/compare.js";
import { build } from "../../ui/build.js";
import { afterwards, setAttribute, setText } from "../../ui/dom.js";
import { drawPieces } from "../../ui/token.js";
import { pair, total } from "./pairs.js";
import * as models from "./score.js";
import { bits, pairWords, strength, told } from "./scored_words.js";

const MOST_SHOWN = 400;
const SCORE_MS = 250;

/** @param {Page} page @returns {{root: HTMLElement, update: (state: State) => void}} */
export function mountDifferences({ verbs, act, read, consider }) {
  const sum = build("p", { class: "differences-sum" });
  const said = build("p", { class: "differences-said", role: "status" });
  const again = build("button", { type: "button" }, COMPARE.again);
  const strip = build("div", { class: "differences", role: "group", "aria-label": SCORED.title });
  const legend = build("p", { class: "differences-legend" });
  const root = build("section", { class: "compare-scores", "aria-label": SCORED.title }, sum, said, again, strip, legend);
  /** @type {unknown[]} */
  let drawn = [];

  again.addEventListener("click", () => act(models.retry));
  strip.addEventListener("click", (event) => {
    const node = /** @type {HTMLElement} */ (event.target).closest("button")?.dataset.look;
    if (node) verbs.look(Number(node));
  });
  strip.addEventListener("keydown", (event) => {
    const chips = [...strip.querySelectorAll("button")];
    const from = chips.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const to = { ArrowRight: from + 1, ArrowLeft: from - 1, Home: 0, End: chips.length - 1 }[event.key];
    if (to === undefined || from < 0) return;
    event.preventDefault();
    reach(chips[to]);
    chips[to]?.focus();
  });

  const asker = createAsker({
    read,
    act,
    ask: (question, signal) => (question.tokenIds ? scores(question, signal) : scoreText(question, signal)),
    wanted: models.wanted,
    receive: models.receive,
    fail: models.fail,
    retry: models.retry,
    delay: () => SCORE_MS,
  });
  consider(asker.consider);
  queueMicrotask(asker.consider);

  /** @param {HTMLElement | undefined} chip the one in the tab order */
  function reach(chip) {
    if (!chip) return;
    for (const each of strip.querySelectorAll("button")) setAttribute(each, "tabindex", each === chip ? "0" : "-1");
  }

  /** @param {readonly Pair[]} pairs */
  function draw(pairs) {
    const shown = pairs.filter(({ a }) => a.length);
    const near = shown.slice(-MOST_SHOWN);
    const before = shown.slice(0, -MOST_SHOWN).flatMap(({ a }) => a).length;
    const focused = [...strip.children].indexOf(/** @type {Element} */ (document.activeElement));
    const chips = near.map(createChip);
    strip.replaceChildren(...(before ? [build("span", { class: "earlier" }, SCORED.earlier(before))] : []), ...chips);
    reach(chips.at(-1));
    if (focused >= 0) /** @type {HTMLElement | undefined} */ (strip.children[Math.min(focused, strip.children.length - 1)])?.focus();
    afterwards(() => (strip.scrollTop = strip.scrollHeight));
    const all = total(pairs);
    setText(sum, told(all));
    setText(legend, [SCORED.legend, all.joined && SCORED.joined].filter(Boolean).join(" "));
  }

  return {
    root,
    update(state) {
      root.hidden = !models.comparable(state);
      if (root.hidden) return;
      const known = models.scored(state);
      const trouble = known ? null : models.trouble(state);
      setText(said, trouble ? trouble.message : known ? "" : SCORED.waiting);
      said.toggleAttribute("data-failed", trouble !== null);
      again.hidden = !trouble || trouble.again;
      sum.hidden = strip.hidden = legend.hidden = trouble !== null || (!known && !strip.childElementCount);
      root.toggleAttribute("data-stale", known === null);
      const now = [state.end ?? state.current, state.comparison.scores];
      if (known && now.some((each, at) => each !== drawn[at])) {
        drawn = now;
        draw(pair(known.a, known.b));
      }
      const looked = chosen(state)?.id;
      for (const chip of strip.querySelectorAll("button")) {
        if (looked !== undefined && chip.dataset.nodes?.split(" ").includes(String(looked))) setAttribute(chip, "aria-current", "location");
        else chip.removeAttribute("aria-current");
      }
    },
  };
}

/** @param {Pair} pair @returns {HTMLButtonElement} */
function createChip(pair) {
  const pieces = groups(pair.a.map(({ token }) => token)).flatMap((group) => group.pieces);
  const nodes = pair.a.flatMap(({ node }) => node ?? []);
  const chip = build("button", { type: "button", class: "difference", tabindex: "-1", "data-look": String(nodes[0]), "data-nodes": nodes.join(" "), "aria-label": pairWords(pair, pieces) });
  chip.classList.toggle("special", pair.a.every(({ token }) => token.special));
  chip.append(drawPieces(pieces), build("span", { class: "difference-bits" }, pair.bits === null ? "—" : bits(pair.bits)));
  if (pair.bits !== null && strength(pair.bits)) {
    chip.dataset.for = pair.bits < 0 ? "a" : "b";
    chip.dataset.strength = String(strength(pair.bits));
  }
  return chip;
}
