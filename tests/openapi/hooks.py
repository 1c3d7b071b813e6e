"""What schemathesis needs to be told to send the bodies of this API."""

import schemathesis


@schemathesis.serializer("application/x-ndjson", "application/toml")
def text(context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
