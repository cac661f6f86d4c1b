"""An MCP server of both eras, made with the SDK; notes which tools were really run."""

import asyncio
import pathlib
import socket
import sys

import uvicorn
from mcp.server.mcpserver import Context, MCPServer

form, notes = sys.argv[1], pathlib.Path(sys.argv[2])
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


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
app = server.streamable_http_app(json_response=form == "json")
config = uvicorn.Config(app, log_level="warning")
asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
