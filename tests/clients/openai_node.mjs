// What a program written for OpenAI expects of the gateway, said with the official client for Node.
// Run by tests/clients/main.rs as `node openai_node.mjs BASE_URL KEY`, where `openai` can be found.

import OpenAI from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 20_000 });
const messages = [{ role: "user", content: "Say something." }];

function check(name, holds) {
  if (!holds) {
    console.error(`${name}: does not hold`);
    process.exit(1);
  }
  console.log("ok:", name);
}

async function refused(name, kind, call) {
  try {
    await call();
  } catch (error) {
    check(`${name} is ${kind.name}, not ${error.constructor.name}`, error.constructor === kind);
    check(`${name} has an id`, error.requestID);
    return error;
  }
  check(`${name} is refused`, false);
}

const answer = await client.chat.completions.create({ model: "demo", messages, max_tokens: 12 });
check("chat answers", answer.choices[0].message.content && answer.usage.completion_tokens <= 12);

let text = "";
for await (const chunk of await client.chat.completions.create({ model: "demo", messages, max_tokens: 12, stream: true })) {
  text += chunk.choices[0].delta.content ?? "";
}
check("a stream comes whole", text);

const vectors = await client.embeddings.create({ model: "demo", input: ["one", "two"] });
check("embeddings answer", vectors.data.length === 2 && vectors.data[0].embedding.length === vectors.data[1].embedding.length);

const models = [];
for await (const model of client.models.list()) models.push(model.id);
check("models are listed", models.includes("demo"));

await refused("temperature 7", OpenAI.BadRequestError, () =>
  client.chat.completions.create({ model: "demo", messages, temperature: 7 }));
await refused("another key", OpenAI.AuthenticationError, () =>
  new OpenAI({ baseURL, apiKey: "sk-nobody", maxRetries: 0 }).chat.completions.create({ model: "demo", messages }));
await refused("another model", OpenAI.NotFoundError, () =>
  client.chat.completions.create({ model: "nothing", messages }));
await refused("a broken endpoint", OpenAI.InternalServerError, () =>
  client.chat.completions.create({ model: "broken", messages }));
await refused("an overloaded endpoint", OpenAI.InternalServerError, () =>
  client.chat.completions.create({ model: "overloaded", messages }));
const limited = () => client.chat.completions.create({ model: "limited", messages, max_tokens: 1 });
await limited().catch(() => {});
const error = await refused("a limit", OpenAI.RateLimitError, limited);
check("a limit says when to come back", 0 < Number(error.headers.get("retry-after")));

let broke = false;
try {
  for await (const _ of await client.chat.completions.create({ model: "truncated", messages, max_tokens: 400, stream: true }));
} catch (error) {
  broke = error instanceof OpenAI.APIError;
}
check("a broken stream is an error", broke);
