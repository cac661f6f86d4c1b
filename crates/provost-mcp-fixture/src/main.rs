//! Runs the server until it is ended; says where in one line of JSON.

use std::io::Write as _;

use provost_mcp_fixture::Fixture;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let fixture = Fixture::start().await?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", serde_json::json!({"url": fixture.url()}))?;
    stdout.flush()?;
    drop(stdout);
    tokio::signal::ctrl_c().await
}
