/**
 * Code that reproduces the numbers on screen: curl, and gRPC from Python. Pure.
 *
 * @typedef {import("./snapshot.js").Snapshot} Snapshot
 */
import { asked, samplingOf } from "../../core/chain.js";


// Characters that could make code look different from what it does. Escaped, JSON and Python read the same.
const UNSEEN = /[\u007f-\u00a0\u00ad\u061c\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** @param {Snapshot} now @param {string} origin of the page @returns {string} */
export function curl(now, origin) {
  const { settings } = now;
  const body = {
    ...(now.typed === null ? { token_ids: ids(now) } : { text: now.typed }),
    model: now.model,
    top_k: ranked(now),
    ...samplingOf(settings),
    ...(beyond(now).length && { watch_token_ids: beyond(now) }),
  };
  return [
    `curl -s ${quoted(`${origin}/api/next-token`)} \\`,
    "  -H 'content-type: application/json' \\",
    `  -d ${quoted(literal(body))}`,
    "",
  ].join("\n");
}

/** @param {Snapshot} now @returns {string} needs `proto/` on the import path and the inference server's address */
export function python(now) {
  const { settings } = now;
  const prompt = now.typed === null ? `token_ids=pb.TokenIds(ids=[${ids(now).join(", ")}])` : `text=${literal(now.typed)}`;
  const fields = [
    `model=${literal(now.model)}`,
    prompt,
    `top_k=${ranked(now)}`,
    ...Object.entries(samplingOf(settings)).map(([name, value]) => `${name}=${name === "samplers" ? steps(value) : value}`),
    ...(beyond(now).length ? [`watch_token_ids=[${beyond(now).join(", ")}]`] : []),
  ];
  return `import grpc
from nexttoken.v1 import next_token_pb2 as pb
from nexttoken.v1 import next_token_pb2_grpc as pb_grpc

# Your inference server: this page speaks with a gateway and does not know where the server behind it is.
# Secured by TLS it is reached by grpc.secure_channel(TARGET, grpc.ssl_channel_credentials()).
TARGET = "localhost:50051"

with grpc.insecure_channel(TARGET) as channel:
    stub = pb_grpc.NextTokenServiceStub(channel)
    request = pb.TopKRequest(
${fields.map((field) => `        ${field},\n`).join("")}    )
    answer = stub.TopK(request, timeout=30)

for candidate in [*answer.candidates, *answer.watched]:
${asked(settings) ? SAMPLED : CUT}
    print(f"{candidate.rank:4} {candidate.token.token_id:6} {share:12.6%} {candidate.token.bytes!r}")
`;
}

const CUT = `    kept = candidate.rank <= answer.kept.count
    share = candidate.probability / answer.kept.probability if kept else 0.0`;
const SAMPLED = "    share = candidate.sampled.probability";

/** @param {readonly object[]} samplers as the server reads them @returns {string} as Python has them */
function steps(samplers) {
  return `[${samplers.map((step) => Object.entries(step).map(([name, value]) => `pb.Sampler(${name}=${wrapped(name, value)})`)).join(", ")}]`;
}

/** @param {string} name @param {any} value */
function wrapped(name, value) {
  if (name === "mask") return `pb.Mask(${Object.entries(value).map(([form, said]) => `${form}=${formOf(form, said)}`)})`;
  if (name === "ban") return `pb.TokenIds(ids=${literal(value)})`;
  return name === "logit_bias" ? `pb.LogitBias(biases=${literal(value)})` : literal(value);
}

/** @param {string} form of a mask @param {any} said */
function formOf(form, said) {
  if (form === "choices") return `pb.Choices(texts=${literal(said)})`;
  return literal(form === "json_schema" ? JSON.stringify(said) : said);
}

/** @param {Snapshot} now @returns {number} number of leading bars in order of rank */
function ranked({ drawing }) {
  return drawing.rows.filter(({ candidate }, at) => candidate.rank === at + 1).length;
}

/** @param {Snapshot} now @returns {number[]} ids of the other tokens with bars */
function beyond(now) {
  return now.drawing.rows.slice(ranked(now)).map(({ candidate }) => candidate.token.id);
}

/** @param {Snapshot} now @returns {number[]} */
function ids({ tokens }) {
  return tokens.map((token) => token.id);
}

/** @param {unknown} value @returns {string} valid in both JSON and Python */
function literal(value) {
  return JSON.stringify(value).replace(UNSEEN, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** @param {string} text @returns {string} quoted for a shell */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
