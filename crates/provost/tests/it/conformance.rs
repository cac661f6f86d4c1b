//! What the conformance suites of MCP say of a server, alone and behind the gateway.
//!
//! The gateway may lose nothing: a check that the server passes alone, it passes behind it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use http::{HeaderValue, Request, Uri, header::AUTHORIZATION};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use provost_mcp_fixture::Fixture;
use provost_scripted::Script;
use serde_json::Value;
use tokio::{net::TcpListener, process::Command, task::JoinHandle};

use crate::{
    client,
    world::{World, told},
};

/// Whoever it is, whatever it is: these tests are not about policy.
const POLICY: &str = r#"
@id("everything")
permit (principal, action in Mcp::Action::"all", resource);
"#;

/// What keys of details contain whose values are another in each run.
const OWN: [&str; 7] =
    ["session", "subscriptionid", "time", "duration", "port", "url", "delay"];

/// What every refusal of Provost's own ends with.
const OURS: &str = "[Provost: `provost audit show act_";

/// Longest run of a suite. Never an assertion about speed.
const PATIENCE: Duration = Duration::from_secs(300);
/// What a suite appends to the name of a scenario: `-2026-11-25T09-47-25-576Z`.
/// Unit: characters.
const TIMESTAMP_CHARS: usize = 25;

/// A suite and what is asked of it.
struct Suite {
    package: &'static str,
    arguments: &'static [&'static str],
    /// Checks that a run has at least. Source: what `provost-mcp-fixture` passes alone, so
    /// that a suite which asks for less than it did cannot pass unnoticed.
    checks_min: usize,
}

/// A check by its scenario, its id, its name, and how many of the same were before it.
type Check = (String, String, String, usize);

/// What a suite says of a check.
#[derive(Debug, PartialEq)]
struct Verdict {
    status: String,
    error: Value,
    /// What it looked at, without what is another in each run.
    details: Value,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_released_suite_is_lost_behind_the_gateway() {
    let arguments = &["--suite", "active"];
    loses_nothing(Suite { package: "conformance-released", arguments, checks_min: 40 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_last_revision_with_sessions_is_lost_behind_the_gateway() {
    let arguments = &["--suite", "all", "--spec-version", "2025-11-25"];
    loses_nothing(Suite { package: "conformance-next", arguments, checks_min: 84 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_first_revision_without_sessions_is_lost_behind_the_gateway() {
    let arguments = &["--suite", "all", "--spec-version", "2026-07-28"];
    loses_nothing(Suite { package: "conformance-next", arguments, checks_min: 153 }).await;
}

async fn loses_nothing(suite: Suite) {
    let Some(node) = client::node() else { return };
    let fixture = Fixture::start().await.unwrap();
    let mut world = World::install(Script::default()).await;
    world.configure(&format!("[mcp.servers.fixture]\nurl = \"{}\"\n", fixture.url()));
    world.policy("mcp", POLICY);
    world.serve().await;
    let (_, token) = world.session().await;
    let (entrance, passing) = bearing(world.server().gateway, &token).await;

    let alone = run(&suite, &node, &fixture.url(), &world.folder().join("alone")).await;
    let url = format!("http://{entrance}/mcp/fixture");
    let behind = run(&suite, &node, &url, &world.folder().join("behind")).await;
    passing.abort();

    println!("{} {:?}", suite.package, suite.arguments);
    println!("  alone:  {:?}\n  behind: {:?}", counts(&alone), counts(&behind));
    let passed = alone.values().filter(|verdict| verdict.status == "SUCCESS").count();
    assert!(passed >= suite.checks_min, "{passed} checks: {alone:#?}");
    let lost: Vec<_> = alone
        .iter()
        .filter(|(_, verdict)| verdict.status == "SUCCESS")
        .map(|(check, _)| (check, behind.get(check)))
        .filter(|(_, behind)| behind.is_none_or(|verdict| verdict.status != "SUCCESS"))
        .collect();
    assert!(lost.is_empty(), "lost: {lost:#?}\n{}", world.server_log());
    let other: Vec<_> = alone
        .iter()
        .filter(|(_, verdict)| verdict.status == "SUCCESS")
        .filter_map(|(check, verdict)| Some((check, verdict, behind.get(check)?)))
        .filter(|(_, alone, behind)| alone.details != behind.details)
        // What Provost refuses before the server does, it refuses in its own words.
        .filter(|(_, _, behind)| !behind.details.to_string().contains(OURS))
        .map(|(check, alone, behind)| (check, &alone.details, &behind.details))
        .collect();
    assert!(other.is_empty(), "it passes with other bodies: {other:#?}");
    let told = alone.values().filter(|verdict| verdict.details != Value::Null).count();
    println!("  {told} checks say what they looked at");

    world.concluded().await;
    assert!(world.end("TERM").await.success());
    world.done(&["audit", "verify"]).await;
}

/// Lets a client that knows no credentials through to the gateway: adds one to each request.
async fn bearing(gateway: SocketAddr, token: &str) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let credential = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http::<Incoming>();
    let passing = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (client, credential) = (client.clone(), credential.clone());
            let service =
                service_fn(move |ask| pass(client.clone(), gateway, credential.clone(), ask));
            // A connection that breaks is the client's affair.
            let conversation =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move { conversation.await.ok() });
        }
    });
    (address, passing)
}

async fn pass(
    client: Client<HttpConnector, Incoming>,
    gateway: SocketAddr,
    credential: HeaderValue,
    mut ask: Request<Incoming>,
) -> Result<http::Response<Incoming>, hyper_util::client::legacy::Error> {
    // `Host` stays as the client wrote it: the suites try strange ones.
    *ask.uri_mut() =
        Uri::try_from(format!("http://{gateway}{}", ask.uri().path())).unwrap_or_default();
    ask.headers_mut().insert(AUTHORIZATION, credential);
    client.request(ask).await
}

/// Runs a suite against a server; the status of each check, and what was wrong.
async fn run(suite: &Suite, node: &Path, url: &str, folder: &Path) -> BTreeMap<Check, Verdict> {
    let ran = Command::new(node)
        .arg(client::conformance(suite.package))
        .args(["server", "--url", url, "-o"])
        .arg(folder)
        .args(suite.arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ran = tokio::time::timeout(PATIENCE, ran).await.expect("the suite ends").unwrap();
    let checks = checks(folder, &ran);
    assert!(!checks.is_empty(), "{url}: {}", told(&ran));
    checks
}

fn checks(folder: &Path, ran: &Output) -> BTreeMap<Check, Verdict> {
    let mut all = BTreeMap::new();
    let scenarios = std::fs::read_dir(folder);
    for scenario in scenarios.unwrap_or_else(|error| panic!("{error}: {}", told(ran))) {
        let scenario = scenario.unwrap();
        let name = scenario.file_name().into_string().unwrap();
        let name = &name[..name.len() - TIMESTAMP_CHARS];
        let text = std::fs::read_to_string(scenario.path().join("checks.json")).unwrap();
        let listed: Vec<Value> = serde_json::from_str(&text).unwrap();
        for check in listed.iter().filter(|check| check["status"] != "INFO") {
            let member = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
            let key = |before| (name.to_owned(), member("id"), member("name"), before);
            let before = (0..).find(|before| !all.contains_key(&key(*before))).unwrap();
            let verdict = Verdict {
                status: member("status"),
                error: check["errorMessage"].clone(),
                details: stable(&check["details"]),
            };
            all.insert(key(before), verdict);
        }
    }
    all
}

/// How many checks have which status.
fn counts(checks: &BTreeMap<Check, Verdict>) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for Verdict { status, .. } in checks.values() {
        *counts.entry(status.as_str()).or_default() += 1;
    }
    counts
}

/// Details without times, ids of sessions, and addresses.
fn stable(details: &Value) -> Value {
    match details {
        Value::Object(members) => {
            let is_own = |key: &str| {
                let key = key.to_ascii_lowercase();
                OWN.iter().any(|own| key.contains(own))
            };
            // The id of an event is where its stream may be resumed.
            let is_event = members.contains_key("data");
            let is_kept = |key: &str| !(is_own(key) || is_event && key == "id");
            let kept = members.iter().filter(|(key, _)| is_kept(key));
            kept.map(|(key, value)| (key.clone(), stable(value))).collect()
        }
        Value::Array(items) => items.iter().map(stable).collect(),
        Value::String(text) if text.contains("127.0.0.1") => "an address".into(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => details.clone(),
    }
}
