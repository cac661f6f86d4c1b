//! `provost hook`: Claude Code's hooks as a command that fails closed.
//!
//! Claude Code runs a tool whenever a hook answers anything but "no": a gateway that is down, a
//! page of HTML, a timeout and a crash are all "yes" to it. This command is in between. It
//! posts the hook to the gateway, and whatever is not plainly Provost's answer it turns into
//! the one exit code that refuses. It opens no data directory and reads no configuration: each
//! would be another thing that can fail.

mod answer;

use std::{
    io::{self, Read as _, Write as _},
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use provost_gateway::ACTION_HEADER;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use crate::client::{NotNamed, Remote, bearer, innermost};
pub(crate) use answer::Moment;

/// Largest hook that is passed on: a tool's result can be a whole file. Unit: bytes.
const INPUT_BYTES_MAX: u64 = 64 << 20;
/// How the actions are named that the gateway's answers bear, so that nobody else's are taken
/// for them.
const ACTION_BEGINNING: &str = "act_";

/// What the hook is to do, and with what.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Where hooks are answered.
    pub(crate) url: Option<String>,
    /// The session's credential.
    pub(crate) credential: Option<SecretString>,
    /// What to trust for the gateway instead of the public certificates.
    pub(crate) ca_file: Option<PathBuf>,
    /// The longest it may take in all.
    pub(crate) deadline: Duration,
    /// How much longer it may wait for people.
    pub(crate) wait: Duration,
    /// Nobody is at the client: what waits for people can be put off.
    pub(crate) is_unattended: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HookError {
    /// It is not said where hooks are answered.
    #[error(
        "neither PROVOST_HOOK_URL nor ANTHROPIC_BASE_URL is set: start Claude Code with \
         `provost run`"
    )]
    NoUrl,
    /// What is said is no address.
    #[error(
        "the gateway's address is not a URL: correct PROVOST_HOOK_URL or ANTHROPIC_BASE_URL"
    )]
    BadUrl,
    /// There is nothing to authenticate with.
    #[error("ANTHROPIC_AUTH_TOKEN is not set: start Claude Code with `provost run`")]
    NoCredential,
    /// The certificates cannot be read.
    #[error("the certificates of --ca-file cannot be used: correct it")]
    BadCertificates,
    /// What came on standard input cannot be read, or is too much.
    #[error(
        "the hook's input cannot be read, or is larger than {} MiB: make the call smaller",
        INPUT_BYTES_MAX >> 20
    )]
    Input,
    /// What came on standard input is no hook.
    #[error(
        "the hook's input is not a hook's JSON object: let Claude Code call `provost hook`"
    )]
    NotAHook,
    /// There was no answer in time.
    #[error("{gateway} did not answer within {} s: see that it is well", .wait.as_secs())]
    TimedOut {
        /// Who did not.
        gateway: String,
        /// What time it had.
        wait: Duration,
    },
    /// The connection was not made, or broke.
    #[error("{gateway} cannot be reached ({reason}): see that it runs")]
    Unreachable {
        /// What was called.
        gateway: String,
        /// The system's own words.
        reason: String,
    },
    /// It answered that it cannot.
    #[error("{gateway} answered HTTP {status}: {}", what_to_do(*status))]
    Status {
        /// Who answered.
        gateway: String,
        /// With what.
        status: StatusCode,
    },
    /// It is not Provost that answered, or not in a form that Claude Code understands.
    #[error("the answer of {gateway} is not Provost's: see that this is the gateway's address")]
    NotUnderstood {
        /// Who answered.
        gateway: String,
    },
    /// The answer could not be handed on.
    #[error("the answer could not be written: let Claude Code read it")]
    Output,
    /// This program is at fault.
    #[error("`provost hook` itself failed: report it to who runs Provost")]
    Broken,
}

fn what_to_do(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "start a new session with `provost run`",
        StatusCode::NOT_FOUND => "see that this is the gateway's address",
        _ => "see the gateway's log",
    }
}

/// A hook without an answer.
#[derive(Debug)]
struct Failure {
    /// The event, if the input said so much.
    event: Option<String>,
    error: HookError,
}

/// Answers the hook on standard input; gives the code that Claude Code takes as it is meant.
pub(crate) fn run(asked: &Asked) -> u8 {
    // What the model or a person reads is the sentence below, not where a program broke.
    panic::set_hook(Box::new(|_| {}));
    let ended = guarded(|| {
        let answer = answered(asked)?;
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{}", answer.object).and_then(|()| out.flush());
        written.map_err(|_| Failure { event: Some(answer.event), error: HookError::Output })
    });
    let Err(failure) = ended else { return 0 };
    let (code, sentence) = told(&failure);
    // Where nobody reads why, the code still counts.
    let _gone = writeln!(io::stderr(), "{sentence}");
    code
}

/// Does it, and makes a failure of a panic: as such it would be a "yes".
fn guarded(answer: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    panic::catch_unwind(AssertUnwindSafe(answer))
        .unwrap_or(Err(Failure { event: None, error: HookError::Broken }))
}

/// The exit code and the one sentence for a hook without an answer.
fn told(failure: &Failure) -> (u8, String) {
    let Failure { event, error } = failure;
    let name = event.as_deref().filter(|name| answer::is_name(name)).unwrap_or("hook");
    match Moment::of(event.as_deref()) {
        Moment::Before => (
            2,
            format!(
                "Provost refuses this {name}, as it could not be checked: {error}; do not try \
                 another way round."
            ),
        ),
        Moment::After => (1, format!("Provost was not told of this {name}: {error}.")),
    }
}

/// An answer that Claude Code will take as it is meant.
struct Answer {
    event: String,
    object: serde_json::Value,
}

fn answered(asked: &Asked) -> Result<Answer, Failure> {
    let broken = |_| Failure { event: None, error: HookError::Broken };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(broken)?;
    let answer = runtime.block_on(ask(asked));
    // A read that goes on must not hold the process.
    runtime.shutdown_background();
    answer
}

async fn ask(asked: &Asked) -> Result<Answer, Failure> {
    let most = match asked.is_unattended {
        true => asked.deadline,
        false => asked.deadline.saturating_add(asked.wait),
    };
    let deadline = Instant::now().checked_add(most);
    let deadline = deadline.ok_or(Failure { event: None, error: HookError::Broken })?;
    let unread = |_| Failure { event: None, error: HookError::Input };
    let input = timeout_at(deadline, read(INPUT_BYTES_MAX)).await.map_err(unread)?;
    let input = input.map_err(|error| Failure { event: None, error })?;
    let event = event_of(&input).map_err(|error| Failure { event: None, error })?;

    let failed = |error| Failure { event: Some(event.clone()), error };
    let gateway = Gateway::named(asked).map_err(failed)?;
    let slow = |_| failed(HookError::TimedOut { gateway: gateway.name(), wait: most });
    let reply = timeout_at(deadline, gateway.post(input)).await.map_err(slow)?;
    let object = reply.and_then(|reply| gateway.understood(&event, &reply)).map_err(failed)?;
    Ok(Answer { event, object })
}

/// Reads standard input to its end, off this thread: a read cannot be interrupted.
async fn read(bytes_max: u64) -> Result<Bytes, HookError> {
    let reading = tokio::task::spawn_blocking(move || {
        let mut input = Vec::new();
        let mut limited = io::stdin().lock().take(bytes_max.saturating_add(1));
        limited.read_to_end(&mut input).map(|_| input)
    });
    let input = reading.await.map_err(|_| HookError::Input)?.map_err(|_| HookError::Input)?;
    let is_whole = u64::try_from(input.len()).is_ok_and(|bytes| bytes <= bytes_max);
    if is_whole { Ok(input.into()) } else { Err(HookError::Input) }
}

/// What of a hook decides how it may fail.
#[derive(Deserialize)]
struct Head {
    hook_event_name: String,
}

fn event_of(input: &[u8]) -> Result<String, HookError> {
    let head: Result<Head, _> = serde_json::from_slice(input);
    head.map(|head| head.hook_event_name).map_err(|_| HookError::NotAHook)
}

/// The gateway, and the credential it is called with.
struct Gateway<'a> {
    remote: Remote,
    path: Uri,
    credential: &'a SecretString,
    /// The header that says what becomes of a call that is held.
    patience: (HeaderName, HeaderValue),
}

impl<'a> Gateway<'a> {
    fn named(asked: &'a Asked) -> Result<Self, HookError> {
        let credential = asked.credential.as_ref().ok_or(HookError::NoCredential)?;
        let url = asked.url.as_deref().ok_or(HookError::NoUrl)?;
        let at = Remote::at(url, asked.ca_file.as_deref());
        let (remote, path) = at.map_err(|why| match why {
            NotNamed::Url => HookError::BadUrl,
            NotNamed::Certificates => HookError::BadCertificates,
        })?;
        let patience = match asked.is_unattended {
            true => (provost_hook::DEFER_HEADER, HeaderValue::from_static("yes")),
            false => (provost_hook::WAIT_HEADER, asked.wait.as_secs().into()),
        };
        Ok(Self { remote, path: Uri::from(path), credential, patience })
    }

    fn name(&self) -> String {
        self.remote.name()
    }

    async fn post(&self, input: Bytes) -> Result<Response<Bytes>, HookError> {
        let bearer = bearer(self.credential).map_err(|_| HookError::NoCredential)?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.path.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, bearer)
            .header(&self.patience.0, &self.patience.1)
            .body(Full::from(input))
            .map_err(|_| HookError::BadUrl)?;
        self.remote.send(request).await.map_err(|error| HookError::Unreachable {
            gateway: self.name(),
            reason: innermost(&error),
        })
    }

    /// The object to hand on, if it is Provost's and says one thing to every reader.
    fn understood(
        &self,
        event: &str,
        reply: &Response<Bytes>,
    ) -> Result<serde_json::Value, HookError> {
        let gateway = || self.name();
        if reply.status() != StatusCode::OK {
            return Err(HookError::Status { gateway: gateway(), status: reply.status() });
        }
        let action = reply.headers().get(ACTION_HEADER).and_then(|value| value.to_str().ok());
        let not_understood = || HookError::NotUnderstood { gateway: gateway() };
        if !action.is_some_and(|action| action.starts_with(ACTION_BEGINNING)) {
            return Err(not_understood());
        }
        answer::understood(event, reply.body()).ok_or_else(not_understood)
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, HookError, event_of, guarded, told};

    #[test]
    fn what_comes_before_is_refused_and_what_comes_after_is_only_told() {
        let failure = |event: Option<&str>| Failure {
            event: event.map(str::to_owned),
            error: HookError::NoUrl,
        };
        for (event, want) in [
            (Some("PreToolUse"), 2),
            (Some("UserPromptSubmit"), 2),
            (Some("PermissionRequest"), 2),
            (Some("SomethingNew"), 2),
            (Some(""), 2),
            (None, 2),
            (Some("PostToolUse"), 1),
            (Some("PostToolUseFailure"), 1),
            (Some("Stop"), 1), // 2 would make Claude Code go on for ever
            (Some("SubagentStop"), 1),
            (Some("SessionStart"), 1),
            (Some("SessionEnd"), 1),
            (Some("Notification"), 1),
        ] {
            let (code, sentence) = told(&failure(event));
            assert_eq!(code, want, "event = {event:?}");
            assert!(sentence.contains("`provost run`") && !sentence.contains('\n'));
        }
    }

    #[test]
    fn a_panic_is_a_refusal() {
        let ended = guarded(|| panic!("as a bug would"));
        assert_eq!(told(&ended.unwrap_err()).0, 2);
    }

    #[test]
    fn hostile_names_of_events_are_not_repeated() {
        let event = Some("Pre\u{1b}[2J\nTool".to_owned());
        let (code, sentence) = told(&Failure { event, error: HookError::NoUrl });
        assert!(code == 2 && sentence.starts_with("Provost refuses this hook,"), "{sentence}");
    }

    #[test]
    fn only_an_object_with_an_events_name_is_a_hook() {
        for (input, want) in [
            (r#"{"hook_event_name":"Stop","x":[[[{}]]]}"#, Some("Stop")),
            (r#"{"hook_event_name":"Stop","hook_event_name":"PreToolUse"}"#, None),
            (r#"{"hook_event_name":7}"#, None),
            (r#"{"hook_event_name":"Stop"} trailing"#, None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(event_of(input.as_bytes()).ok().as_deref(), want, "input = {input}");
        }
        let deep = format!(
            r#"{{"x":{}{},"hook_event_name":"Stop"}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        // However deep it is, it is read or refused, and does not break the program.
        let _read_or_refused = event_of(deep.as_bytes());
    }
}
