//! Tool calls: decided when the model asks for them, closed when their results come back.
//!
//! A tool call is an action of its own, inside a model request's: the client makes it, so what
//! the pipeline can do is decide before the client hears of it, and record what it says came
//! of it. A call that is allowed stays open until its result is seen, its session ends, or the
//! next start finds it without an outcome.
//!
//! The same call may be seen on several planes: in the model's stream, then by a hook. It is
//! decided each time, for policy and run state may have changed, and recorded once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use provost_ledger::Intent;
use provost_types::{Action, ActionId, Outcome, Plane, SessionId, Status, Verdict};

use sha2::{Digest as _, Sha256};

use crate::{
    Caller, Directory, PolicyDirectory, Refusal, RefusalCode,
    permit::Keeping,
    pipeline::{decide, intent, query},
    record::{Closer, Recorder},
    refusal::Reason,
    trace,
};

/// Most calls of one process that are open at once. Ours: an agent has a handful.
const OPEN_MAX: usize = 65_536;

/// Decides tool calls and remembers those that are open.
#[derive(Debug)]
pub(crate) struct ToolCalls {
    pub(crate) directory: Arc<Directory>,
    pub(crate) policies: Arc<PolicyDirectory>,
    pub(crate) recorder: Recorder,
    pub(crate) closer: Closer,
    pub(crate) open: Mutex<HashMap<Key, Open>>,
}

/// A session's tool call, by the id the model gave it.
pub(crate) type Key = (SessionId, String);

/// A call that was allowed and whose result was not seen yet.
#[derive(Debug)]
pub(crate) struct Open {
    caller: Caller,
    action: ActionId,
    /// What it was asked with, in a form that does not depend on who printed it.
    arguments: Vec<u8>,
    /// Where it was seen first.
    plane: Plane,
}

impl ToolCalls {
    /// Decides one call, seen on `plane`, and records the decision; the call may be made if
    /// this succeeds.
    ///
    /// `call.correlation.tool_use` names it. A call that is open under that name, with the
    /// same arguments and seen on another plane, is the same; any other is another.
    pub(crate) async fn decide(
        &self,
        caller: &Caller,
        keeping: &Keeping,
        (plane, call): (Plane, &Action),
    ) -> Result<ActionId, Refusal> {
        let seen = self.seen(caller, plane, call);
        let action = seen.unwrap_or_else(ActionId::generate);
        let decision = decide(&self.policies, caller, call);
        let intent = intent(caller, call, keeping, decision);
        let admitted = match seen {
            Some(_) => self.may(caller, &intent),
            None => self.admit(caller, action, &intent).await,
        };
        match admitted {
            Ok(()) if seen.is_some() => {
                metrics::counter!("provost_tool_calls_total", "result" => "seen-again")
                    .increment(1);
                Ok(action)
            }
            Ok(()) => {
                metrics::counter!("provost_tool_calls_total", "result" => "allowed")
                    .increment(1);
                self.keep(caller, action, (plane, call));
                Ok(action)
            }
            Err(reason) => {
                metrics::counter!("provost_tool_calls_total", "result" => reason.code.as_str())
                    .increment(1);
                // Allowed before, and not any more: what came of it is that it was not made.
                self.withdraw(caller, call, &reason);
                Err(self.refuse(caller, action, intent, reason).await)
            }
        }
    }

    /// Whether some action like this could be allowed, whatever its context.
    pub(crate) fn is_possible(&self, caller: &Caller, action: &Action) -> bool {
        self.policies.current().policies.is_possible(&query(caller, action))
    }

    /// The action of the same call, if it was seen on another plane and is open.
    fn seen(&self, caller: &Caller, plane: Plane, call: &Action) -> Option<ActionId> {
        let key = (caller.session, call.correlation.tool_use.clone()?);
        let open = self.open();
        let known = open.get(&key)?;
        (known.plane != plane && known.arguments == canonical(&call.arguments))
            .then_some(known.action)
    }

    fn withdraw(&self, caller: &Caller, call: &Action, reason: &Reason) {
        let Some(tool_use) = call.correlation.tool_use.clone() else { return };
        if let Some(open) = self.open().remove(&(caller.session, tool_use)) {
            let outcome = Outcome::because(Status::Aborted, reason.message.clone());
            self.closer.conclude_later(&open.caller, open.action, outcome);
        }
    }

    /// Whether the call may be made now.
    fn may(&self, caller: &Caller, intent: &Intent) -> Result<(), Reason> {
        self.directory.enter(caller)?;
        if intent.decision.verdict == Verdict::Deny {
            return Err(Reason::new(RefusalCode::Denied, intent.decision.reason.clone()));
        }
        Ok(())
    }

    async fn admit(
        &self,
        caller: &Caller,
        action: ActionId,
        intent: &Intent,
    ) -> Result<(), Reason> {
        self.may(caller, intent)?;
        if self.open().len() >= OPEN_MAX {
            return Err(Reason::new(RefusalCode::Busy, "too many tool calls wait for results"));
        }
        self.recorder.record_intent(caller.subject(action), intent.clone()).await
    }

    fn keep(&self, caller: &Caller, action: ActionId, (plane, call): (Plane, &Action)) {
        let Some(tool_use) = call.correlation.tool_use.clone() else { return };
        let arguments = canonical(&call.arguments);
        let open = Open { caller: caller.clone(), action, arguments, plane };
        let before = self.open().insert((caller.session, tool_use), open);
        if let Some(before) = before {
            let why = "a call of the same id, with other arguments or from the same place, \
                       came before its result";
            self.abandon(&before, why);
        }
    }

    async fn refuse(
        &self,
        caller: &Caller,
        action: ActionId,
        intent: Intent,
        reason: Reason,
    ) -> Refusal {
        let refusal = reason.about(action);
        trace::refused(&refusal, Some(caller));
        let (subject, credential) = (caller.subject(action), Some(caller.credential));
        self.recorder.record_refusal(subject, &refusal, credential, Some(intent)).await;
        refusal
    }

    /// Records what came of an open call. Nothing if no such call is open: the result of one
    /// that was closed before, which a conversation repeats with every request.
    pub(crate) async fn conclude(&self, caller: &Caller, tool_use: &str, outcome: Outcome) {
        let key = (caller.session, tool_use.to_owned());
        let Some(open) = self.open().remove(&key) else { return };
        self.closer.conclude(&open.caller, open.action, outcome).await;
    }

    /// Closes the open calls of sessions that are over.
    pub(crate) fn sweep(&self) {
        let over: Vec<Open> = {
            let state = self.directory.state.read();
            let mut open = self.open();
            open.extract_if(|(session, _), _| !state.sessions.contains_key(session))
                .map(|(_, open)| open)
                .collect()
        };
        for open in over {
            self.abandon(&open, "its session ended before its result was seen");
        }
    }

    fn abandon(&self, open: &Open, why: &str) {
        let outcome = Outcome::because(Status::Unknown, why);
        self.closer.conclude_later(&open.caller, open.action, outcome);
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The SHA-256 of JSON with sorted keys and no white space; of the bytes, if they are no JSON.
fn canonical(arguments: &[u8]) -> Vec<u8> {
    let printed = match serde_json::from_slice::<serde_json::Value>(arguments) {
        Ok(mut value) => {
            value.sort_all_objects();
            value.to_string().into_bytes()
        }
        Err(_no_json) => arguments.to_vec(),
    };
    Sha256::digest(printed).to_vec()
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn who_printed_the_arguments_does_not_matter() {
        assert_eq!(canonical(br#"{"b":1, "a":[2]}"#), canonical(br#"{"a":[2],"b":1}"#));
        assert_ne!(canonical(br#"{"a":1}"#), canonical(br#"{"a":2}"#));
        assert_ne!(canonical(b"{"), canonical(b"{ "));
    }
}
