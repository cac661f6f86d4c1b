"""An MCP server on standard streams: echoes, asks back, tells its environment, hangs, dies."""

import json
import os
import pathlib
import sys


def say(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def tool(name):
    return {"name": name, "inputSchema": {"type": "object"}}


for line in sys.stdin:
    message = json.loads(line)
    method, ident = message.get("method"), message.get("id")
    params = message.get("params") or {}
    if method == "initialize":
        say({"id": ident, "result": {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "program", "version": "1"},
        }})
    elif method == "tools/list":
        say({"id": ident, "result": {"tools": [tool(name) for name in
            ["environment", "pid", "progress", "die", "hang", "secret", "memory", "file"]]}})
    elif method == "tools/call":
        name = params["name"]
        if name == "die":
            sys.exit(3)
        if name == "hang":
            continue
        if name == "memory":
            bytearray(1 << 30)
        if name == "file":
            pathlib.Path("large").write_bytes(b"x" * 1_000_000)
        if name == "progress":
            token = params["_meta"]["progressToken"]
            say({"method": "notifications/progress",
                 "params": {"progressToken": token, "progress": 1}})
            say({"id": 999, "result": {"content": []}})
        text = {
            "environment": " ".join(sorted(os.environ)),
            "secret": os.environ.get("TOKEN", ""),
            "pid": str(os.getpid()),
        }.get(name, "done")
        say({"id": ident, "result": {"content": [{"type": "text", "text": text}]}})
    elif ident is not None:
        say({"id": ident, "error": {"code": -32601, "message": "no such method"}})
