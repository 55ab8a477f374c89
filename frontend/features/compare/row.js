/**
 * One token with its bars in both columns.
 *
 * @typedef {import("../../core/slices_later.js").ComparedRow} Row
 * @typedef {import("../../core/slices_later.js").ComparedPlace} Place
 */
import * as format from "../../core/format.js";
import { noToken, spell } from "../../core/tokens.js";
import { build } from "../../ui/build.js";
import { setAttribute, setText, setVariable } from "../../ui/dom.js";
import { drawPieces } from "../../ui/token.js";
import { rowWords } from "./model.js";

const NOTHING = new Uint8Array();

export function createRow() {
  const token = build("span", { class: "compare-token" });
  const sides = /** @type {const} */ (["a", "b"]).map((name) => {
    const bar = build("span", { class: "compare-bar" });
    const track = build("span", { class: "compare-track", "data-side": name }, bar);
    const value = build("span", { class: "compare-value", "data-side": name });
    return { name, bar, track, value };
  });
  const [a, b] = sides;
  const button = build("button", { type: "button", class: "compare-row" }, a.value, a.track, token, b.track, b.value);
  const item = build("li", {}, button);

  /** @param {Row} row */
  function update(row) {
    const none = noToken(row.token) || row.a === null;
    token.replaceChildren(drawPieces(spell(row.token, NOTHING).pieces));
    token.classList.toggle("special", row.token.special);
    token.classList.toggle("none", noToken(row.token));
    setAttribute(button, "aria-disabled", String(none));
    setAttribute(button, "aria-label", rowWords(row));
    for (const { name, bar, value } of sides) {
      const place = row[name];
      setVariable(bar, "--share", String(place?.probability ?? 0));
      setText(value, place ? format.percent(place.probability) : "—");
    }
  }

  return { item, button, update };
}
