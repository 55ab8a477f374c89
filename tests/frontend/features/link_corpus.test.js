import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";
import { tryLink } from "../../fuzz/link_target.js";

const CORPUS = new URL("../../fuzz/corpus/link/", import.meta.url);

for (const name of readdirSync(CORPUS)) test(`a link that fuzzing found: ${name.slice(0, 20)}`, () => tryLink(readFileSync(new URL(name, CORPUS), "utf8")));
