"""What a program does with the SDK: lists tools, calls them, and prints what it hears."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

where, token, mode, *servers = sys.argv[1:]


async def call(client: Client, name: str, **arguments: object) -> None:
    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        print(f"{name}: progress {progress}")

    try:
        result = await client.call_tool(name, arguments, progress_callback=on_progress)
        failed = "error: " if result.is_error else ""
        print(f"{name}: {failed}{result.content[0].text}")
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}")


@contextlib.asynccontextmanager
async def transport() -> AsyncIterator[object]:
    """To a URL, or to a program, which is then the bridge."""
    if not where.startswith("http"):
        env = {"PROVOST_GATEWAY": os.environ["PROVOST_GATEWAY"], "PROVOST_CREDENTIAL": token}
        yield stdio_client(StdioServerParameters(command=where, args=["mcp", "--all" if servers else "fake"], env=env))
        return
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers) as http:
        yield streamable_http_client(where, http_client=http)


async def main() -> None:
    async with transport() as way, Client(way, mode=mode) as client:
        tools = await client.list_tools()
        print("tools:", *sorted(tool.name for tool in tools.tools))
        for prefix in [f"{server}__" for server in servers] or [""]:
            await call(client, prefix + "read", repo="acme/site")
            await call(client, prefix + "slow", repo="acme/site")
            await call(client, prefix + "push", repo="acme/site")
            await call(client, prefix + "read", repo="evil/site")
            await call(client, prefix + "read")
        print("done")


asyncio.run(main())
