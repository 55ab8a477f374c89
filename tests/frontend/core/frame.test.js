import assert from "node:assert/strict";
import test from "node:test";
import * as frame from "../../../frontend/core/frame.js";
import { initial } from "../../../frontend/core/initial.js";
import { rowInFocus, scene } from "../../../frontend/core/questions.js";
import { pack, unpack } from "../../../frontend/features/storage/model.js";
import { begun } from "../helpers/reader.js";

test("the inspector is closed until it is opened, and opens by itself only where there is room", () => {
  const state = initial();
  assert.ok(!frame.inspecting(state));
  assert.ok(frame.inspecting(frame.fit(state, true)));
  assert.ok(!frame.inspecting(frame.fit(frame.fit(state, true), false)));
  const closed = frame.setInspector(frame.fit(state, true), false);
  assert.ok(!frame.inspecting(closed), "closed by hand, it stays closed");
  assert.ok(frame.inspecting(frame.fit(frame.openTab(state, "settings"), false)), "opened by hand, it stays open");
});

test("a reload remembers the tab and whether it was opened, not what was to be focused", () => {
  const again = unpack(pack(frame.openTab(frame.chooseView(initial(), "tree"), "settings", "#seed")));
  assert.deepEqual(again.frame, { view: "tree", surface: "text", inspector: true, tab: "settings", wide: false, bar: null, staged: null, aim: null });
  assert.equal(unpack(pack(initial())).frame.inspector, null);
  assert.equal(unpack(pack(frame.setInspector(frame.fit(initial(), true), false))).frame.inspector, false);
  const { frame: _, ...former } = JSON.parse(pack(initial()));
  assert.equal(unpack(JSON.stringify({ ...former, open: { paths: true } })).frame.inspector, true, "what former versions saved");
});

test("where there is room, the docked tab is shown beside the chosen one", () => {
  const narrow = frame.openTab(initial(), frame.DOCKED);
  assert.ok(frame.showing(narrow, frame.DOCKED));
  assert.ok(!frame.showing(narrow, "paths"));
  const wide = frame.fit(narrow, true);
  for (const tab of ["paths", frame.DOCKED]) assert.ok(frame.showing(wide, tab), tab);
  const settings = frame.openTab(frame.openTab(wide, "settings"), frame.DOCKED, "input");
  for (const tab of ["settings", frame.DOCKED]) assert.ok(frame.showing(settings, tab), tab);
  assert.deepEqual(settings.frame.aim, { selector: "input" });
});

test("the inspector follows the bar in focus, and the first one of another text", () => {
  const state = begun();
  const { rows } = scene(state).drawing;
  assert.deepEqual(rowInFocus(state), rows[0]);
  const id = rows[2].candidate.token.id;
  assert.equal(rowInFocus(frame.focusBar(state, id)).candidate.token.id, id);
  assert.equal(rowInFocus(frame.focusBar(state, -1)).candidate.rank, 1);
  assert.equal(rowInFocus(initial()), null);
});
