//! Every gate and every test, in the order of what fails soonest; what CI runs.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    check,
    clients::{self, Missing},
    step,
    tools::{self, Deny},
};

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// Installs what is missing, runs everything even after a failure, and sums up.
pub(crate) fn run() -> Result<ExitCode> {
    let mut failed = check::faults()?;
    let missing = prepare(&mut failed)?;

    let mut count = Count::default();
    if !tests(&missing, &mut count)? {
        failed.push("tests");
    }
    let doctests = ["test", "--workspace", "--doc", "--locked"];
    if !step::watched(&mut step::cargo(&doctests), |line| count.add(line))?.success() {
        failed.push("documentation tests");
    }
    if !documentation()? {
        failed.push("documentation");
    }
    match Deny::find_or_install()? {
        Some(deny) if deny.passes()? => {}
        Some(_) => failed.push("dependencies"),
        None => failed.push("dependencies (cargo-deny could not be installed)"),
    }
    Ok(sum_up(count, &failed, &missing))
}

/// Puts in place what tests need beside the workspace itself.
fn prepare(failed: &mut Vec<&'static str>) -> Result<Vec<Missing>> {
    if !tools::postgres()? {
        failed.push("PostgreSQL (not there, and could not be installed)");
    }
    clients::install()
}

/// Runs the tests with nextest where it is installed, else with cargo's own runner.
///
/// With every client in place, a test that does not find its own fails instead of skipping.
fn tests(missing: &[Missing], count: &mut Count) -> Result<bool> {
    let nextest = step::works(&mut step::cargo(&["nextest", "--version"]));
    let arguments: &[&str] = if nextest {
        &["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]
    } else {
        &["test", "--workspace", "--lib", "--bins", "--tests", "--locked", "--no-fail-fast"]
    };
    let mut command = step::cargo(arguments);
    command.env("NEXTEST_STATUS_LEVEL", "slow").env("NEXTEST_FINAL_STATUS_LEVEL", "fail");
    if missing.is_empty() {
        command.env("PROVOST_REQUIRE_CLIENTS", "1");
    }
    Ok(step::watched(&mut command, |line| count.add(line))?.success())
}

fn documentation() -> Result<bool> {
    let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"];
    let mut command = step::cargo(&arguments);
    step::passes(command.env("RUSTDOCFLAGS", "-D warnings"))
}

fn sum_up(count: Count, failed: &[&str], missing: &[Missing]) -> ExitCode {
    step::say("");
    for Missing { client, reason } in missing {
        step::say(&format!("skipped: tests with {client}: {reason}"));
    }
    for gate in failed {
        step::say(&format!("failed: {gate}"));
    }
    let skipped = count.skipped.saturating_add(missing.len() as u64);
    step::say(&format!("{} passed, {} failed, {skipped} skipped", count.passed, count.failed));
    if failed.is_empty() && count.failed == 0 && count.passed > 0 {
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}

impl Count {
    /// Adds what a test runner's closing line says; other lines say nothing.
    fn add(&mut self, line: &str) {
        let line = without_colour(line);
        let line = line.trim();
        let closes = line.starts_with("test result: ")
            || (line.starts_with("Summary [") && line.contains(" tests run: "))
            || (line.starts_with("Summary [") && line.contains(" test run: "));
        if !closes {
            return;
        }
        let numbers = line.split([':', ',', ';', '.', '(', ')']);
        for (number, word) in numbers.filter_map(|part| part.trim().split_once(' ')) {
            let Ok(number) = number.parse::<u64>() else { continue };
            let counter = match word {
                "passed" => &mut self.passed,
                "failed" | "timed out" | "exec failed" => &mut self.failed,
                "skipped" | "ignored" => &mut self.skipped,
                _ => continue,
            };
            *counter = counter.saturating_add(number);
        }
    }
}

/// The line without terminal colour sequences (`ESC [ … m`).
fn without_colour(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn closing_lines_are_counted_and_others_are_not() {
        for (line, want) in [
            (
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
                [3, 0, 1],
            ),
            ("test result: FAILED. 3 passed; 2 failed; 0 ignored", [3, 2, 0]),
            ("     Summary [   0.512s] 12 tests run: 12 passed, 0 skipped", [12, 0, 0]),
            ("     Summary [   0.512s] 1 test run: 1 passed (1 slow), 2 skipped", [1, 0, 2]),
            ("  Summary [ 9.1s] 9/12 tests run: 7 passed, 2 failed, 3 skipped", [7, 2, 3]),
            (
                "\u{1b}[32;1m Summary\u{1b}[0m [ 1s] \u{1b}[1m2\u{1b}[0m tests run: \u{1b}[1m2\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, 0 skipped",
                [2, 0, 0],
            ),
            ("running 3 tests: 3 passed", [0, 0, 0]), // not a closing line
            ("", [0, 0, 0]),
        ] {
            let mut count = Count::default();
            count.add(line);
            assert_eq!([count.passed, count.failed, count.skipped], want, "line = {line:?}");
        }
    }
}
