"""Asks a server for everything it lists and does, and prints each answer on a line.

A server is `stdio:PROGRAM ARGUMENT…`, or `NAME=URL` with a token in the environment, or
`NAME@URL` for the same server among all.
"""

import asyncio
import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

where, name, folder = sys.argv[1:]
prefix, scheme = ("", "") if "@" not in where else (f"{name}__", f"provost+{name}:")

TOOLS = {
    "everything": [
        ("echo", {"message": "ä \u2028 \"x\" \\ \u0000"}),
        ("get-annotated-message", {"messageType": "error", "includeImage": True}),
        ("get-resource-links", {"count": 4}),
        ("get-resource-reference", {"resourceType": "Text", "resourceId": 1}),
        ("get-structured-content", {"location": "Chicago"}),
        ("get-sum", {"a": 1, "b": 0.1}),
        ("get-tiny-image", {}),
        ("trigger-long-running-operation", {"duration": 0.2, "steps": 2}),
    ],
    "filesystem": [
        ("list_allowed_directories", {}),
        ("write_file", {"path": f"{folder}/new.txt", "content": "one\ntwo\n"}),
        ("read_text_file", {"path": f"{folder}/new.txt", "head": 1}),
        ("read_text_file", {"path": f"{folder}/missing.txt"}),
        ("read_text_file", {"path": "/etc/passwd"}),
        ("edit_file", {"path": f"{folder}/new.txt",
                       "edits": [{"oldText": "two", "newText": "zwei"}]}),
        ("read_multiple_files", {"paths": [f"{folder}/new.txt", f"{folder}/missing.txt"]}),
        ("create_directory", {"path": f"{folder}/made"}),
        ("move_file", {"source": f"{folder}/new.txt", "destination": f"{folder}/made/a.txt"}),
        ("list_directory_with_sizes", {"path": folder}),
        ("directory_tree", {"path": folder}),
        ("search_files", {"path": folder, "pattern": "**/*.txt"}),
    ],
    "memory": [
        ("create_entities", {"entities": [
            {"name": "a", "entityType": "person", "observations": ["x"]},
            {"name": "b", "entityType": "place", "observations": []}]}),
        ("create_relations", {"relations": [{"from": "a", "to": "b", "relationType": "at"}]}),
        ("add_observations", {"observations": [{"entityName": "a", "contents": ["y"]}]}),
        ("add_observations", {"observations": [{"entityName": "no", "contents": ["y"]}]}),
        ("read_graph", {}),
        ("search_nodes", {"query": "person"}),
        ("delete_entities", {"entityNames": ["b"]}),
        ("open_nodes", {"names": ["a", "b"]}),
    ],
}
PROMPTS = {"everything": [("simple-prompt", {}), ("args-prompt", {"city": "Bern"}),
                          ("resource-prompt", {"resourceType": "Text", "resourceId": "1"})]}
RESOURCES = {
    "everything": ["demo://resource/static/document/architecture.md",
                   "demo://resource/dynamic/text/1", "demo://resource/dynamic/blob/2"],
    "memory": ["memory://knowledge-graph"],
}


def show(what: str, answer: object) -> None:
    text = json.dumps(answer, sort_keys=True, ensure_ascii=True)
    if prefix:
        text = text.replace(prefix, "").replace(scheme, "")
    # The only thing that these servers say of when they were asked.
    text = re.sub(r"\d{1,2}:\d\d:\d\d [AP]M", "TIME", text)
    text = re.sub(r'"blob": "[^"]*"', '"blob": "…"', text) if "dynamic" in what else text
    print(what, text, flush=True)


@contextlib.asynccontextmanager
async def transport() -> AsyncIterator[object]:
    if where.startswith("stdio:"):
        program, *arguments = where.removeprefix("stdio:").split()
        env = {key: os.environ[key] for key in ("PATH", "MEMORY_FILE_PATH")}
        yield stdio_client(StdioServerParameters(command=program, args=arguments, env=env))
        return
    url = re.split("[=@]", where, maxsplit=1)[1]
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        yield streamable_http_client(url, http_client=http)


async def ask(what: str, asking) -> None:
    try:
        show(what, (await asking).model_dump(mode="json", by_alias=True))
    except Exception as error:
        # Which server it was is not the client's to know.
        show(what, f"{type(error).__name__}: {error}")


async def main() -> None:
    async with transport() as way, Client(way, mode="legacy") as client:
        for what, listing in [
            ("tools", client.list_tools), ("prompts", client.list_prompts),
            ("resources", client.list_resources), ("templates", client.list_resource_templates),
        ]:
            try:
                listed = (await listing()).model_dump(mode="json", by_alias=True)
            except Exception:
                continue
            items = next(value for value in listed.values() if isinstance(value, list))
            for item in items:
                uri = item.get("uri") or item.get("uriTemplate")
                is_own = uri.startswith(scheme) if uri else item["name"].startswith(prefix)
                if is_own:
                    show(what, item)
        for tool, arguments in TOOLS[name]:
            async def on_progress(progress: float, total: float | None, message: str | None):
                show(f"{tool} progress", [progress, total, message])

            asking = client.call_tool(prefix + tool, arguments, progress_callback=on_progress)
            await ask(tool, asking)
        for prompt, arguments in PROMPTS.get(name, []):
            await ask(prompt, client.get_prompt(prefix + prompt, arguments))
        for uri in RESOURCES.get(name, []):
            await ask(uri, client.read_resource(scheme + uri))


asyncio.run(main())
