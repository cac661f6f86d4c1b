//! How fast tool calls are read: shell commands as agents write them.
//!
//! `cargo bench -p provost --bench bash`. One thread, nothing else; `docs/benchmarks.md` has
//! the figures.

#[path = "ticks/mod.rs"]
mod ticks;

use anyhow::{Result, ensure};
use provost_tools::effects;
use serde_json::json;

use ticks::Waits;

/// How often each command is read.
const ROUNDS: usize = 2_000;

/// Short ones, long ones, nested ones.
const COMMANDS: &[(&str, &str)] = &[
    ("one command", "ls -la src"),
    ("a pipe", "git log --oneline | head -20 | grep -c fix"),
    ("several", "cd build && cmake .. -DX=1 && make -j8 2>&1 | tee log.txt; echo $?"),
    ("nested", r#"bash -c "cd src && sh -c 'rm a; pwd'""#),
    (
        "a loop",
        "for f in $(git ls-files '*.md'); do sed -i 's/a/b/' \"$f\" && git add $f; done",
    ),
];

fn main() -> Result<()> {
    ticks::say("| command | bytes | read in: p50 | p99 | commands/s |\n|---|--:|--:|--:|--:|")?;
    let script = "echo \"step\" >> log.txt && cp a/b.txt c/d.txt || exit 1\n".repeat(200);
    let long = [("a script of 200 lines", script.as_str())];
    for (name, command) in COMMANDS.iter().chain(&long) {
        let input = json!({"command": command}).to_string();
        let rounds = if command.len() > 1_000 { ROUNDS / 20 } else { ROUNDS };
        let mut waits = Vec::with_capacity(rounds);
        let began = ticks::now();
        for _ in 0..rounds {
            let asked = ticks::now();
            let read = effects("Bash", input.as_bytes(), Some("/work"));
            waits.push(ticks::now().saturating_sub(asked));
            ensure!(read.parsed, "{name} is understood");
        }
        let rate = ticks::rate(rounds, ticks::now().saturating_sub(began));
        let waits = Waits::of(waits);
        let (p50, p99) = (waits.p50(), waits.p99());
        let row = format!("| {name} | {} | {p50} µs | {p99} µs | {rate:.0} |", command.len());
        ticks::say(&row)?;
    }
    Ok(())
}
