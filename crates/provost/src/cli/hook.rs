//! `provost hook`: answers one of Claude Code's hooks.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::variable;
use crate::{exit::Exit, hook};

/// Answers one of Claude Code's hooks, and refuses where it has no answer
///
/// Claude Code calls it; `provost claude install` tells it to. The hook comes on standard input
/// and is posted to the gateway with the session's credential. Where the gateway answers, its
/// answer is printed. Where it does not, or not in a form that Claude Code takes as it is
/// meant, what has not happened yet is refused.
#[derive(Debug, Args)]
#[command(after_long_help = "\
The gateway is PROVOST_HOOK_URL, or else ANTHROPIC_BASE_URL and `/hook`; the credential is
ANTHROPIC_AUTH_TOKEN. `provost run` sets what is needed. No proxy is used.

Exit codes:
  0  the answer is on standard output
  1  no answer, after the fact (PostToolUse, Stop, SessionEnd and the like); why is on stderr
  2  no answer, before the fact (PreToolUse, UserPromptSubmit, PermissionRequest, and what is
     not known): Claude Code refuses it, and gives the sentence on stderr as the reason

Examples:
  provost hook < hook.json
  provost hook --timeout-s 8 --ca-file /etc/ssl/provost.pem")]
pub(crate) struct Hook {
    /// The longest it may take in all; below the hook's own timeout, for a hook that runs out
    /// of time does not refuse
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 4,
        value_parser = clap::value_parser!(u64).range(1..=600)
    )]
    timeout_s: u64,

    /// How much longer a tool call may wait for people, if policy holds it. In print mode,
    /// where nobody waits, Claude Code is told to put the call off instead
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=3600)
    )]
    wait_s: u32,
}

/// Answers it.
pub(crate) fn run(asked: &Hook, ca_file: Option<PathBuf>) -> Exit {
    let base = || variable("ANTHROPIC_BASE_URL");
    let below = |base: String| format!("{}/hook", base.trim_end_matches('/'));
    let asked = hook::Asked {
        url: variable("PROVOST_HOOK_URL").or_else(|| base().map(below)),
        credential: variable("ANTHROPIC_AUTH_TOKEN").map(Into::into),
        ca_file,
        deadline: Duration::from_secs(asked.timeout_s),
        wait: Duration::from_secs(asked.wait_s.into()),
        // Measured with Claude Code 2.1.330: `0` exactly in print mode.
        is_unattended: variable("CLAUDE_CODE_SESSION_ATTENDED").as_deref() == Some("0"),
    };
    Exit::Child(hook::run(&asked))
}
