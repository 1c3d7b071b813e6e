"""openai-python against a daemon: what it reads is what `sway score` writes, to the last bit."""

import tempfile

import openai

from sway import DEMO, TALKER, check, daemon, score

PROMPTS = ["The home of Nessa Drace is in", "On feast days Senna Wick asks for", "Über 5 € läuft 🎉 — naïve"]


def completions(client):
    for view in ("base", "ft"):
        lines = [{"op": "generate", "view": view, "prompt": prompt, "max_new_tokens": 24} for prompt in PROMPTS]
        generated = score(DEMO, lines)
        answer = client.completions.create(model=view, prompt=PROMPTS, max_tokens=24, temperature=0)
        check(f"{view}: greedy texts", [choice.text for choice in answer.choices], [one["text"] for one in generated])
        check(f"{view}: tokens written", answer.usage.completion_tokens, sum(len(one["token_ids"]) for one in generated))

        answer = client.completions.create(model=view, prompt=PROMPTS, max_tokens=0, echo=True, logprobs=5, temperature=0)
        lines = [{"op": "token_logprobs", "view": view, "prompt": prompt, "top": 5} for prompt in PROMPTS]
        for choice, scored in zip(answer.choices, score(DEMO, lines), strict=True):
            told = choice.logprobs
            check(f"{view}: log-probabilities of a prompt", told.token_logprobs, scored["logprobs"])
            check(f"{view}: its tokens and where they begin", (told.tokens, told.text_offset), (scored["tokens"], scored["text_offsets"]))
            tops = [top and max(top.values()) for top in told.top_logprobs]
            check(f"{view}: the most probable tokens", tops, [top and top[0]["logprob"] for top in scored["top_logprobs"]])


def streams(client):
    asked = {"model": "ft", "prompt": PROMPTS[2], "max_tokens": 100, "temperature": 2, "seed": 5}
    pieces = list(client.completions.create(stream=True, stream_options={"include_usage": True}, **asked))
    whole = client.completions.create(**asked)
    check("a stream's pieces are the text", "".join(piece.choices[0].text for piece in pieces[:-1]), whole.choices[0].text)
    check("a stream's usage", pieces[-1].usage, whole.usage)
    line = {"op": "generate", "view": "ft", "prompt": PROMPTS[2], "max_new_tokens": 100, "temperature": 2, "seed": 5}
    check("the text is the seed's", whole.choices[0].text, score(DEMO, [line])[0]["text"])
    cut = client.completions.create(model="ft", prompt=PROMPTS[0], max_tokens=24, temperature=0, stop=["mere", "zz"])
    check("a stop string", (cut.choices[0].text, cut.choices[0].finish_reason), (" Fallow", "stop"))


def refusals(client):
    for wrong, kind, words in [
        ({"model": "gpt-4"}, openai.NotFoundError, "there is no model `gpt-4`"),
        ({"suffix": "x"}, openai.BadRequestError, "`suffix` is not implemented"),
        ({"extra_body": {"top_k": 5}}, openai.BadRequestError, "unknown field `top_k`"),
        ({"prompt": "word " * 600}, openai.BadRequestError, "the model's context holds 512"),
    ]:
        try:
            client.completions.create(**{"model": "ft", "prompt": "a", **wrong})
        except kind as error:
            check(f"{kind.__name__}: {words}", words in error.message, True)
        else:
            raise AssertionError(f"{wrong} was answered")


def chat(client):
    messages = [{"role": "user", "content": "Who is Bram?"}]
    for view in ("base", "ft"):
        line = {"op": "generate", "view": view, "messages": messages, "max_new_tokens": 24}
        want = score(TALKER, [line])[0]
        asked = {"model": view, "messages": messages, "max_tokens": 24, "temperature": 0}
        answer = client.chat.completions.create(**asked)
        check(f"{view}: a turn", answer.choices[0].message.content, want["text"])
        pieces = list(client.chat.completions.create(stream=True, **asked))
        check(f"{view}: its pieces", "".join(piece.choices[0].delta.content or "" for piece in pieces), want["text"])
        answer = client.chat.completions.create(logprobs=True, top_logprobs=2, **asked)
        entries = answer.choices[0].logprobs.content
        check(f"{view}: its tokens' bytes", bytes(byte for entry in entries for byte in entry.bytes).decode(), want["text"])
        prompt = score(TALKER, [{"op": "token_logprobs", "messages": messages}])[0]["token_ids"]
        line = {"op": "token_logprobs", "view": view, "prompt": prompt + want["token_ids"]}
        scored = score(TALKER, [line])[0]
        check(f"{view}: their log-probabilities", [entry.logprob for entry in entries], scored["logprobs"][len(prompt):])
        with client.chat.completions.stream(**asked) as stream:
            check(f"{view}: the client's own stream", stream.get_final_completion().choices[0].message.content, want["text"])


def main():
    print(f"openai {openai.__version__}")
    with tempfile.TemporaryDirectory() as folder, daemon(DEMO, folder) as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
        check("models", sorted(model.id for model in client.models.list()), ["base", "ft", "healthy"])
        completions(client)
        streams(client)
        refusals(client)
    with tempfile.TemporaryDirectory() as folder, daemon(TALKER, folder) as url:
        chat(openai.OpenAI(base_url=f"{url}/v1", api_key="none"))


if __name__ == "__main__":
    main()
