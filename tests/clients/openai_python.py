"""What a program written for OpenAI expects of the gateway, said with the official client.

Run by tests/clients/main.rs as `python openai_python.py BASE_URL KEY`. Nothing but base URL and key is changed.
"""

import sys

import openai

base_url, key = sys.argv[1:]
client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=20)
asked = [{"role": "user", "content": "Say something."}]


def check(name, holds):
    if not holds:
        sys.exit(f"{name}: does not hold")
    print("ok:", name)


def refused(name, expected, call):
    """`call` fails with exactly this class of exception, and its body has the four keys of OpenAI's form."""
    try:
        call()
    except openai.APIStatusError as error:
        check(f"{name} is {expected.__name__}, not {type(error).__name__}", type(error) is expected)
        check(f"{name} has all four keys", {"message", "type", "param", "code"} <= set(error.body))
        check(f"{name} says who answers", error.response.headers["x-tollgate-source"] in ("gateway", "provider"))
        check(f"{name} has an id", bool(error.request_id))
        return error
    sys.exit(f"{name}: was answered")


answer = client.chat.completions.create(model="demo", messages=asked, max_tokens=12)
check("chat answers", answer.choices[0].message.content and answer.choices[0].message.role == "assistant")
check("chat counts", answer.usage.completion_tokens <= 12 and 0 < answer.usage.total_tokens)
check("chat ends", answer.choices[0].finish_reason in ("stop", "length"))
check("chat has an id", answer._request_id)

text, chunks = "", 0
with client.chat.completions.create(model="demo", messages=asked, max_tokens=12, stream=True) as stream:
    for chunk in stream:
        check("no usage unasked", not chunk.usage)
        text += chunk.choices[0].delta.content or ""
        chunks += 1
check("a stream comes in chunks", text and 2 < chunks)

usage = None
options = {"include_usage": True}
for chunk in client.chat.completions.create(
    model="demo", messages=asked, max_tokens=12, stream=True, stream_options=options
):
    usage = chunk.usage or usage
check("a stream counts if asked", usage and 0 < usage.completion_tokens <= 12)

with client.chat.completions.with_streaming_response.create(model="demo", messages=asked, stream=True) as response:
    check("a stream has rate limit headers", response.headers["x-ratelimit-limit-requests"])
    check("a stream has an id", response.headers["x-request-id"])

text = client.completions.create(model="demo", prompt="Once", max_tokens=8)
check("completions answer", text.choices[0].text)

vectors = client.embeddings.create(model="demo", input=["one", "two"])
check("embeddings answer", len(vectors.data) == 2 and len(vectors.data[0].embedding) == len(vectors.data[1].embedding))
same = client.embeddings.create(model="demo", input="one")
check("equal texts are equal vectors", same.data[0].embedding == vectors.data[0].embedding)

check("models are listed", "demo" in [model.id for model in client.models.list()])
check("a model is shown", client.models.retrieve("demo").id == "demo")

refused("temperature 7", openai.BadRequestError, lambda: client.chat.completions.create(model="demo", messages=asked, temperature=7))
refused("no messages", openai.BadRequestError, lambda: client.chat.completions.create(model="demo", messages=[]))
stranger = client.with_options(api_key="sk-nobody")
refused("another key", openai.AuthenticationError, lambda: stranger.chat.completions.create(model="demo", messages=asked))
error = refused("another model", openai.NotFoundError, lambda: client.chat.completions.create(model="nothing", messages=asked))
check("another model has its code", error.code == "model_not_found")
refused("another path", openai.NotFoundError, lambda: client.images.generate(prompt="a tollgate"))

client.chat.completions.create(model="limited", messages=asked, max_tokens=1)
error = refused("a limit", openai.RateLimitError, lambda: client.chat.completions.create(model="limited", messages=asked, max_tokens=1))
check("a limit says when to come back", 0 < int(error.response.headers["retry-after"]) <= 60)
check("a limit says it in milliseconds", 0 < int(error.response.headers["retry-after-ms"]) <= 60_000)
check("a limit has its code", error.code == "rate_limit_exceeded")

error = refused("a broken endpoint", openai.InternalServerError, lambda: client.chat.completions.create(model="broken", messages=asked))
check("a broken endpoint is 502", error.status_code == 502)
error = refused("an overloaded endpoint", openai.InternalServerError, lambda: client.chat.completions.create(model="overloaded", messages=asked))
check("an overloaded endpoint is 503", error.status_code == 503)

try:
    for _ in client.chat.completions.create(model="truncated", messages=asked, max_tokens=400, stream=True):
        pass
    sys.exit("a broken stream: ended as if it were whole")
except openai.APIError as error:
    check("a broken stream is an error", "message" in (error.body or {}))
