/**
 * What views and inspector tabs say that load when first shown; see `words.js`. Pure data.
 */
import * as format from "./format.js";

const { count } = format;

const GUESSING = "Hidden while you guess.";

export const NUMBERS = {
  calculated: "How these numbers are calculated",
  likely: "How likely is …?",
  asked: "How likely is this text next?",
  token: "a token or a few words",
  spaces: "A leading space makes a different token; both are shown. \\n is a line break.",
  chances: "How likely it is",
  unreadable: "This model’s tokenizer can’t represent this text.",
  long: (/** @type {number} */ number, /** @type {number} */ most) => `That is ${format.tokens(number)}; at most ${count(most)} can be looked up.`,
  altered: "This model’s tokenizer changes it slightly:",
  removed: "Removed by the sampling filters: it can’t be drawn.",
  fell: (/** @type {string} */ step) => `Removed by ${step}: it can’t be drawn.`,
  unsampled: (/** @type {string} */ percent) => `Before all sampler steps ${percent}.`,
  one: "one token",
  rank: (/** @type {number} */ rank) => `rank ${count(rank)}`,
  rankOf: (/** @type {number} */ rank, /** @type {number} */ vocabulary) => `rank ${count(rank)} of ${count(vocabulary)}`,
};

export const COMPARE = {
  sides: { a: "A", b: "B" },
  model: "Model of B",
  temperature: "Temperature of B",
  degrees: "temperature",
  prompt: "Text of B",
  same: "Same as A",
  sameText: "Same text as A",
  shorter: "Without the first sentence",
  swap: "Swap",
  pin: "Pin A",
  close: "Back to bars",
  again: "Try again",
  rows: "The most likely next tokens of A and B",
  none: "not in its vocabulary",
  unequal: "A and B ask the same. Choose another model, temperature or text for B.",
  waiting: "Comparing…",
  absent: (/** @type {string} */ model, /** @type {boolean} */ coming) => (coming ? `${model}, the model of B, is not ready yet.` : `${model}, the model of B, is not on this server. Choose another one.`),
  draft: "Compares once the text has an answer.",
  mask: "The mask of B begins at the end of its text: what the mask of A holds for isn’t in it.",
  infinite: "infinite",
  differs: (/** @type {string} */ points, /** @type {string} */ largest) => `B differs from A by ${points} points${largest && `: ${largest}`}.`,
  bare: (/** @type {number} */ count, /** @type {string} */ one) => `B is plain text, without ${count === 1 ? `A’s ${one}` : `${format.count(count)} of A’s special tokens, such as ${one}`}.`,
  kin: { base: "Base", instruct: "Instruct", adapter: "Adapter" },
  relatives: "Models related to A’s",
};

/** Of one text under two models. */
export const SCORED = {
  title: "The text, token by token",
  waiting: "Scoring the text with both models…",
  legend: "In bits, at temperature 1: + more likely under B, − more likely under A.",
  joined: "Where the tokenizers differ, tokens that spell the same are taken together.",
  equal: "The text is equally likely under both models.",
  slightly: (/** @type {boolean} */ less, /** @type {string} */ bits) => `The text is slightly ${less ? "less" : "more"} likely under B than under A: ${bits} bits.`,
  times: (/** @type {string} */ factor, /** @type {boolean} */ less, /** @type {string} */ bits) => `The text is ${factor} times ${less ? "less" : "more"} likely under B than under A: ${bits} bits.`,
  impossible: (/** @type {boolean} */ less) => `The text is impossible under ${less ? "B" : "A"}.`,
  none: "No token can be compared.",
  left: {
    first: (/** @type {number} */ number) => `${format.tokens(number)} with nothing before ${number === 1 ? "it" : "them"}`,
    special: (/** @type {number} */ number) => `${format.tokens(number)} where only one model has a special token`,
    text: (/** @type {number} */ number) => `${format.tokens(number)} that B’s tokenizer changes`,
  },
  uncounted: (/** @type {string} */ list) => `Not compared: ${list}.`,
  why: { first: "not compared: nothing comes before it", special: "not compared: only one model has a special token here", text: "not compared: B’s tokenizer changes it" },
  more: (/** @type {string} */ bits, /** @type {boolean} */ less) => `${bits} bits ${less ? "less" : "more"} likely under B`,
  same: "equally likely under both",
  pair: (/** @type {string} */ words, /** @type {string} */ difference, /** @type {string} */ a, /** @type {string} */ b) => `${words}: ${difference}; A ${a}, B ${b}`,
  earlier: (/** @type {number} */ number) => `… ${format.tokens(number)} before`,
};

export const PATHS = {
  all: "Everything tried",
  restore: "Undo delete",
  deleted: (/** @type {string} */ words, /** @type {number} */ more) => `Deleted \u2068${words}\u2069${more ? ` and ${count(more)} before it` : ""}`,
  full: (/** @type {number} */ most) => `${count(most)} branches are kept. Adding another deletes the oldest.`,
  name: "Name of the branch",
  placeholder: "Name, then Enter",
  rename: (/** @type {string} */ branch) => `Name the branch ${branch}`,
  remove: (/** @type {string} */ branch) => `Delete the branch ${branch}`,
  branches: (/** @type {string} */ branch) => `Branches of ${branch}`,
  none: "No branches yet",
  covered: GUESSING,
  hidden: (/** @type {number} */ number) => `${count(number)} more hidden`,
  likely: (/** @type {string} */ percent) => `all picked tokens together, ${percent}`,
};

export const SHARE = {
  link: ["Link", [["link", "Copy link"]]],
  numbers: ["Numbers", [["text", "Copy as text"], ["json", "JSON"], ["csv", "CSV"]]],
  picture: ["Picture", [["png", "Save as PNG"], ["svg", "SVG"]]],
  code: ["As code", [["curl", "Copy for curl"], ["python", "Python, gRPC"]]],
  hint: "The link holds the text, its tokens and the settings in the address itself; nothing is stored on a server.",
  what: "What was copied",
  where: "Set TARGET to the address of your inference server.",
  noPicture: "This browser can’t create the picture; save it as SVG.",
  long: "This text is too long for a link. Copy it as JSON.",
  copied: "Copied.",
  shorter: (/** @type {boolean} */ pins, /** @type {boolean} */ other) => `${[pins && "The pins", other && "B"].filter(Boolean).join(" and ")} ${pins ? "are" : "is"} left out: with ${pins ? "them" : "it"} the link would be too long.`,
  noCopy: "This browser doesn’t allow copying. Select the text below.",
  saved: "Saved.",
};

export const TREE = {
  label: "Tree of continuations",
  grow: "Grow",
  offer: "Nothing branches yet. Growing adds the most likely continuations as branches, each as thick as it is likely.",
  growHere: "Grow this text",
  stop: "Stop",
  clear: "Remove grown",
  larger: "Zoom in",
  smaller: "Zoom out",
  whole: "Show all",
  depth: "Tokens deep",
  nodes: "Branches",
  empty: "The tree appears once the text has an answer.",
  hint: "Click a branch to make it the text. Arrow keys move, Enter takes a branch, G grows it, + and − zoom, 0 shows all.",
  growing: "Growing…",
  likely: (/** @type {string} */ step, /** @type {string} */ all) => (step === all ? step : `${step} from the fork, ${all} from the start`),
  grown: "grown",
  tried: "tried",
  here: "the text ends here",
};

/** Names of the methods, as the server calls them. */
const METHODS = { take_out: "Take out (exact)", hide: "Hide (quick)", gradient: "Gradient × input" };

export const WHY = {
  asked: "Why",
  against: "rather than",
  all: "all others",
  unit: "Parts",
  units: { token: "Tokens", word: "Words", sentence: "Sentences" },
  method: "Method",
  methods: METHODS,
  stop: "Stop",
  again: "Measure again",
  empty: "Once the text has an answer, this shows which words push a candidate.",
  hidden: GUESSING,
  waiting: "Measuring…",
  progress: (/** @type {number} */ done, /** @type {number} */ total, /** @type {string} */ left) => `${count(done)} of ${count(total)} parts measured${left && `, ${left}`}.`,
  quicker: "Hide instead: answers at once",
  stopped: (/** @type {number} */ done, /** @type {number} */ total) => `Stopped: ${count(done)} of ${count(total)} parts measured.`,
  partly: (/** @type {number} */ done, /** @type {number} */ total) => `The server’s limit was reached: ${count(done)} of ${count(total)} parts measured, the strongest first as far as can be told.`,
  done: (/** @type {number} */ total) => `All ${count(total)} parts measured.`,
  itself: (/** @type {number} */ done, /** @type {number} */ total) => `${count(done)} of ${count(total)} parts measured: the last position always sees itself.`,
  one: "There is only one part, so there is nothing to compare it with.",
  disagree: (/** @type {string} */ one, /** @type {string} */ other, /** @type {string} */ correlation) =>
    `${one} and ${other} disagree here (rank correlation ${correlation}). Don’t trust either alone.`,
  names: { take_out: "Take out", hide: "Hide", gradient: "Gradient × input" },
  did: {
    take_out: (/** @type {string} */ part) => `Taking out ${part} makes`,
    hide: (/** @type {string} */ part) => `Hiding ${part} from the last position makes`,
    gradient: (/** @type {string} */ part) => `By the gradient, removing ${part} would make`,
  },
  times: (/** @type {string} */ what, /** @type {string} */ token, /** @type {string} */ factor, /** @type {boolean} */ less, /** @type {string} */ from, /** @type {string} */ to) =>
    `${what} ${token} ${factor} times ${less ? "less" : "more"} likely: ${from} → ${to}.`,
  slightly: (/** @type {string} */ what, /** @type {string} */ token, /** @type {boolean} */ less, /** @type {string} */ from, /** @type {string} */ to) =>
    `${what} ${token} slightly ${less ? "less" : "more"} likely: ${from} → ${to}.`,
  odds: (/** @type {string} */ what, /** @type {string} */ token, /** @type {string} */ other, /** @type {string} */ factor, /** @type {boolean} */ less) =>
    `${what} the odds of ${token} over ${other} ${factor} times ${less ? "smaller" : "larger"}.`,
  sinks: "the first token, a place where attention rests: left out of the ranking",
  quick: "by hide only, so far",
  unmeasured: "—",
  infinite: "infinite",
  list: "Parts of the text, strongest first",
  scale: "Push on the log-odds, in nats: + for, − against",
  legend: (/** @type {string} */ token) => `Blue, +: for ${token}. Orange, −: against it.`,
  meaning: "What these numbers mean",
  limits: {
    take_out: "Take out: the part is deleted and what follows is computed anew. Exact, but about another prompt, which may be ungrammatical. Two parts that say the same cover for each other.",
    hide: "Hide: only the last position doesn’t look at the part. Other positions may already have passed on what it says, so a small change doesn’t show that a part doesn’t matter.",
    gradient: "Gradient × input: how steeply the answer changes at the prompt as it is. Models aren’t linear, so it’s a hint.",
    all: "Influence says what the output depends on, not that the model reasons as a person would. Log-odds are at temperature 1.",
  },
};

export const LAYERS = {
  scrub: "Layer",
  place: (/** @type {number} */ layer, /** @type {number} */ total) => (layer ? `Layer ${count(layer)} of ${count(total)}` : "Embedding"),
  final: (/** @type {number} */ total) => `Layer ${count(total)} of ${count(total)}: the answer`,
  leads: (/** @type {string} */ place, /** @type {string} */ token, /** @type {string} */ likely) => `${place}: ${token} leads, ${likely}`,
  empty: "Once the text has an answer, this shows how it formed from layer to layer.",
  hidden: GUESSING,
  waiting: "Reading the layers…",
  commitment: (/** @type {string} */ token, /** @type {number} */ top1, /** @type {number} */ top3, /** @type {number | null} */ half, /** @type {number} */ total) => {
    const from = (/** @type {number} */ layer) => (layer === total ? "only after the last layer" : layer ? `from layer ${count(layer)} on` : "from the embedding on");
    const ranks = top3 === top1 ? "" : `; among the first three ${from(top3)}`;
    const most = half === null ? "" : half === top1 ? ", with more than half of the probability" : `; more than half of the probability ${from(half)}`;
    return `${token} leads ${from(top1)}${half === top1 ? most : ""}${ranks}${half === top1 ? "" : most}.`;
  },
  scale: "Scale",
  scales: { linear: "Percent", log: "Logarithmic", rank: "Rank" },
  /** What the top and the bottom of a line stand for. */
  ends: { linear: ["100\u202f%", "0"], log: ["100\u202f%", "≤\u202f0.0001\u202f%"], rank: ["rank 1", "last"] },
  token: "Token",
  map: (/** @type {string} */ scale) => `Heat map: the darker, the higher in the layer (${scale})`,
  mapTitle: "Tokens by layer",
  lines: "Lines by layer",
  linesLabel: (/** @type {string} */ token, /** @type {string} */ other) => `${token} (thick) and ${other} (dashed) by layer; the other tokens are thin`,
  top: "Most likely in this layer",
  state: (/** @type {string} */ entropy, /** @type {string} */ far) => `Entropy ${entropy}${far && `; ${far} from the answer`}.`,
  far: "infinitely far",
  contributions: "What each block adds",
  against: "rather than",
  adds: (/** @type {string} */ token, /** @type {string} */ other, /** @type {string} */ sum) => `Logit of ${token} minus that of ${other}: ${sum}, the sum of all bars.`,
  cap: " Before the soft cap of this model’s logits.",
  strongest: (/** @type {string} */ list) => `Most by ${list}.`,
  parts: { embedding: "embedding", attention: "attention", mlp: "MLP", bias: "bias", unknown: "other" },
  part: (/** @type {string} */ part, /** @type {number} */ layer, /** @type {string} */ change) => `${part}${layer ? ` of layer ${count(layer)}` : ""} (${change})`,
  attention: "Where it looks",
  notInfluence: "Attention is not influence: it shows where a head reads from, not whether that changes the answer.",
  head: "Head",
  mean: "Mean of all",
  looks: (/** @type {string} */ place) => `Weights of the last position: ${place}`,
  noBlock: "The embedding has no attention: choose a layer.",
  meaning: "What these numbers mean",
  lens: "Each layer’s state is read as if it were the last one (logit lens): through the model’s own final norm and head. It doesn’t mean that the model “thinks” these words there; blocks are trained to pass on what later blocks use.",
  direct: "What a block adds is its direct share, with the final norm’s scale frozen. Later blocks also read what earlier ones wrote; that isn’t counted.",
};

export const STAGE = { label: "Stage controls", temperature: "Temperature", roll: "Roll", guess: "Guess", inspector: "Inspector", leave: "Leave [Esc]" };

export const TOUR = {
  count: (/** @type {number} */ number, /** @type {number} */ all) => `${number} of ${all}`,
  skip: "Skip the tour",
  fresh: "Use a fresh text",
  back: "Back",
  next: "Next",
  done: "Done",
};

export const SCORES = {
  surprise: { what: "How unexpected each token was: −log₂ of its probability.", low: "expected", high: "surprising" },
  entropy: { what: "How uncertain the model was at each position: the entropy before the token.", low: "sure", high: "open" },
  waiting: "Reading the text…",
  only: "The only token has nothing before it, so there is nothing to score.",
  impossible: (/** @type {number} */ number) => `One of ${format.tokens(number)} was impossible for the model: its log-probability is −∞.`,
  totals: (/** @type {number} */ number, /** @type {number} */ logprob, /** @type {string} */ choices, /** @type {string} */ perByte) =>
    `${format.tokens(number)}: log-probability ${format.signed(logprob)}; perplexity ${choices}, as uncertain as choosing among ${choices} equally likely tokens${perByte && `; ${perByte} bits per byte`}.`,
};

/** What is in brackets is a key. */
export const KEYS = {
  title: "Keyboard shortcuts",
  list: [
    ["[1] … [9] [0]", "append the first to the tenth bar"],
    ["[↑] [↓]", "move between bars"],
    ["[→] or [Enter]", "append the bar in focus"],
    ["[←] or [Backspace]", "remove the last token"],
    ["[M]", "append the most likely token"],
    ["[R]", "roll the dice"],
    ["[W]", "generate; any key stops it"],
    ["[Ctrl] [Z]", "undo; with [Shift], redo"],
    ["[E]", "edit the text"],
    ["[Esc]", "from the text to the bars; from an earlier token back to the end"],
    ["[+] [−]", "temperature up and down"],
    ["[K]", "pin these bars to compare"],
    ["[L]", "how likely is …?"],
    ["[P]", "present: only the text and the bars; [Esc] leaves"],
    ["[I]", "open or close the inspector"],
    ["[G]", "guess first: hide the bars; [V] shows them"],
    ["[H]", "what am I looking at?"],
    ["[?]", "this list"],
  ],
  single: "Single-key shortcuts, without [Ctrl]",
  close: "Close",
};

export const EXPORTS = { label: "Save", csv: "CSV", json: "JSON", svg: "SVG", png: "PNG" };
