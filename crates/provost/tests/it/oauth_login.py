"""The client that the conformance suite judges: an installation of Provost, a person who logs in
there, and an agent that calls a tool through it."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

provost, url = sys.argv[1:]
scenario = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
POLICY = '@id("e") permit (principal, action in Mcp::Action::"all", resource);'


class Installation:
    def __init__(self, folder: str) -> None:
        self.data = pathlib.Path(folder, "data")
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "PROVOST_DATA_DIR": str(self.data),
            "PROVOST_LISTEN_GATEWAY": "127.0.0.1:0",
            "PROVOST_LISTEN_CONTROL": "127.0.0.1:0",
        }
        self.run("init")
        self.run("agent", "create", "bot", "--project", "p")
        (self.data / "policies/mcp.cedar").write_text(POLICY)
        client = context.get("client_id")
        if client is None and "cimd" in scenario:
            client = "https://conformance-test.local/client-metadata.json"
        table = f'[mcp.servers.s]\nurl = "{url}"\noauth = true\n'
        self.configure(table + (f'oauth_client = "{client}"\n' if client else ""))
        self.start()

    def run(self, *arguments: str) -> str:
        done = subprocess.run([provost, *arguments], env=self.env, capture_output=True, timeout=20)
        print(arguments, done, file=sys.stderr)
        return done.stdout.decode()

    def configure(self, text: str) -> None:
        with (self.data / "provost.toml").open("a") as file:
            file.write(text)

    def start(self) -> None:
        self.server = subprocess.Popen([provost, "serve"], env=self.env, stdout=subprocess.DEVNULL)
        run_file = self.data / "run.json"
        while not run_file.exists():
            assert self.server.poll() is None
            time.sleep(0.05)
        self.gateway = "http://" + json.loads(run_file.read_text())["gateway"]
        told = self.run("env", "--agent", "bot", "--format", "json")
        self.token = json.loads(told)["ANTHROPIC_AUTH_TOKEN"]

    def stop(self) -> None:
        self.server.terminate()
        self.server.wait()

    def login(self) -> bool:
        secret = context.get("client_secret", "")
        command = [provost, "mcp", "login", "s"] + (["--client-secret"] if secret else [])
        pipe = subprocess.PIPE
        login = subprocess.Popen(command, env=self.env, stdin=pipe, stderr=pipe, text=True)
        login.stdin.write(secret)
        login.stdin.close()
        for line in login.stderr:
            print(line, end="", file=sys.stderr)
            if line.strip().startswith("http"):
                # What a browser does: it goes wherever it is sent.
                try:
                    urllib.request.urlopen(line.strip(), timeout=10).read()
                except OSError as error:
                    print("browser:", error, file=sys.stderr)
                break
        print(login.stderr.read(), file=sys.stderr)
        return login.wait(20) == 0

    def post(self, message: dict, session: str | None = None) -> tuple[str | None, str]:
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2025-11-25",
        } | ({"Mcp-Session-Id": session} if session else {})
        message = json.dumps({"jsonrpc": "2.0"} | message).encode()
        request = urllib.request.Request(self.gateway + "/mcp/s", message, headers)
        try:
            answer = urllib.request.urlopen(request, timeout=20)
        except urllib.error.HTTPError as error:
            answer = error
        text = answer.read().decode()
        print(message, answer.status, text, file=sys.stderr)
        return answer.headers.get("mcp-session-id"), text

    def converse(self) -> str:
        client = {"name": "t", "version": "1"}
        begin = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        session, said = self.post({"id": 1, "method": "initialize", "params": begin})
        self.post({"method": "notifications/initialized"}, session)
        said += self.post({"id": 2, "method": "tools/list"}, session)[1]
        call = {"name": "test-tool", "arguments": {}}
        return said + self.post({"id": 3, "method": "tools/call", "params": call}, session)[1]


with tempfile.TemporaryDirectory() as folder:
    installation = Installation(folder)
    try:
        is_in = installation.login()
        said = installation.converse()
        # What an operator does who reads what the agent was told.
        if wanted := re.search(r"lacks the scope `([^`]*)`", said):
            installation.stop()
            scopes = ["mcp:basic", *wanted[1].split()]
            installation.configure(f"oauth_scopes = {json.dumps(scopes)}\n")
            installation.start()
        if "provost mcp login s" in said and is_in:
            is_in = installation.login()
            said = installation.converse()
    finally:
        installation.stop()
sys.exit(0 if is_in and "provost mcp login s" not in said else 1)
