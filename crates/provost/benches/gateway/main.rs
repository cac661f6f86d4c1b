//! What Provost costs: the same requests straight to a scripted model and through the gateway.
//!
//! `cargo bench -p provost --bench gateway [-- json sse large streams]`. The server is the
//! release binary over a real data directory; it, the model and this load generator are three
//! processes on one machine, so that each one's CPU time can be told apart. All traffic is on
//! loopback. `docs/benchmarks.md` has the figures and says what they mean.

#[path = "../ticks/mod.rs"]
mod ticks;

mod cells;
mod load;
mod process;
mod stand;
mod streams;
mod upstream;

use std::path::Path;

use anyhow::Result;

use cells::{Cell, Kind};
use stand::Stand;

/// Memory that no disk is behind: what a commit costs there is everything but the sync.
const MEMORY: &str = "/dev/shm";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if arguments.iter().any(|argument| argument == upstream::ARGUMENT) {
        return runtime.block_on(upstream::serve());
    }
    let sections: Vec<_> =
        arguments.into_iter().filter(|text| !text.starts_with('-')).collect();
    runtime.block_on(measure(&sections))
}

async fn measure(sections: &[String]) -> Result<()> {
    let asked = |name: &str| sections.is_empty() || sections.iter().any(|asked| asked == name);
    let disk = Stand::install(&std::env::temp_dir()).await?;
    ticks::say(&format!("RSS, idle: {:.1} MiB\n", disk.server.memory()?.now))?;
    let mut cells = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| asked(kind.name())) {
        cells.extend(kind.connections().iter().map(|count| Cell::new(kind, *count)));
    }
    let memory = match Path::new(MEMORY).is_dir() && !cells.is_empty() {
        true => Some(Stand::install(Path::new(MEMORY)).await?),
        false => None,
    };
    if !cells.is_empty() {
        cells::measure(&mut cells, &disk, memory.as_ref()).await?;
        ticks::say(&cells::table(&cells))?;
        ticks::say(&format!("RSS after that load: {}\n", disk.server.memory()?))?;
    }
    drop((disk, memory));
    if asked("streams") {
        ticks::say(&streams::table().await?)?;
    }
    Ok(())
}
