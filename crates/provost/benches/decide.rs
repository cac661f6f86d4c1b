//! What one decision costs, by the number of policies.
//!
//! `cargo bench -p provost --bench decide`. `docs/benchmarks.md` has the figures.

#[path = "ticks/mod.rs"]
mod ticks;

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use provost_decide::{Policies, Query, SourceFile};
use provost_types::{AgentName, Decision, ProjectName, Value, Verdict};

use ticks::Waits;

/// Decisions that are timed together, since one is shorter than the clock's step.
const BATCH: usize = 64;

/// Unit: microseconds.
const MEASURED: u64 = 2_000_000;

/// What the policies are about, and so how many of them bear on one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// So many are about each agent: the index leaves those to be evaluated.
    Agents(usize),
    /// All are about everyone: the index can leave none out.
    Everyone,
}

fn main() -> Result<()> {
    let mut text = String::from(
        "| policies | about | agents that ask | compile | asked again, p50 | p99 | anew, p50 | p99 | anew/s, one core |\n\
         |--:|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let rows = [
        (10, Scope::Agents(2)),
        (1_000, Scope::Agents(2)),
        (10_000, Scope::Agents(2)),
        (10_000, Scope::Agents(10)),
        (100, Scope::Everyone),
        (1_000, Scope::Everyone),
    ];
    for (count, scope) in rows {
        let begun = ticks::now();
        let policies = compile(count, scope)?;
        let compiled = ticks::now().saturating_sub(begun);
        let (about, agents) = match scope {
            Scope::Agents(each) => (
                format!("{each} about each agent"),
                count.checked_div(each).unwrap_or_default(),
            ),
            Scope::Everyone => ("all about everyone".to_owned(), 1),
        };
        for asking in [1, agents] {
            let (again, _) = decide(&policies, asking, Policies::decide)?;
            let (anew, rate) = decide(&policies, asking, Policies::decide_anew)?;
            let of = |wait: u64| wait as f64 / BATCH as f64;
            writeln!(
                text,
                "| {count} | {about} | {asking} | {:.1} ms | {:.2} µs | {:.2} µs | {:.2} µs | {:.2} µs | {rate:.0} |",
                compiled as f64 / 1e3,
                of(again.p50()),
                of(again.p99()),
                of(anew.p50()),
                of(anew.p99()),
            )?;
            if agents == 1 {
                break;
            }
        }
    }
    ticks::say(&text)?;
    Ok(())
}

/// A permit and a forbid like the starter policies', then forbids of one beta each.
fn compile(count: usize, scope: Scope) -> Result<Policies> {
    let mut text = String::new();
    for number in 0..count {
        let (principal, place) = match scope {
            Scope::Agents(each) => {
                let agent = number.checked_div(each).unwrap_or_default();
                (
                    format!("principal == Provost::Agent::\"agent-{agent}\""),
                    number.checked_rem(each).unwrap_or_default(),
                )
            }
            Scope::Everyone => ("principal".to_owned(), number),
        };
        let (effect, condition) = match place {
            0 => ("permit", r#"resource.name like "claude-sonnet-*""#.to_owned()),
            1 => ("forbid", "!(context has max_tokens && context.max_tokens <= 128000)".into()),
            _ => ("forbid", format!(r#"context.betas.contains("beta-{number}")"#)),
        };
        writeln!(
            text,
            "@id(\"p{number}\") {effect} ({principal}, action == Llm::Action::\"message\", \
             resource is Llm::Model) when {{ {condition} }};"
        )?;
    }
    let file = SourceFile { name: "bench.cedar".into(), text };
    Policies::compile(&[file]).map_err(|findings| {
        anyhow::anyhow!("{}", findings.first().map(ToString::to_string).unwrap_or_default())
    })
}

/// Asks for `agents` in turn, as Claude Code does.
fn decide(
    policies: &Policies,
    agents: usize,
    decide: fn(&Policies, &Query<'_>) -> Decision,
) -> Result<(Waits, f64)> {
    let project: ProjectName = "benches".parse()?;
    let agents = (0..agents).map(|number| format!("agent-{number}").parse());
    let agents: Vec<AgentName> = agents.collect::<Result<_, _>>()?;
    let betas = ["claude-code-20250219", "interleaved-thinking-2025-05-14"];
    let context = [
        ("model", Value::Text("claude-sonnet-5".into())),
        ("stream", Value::Bool(true)),
        ("max_tokens", Value::Long(32_000)),
        ("betas", Value::Texts(betas.map(str::to_owned).into())),
        ("tools", Value::Long(20)),
    ];
    let ask = |agent| {
        let query = Query {
            agent,
            project: &project,
            plane: "llm",
            verb: "message",
            resource_kind: "Llm::Model",
            resource_id: "claude-sonnet-5",
            context: &context,
        };
        decide(policies, &query)
    };
    for agent in &agents {
        let decision = ask(agent);
        ensure!(decision.verdict == Verdict::Allow, "{agent}: {}", decision.reason);
    }
    let (mut waits, mut asking) = (Vec::new(), agents.iter().cycle());
    let begun = ticks::now();
    while ticks::now().saturating_sub(begun) < MEASURED {
        let before = ticks::now();
        for agent in asking.by_ref().take(BATCH) {
            std::hint::black_box(ask(agent));
        }
        waits.push(ticks::now().saturating_sub(before));
    }
    let took = ticks::now().saturating_sub(begun);
    let rate = ticks::rate(waits.len().saturating_mul(BATCH), took);
    Ok((Waits::of(waits), rate))
}
