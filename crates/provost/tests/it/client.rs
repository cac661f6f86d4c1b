//! Where the real clients are; a missing one skips its tests loudly.

use std::path::PathBuf;

/// The workspace's folder of installed clients.
fn installed(path: &str) -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.join("../../target/clients").join(path)
}

/// Claude Code's own program, or the reason there is none.
pub(crate) fn claude() -> Option<PathBuf> {
    found("Claude Code", installed("node_modules/@anthropic-ai/claude-code-linux-x64/claude"))
}

/// A Python that can import `anthropic`, or the reason there is none.
pub(crate) fn python() -> Option<PathBuf> {
    found("the Anthropic Python SDK", installed("venv/bin/python"))
}

/// A Python that can import `mcp`, or the reason there is none.
pub(crate) fn python_mcp() -> Option<PathBuf> {
    found("the MCP Python SDK", installed("mcp.version"))?;
    Some(installed("venv/bin/python"))
}

/// A Node that can run the conformance suites of MCP, or the reason there is none.
pub(crate) fn node() -> Option<PathBuf> {
    let node = installed("conformance/node_modules/node/bin/node");
    found("the MCP conformance suite", node)
}

/// The folder of the programs that are MCP servers, or the reason there is none. They need
/// [`node`].
pub(crate) fn mcp_servers() -> Option<PathBuf> {
    found("the MCP servers", installed("mcp-servers.version"))?;
    Some(installed("servers/node_modules/.bin"))
}

/// The program of a conformance suite that [`node`] runs.
pub(crate) fn conformance(package: &str) -> PathBuf {
    installed(&format!("conformance/node_modules/{package}/dist/index.js"))
}

fn found(client: &str, path: PathBuf) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(
        std::env::var_os("PROVOST_REQUIRE_CLIENTS").is_none(),
        "{test} needs {client}: run `cargo xtask test`"
    );
    println!("SKIPPED: {test}: {client} is not installed: run `cargo xtask test`");
    None
}
