/**
 * What a mask holds the text to: the kind of form, its text, from where on it holds, and what is wrong with it.
 *
 * @typedef {import("../frame/room.js").Page} Page
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/slices_later.js").Step} Step
 * @typedef {typeof KINDS[number]} Kind
 */
import { build } from "../../ui/build.js";
import { setAttribute, setText } from "../../ui/dom.js";
import { BLANK, KINDS } from "./forms.js";
import { beginHere, canBegin, endWords, placeWords, troubleWords, write } from "./mask.js";
import { MASK, SAMPLERS } from "./words.js";

const WRITING_MS = 300;

/** @param {Pick<Page, "act">} page @returns {{part: HTMLElement, update: (step: Step, state: State) => void}} */
export function createForm({ act }) {
  const kind = build("select", {}, ...KINDS.map((each) => build("option", { value: each }, MASK.kinds[each])));
  const hint = build("p", { class: "sampler-words", id: "mask-hint" });
  const trouble = build("p", { class: "trouble", id: "mask-trouble", role: "status" });
  const text = build("textarea", { rows: "3", spellcheck: "false", autocapitalize: "off", dir: "auto", "aria-describedby": "mask-hint mask-trouble" });
  const place = build("p", { class: "mask-place", role: "status" });
  const end = build("p", { class: "mask-end", role: "status" });
  const begin = build("button", { type: "button", class: "quiet" }, MASK.begin);
  const part = build("div", { class: "mask" }, build("label", {}, `${MASK.kind} `, kind), text, hint, trouble, place, end, begin);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let writing;

  kind.addEventListener("change", () => {
    keep();
    act((now) => write(now, { kind: kind.value }));
  });
  text.addEventListener("input", () => {
    clearTimeout(writing);
    writing = setTimeout(keep, WRITING_MS);
  });
  text.addEventListener("change", keep);
  begin.addEventListener("click", () => act(beginHere));

  /** What was written counts from now on. */
  function keep() {
    if (writing === undefined) return;
    clearTimeout(writing);
    writing = undefined;
    const written = { [/** @type {string} */ (text.dataset.kind)]: text.value };
    act((now) => write(now, written));
  }

  /** @param {Step} step @param {State} state */
  function update({ form = BLANK }, state) {
    const chosen = /** @type {Kind} */ (form.kind);
    if (text.dataset.kind !== chosen) {
      kind.value = text.dataset.kind = chosen;
      text.ariaLabel = `${SAMPLERS.names.mask}: ${MASK.labels[chosen]}`;
      text.placeholder = MASK.examples[chosen];
      setText(hint, MASK.hints[chosen]);
    }
    if (writing === undefined && text.value !== form[chosen]) text.value = form[chosen];
    const wrong = troubleWords(state);
    setText(trouble, wrong);
    setAttribute(text, "aria-invalid", String(wrong !== ""));
    setText(place, placeWords(state));
    setText(end, wrong ? "" : endWords(state));
    begin.hidden = !canBegin(state);
  }

  return { part, update };
}
