//! The command line as a whole.

use clap::CommandFactory as _;

use super::{Cli, reference};

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn the_reference_page_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/cli.md");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == reference::commands(), "run `cargo xtask docs`");
}
