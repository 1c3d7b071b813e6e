"""What schemathesis needs to be told to send the bodies of this API, and to get beyond the first refusal."""

import schemathesis


@schemathesis.serializer("application/x-ndjson", "application/toml")
def text(context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def map_body(context, body):
    # A model of any other name is refused before anything else is looked at.
    if isinstance(body, dict) and isinstance(body.get("model"), str):
        body["model"] = "ft" if len(body["model"]) % 2 else "base"
    return body
