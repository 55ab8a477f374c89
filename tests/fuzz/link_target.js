// What must hold for any fragment of an address: it is followed, or refused in words, and the page stays whole.
import assert from "node:assert/strict";
import { BadLink, follow, isLink, linkWords, readLink } from "../../frontend/features/share/link.js";
import { linkOf } from "../../frontend/features/share/making.js";
import { setModels } from "../../frontend/features/models/model.js";
import { wanted } from "../../frontend/core/questions.js";
import { LIMITS, SETTINGS } from "../../frontend/core/settings.js";
import { initial } from "../../frontend/core/state.js";
import { readModels } from "../../frontend/net/wire.js";

const WORDS = 400; // longest words of a refusal
const page = setModels(initial(), readModels({ models: [] }), 0);

/** @param {string} fragment */
export function tryLink(fragment) {
  const there = follow(page, fragment);
  const words = linkWords(there);
  assert.ok(typeof words === "string" && words.length <= WORDS && words.isWellFormed());
  let link;
  try {
    link = readLink(fragment);
  } catch (error) {
    assert.ok(error instanceof BadLink, error);
    assert.ok(words.includes("can’t be opened"), words);
    return;
  }
  assert.equal(link === null, !isLink(fragment));
  if (link === null) {
    assert.equal(there, page);
    return;
  }
  assert.ok(link.text.isWellFormed());
  for (const name of SETTINGS) assert.ok(link.settings[name] >= LIMITS[name].least && link.settings[name] <= LIMITS[name].most);
  assert.deepEqual(Object.keys(link.settings).sort(), [...SETTINGS].sort());
  assert.ok(link.ids === null || link.ids.every((id) => Number.isSafeInteger(id) && id >= 0));
  wanted(there);
  const again = linkOf(there);
  if (again !== null && link.ids === null) assert.equal(readLink(again)?.text, link.text);
}
