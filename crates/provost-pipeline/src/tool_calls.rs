//! Tool calls: decided when the model asks for them, closed when their results come back.
//!
//! A tool call is an action of its own, inside a model request's or a hook's report: the
//! client makes it, so what the pipeline can do is decide before the client may, and record
//! what it says came of it. A call that is allowed stays open until its result is seen, its
//! session ends, or the next start finds it without an outcome.
//!
//! The same call may be seen on several planes. It is decided each time, for policy and run
//! state may have changed; recorded once; each further sight is a witness. What does not fit
//! together is an alert: [`book`] says what that is.

mod book;

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use provost_ledger::{Alert, Intent, Record, Witness};
use provost_tools::{canonical_json, json_value};
use provost_types::{
    Action, ActionId, ApprovalId, Causes, Outcome, Plane, SessionId, Status, Value, Verdict,
};
use sha2::{Digest as _, Sha256};

pub(crate) use self::book::Book;
use self::book::{Closed, Open, Planes, Rule, Sight};
use crate::{
    Approvals, Caller, Directory, PolicyDirectory, Refusal, RefusalCode,
    approvals::{Ruling, Waiting},
    permit::Keeping,
    pipeline::{decide, intent, query},
    record::{Closer, Recorder},
    refusal::Reason,
    run_tree::Path,
    trace,
};

/// Decides tool calls and remembers those that are open.
#[derive(Debug)]
pub(crate) struct ToolCalls {
    pub(crate) directory: Arc<Directory>,
    pub(crate) approvals: Arc<Approvals>,
    pub(crate) policies: Arc<PolicyDirectory>,
    pub(crate) recorder: Recorder,
    pub(crate) closer: Closer,
    pub(crate) book: Mutex<Book>,
}

/// A tool call that may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmittedCall {
    /// The call's own action.
    pub action: ActionId,
    /// The approval that it goes ahead by, if it was held.
    pub approval: Option<ApprovalId>,
    /// Policy wants the user at the client to be asked as well, where there is one.
    pub asks_user: bool,
    /// Arguments that policy wants the client to set before it makes the call.
    pub sets: Vec<(String, Value)>,
}

/// Where something is seen: by whose action, and on which plane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) keeping: &'a Keeping,
    /// What may stop it.
    pub(crate) path: &'a Path,
    pub(crate) plane: Plane,
    /// The action that brings it.
    pub(crate) via: ActionId,
    /// Whether that is the session's first action on the plane: it may go on with a
    /// conversation that began elsewhere.
    pub(crate) is_first: bool,
}

impl ToolCalls {
    /// Notes that `session` is active on `plane`; whether that is news.
    pub(crate) fn enter(&self, session: SessionId, plane: Plane) -> bool {
        self.book().enter(session, plane)
    }

    /// Decides one call and records the decision; the call may be made if this succeeds.
    ///
    /// `call.correlation.tool_use` names it. One that is held waits at most `patience`, and not
    /// for a client that is gone.
    pub(crate) async fn decide(
        &self,
        place: Place<'_>,
        call: &Action,
        patience: (Duration, Pin<&mut (impl Future<Output = ()> + Send)>),
    ) -> Result<AdmittedCall, Refusal> {
        let Place { caller, plane, .. } = place;
        let arguments = canonical(&call.arguments);
        let (sight, rule) = match &call.correlation.tool_use {
            Some(id) => self.book().look(caller.session, id, (plane, &arguments)),
            None => (Sight::First, None),
        };
        let action = match sight {
            Sight::Again { action, .. } => action,
            Sight::First | Sight::Other { .. } => ActionId::generate(),
        };
        metrics::counter!("provost_tool_call_sights_total", "plane" => plane.as_str())
            .increment(1);
        if let (Some(rule), Some(id)) = (rule, &call.correlation.tool_use) {
            self.alert(place, action, (rule, id)).await;
        }
        let (admitted, intent) = self.rule(place, (action, call), &sight, patience).await;
        match admitted {
            Ok(admitted) => {
                count("allowed", &sight);
                if !matches!(sight, Sight::Again { .. }) {
                    self.keep(place, action, (call, arguments));
                }
                Ok(admitted)
            }
            Err(reason) => {
                count(reason.code.as_str(), &sight);
                self.withdraw(caller, call, &reason);
                Err(self.refuse(caller, action, intent, reason).await)
            }
        }
    }

    /// Admits the call or says why not, with what was decided about it last.
    async fn rule(
        &self,
        place: Place<'_>,
        (action, call): (ActionId, &Action),
        sight: &Sight,
        (patience, mut gone): (Duration, Pin<&mut (impl Future<Output = ()> + Send)>),
    ) -> (Result<AdmittedCall, Reason>, Intent) {
        let known = (place.caller, place.keeping.keys.as_ref());
        let waiting = Waiting::new(patience.min(self.approvals.wait_max()));
        let before = matches!(sight, Sight::Again { .. }).then_some(action);
        loop {
            let Ruling { decision, by, question, loaded } =
                self.approvals.rule(known, call, before);
            let question = question.filter(|_| decision.verdict == Verdict::Hold);
            let intent = intent(place.caller, call, place.keeping, decision);
            let Some(question) = question else {
                match self.spend(place, action, by).await {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(reason) => return (Err(reason), intent),
                }
                let admitted = self.admit(place, action, (sight, &intent)).await;
                let asks_user = loaded.policies.asks_user(&intent.decision);
                let sets = loaded.policies.sets(&intent.decision);
                let call = AdmittedCall { action, approval: by, asks_user, sets };
                return (admitted.map(|()| call), intent);
            };
            if let Err(reason) = self.directory.enter(place.caller) {
                return (Err(reason), intent);
            }
            let asked = (&question, &intent);
            let settled = match self.approvals.hold(known, (action, call), asked).await {
                Ok(Some(ticket)) => {
                    let of = (place.path, &intent.decision);
                    waiting.settled(ticket, of, gone.as_mut()).await
                }
                // Somebody answered meanwhile.
                Ok(None) => Ok(()),
                Err(reason) => Err(reason),
            };
            if let Err(reason) = settled {
                return (Err(reason), intent);
            }
        }
    }

    /// Spends the approval that an action rests on, if it does; whether it still counts.
    async fn spend(
        &self,
        place: Place<'_>,
        action: ActionId,
        by: Option<ApprovalId>,
    ) -> Result<bool, Reason> {
        match by {
            None => Ok(true),
            Some(approval) => {
                self.directory.enter(place.caller)?;
                self.approvals.spend(place.caller, approval, action).await
            }
        }
    }

    /// Decides what a server asks of the client, and records that it passed: what the client
    /// answers is an action of its own.
    pub(crate) async fn decide_ask(
        &self,
        place: Place<'_>,
        ask: &Action,
    ) -> Result<ActionId, Refusal> {
        let (caller, action) = (place.caller, ActionId::generate());
        let decision = decide(&self.policies, caller, ask);
        let intent = intent(caller, ask, place.keeping, decision);
        match self.admit(place, action, (&Sight::First, &intent)).await {
            Ok(()) => {
                let passed = Outcome::new(Status::Succeeded);
                self.closer.conclude(caller, action, passed).await;
                Ok(action)
            }
            Err(reason) => Err(self.refuse(caller, action, intent, reason).await),
        }
    }

    /// Whether some action like this could be allowed, whatever its context.
    pub(crate) fn is_possible(&self, caller: &Caller, action: &Action) -> bool {
        self.policies.current().policies.is_possible(&query(caller, action))
    }

    /// Whether the call may be made now, and is on record.
    async fn admit(
        &self,
        place: Place<'_>,
        action: ActionId,
        (sight, intent): (&Sight, &Intent),
    ) -> Result<(), Reason> {
        let caller = place.caller;
        self.directory.enter(caller)?;
        if intent.decision.verdict != Verdict::Allow {
            return Err(Reason::new(RefusalCode::Denied, intent.decision.reason.clone()));
        }
        match sight {
            Sight::Again { by_this: true, .. } => Ok(()),
            Sight::Again { by_this: false, .. } => {
                let tool_use = intent.correlation.tool_use.clone().unwrap_or_default();
                let (arguments, argument_bytes) = (intent.arguments, intent.argument_bytes);
                let (plane, via) = (place.plane.as_str().to_owned(), place.via);
                self.book().note(caller.session, &tool_use, place.plane);
                let witness = Witness { plane, via, tool_use, arguments, argument_bytes };
                self.recorder.record_witness(caller.subject(action), witness).await
            }
            Sight::First | Sight::Other { .. } if self.book().is_full() => {
                Err(Reason::new(RefusalCode::Busy, "too many tool calls wait for results"))
            }
            Sight::First | Sight::Other { .. } => {
                self.recorder.record_intent(caller.subject(action), intent.clone()).await
            }
        }
    }

    fn keep(&self, place: Place<'_>, action: ActionId, (call, arguments): (&Action, Vec<u8>)) {
        let Some(tool_use) = call.correlation.tool_use.clone() else { return };
        let (caller, seen) = (place.caller.clone(), Planes::of(place.plane));
        let before = self.book().open(tool_use, Open { caller, action, arguments, seen });
        if let Some(before) = before {
            let why = "a call of the same id, with other arguments or from the same place, \
                       came before its result";
            self.abandon(&before, why);
        }
    }

    /// Not allowed, or not any more: what came of an open call is that it was not made.
    fn withdraw(&self, caller: &Caller, call: &Action, reason: &Reason) {
        if reason.code == RefusalCode::Held {
            // Not denied: the client may bring the very same call again.
            return;
        }
        let Some(tool_use) = &call.correlation.tool_use else { return };
        let (open, _) = self.book().close(caller.session, tool_use, Closed::Denied);
        if let Some(open) = open {
            let outcome = Outcome::because(Status::Aborted, reason.message.clone());
            self.closer.conclude_later(&open.caller, open.action, outcome);
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

    /// Records what came of an open call. Nothing if it was closed before: a conversation
    /// repeats its results with every request.
    pub(crate) async fn conclude(&self, place: Place<'_>, tool_use: &str, outcome: Outcome) {
        let (caller, done) = (place.caller, outcome.status == Status::Succeeded);
        let (open, before) = self.book().close(caller.session, tool_use, Closed::Done);
        match (open, before) {
            (Some(open), _) => self.closer.conclude(&open.caller, open.action, outcome).await,
            (None, Some(Closed::Denied)) if done => {
                self.alert(place, place.via, (Rule::DeniedCallMade, tool_use)).await;
            }
            (None, None) if !place.is_first => {
                self.alert(place, place.via, (Rule::ResultWithoutCall, tool_use)).await;
            }
            (None, _) => {}
        }
    }

    /// Notes that a call is on the wire, which is an action of its own there.
    pub(crate) async fn on_the_wire(
        &self,
        place: Place<'_>,
        tool_use: Option<&str>,
        arguments: &[u8],
    ) {
        let (caller, plane) = (place.caller, place.plane);
        metrics::counter!("provost_tool_call_sights_total", "plane" => plane.as_str())
            .increment(1);
        let Some(tool_use) = tool_use else {
            if self.book().is_active(caller.session, Plane::Hook) {
                self.alert(place, place.via, (Rule::CallWithoutHook, "")).await;
            }
            return;
        };
        let seen = canonical(arguments);
        let (sight, rule) = self.book().look(caller.session, tool_use, (plane, &seen));
        let of = match sight {
            Sight::Again { action, .. } | Sight::Other { action: Some(action) } => Some(action),
            Sight::First | Sight::Other { action: None } => None,
        };
        if let Some(action) = of {
            self.book().note(caller.session, tool_use, plane);
            let witness = Witness {
                plane: plane.as_str().to_owned(),
                via: place.via,
                tool_use: tool_use.to_owned(),
                arguments: place.keeping.digest(arguments),
                argument_bytes: u64::try_from(arguments.len()).unwrap_or(u64::MAX),
            };
            // The call itself is on record as an action of its plane.
            let recorded = self.recorder.record_witness(caller.subject(action), witness);
            drop(recorded.await);
        }
        if let Some(rule) = rule {
            self.alert(place, of.unwrap_or(place.via), (rule, tool_use)).await;
        }
    }

    /// Tells that something does not fit together: in the log, the ledger and the metrics.
    async fn alert(&self, place: Place<'_>, action: ActionId, (rule, id): (Rule, &str)) {
        let (name, message) = (rule.as_str(), rule.sentence().to_owned());
        metrics::counter!("provost_tool_call_alerts_total", "rule" => name).increment(1);
        let (agent, session, plane) =
            (&place.caller.agent, place.caller.session, place.plane.as_str());
        tracing::warn!(%agent, %session, %action, plane, rule = name, "tool calls do not fit");
        let via = place.via.to_string();
        let detail = [("plane", plane), ("tool_use", id), ("via", &via)]
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| (name.to_owned(), text.to_owned()));
        let detail = detail.collect::<BTreeMap<_, _>>();
        let record = Record::Alert(Alert { rule: name.to_owned(), message, detail });
        if let Err(error) = self.recorder.record(place.caller.subject(action), record).await {
            tracing::error!(%action, error = %Causes(&error), rule = name, "alert not recorded");
        }
    }

    /// Closes the open calls of sessions that are over.
    pub(crate) fn sweep(&self) {
        let over = {
            let state = self.directory.state.read();
            self.book().sweep(|session| state.sessions.contains_key(session))
        };
        for open in over {
            self.abandon(&open, "its session ended before its result was seen");
        }
    }

    fn abandon(&self, open: &Open, why: &str) {
        let outcome = Outcome::because(Status::Unknown, why);
        self.closer.conclude_later(&open.caller, open.action, outcome);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(result: &'static str, sight: &Sight) {
    let result = match (result, sight) {
        ("allowed", Sight::Again { .. }) => "seen-again",
        (result, _) => result,
    };
    metrics::counter!("provost_tool_calls_total", "result" => result).increment(1);
}

/// The SHA-256 of JSON with sorted keys and no white space; of the bytes, if they are no JSON.
fn canonical(arguments: &[u8]) -> Vec<u8> {
    let printed = match json_value(arguments) {
        Ok(value) => canonical_json(value),
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
