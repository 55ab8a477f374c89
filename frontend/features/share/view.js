/**
 * The share menu: link, numbers, image, code.
 *
 * @typedef {import("../../main.js").Verbs} Verbs
 * @typedef {import("../../core/state.js").State} State
 */
import { setText } from "../../ui/dom.js";
import { copy, download, png } from "./clipboard.js";
import { curl, python } from "./code.js";
import { linkOf, linkWords } from "./link.js";
import { svg } from "./picture.js";
import { snapshot, toCsv, toJson, toText } from "./snapshot.js";

const NAME = "next-token";
const WHERE = "Set TARGET to where your inference server answers.";

/** @param {HTMLElement} root @returns {(state: State) => void} */
export function mountShare(root) {
  const [said, code] = [".share-said", ".share-code"].map((selector) => /** @type {HTMLElement} */ (root.querySelector(selector)));
  const buttons = /** @type {NodeListOf<HTMLButtonElement>} */ (root.querySelectorAll("[data-share]"));
  const note = /** @type {HTMLElement} */ (document.getElementById("link-note"));
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
    if (what === "svg") return save(new Blob([svg(now, display)], { type: "image/svg+xml" }), what);
    if (what === "png") {
      const scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      return png(svg(now, display, scheme)).then((blob) => save(blob, what), () => say("This browser can’t make the picture; save it as SVG."));
    }
    const texts = { text: toText, json: toJson, csv: toCsv, curl: () => curl(now, location.origin), python: () => python(now) };
    const text = texts[/** @type {keyof typeof texts} */ (what)](now);
    await copied(text, what === "curl" || what === "python");
    if (what === "python") setText(said, `${said.textContent} ${WHERE}`);
  }

  async function shareLink() {
    const fragment = linkOf(state);
    if (fragment === null) return say("This text is too long for a link. Copy it as JSON.");
    await copied(location.origin + location.pathname + fragment, false);
  }

  /** @param {string} text @param {boolean} show whether to show it too */
  async function copied(text, show) {
    const done = await copy(text);
    say(done ? "Copied." : "This browser allows no copying. Select the text below.", show || !done ? text : "");
  }

  /** @param {Blob} content @param {string} kind */
  function save(content, kind) {
    download(`${NAME}.${kind}`, content);
    say("Saved.");
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
    const words = linkWords(state);
    note.hidden = !words;
    note.classList.toggle("trouble", state.linkTrouble !== null);
    setText(note, words);
  };
}
