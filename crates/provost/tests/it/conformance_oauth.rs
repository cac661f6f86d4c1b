//! What the conformance suite of MCP says of Provost as a client of OAuth.
//!
//! Not asked: what revision 2025-03-26 did without any metadata, which Provost does not do, and
//! grants without a person.

use std::{process::Stdio, time::Duration};

use tokio::process::Command;

use crate::{
    client,
    world::{PROVOST, told},
};

/// The scenarios, as the suite calls them after `auth/`.
const SCENARIOS: &[&str] = &[
    "metadata-default",
    "metadata-var1",
    "metadata-var2",
    "metadata-var3",
    "basic-cimd",
    "scope-from-www-authenticate",
    "scope-from-scopes-supported",
    "scope-omitted-when-undefined",
    "scope-step-up",
    "scope-retry-limit",
    "token-endpoint-auth-basic",
    "token-endpoint-auth-post",
    "token-endpoint-auth-none",
    "pre-registration",
    "2025-03-26-oauth-metadata-backcompat",
    "resource-mismatch",
    "offline-access-scope",
    "offline-access-not-supported",
    "authorization-server-migration",
    "iss-supported",
    "iss-not-advertised",
    "iss-supported-missing",
    "iss-wrong-issuer",
    "iss-unexpected",
    "iss-normalized",
    "metadata-issuer-mismatch",
];

/// Longest run of a scenario. Never an assertion about speed.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_suite_finds_nothing_wrong_with_how_provost_logs_in() {
    let (Some(node), Some(python)) = (client::node(), client::python_mcp()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/oauth_login.py");
    let driver = format!("{} {script} {PROVOST}", python.display());
    let mut failed = Vec::new();
    for scenario in SCENARIOS {
        let ran = Command::new(&node)
            .arg(client::conformance("conformance-next"))
            .args(["client", "--command", &driver, "--timeout", "100000", "--force"])
            .args(["--scenario", &format!("auth/{scenario}"), "-o"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let ran =
            tokio::time::timeout(PATIENCE, ran).await.expect("the scenario ends").unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let passed = said.contains("OVERALL: PASSED") || told(&ran).contains("OVERALL: PASSED");
        println!("{scenario}: {}", if passed { "passed" } else { "failed" });
        if !passed {
            failed.push(format!("{scenario}: {}", told(&ran)));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
