/**
 * The types of what the tabs Why and Layers know; their initial values are in `slices.js`. Types only: loaded by nothing.
 *
 * @typedef {import("./distribution.js").Candidate} Candidate
 * @typedef {import("./slices.js").Trouble} Trouble
 *
 * @typedef {object} LayerSaid  what the model would say after a block, or after the embedding
 * @property {readonly Candidate[]} candidates
 * @property {readonly Candidate[]} watched
 * @property {number} entropyBits
 * @property {number} klBits  from it to the answer, possibly infinite
 *
 * @typedef {object} LayerPart  what a part of the model adds to the difference between two tokens' logits
 * @property {number} layer  0: the embedding
 * @property {"embedding" | "attention" | "mlp" | "bias" | "unknown"} part
 * @property {number} change
 *
 * @typedef {object} LayersAnswer
 * @property {string} text  key of model and token ids
 * @property {string} model
 * @property {number} temperature
 * @property {number} topK  candidates per layer, as requested
 * @property {readonly LayerSaid[]} layers  the embedding, then every block
 * @property {{top1: number, top3: number, half: number | null}} commitment  layers from which on the answer's first token has that place
 * @property {readonly [number, number] | null} contrast  the two tokens of `parts`
 * @property {readonly LayerPart[]} parts
 * @property {number} difference  the sum of the parts
 * @property {boolean} beforeCap
 * @property {readonly (readonly (readonly number[])[])[]} attention  by block, head and token; empty unless asked for
 *
 * @typedef {object} Layering  of the tab Layers; does not outlive a reload
 * @property {LayersAnswer | null} answer  the newest
 * @property {Trouble | null} trouble
 * @property {{at: number, layer: number} | null} chosen  whose bars the chart shows while it stands at that node; null: the answer's
 * @property {number | null} contrast  token id; null: the likeliest other
 * @property {"linear" | "log" | "rank"} scale
 * @property {boolean} attending  the attention is shown
 *
 * @typedef {"token" | "word" | "sentence"} UnitKind
 * @typedef {"take_out" | "hide" | "gradient"} Method
 *
 * @typedef {object} Unit  a part of the prompt
 * @property {number} start  its first token
 * @property {number} end  after its last token
 * @property {string} text
 * @property {boolean} special
 * @property {boolean} first  it holds the first token
 *
 * @typedef {object} Influenced  what is known of one question
 * @property {readonly Unit[]} units  that were asked for
 * @property {number} logOdds  after the whole prompt, in nats
 * @property {Readonly<Record<Method, ReadonlyMap<number, number>>>} changes  of the log-odds, by unit: below 0, it speaks for the target
 * @property {{complete: boolean, correlation: number | null, disagree: boolean} | null} end
 *
 * @typedef {object} Influencing  of the tab Why; does not outlive a reload
 * @property {ReadonlyMap<string, Influenced>} results  by question, newest last
 * @property {Trouble | null} trouble
 * @property {string | null} stopped  key of the question that was stopped
 * @property {number | null} contrast  token id; null: all others
 * @property {UnitKind} unit
 * @property {Method} method
 */
export {};
