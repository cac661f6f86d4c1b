"""An MCP server of both eras, made with the SDK; notes which tools were really run."""

import asyncio
import pathlib
import socket
import sys

import uvicorn
from mcp.server.mcpserver import Context, MCPServer

form, era, notes = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
server = MCPServer("fake")


def note(what: str) -> None:
    with notes.open("a") as file:
        file.write(what + "\n")


@server.tool()
def read(repo: str) -> str:
    """Reads a repository."""
    note(f"read {repo}")
    return f"{repo} holds a page"


@server.tool()
def push(repo: str) -> str:
    """Pushes to a repository."""
    note(f"push {repo}")
    return "pushed"


@server.tool()
def drop(repo: str) -> str:
    """Drops a repository."""
    note(f"drop {repo}")
    return "dropped"


@server.tool()
async def slow(repo: str, ctx: Context) -> str:
    """Tells how far it is."""
    await ctx.report_progress(1, 2)
    note(f"slow {repo}")
    return "done at last"


def with_sessions_only(app):
    """Refuses what only the newer era knows, as an older server does."""

    async def answer(scope, receive, send):
        headers = dict(scope.get("headers") or [])
        if headers.get(b"mcp-method") != b"server/discover":
            await app(scope, receive, send)
            return
        json = (b"content-type", b"application/json")
        await send({"type": "http.response.start", "status": 400, "headers": [json]})
        body = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no session"}}'
        await send({"type": "http.response.body", "body": body})

    return answer


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
app = server.streamable_http_app(json_response=form == "json")
if era == "sessions":
    app = with_sessions_only(app)
config = uvicorn.Config(app, log_level="warning")
asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
