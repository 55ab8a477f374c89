/** Wires the parts: one state, the views that draw it, the asker that asks for it, the storage that keeps it. */
import { loadModel, nextToken, scores as askScores, watchModels } from "./api.js";
import { createAsker } from "./asker.js";
import { setDice } from "./dice.js";
import { setDisplay } from "./display.js";
import * as likely from "./likely.js";
import * as link from "./link.js";
import * as models from "./models.js";
import * as paths from "./paths.js";
import * as pins from "./pins.js";
import * as play from "./play.js";
import { createPlayer } from "./player.js";
import { leave, look } from "./look.js";
import { retry, think } from "./outcomes.js";
import { hidden } from "./questions.js";
import * as scores from "./scores.js";
import * as states from "./state.js";
import * as room from "./room.js";
import * as settings from "./settings.js";
import { createShelf } from "./shelf.js";
import { start } from "./starters.js";
import { load, save } from "./storage.js";
import * as tour from "./tour.js";
import { mountActions } from "./views/actions.js";
import { mountAnnouncer } from "./views/announcer.js";
import { mountChart } from "./views/chart.js";
import { mountControls } from "./views/controls.js";
import { mountDetail } from "./views/detail.js";
import { mountDisplay } from "./views/display.js";
import { settle } from "./views/dom.js";
import { mountExamples } from "./views/examples.js";
import { mountExplain } from "./views/explain.js";
import { mountKeys } from "./views/keys.js";
import { mountLikely } from "./views/likely.js";
import { mountLook } from "./views/look.js";
import { mountModels } from "./views/models.js";
import { mountPaths } from "./views/paths.js";
import { mountPins } from "./views/pins.js";
import { mountPrompt } from "./views/prompt.js";
import { mountRoom } from "./views/room.js";
import { mountShade } from "./views/shade.js";
import { mountShare } from "./views/share.js";
import { mountStatus } from "./views/status.js";
import { mountSteps } from "./views/steps.js";
import { mountTour } from "./views/tour.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {(state: State) => State} Transition
 * @typedef {ReturnType<typeof verbs>} Verbs  what a view may ask for
 */

const SAVE_MS = 300;
const LIKELY_MS = 200;
const SCORE_MS = 250;

const shelf = createShelf(() => sessionStorage, () => localStorage);
let state = load(shelf);
let frame = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let saving;

const asker = createAsker({ read: () => state, act, ask: nextToken, think });
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
const prober = createAsker({
  read: () => state,
  act,
  ask: nextToken,
  wanted: likely.nextProbe,
  receive: likely.tell,
  fail: likely.failProbe,
  retry: (now) => likely.failProbe(now, null),
  delay: (_, { text }) => (text === null ? 0 : LIKELY_MS),
});
const player = createPlayer({ read: () => state, act });
const actions = verbs();
const views = [
  mountPrompt(element("prompt"), actions),
  mountShade(element("shade"), /** @type {HTMLSelectElement} */ (element("shade-choice")), actions),
  mountDetail(element("detail"), element("tokens"), actions),
  mountChart(element("chart"), actions),
  mountLook(element("chart"), actions),
  mountDisplay(element("display"), actions),
  mountPins(element("pins"), actions),
  mountControls(element("controls"), actions),
  mountActions(element("actions"), element("dice"), actions),
  mountPaths(element("paths"), actions),
  mountLikely(element("likely"), actions),
  mountSteps(element("steps"), actions),
  mountShare(element("share-panel")),
  mountModels(element("models"), actions),
  mountStatus(element("status"), actions),
  mountExamples(element("examples"), actions),
  mountRoom(document, actions),
  mountExplain(element("explain"), document),
  mountTour(element("tour"), element("tour-offer"), actions),
  mountKeys(document, actions),
  mountAnnouncer(element("announcer")),
];

/** @param {Transition} transition */
function act(transition) {
  const next = transition(state);
  if (next === state) return;
  const deeper = next.answers === state.answers ? next : pins.deepen(next);
  state = next.tree === state.tree ? deeper : paths.trim(deeper);
  asker.consider();
  prober.consider();
  scorer.consider();
  player.consider();
  frame ||= requestAnimationFrame(draw);
  clearTimeout(saving);
  saving = setTimeout(keep, SAVE_MS);
}

function draw() {
  frame = 0;
  for (const update of views) update(state);
  settle();
}

function keep() {
  clearTimeout(saving);
  const kept = save(shelf, state);
  act((now) => (now.kept === kept ? now : { ...now, kept }));
}

/** The verbs of the page, each one transition of the state. */
function verbs() {
  return {
    edit: (/** @type {string} */ text) => act((now) => states.edit(now, text)),
    rest: () => act(states.rest),
    append: (/** @type {import("./distribution.js").Row} */ row) =>
      act((now) => states.append(now, row.candidate, Number.isNaN(row.raw) ? null : row.raw)),
    goTo: (/** @type {number} */ id) => act((now) => states.goTo(now, id)),
    look: (/** @type {number} */ id) => act((now) => look(now, id)),
    leave: () => act(leave),
    shade: (/** @type {scores.Shade} */ by) => act((now) => scores.shade(now, { by })),
    inspect: (/** @type {boolean} */ curious) => act((now) => scores.inspect(now, curious)),
    retryScores: () => act(scores.retryScores),
    remove: (/** @type {number} */ start) => act((now) => paths.remove(now, start)),
    rename: (/** @type {number} */ start, /** @type {string} */ name) => act((now) => paths.rename(now, start, name)),
    fold: (/** @type {number} */ start, /** @type {boolean} */ folded) => act((now) => paths.fold(now, start, folded)),
    restore: () => act(paths.restore),
    takeBack: () => act(states.takeBack),
    undo: () => act(states.undo),
    redo: () => act(states.redo),
    set: (/** @type {Partial<settings.Settings>} */ changes, held = false) => act((now) => settings.set(now, changes, held)),
    release: () => act(settings.release),
    unfold: (/** @type {states.Panel} */ panel, /** @type {boolean} */ open) => act((now) => states.unfold(now, panel, open)),
    show: (/** @type {Partial<import("./display.js").Display>} */ changes) => act((now) => setDisplay(now, changes)),
    pin: () => act(pins.pin),
    unpin: (/** @type {string} */ name) => act((now) => pins.unpin(now, name)),
    repin: () => act(pins.repin),
    versus: (/** @type {string} */ name) => act((now) => pins.versus(now, name)),
    askLikely: (/** @type {string} */ typed) => act((now) => likely.ask(now, typed)),
    // Where the bars are hidden, the first press shows them.
    mostLikely: () => act((now) => (hidden(now) ? room.reveal(now) : play.mostLikely(now))),
    play: (/** @type {states.Play["kind"]} */ kind) => act((now) => play.begin(kind === "write" ? now : room.reveal(now), kind, newSeed())),
    stop: () => act(play.stop),
    setDice: (/** @type {Partial<settings.Dice>} */ changes) => act((now) => setDice(now, changes)),
    retry: () => act(retry),
    start: (/** @type {string} */ text) => act((now) => start(now, text)),
    present: (/** @type {boolean} */ on) => act((now) => room.present(now, on)),
    guess: (/** @type {boolean} */ on) => act((now) => room.guess(now, on)),
    reveal: () => act(room.reveal),
    setKeys: (/** @type {boolean} */ on) => act((now) => room.setKeys(now, on)),
    beginTour: () => act(tour.begin),
    walk: (/** @type {number} */ by) => act((now) => tour.walk(now, by)),
    endTour: () => act(tour.end),
    choose: (/** @type {string} */ name) => act((now) => models.choose(now, name)),
    load: (/** @type {string} */ name) =>
      loadModel(name).catch((error) => act((now) => models.failLoad(now, name, error.message))),
  };
}

/** @returns {number} short enough to be read out and typed again */
function newSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;
}

/** Goes where the address's fragment leads, and takes it off: what is done from here on is another place. */
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
document.addEventListener("visibilitychange", keep); // the last that a page on a phone may hear
addEventListener("hashchange", followLink);
followLink();
draw();
