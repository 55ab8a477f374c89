/** Wires state, views, requests and storage together. */
import { setDisplay } from "./core/display.js";
import { setDice } from "./core/draws.js";
import * as frame from "./core/frame.js";
import { appendRow, layerHere, leaveLayer } from "./core/inside.js";
import { leave, look } from "./core/lookback.js";
import { retry, think } from "./core/outcomes.js";
import { hidden } from "./core/questions.js";
import * as settings from "./core/settings.js";
import * as states from "./core/state.js";
import { FRAME } from "./core/words.js";
import { mountAnnouncer } from "./features/announcer/view.js";
import { mountChart } from "./features/chart/view.js";
import { mountControls } from "./features/controls/view.js";
import { mountDetail } from "./features/detail/view.js";
import * as play from "./features/dice/model.js";
import { createPlayer } from "./features/dice/player.js";
import { mountDice } from "./features/dice/view.js";
import { mountDisplay } from "./features/display/view.js";
import { mountFrame } from "./features/frame/view.js";
import { mountKeys } from "./features/keys/view.js";
import { mountLookback } from "./features/lookback/view.js";
import * as models from "./features/models/model.js";
import { mountModels } from "./features/models/view.js";
import { trim } from "./features/paths/trim.js";
import * as linkedPins from "./features/pins/linked.js";
import * as pins from "./features/pins/model.js";
import { mountPins } from "./features/pins/view.js";
import { mountGuess } from "./features/presentation/guess.js";
import * as presentation from "./features/presentation/model.js";
import { readOther } from "./features/prompt/model.js";
import { mountPrompt } from "./features/prompt/view.js";
import { mountChoice } from "./features/scores/choice.js";
import * as scores from "./features/scores/model.js";
import * as link from "./features/share/link.js";
import { mountLinkNote } from "./features/share/note.js";
import { mountStatus } from "./features/status/view.js";
import { load, save } from "./features/storage/model.js";
import { createShelf } from "./features/storage/shelf.js";
import { leave as leaveTour } from "./features/tour/model.js";
import { mountOffer } from "./features/tour/offer.js";
import { loadModel, nextToken, scores as askScores, watchModels } from "./net/api.js";
import { createAsker } from "./net/asker.js";
import { PANELS, PARTS, SURFACES, TABS, VIEWS } from "./registry.js";
import { settle } from "./ui/dom.js";

/**
 * @typedef {import("./core/state.js").State} State
 * @typedef {(state: State) => State} Transition
 * @typedef {ReturnType<typeof verbs>} Verbs  the actions available to views
 */

const SAVE_MS = 300;
const SCORE_MS = 250;

const shelf = createShelf(() => sessionStorage, () => localStorage);
let state = load(shelf);
let drawing = 0;
/** The frame in which a question is drawn that has no answer yet. Most have one before it, which drawing would delay. */
const PATIENCE = 3;
let patience = 0; // frames left until then
/** @type {ReturnType<typeof setTimeout> | undefined} */
let saving;

/** @type {import("./features/dice/stream.js").Stream | null} loaded when something is first generated */
let generation = null;
const asker = createAsker({ read: () => state, act, ask, think });
const scorer = createAsker({
  read: () => state,
  act,
  ask: askScores,
  wanted: scores.wantedScores,
  receive: scores.receiveScores,
  fail: scores.failScores,
  retry: scores.retryScores,
  delay: (now) => (now.shading.curious ? 0 : SCORE_MS),
});
const pinner = createAsker({
  read: () => state,
  act,
  ask: nextToken,
  wanted: linkedPins.wantedPin,
  receive: linkedPins.receivePin,
  fail: linkedPins.failPin,
  retry: linkedPins.retryPins,
  delay: () => 0,
});
const player = createPlayer({ read: () => state, act });
const actions = verbs();
/** @type {(() => void)[]} */
const considering = [];
const page = { verbs: actions, act, draw, read: () => state, consider: (/** @type {() => void} */ consider) => void considering.push(consider) };
const views = [
  mountFrame(document, { views: VIEWS, surfaces: SURFACES, tabs: TABS, panels: PANELS, parts: PARTS }, page),
  mountPrompt(element("prompt"), actions),
  mountChoice(/** @type {HTMLSelectElement} */ (element("shade-choice")), actions),
  mountDetail(element("detail"), element("tokens"), actions),
  mountChart(element("chart"), actions),
  mountLookback(element("chart"), actions),
  mountDisplay(element("display"), actions),
  mountPins(element("pins"), actions),
  mountControls(document, actions),
  mountDice(element("actions"), element("dice"), actions),
  mountLinkNote(element("link-note")),
  mountModels(element("models"), actions),
  mountStatus(element("status"), actions),
  mountGuess(document, actions),
  mountOffer(element("tour-offer"), actions),
  mountAnnouncer(element("announcer")),
];
mountKeys(document, page);

/** @param {Transition} transition */
function act(transition) {
  const next = transition(state);
  if (next === state) return;
  const deeper = next.answers === state.answers ? next : pins.deepen(next);
  state = next.tree === state.tree ? deeper : trim(deeper);
  if (asker.consider() && !drawing) patience = PATIENCE;
  scorer.consider();
  pinner.consider();
  player.consider();
  generation?.consider();
  for (const consider of considering) consider();
  if (patience > 0 && !asker.asking()) draw();
  else drawing ||= requestAnimationFrame(onFrame);
  clearTimeout(saving);
  saving = setTimeout(keep, SAVE_MS);
}

/** @type {typeof nextToken} */
async function ask(question, signal) {
  if (question.settings.chain) (await import("./features/samplers/follow.js")).follow(page);
  if (state.play?.kind !== "write") return nextToken(question, signal);
  const { createStream } = await import("./features/dice/stream.js");
  generation ??= createStream({ read: () => state });
  return generation.ask(question, signal);
}

function onFrame() {
  drawing = 0;
  patience -= 1;
  if (patience > 0) drawing = requestAnimationFrame(onFrame);
  else draw();
}

function draw() {
  cancelAnimationFrame(drawing);
  drawing = 0;
  patience = 0;
  for (const update of views) update(state);
  settle();
}

function keep() {
  clearTimeout(saving);
  const saved = save(shelf, state);
  act((now) => (now.saved === saved ? now : { ...now, saved }));
}

/** The page's actions, each one state transition. */
function verbs() {
  return {
    edit: (/** @type {string} */ text) => act((now) => states.edit(now, text)),
    rest: () => act(states.rest),
    readOther: () => act(readOther),
    append: (/** @type {import("./core/distribution.js").Row} */ row) => act((now) => appendRow(now, row)),
    goTo: (/** @type {number} */ id) => act((now) => states.goTo(now, id)),
    look: (/** @type {number} */ id) => act((now) => look(now, id)),
    leave: () => act((now) => (layerHere(now) === null ? leave(now) : leaveLayer(now))),
    shade: (/** @type {scores.Shade} */ by) => act((now) => scores.shade(now, { by })),
    inspect: (/** @type {boolean} */ curious) => act((now) => scores.inspect(now, curious)),
    retryScores: () => act(scores.retryScores),
    takeBack: () => act(states.takeBack),
    undo: () => act(states.undo),
    redo: () => act(states.redo),
    set: (/** @type {Partial<settings.Settings>} */ changes, dragging = false) => act((now) => settings.set(now, changes, dragging)),
    release: () => act(settings.release),
    openTab: (/** @type {string} */ tab, /** @type {string | null} */ aim = null) => act((now) => frame.openTab(now, tab, aim)),
    setInspector: (/** @type {boolean} */ open) => act((now) => frame.setInspector(now, open)),
    chooseView: (/** @type {string} */ view) => act((now) => frame.chooseView(now, view)),
    chooseSurface: (/** @type {string} */ surface) => act((now) => frame.chooseSurface(now, surface)),
    focusBar: (/** @type {number} */ id) => act((now) => frame.focusBar(now, id)),
    fit: (/** @type {boolean} */ wide) => act((now) => frame.fit(now, wide)),
    show: (/** @type {Partial<import("./core/display.js").Display>} */ changes) => act((now) => setDisplay(now, changes)),
    pin: () => act(pins.pin),
    unpin: (/** @type {string} */ name) => act((now) => pins.unpin(now, name)),
    repin: () => act(pins.repin),
    versus: (/** @type {string} */ name) => act((now) => pins.versus(now, name)),
    // While bars are hidden, the first press reveals them.
    mostLikely: () => act((now) => (hidden(now) ? presentation.reveal(now) : play.mostLikely(now))),
    play: (/** @type {states.Play["kind"]} */ kind) => act((now) => play.begin(kind === "write" ? now : presentation.reveal(now), kind, newSeed())),
    stop: () => act(play.stop),
    setDice: (/** @type {Partial<settings.Dice>} */ changes) => act((now) => setDice(now, changes)),
    retry: () => act(retry),
    present: (/** @type {boolean} */ on) => act((now) => presentation.present(now, on)),
    guess: (/** @type {boolean} */ on) => act((now) => presentation.guess(now, on)),
    reveal: () => act(presentation.reveal),
    setKeys: (/** @type {boolean} */ on) => act((now) => presentation.setKeys(now, on)),
    declineTour: () => act(leaveTour),
    beginTour: () => void tour().then(({ begin }) => act(begin), broken),
    endTour: () => void tour().then(({ end }) => act(end), broken),
    choose: (/** @type {string} */ name) => act((now) => models.choose(now, name)),
    load: (/** @type {string} */ name) =>
      loadModel(name).catch((error) => act((now) => models.failLoad(now, name, error.message))),
  };
}

async function tour() {
  const [walk] = await Promise.all([import("./features/tour/walk.js"), import("./features/tour/view.js")]);
  return walk;
}

/** A part that was asked for could not be loaded. */
function broken() {
  act((now) => ({ ...now, said: FRAME.broken }));
}

/** @returns {number} short enough to read aloud and retype */
function newSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;
}

/** Opens the link in the URL's fragment, then removes the fragment. */
function followLink() {
  const { hash, pathname, search } = location;
  if (!link.isLink(hash)) return;
  act((now) => link.follow(now, hash));
  history.replaceState(null, "", pathname + search);
}

/** @param {string} id @returns {HTMLElement} */
function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

watchModels(
  (news) => act((now) => models.setModels(now, news, performance.now())),
  (reason) => act((now) => models.lose(now, reason)),
);
addEventListener("pagehide", keep);
document.addEventListener("visibilitychange", keep); // on phones, the last event before the page is killed
addEventListener("hashchange", followLink);
followLink();
draw();
