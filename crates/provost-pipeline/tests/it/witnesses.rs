//! One tool call, seen on several planes: joined, or an alert where it does not fit.

use std::{future::pending, time::Duration};

use bytes::Bytes;
use provost_ledger::{Event, Record};
use provost_pipeline::{Gateway, Malformed, OpenedSession, Permit, Presented, Refusal, Reply};
use provost_types::{Action, Correlation, Outcome, Plane, Resource, Status, Value};
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::tempdir;

use crate::world::World;

const POLICIES: &str = r#"
permit (principal, action in Mcp::Action::"all", resource);
forbid (principal, action == Tool::Action::"call", resource)
when { context.risks.contains("push") };
"#;

/// What one action tells: `llm call:t1:ls`, `hook call:t1:ls result:t1:ok`, `mcp wire:t1:ls`.
///
/// The call `push` is forbidden.
struct Client(SecretString);

impl Gateway for Client {
    type Ask = String;
    type Answer = String;

    fn present(&self, _ask: &String) -> Presented {
        Presented::Token(self.0.expose_secret().into())
    }

    fn classify(&self, ask: &String) -> Result<Action, Malformed> {
        let model = || Value::Text("claude-sonnet-5".to_owned());
        let (plane, verb, kind, id) = match ask.split(' ').next() {
            Some("llm") => (Plane::Llm, "message", "Llm::Model", "claude-sonnet-5"),
            Some("hook") => (Plane::Hook, "report", "Hook::Event", "PreToolUse"),
            _ => (Plane::Mcp, "call", "Mcp::Tool", "files/ls"),
        };
        let context = match plane {
            Plane::Llm => vec![
                ("model", model()),
                ("stream", Value::Bool(true)),
                ("max_tokens", Value::Long(1000)),
                ("betas", Value::Texts(Vec::new())),
                ("tools", Value::Long(0)),
            ],
            Plane::Mcp => vec![("arguments", Value::Tags([].into()))],
            Plane::Hook | Plane::Tool => Vec::new(),
        };
        let resource = Resource { kind, id: id.to_owned() };
        let (arguments, correlation) = (Bytes::new(), Correlation::default());
        Ok(Action { plane, verb, resource, context, arguments, correlation })
    }

    async fn execute(
        &mut self,
        permit: &Permit,
        ask: String,
        reply: &mut Reply<String>,
    ) -> Outcome {
        for told in ask.split(' ').skip(1) {
            let mut parts = told.split(':');
            let [what, id, rest] = [(); 3].map(|()| parts.next().unwrap_or_default());
            let said = match what {
                "call" => {
                    match permit.tool_call(bash(id, rest), Duration::ZERO, pending()).await {
                        Ok(_) => "allowed".to_owned(),
                        Err(refusal) => refusal.code.as_str().to_owned(),
                    }
                }
                "result" => {
                    permit.tool_result(id, rest != "ok", rest.as_bytes()).await;
                    "noted".to_owned()
                }
                _ => {
                    let id = Some(id).filter(|id| !id.is_empty());
                    permit.call_on_the_wire(id, &arguments(rest)).await;
                    "sent".to_owned()
                }
            };
            reply.send(said).await.unwrap();
        }
        Outcome::new(Status::Succeeded)
    }

    fn refuse(&self, refusal: &Refusal) -> String {
        refusal.message.clone()
    }
}

fn arguments(command: &str) -> Vec<u8> {
    format!(r#"{{"command":"{command}"}}"#).into_bytes()
}

fn bash(id: &str, command: &str) -> Action {
    let risks = if command == "push" { vec!["push".to_owned()] } else { Vec::new() };
    let texts = |name| (name, Value::Texts(Vec::new()));
    Action {
        plane: Plane::Tool,
        verb: "call",
        resource: Resource { kind: "Tool::Tool", id: "Bash".to_owned() },
        context: vec![
            ("parsed", Value::Bool(true)),
            ("risks", Value::Texts(risks)),
            texts("programs"),
            texts("commands"),
            texts("reads"),
            texts("writes"),
            texts("hosts"),
        ],
        arguments: arguments(command).into(),
        correlation: Correlation { tool_use: Some(id.to_owned()), ..Correlation::default() },
    }
}

async fn ask(world: &World, session: &OpenedSession, words: &str) -> Vec<String> {
    let (reply, mut frames) = Reply::channel(16);
    let mut client = Client(session.credential.expose_secret().into());
    world.pipeline.run(&mut client, words.to_owned(), reply).await;
    let mut said = Vec::new();
    while let Some(frame) = frames.recv().await {
        said.push(frame);
    }
    said
}

/// What is on record about tool calls after each of `asks`: `tool`, `witness hook`,
/// `outcome`, `refusal`, `alert RULE`; waits for `at_least` so many.
async fn told(asks: &[&str], at_least: usize) -> Vec<String> {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    std::fs::write(world.policies.join("own.cedar"), POLICIES).unwrap();
    world.pipeline.reload_policies().await.unwrap();
    let session = world.session().await;
    let before = world.events().await.len();
    for words in asks {
        ask(&world, &session, words).await;
    }
    // What is abandoned is recorded by a task of its own, in its own time.
    let mut told = Vec::new();
    for _ in 0..1000 {
        told = sentences(world.events().await.into_iter().skip(before));
        if told.len() >= at_least {
            break;
        }
        tokio::task::yield_now().await;
    }
    world.close().await;
    told
}

fn sentences(events: impl Iterator<Item = Event>) -> Vec<String> {
    let (mut calls, mut told) = (Vec::new(), Vec::new());
    for event in events {
        let action = event.subject.action;
        match event.record {
            Record::Intent(intent) if intent.plane == "tool" => {
                calls.push(action);
                told.push("tool".to_owned());
            }
            Record::Outcome(outcome) if calls.contains(&action) => {
                told.push(format!("outcome {}", outcome.status.as_str()));
            }
            Record::Refusal(refused) => told.push(format!("refusal {}", refused.code)),
            Record::Witness(witness) => {
                assert!(calls.contains(&action), "a witness of a call on record");
                told.push(format!("witness {}", witness.plane));
            }
            Record::Alert(alert) => told.push(format!("alert {}", alert.rule)),
            Record::Approval(approval) => told.push(format!("approval {}", approval.step)),
            Record::Intent(_) | Record::Outcome(_) => {}
            Record::Admin(_) | Record::Session(_) | Record::Server(_) => {}
        }
    }
    told
}

#[tokio::test]
async fn one_call_seen_three_times_is_one_record_with_two_more_witnesses() {
    let asks = [
        "llm call:t1:ls",
        "hook call:t1:ls",
        "mcp wire:t1:ls",
        "hook result:t1:ok",
        "llm result:t1:ok call:t2:ls",
        "llm result:t1:ok result:t2:no",
    ];
    let want =
        ["tool", "witness hook", "witness mcp", "outcome succeeded", "tool", "outcome failed"];
    assert_eq!(told(&asks, want.len()).await, want);
}

#[tokio::test]
async fn what_does_not_fit_is_an_alert() {
    for (asks, want) in [
        // A hook tells of a call the model did not ask for; alone, hooks are all there is.
        (&["llm", "hook call:t1:ls"][..], &["alert unasked-call", "tool"][..]),
        (&["hook call:t1:ls"], &["tool"]),
        // The same hook twice, from two settings files.
        (&["hook call:t1:ls", "hook call:t1:ls"], &["tool"]),
        // Other arguments than the model asked with.
        (
            &["llm call:t1:ls", "hook call:t1:cat"],
            &["tool", "alert arguments-differ", "tool", "outcome unknown"],
        ),
        (
            &["llm call:t1:ls", "mcp wire:t1:cat"],
            &["tool", "witness mcp", "alert arguments-differ"],
        ),
        // A denied call is made nevertheless, or has a result.
        (
            &["llm call:t1:push", "hook call:t1:push"],
            &["refusal denied", "alert denied-call-made", "refusal denied"],
        ),
        (
            &["llm call:t1:push", "mcp wire:t1:push"],
            &["refusal denied", "alert denied-call-made"],
        ),
        (
            &["hook call:t1:push", "hook result:t1:ok"],
            &["refusal denied", "alert denied-call-made"],
        ),
        (&["hook call:t1:push", "llm result:t1:no"], &["refusal denied"]),
        // A result of a call nobody told of; a conversation that goes on may begin with one.
        (&["llm", "llm result:t1:ok"], &["alert result-without-call"]),
        (&["llm result:t1:ok"], &[]),
        // An id is used again.
        (
            &["llm call:t1:ls", "llm result:t1:ok call:t1:ls"],
            &["tool", "outcome succeeded", "alert id-used-twice", "tool"],
        ),
        (
            &["llm call:t1:ls call:t1:ls"],
            &["tool", "alert id-used-twice", "tool", "outcome unknown"],
        ),
        // A call on the wire of which no hook told, though the client has hooks.
        (
            &["llm call:t1:ls", "hook", "mcp wire:t1:ls"],
            &["tool", "witness mcp", "alert call-without-hook"],
        ),
        (&["hook", "mcp wire::ls"], &["alert call-without-hook"]),
        (&["llm", "mcp wire:t1:ls"], &["alert unasked-call"]),
        (&["mcp wire::ls"], &[]),
    ] {
        let mut got = told(asks, want.len()).await;
        got.sort();
        let mut want: Vec<_> = want.iter().map(|&one| one.to_owned()).collect();
        want.sort();
        assert_eq!(got, want, "{asks:?}");
    }
}

#[tokio::test]
async fn a_call_that_policy_forbids_meanwhile_is_refused_when_it_is_seen_again() {
    let dir = tempdir().unwrap();
    let world = World::open(&dir).await;
    let session = world.session().await;
    assert_eq!(ask(&world, &session, "llm call:t1:ls").await, ["allowed"]);
    let forbid = "forbid (principal, action in Tool::Action::\"all\", resource);";
    std::fs::write(world.policies.join("stop.cedar"), forbid).unwrap();
    world.pipeline.reload_policies().await.unwrap();
    assert_eq!(ask(&world, &session, "hook call:t1:ls").await, ["denied"]);
    world.close().await;
}
