//! The real clients that the tests drive, each at one exact version.
//!
//! They go to `target/clients`, where the tests look for them. A client that cannot be had is
//! named in the summary with the reason, and its tests count as skipped.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context as _, Result};

use crate::step;

/// Source: the version whose behaviour was measured, November 2026.
const CLAUDE_CODE: &str = "@anthropic-ai/claude-code@2.1.330";
/// Source: as above.
const ANTHROPIC_PYTHON: &str = "anthropic==2.12.0";
/// Source: as above.
const MCP_PYTHON: &str = "mcp==2.3.0";
/// The conformance suite of MCP as it was released, the one of the revision after, which
/// asks for more, and the Node that both need. Source: as above.
const MCP_CONFORMANCE: [&str; 3] = [
    "conformance-released@npm:@modelcontextprotocol/conformance@0.1.16",
    "conformance-next@npm:@modelcontextprotocol/conformance@0.2.0-alpha.12",
    "node@22.23.3",
];
/// Node and one of the suites, which only Node 22 and later can start.
const MCP_NODE: &str = "target/clients/conformance/node_modules/node/bin/node";
/// Where the newer suite of [`MCP_CONFORMANCE`] is.
const MCP_SUITE: &str =
    "target/clients/conformance/node_modules/conformance-next/dist/index.js";
/// Servers that people run, as programs. Source: the newest, November 2026.
const MCP_SERVERS: [&str; 3] = [
    "@modelcontextprotocol/server-everything@2026.8.31",
    "@modelcontextprotocol/server-filesystem@2026.8.31",
    "@modelcontextprotocol/server-memory@2026.8.31",
];
/// One of [`MCP_SERVERS`].
const MCP_SERVER: &str = "target/clients/servers/node_modules/.bin/mcp-server-memory";
/// The package of [`CLAUDE_CODE`] that holds the program itself.
const CLAUDE_PROGRAM: &str =
    "target/clients/node_modules/@anthropic-ai/claude-code-linux-x64/claude";
/// The Python of the environment that [`ANTHROPIC_PYTHON`] is installed in.
const PYTHON: &str = "target/clients/venv/bin/python";

/// A client that the tests will have to do without.
pub(crate) struct Missing {
    /// The client, as people call it.
    pub(crate) client: &'static str,
    /// Why it is not there.
    pub(crate) reason: String,
}

/// Installs every client that is not there yet, and fails if one could not be had.
pub(crate) fn run() -> Result<ExitCode> {
    let missing = install()?;
    for Missing { client, reason } in &missing {
        step::say(&format!("not installed: {client}: {reason}"));
    }
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Installs every client that is not there yet; gives those that could not be had.
pub(crate) fn install() -> Result<Vec<Missing>> {
    fs::create_dir_all("target/clients").context("cannot make target/clients")?;
    let mut missing = Vec::new();
    for (client, installed) in [
        ("Claude Code", claude_code()),
        ("Anthropic Python SDK", anthropic_python()),
        ("MCP Python SDK", mcp_python()),
        ("MCP conformance suite", mcp_conformance()),
        ("MCP servers", mcp_servers()),
    ] {
        if let Err(error) = installed {
            missing.push(Missing { client, reason: format!("{error:#}") });
        }
    }
    Ok(missing)
}

fn claude_code() -> Result<()> {
    if is_version("target/clients/claude-code.version", CLAUDE_CODE, CLAUDE_PROGRAM) {
        return Ok(());
    }
    let arguments = ["install", "--no-audit", "--no-fund", "--prefix", "target/clients"];
    let mut npm = step::program("npm", &arguments);
    let installed = step::passes(npm.arg(CLAUDE_CODE))?;
    anyhow::ensure!(installed, "npm could not install {CLAUDE_CODE}");
    let runs = step::works(&mut step::program(CLAUDE_PROGRAM, &["--version"]));
    anyhow::ensure!(runs, "{CLAUDE_CODE} was installed but does not start");
    remember("target/clients/claude-code.version", CLAUDE_CODE)
}

fn anthropic_python() -> Result<()> {
    if is_version("target/clients/anthropic.version", ANTHROPIC_PYTHON, PYTHON) {
        return Ok(());
    }
    let created =
        step::passes(&mut step::program("python3", &["-m", "venv", "target/clients/venv"]))?;
    anyhow::ensure!(created, "python3 could not make a virtual environment");
    let pip = ["-m", "pip", "install", "--quiet", ANTHROPIC_PYTHON];
    let installed = step::passes(&mut step::program(PYTHON, &pip))?;
    anyhow::ensure!(installed, "pip could not install {ANTHROPIC_PYTHON}");
    let runs = step::works(&mut step::program(PYTHON, &["-c", "import anthropic"]));
    anyhow::ensure!(runs, "{ANTHROPIC_PYTHON} was installed but cannot be imported");
    remember("target/clients/anthropic.version", ANTHROPIC_PYTHON)
}

/// Into the environment that [`anthropic_python`] made.
fn mcp_python() -> Result<()> {
    if is_version("target/clients/mcp.version", MCP_PYTHON, PYTHON) {
        return Ok(());
    }
    let pip = ["-m", "pip", "install", "--quiet", MCP_PYTHON];
    let installed = step::passes(&mut step::program(PYTHON, &pip))?;
    anyhow::ensure!(installed, "pip could not install {MCP_PYTHON}");
    let runs = step::works(&mut step::program(PYTHON, &["-c", "import mcp, uvicorn"]));
    anyhow::ensure!(runs, "{MCP_PYTHON} was installed but cannot be imported");
    remember("target/clients/mcp.version", MCP_PYTHON)
}

/// In a folder of its own: npm removes from a folder what it does not know to be wanted there,
/// such as Claude Code. Two versions of one package go by names of their own.
fn mcp_conformance() -> Result<()> {
    let folder = "target/clients/conformance";
    let versions = MCP_CONFORMANCE.join(" ");
    if is_version("target/clients/mcp-conformance.version", &versions, MCP_SUITE) {
        return Ok(());
    }
    let arguments = ["install", "--no-audit", "--no-fund", "--prefix", folder];
    let mut npm = step::program("npm", &arguments);
    let installed = step::passes(npm.args(MCP_CONFORMANCE))?;
    anyhow::ensure!(installed, "npm could not install {versions}");
    let runs = step::works(&mut step::program(MCP_NODE, &[MCP_SUITE, "list"]));
    anyhow::ensure!(runs, "{MCP_SUITE} was installed but does not start");
    remember("target/clients/mcp-conformance.version", &versions)
}

/// In a folder of their own, for the same reason. They run under the Node of
/// [`mcp_conformance`].
fn mcp_servers() -> Result<()> {
    let versions = MCP_SERVERS.join(" ");
    if is_version("target/clients/mcp-servers.version", &versions, MCP_SERVER) {
        return Ok(());
    }
    let folder = "target/clients/servers";
    let arguments = ["install", "--no-audit", "--no-fund", "--prefix", folder];
    let mut npm = step::program("npm", &arguments);
    let installed = step::passes(npm.args(MCP_SERVERS))?;
    anyhow::ensure!(installed, "npm could not install {versions}");
    remember("target/clients/mcp-servers.version", &versions)
}

/// True when `program` is there, and was put there at `version`.
fn is_version(note: &str, version: &str, program: &str) -> bool {
    Path::new(program).exists() && fs::read_to_string(note).is_ok_and(|noted| noted == version)
}

/// Notes that an installation of `version` was completed.
fn remember(note: &str, version: &str) -> Result<()> {
    fs::write(note, version).with_context(|| format!("cannot write {note}"))
}
