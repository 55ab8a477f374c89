/**
 * The share menu: link, numbers, image, code.
 *
 * @typedef {import("../../core/state.js").State} State
 */
import { SHARE } from "../../core/words_later.js";
import { build } from "../../ui/build.js";
import { setText } from "../../ui/dom.js";
import { toLink } from "../compare/model.js";
import { copy, download, png } from "./clipboard.js";
import { curl, python } from "./code.js";
import { palettes } from "./colours.js";
import { linkOf } from "./making.js";
import { svg } from "./picture.js";
import { snapshot, toCsv, toJson, toText } from "./snapshot.js";

const NAME = "next-token";

/** @param {HTMLElement} root @returns {(state: State) => void} */
export function mount(root) {
  const said = build("p", { class: "share-said", role: "status" });
  const code = build("pre", { class: "share-code", tabindex: "0", "aria-label": SHARE.what, hidden: true });
  const rows = [SHARE.link, SHARE.numbers, SHARE.picture, SHARE.code].map((row) => {
    const [name, kinds] = /** @type {[string, [string, string][]]} */ (row);
    const made = kinds.map(([kind, words]) => build("button", { type: "button", "data-share": kind }, words));
    return build("div", { class: "share-row" }, build("h2", {}, name), ...made);
  });
  root.append(...rows, said, code, build("p", { class: "share-hint" }, SHARE.hint));
  const buttons = /** @type {NodeListOf<HTMLButtonElement>} */ (root.querySelectorAll("[data-share]"));
  /** @type {State} */
  let state;

  root.addEventListener("click", (event) => {
    const button = /** @type {Element} */ (event.target).closest("button");
    if (button?.dataset.share) void share(button.dataset.share);
  });
  root.addEventListener("toggle", () => say(""));

  /** @param {string} what */
  async function share(what) {
    if (what === "link") return shareLink();
    const now = snapshot(state);
    if (!now) return;
    const { display } = state;
    if (what === "svg") return save(new Blob([svg(now, display, palettes())], { type: "image/svg+xml" }), what);
    if (what === "png") {
      const scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      return png(svg(now, display, palettes(), scheme)).then((blob) => save(blob, what), () => say(SHARE.noPicture));
    }
    const texts = { text: toText, json: toJson, csv: toCsv, curl: () => curl(now, location.origin), python: () => python(now) };
    const text = texts[/** @type {keyof typeof texts} */ (what)](now);
    await copied(text, what === "curl" || what === "python");
    if (what === "python") setText(said, `${said.textContent} ${SHARE.where}`);
  }

  async function shareLink() {
    const bare = { ...state, pins: [] };
    const other = toLink(state);
    const [pins, both] = [state.pins.length > 0, other !== null];
    const tries = [{ of: state, to: other, less: "" }, { of: bare, to: other, less: SHARE.shorter(pins, false) }, { of: state, to: null, less: SHARE.shorter(false, both) }, { of: bare, to: null, less: SHARE.shorter(pins, both) }];
    for (const { of, to, less } of tries) {
      const fragment = linkOf(of, to);
      if (fragment === null) continue;
      await copied(location.origin + location.pathname + fragment, false);
      if (less) setText(said, `${said.textContent} ${less}`);
      return;
    }
    say(SHARE.long);
  }

  /** @param {string} text @param {boolean} show whether to show it too */
  async function copied(text, show) {
    const done = await copy(text);
    say(done ? SHARE.copied : SHARE.noCopy, show || !done ? text : "");
  }

  /** @param {Blob} content @param {string} kind */
  function save(content, kind) {
    download(`${NAME}.${kind}`, content);
    say(SHARE.saved);
  }

  /** @param {string} words @param {string} [text] */
  function say(words, text = "") {
    setText(said, words);
    code.textContent = text; // exactly as copied
    code.hidden = !text;
  }

  return (now) => {
    state = now;
    const nothing = snapshot(state) === null;
    for (const button of buttons) button.disabled = nothing && button.dataset.share !== "link";
  };
}
