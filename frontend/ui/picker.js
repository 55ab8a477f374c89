/** A labelled choice whose options change with the state. */
import { build } from "./build.js";

/**
 * @param {string} label @param {(value: string) => void} choose
 * @returns {{root: HTMLElement, select: HTMLSelectElement, update: (options: readonly {value: string, words: string}[], chosen: string) => void}}
 */
export function createPicker(label, choose) {
  const select = build("select");
  const root = build("label", { class: "picker" }, build("span", {}, label), " ", select);
  select.addEventListener("change", () => choose(select.value));
  let drawn = "";

  return {
    root,
    select,
    update(options, chosen) {
      const now = JSON.stringify(options);
      if (now !== drawn) {
        drawn = now;
        select.replaceChildren(...options.map(({ value, words }) => build("option", { value }, words)));
      }
      if (select.value !== chosen) select.value = chosen;
    },
  };
}
