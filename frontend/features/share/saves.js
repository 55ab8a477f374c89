/** A row of buttons that save what a tab shows. */
import { EXPORTS, SHARE } from "../../core/words_later.js";
import { build } from "../../ui/build.js";
import { setText } from "../../ui/dom.js";
import { loadStyle } from "../../ui/load.js";
import { download, png } from "./clipboard.js";

const TYPES = { csv: "text/csv", json: "application/json", svg: "image/svg+xml" };

/**
 * @param {string} name of the files @param {Partial<Record<keyof typeof TYPES, () => Promise<string | null>>>} makers null: there is nothing to save
 * @returns {HTMLElement}
 */
export function createSaves(name, makers) {
  const said = build("span", { role: "status" });
  loadStyle("features/share/style.css").catch(() => {}); // the buttons work without it
  const save = async (/** @type {keyof typeof TYPES} */ kind) => {
    const content = (await makers[kind]?.()) ?? null;
    if (content !== null) download(`${name}.${kind}`, new Blob([content], { type: TYPES[kind] }));
  };
  const picture = async () => {
    const content = (await makers.svg?.()) ?? null;
    if (content === null) return;
    await png(content).then((blob) => download(`${name}.png`, blob), () => setText(said, SHARE.noPicture));
  };
  const button = (/** @type {string} */ words, /** @type {() => void} */ press) => {
    const made = build("button", { type: "button" }, words);
    made.addEventListener("click", press);
    return made;
  };
  const kinds = /** @type {(keyof typeof TYPES)[]} */ (Object.keys(makers));
  const buttons = kinds.map((kind) => button(EXPORTS[kind], () => void save(kind)));
  if (makers.svg) buttons.push(button(EXPORTS.png, () => void picture()));
  return build("div", { class: "share-row saves", role: "group", "aria-label": EXPORTS.label }, ...buttons, said);
}
