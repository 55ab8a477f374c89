/**
 * The parts of the state that belong to views and tabs that load when first shown; their initial values are in `slices.js`.
 * Types only: loaded by nothing.
 *
 * @typedef {import("./distribution.js").Candidate} Candidate
 * @typedef {import("./slices.js").Trouble} Trouble
 * @typedef {import("./tokens.js").Token} Token
 *
 * @typedef {object} OtherText  the second column's own text
 * @property {string} text
 * @property {number | null} at  the node at which the first column stood; null: not known yet. What is picked after it is added here too
 * @property {{model: string, ids: readonly number[], literal?: boolean} | null} read  how a model tokenized it
 *
 * @typedef {object} Comparison  the second column of the view Compare
 * @property {string | null} model  null: the first column's
 * @property {number | null} temperature  null: the first column's
 * @property {OtherText | null} prompt  null: the first column's
 * @property {Compared | null} answer  the newest
 * @property {Trouble | null} trouble
 * @property {{key: string, tokens: readonly ScoredToken[]} | null} scores  of the text under the second column's model, the newest
 * @property {Trouble | null} scoreTrouble
 * @property {string | null} twins  the two models found last to have the same tokens
 *
 * @typedef {object} ScoredToken
 * @property {Token} token
 * @property {number | null} logprob  in nats, at temperature 1; -Infinity if impossible; null: nothing comes before it
 *
 * @typedef {object} LinkedOther  what the second column asks, in a link; null: as the first one
 * @property {string | null} model
 * @property {number | null} temperature
 * @property {string | null} text
 * @property {readonly number[] | null} ids  of that text, by the link's model
 *
 * @typedef {object} ComparedPlace  of a token in one of two distributions, cut as the settings say
 * @property {number} id
 * @property {number} rank
 * @property {number} probability
 *
 * @typedef {object} ComparedRow
 * @property {Token} token
 * @property {ComparedPlace | null} a  null: this column's model has no such token
 * @property {ComparedPlace | null} b
 *
 * @typedef {object} Compared  how two distributions differ
 * @property {string} key  of the question
 * @property {readonly ComparedRow[]} rows  the top of both
 * @property {ComparedRow | null} gained  the one that gained most from A to B
 * @property {ComparedRow | null} lost
 * @property {{ab: number, ba: number}} kl  in bits, possibly infinite
 * @property {number} js  in bits
 * @property {number} moved  total variation distance
 * @property {readonly number[]} overlap  of the first n of both, from n = 1
 * @property {{a: number, b: number}} unmatched  probability of tokens that the other model doesn't have
 * @property {boolean} byBytes  the tokenizers differ
 * @property {{a: readonly Token[], b: readonly Token[]}} prompts  their tokens
 *
 * @typedef {object} GrownNode  a continuation that the server found
 * @property {number} id  from 1
 * @property {number} parent  0: the node that the growth began at
 * @property {Token} token
 * @property {number} rank
 * @property {number} logprob  after its parent, at temperature 1
 * @property {number} pathLogprob
 * @property {boolean} end  it ends the text
 *
 * @typedef {object} Growth
 * @property {readonly GrownNode[]} nodes  parents first
 * @property {{covered: number, open: number, pruned: number} | null} mass  how all probability is divided
 *
 * @typedef {object} Grown  of the view Tree; does not outlive a reload
 * @property {ReadonlyMap<number, Growth>} growths  by the node they began at, oldest first
 * @property {{at: number, depth: number, most: number} | null} running
 * @property {string | null} trouble  why the last one ended
 *
 * @typedef {"system" | "user" | "assistant"} Role
 *
 * @typedef {object} Turn  of a conversation
 * @property {Role} role
 * @property {string} content
 * @property {readonly Token[] | null} tokens  of the content, if they were picked: they are kept as they are
 *
 * @typedef {object} Part  tokens in a row of a rendered conversation
 * @property {number | null} message  index of the turn; the number of turns for what begins the next one; null: none
 * @property {boolean} content  not the template's
 * @property {number} count
 *
 * @typedef {object} Talk  a conversation, in the order of its tokens
 * @property {readonly Turn[]} turns
 * @property {readonly Part[]} parts
 * @property {boolean} open  the last turn goes on; else the assistant's next one has begun
 *
 * @typedef {object} AskedTalk  an edited conversation that has no tokens yet
 * @property {readonly Turn[]} turns
 * @property {boolean} open
 * @property {readonly Token[]} tail  of the open turn, which come after it
 * @property {string} text  the draft that stands for it
 * @property {boolean} typed  the change was typed
 *
 * @typedef {object} Chat
 * @property {ReadonlyMap<number, Talk>} talks  by the node at which the template's text ends
 * @property {AskedTalk | null} asked
 * @property {boolean} typing  the last change was typed, and goes on: one undo step
 * @property {boolean} entered  the surface has its conversation
 * @property {number | null} left  the node at which the conversation was left
 * @property {import("./initial.js").UndoStep | null} text  where the text was left
 * @property {boolean} marks  the template's tokens are shown
 * @property {Trouble | null} trouble  why it has no tokens
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
 * @property {number} planned  tokens that taking out computes; 0 for other methods
 * @property {number | null} left  seconds until all is measured, as far as can be told
 *
 * @typedef {object} Influencing  of the tab Why; does not outlive a reload
 * @property {ReadonlyMap<string, Influenced>} results  by question, newest last
 * @property {Trouble | null} trouble
 * @property {string | null} stopped  key of the question that was stopped
 * @property {number | null} contrast  token id; null: all others
 * @property {UnitKind} unit
 * @property {Method} method
 *
 * @typedef {"mask" | "logit_bias" | "ban" | "repetition_penalty" | "frequency_penalty" | "presence_penalty" | "temperature" | "top_h" | "top_k" | "top_p" | "min_p" | "typical_p" | "top_n_sigma" | "epsilon" | "eta" | "xtc"} StepName
 *
 * @typedef {object} Step  of sampling
 * @property {StepName} name
 * @property {boolean} on
 * @property {any} wire  as the server reads it; null if it would do nothing; the settings say it for temperature, top-p and min-p
 * @property {Readonly<Record<string, number>>} values  from which `wire` is made
 * @property {readonly {id: number, text: string}[]} tokens  that it is about, if it is about some; `text` as the page marks it
 * @property {{kind: string} & Readonly<Record<string, string>>} [form]  of a mask: which, and what was written for each
 * @property {number | null} [from]  the first token that a mask holds for; null: the next one
 * @property {boolean} [lost]  a mask was switched off because its first token is gone
 * @typedef {readonly Step[]} Chain
 *
 * @typedef {object} Sampling  what the steps of an answer did
 * @property {string} key  of the steps, but for `coin`
 * @property {number | undefined} coin  what decided whether XTC acts, if not the server’s default
 * @property {readonly string[]} names  within a sentence
 * @property {readonly {count: number, probability: number}[]} left  by each
 * @property {{count: number, probability: number}} kept  after all of them
 * @property {readonly import("./distribution.js").Candidate[]} likeliest  after all of them
 */
export {};
