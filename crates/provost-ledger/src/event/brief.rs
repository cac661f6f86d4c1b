//! What an index keeps of an event, read from its entry without the rest.

use std::borrow::Cow;

use provost_types::Timestamp;
use serde::Deserialize;

use super::DecodeError;

/// The facts an event is found by.
///
/// Reading them takes a small part of the work of [`super::Event::decode`] and proves nothing:
/// what is no event may have them all. For an index that can be built again, not for an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief<'a> {
    /// The wall clock's time.
    pub at: Timestamp,
    /// As [`super::Event::kind`] says it.
    pub kind: &'static str,
    /// The action's id.
    pub action: Option<Cow<'a, str>>,
    /// The agent's name.
    pub agent: Option<Cow<'a, str>>,
    /// The project's name.
    pub project: Option<Cow<'a, str>>,
    /// The session's id.
    pub session: Option<Cow<'a, str>>,
    /// The plane of what was asked.
    pub plane: Option<Cow<'a, str>>,
    /// What was to be done, or what happened to the session, the server or what people rule.
    pub verb: Option<Cow<'a, str>>,
    /// On what: a kind and an id, or for what people do the whole name.
    pub resource: Option<(Option<Cow<'a, str>>, Cow<'a, str>)>,
    /// The verdict of an intent, the status of an outcome, the code of a refusal.
    pub result: Option<Cow<'a, str>>,
}

impl<'a> Brief<'a> {
    /// Reads them from `entry`.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Shape`] if they are not all there.
    pub fn read(entry: &'a [u8]) -> Result<Self, DecodeError> {
        let Entry { at_us, record, subject } = serde_json::from_slice(entry)?;
        let mut brief = Self {
            at: Timestamp(at_us),
            kind: record.kind(),
            action: subject.action.map(Text::get),
            agent: subject.agent.map(Text::get),
            project: subject.project.map(Text::get),
            session: subject.session.map(Text::get),
            plane: None,
            verb: None,
            resource: None,
            result: None,
        };
        match record {
            Record::Intent(intent) => {
                brief.result = Some(intent.decision.verdict.clone().get());
                brief.ask(intent);
            }
            Record::Outcome(outcome) => brief.result = Some(outcome.status.get()),
            Record::Refusal(refusal) => {
                brief.result = Some(refusal.code.get());
                refusal.intent.into_iter().for_each(|intent| brief.ask(intent));
            }
            Record::Admin(admin) => {
                brief.verb = Some(admin.verb.get());
                brief.resource = Some((None, admin.subject.get()));
            }
            Record::Session(event) => brief.verb = Some(event.verb().into()),
            Record::Server(event) => brief.verb = Some(event.verb().into()),
            Record::Witness(witness) => brief.plane = Some(witness.plane.get()),
            Record::Alert(alert) => brief.verb = Some(alert.rule.get()),
            Record::Approval(approval) => {
                approval.intent.into_iter().for_each(|intent| brief.ask(intent));
                brief.result = Some(approval.step.get());
            }
        }
        Ok(brief)
    }

    fn ask(&mut self, intent: Intent<'a>) {
        self.plane = Some(intent.plane.get());
        self.verb = Some(intent.verb.get());
        self.resource = Some((Some(intent.resource_kind.get()), intent.resource_id.get()));
    }
}

/// A text, borrowed from the entry unless it has escapes.
#[derive(Clone, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Text<'a> {
    fn get(self) -> Cow<'a, str> {
        self.0
    }
}

#[derive(Deserialize)]
struct Entry<'a> {
    at_us: u64,
    #[serde(borrow)]
    record: Record<'a>,
    #[serde(borrow)]
    subject: Subject<'a>,
}

#[derive(Deserialize)]
struct Subject<'a> {
    #[serde(borrow)]
    action: Option<Text<'a>>,
    #[serde(borrow)]
    agent: Option<Text<'a>>,
    #[serde(borrow)]
    project: Option<Text<'a>>,
    #[serde(borrow)]
    session: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record<'a> {
    #[serde(borrow)]
    Intent(Intent<'a>),
    #[serde(borrow)]
    Outcome(Outcome<'a>),
    #[serde(borrow)]
    Refusal(Refusal<'a>),
    #[serde(borrow)]
    Admin(Admin<'a>),
    Session(Session),
    Server(Server),
    #[serde(borrow)]
    Witness(Witness<'a>),
    #[serde(borrow)]
    Alert(Alert<'a>),
    #[serde(borrow)]
    Approval(Approval<'a>),
}

#[derive(Deserialize)]
struct Witness<'a> {
    #[serde(borrow)]
    plane: Text<'a>,
}

#[derive(Deserialize)]
struct Alert<'a> {
    #[serde(borrow)]
    rule: Text<'a>,
}

#[derive(Deserialize)]
struct Approval<'a> {
    #[serde(borrow)]
    intent: Option<Intent<'a>>,
    #[serde(borrow)]
    step: Text<'a>,
}

#[derive(Deserialize)]
struct Intent<'a> {
    #[serde(borrow)]
    decision: Decision<'a>,
    #[serde(borrow)]
    plane: Text<'a>,
    #[serde(borrow)]
    resource_id: Text<'a>,
    #[serde(borrow)]
    resource_kind: Text<'a>,
    #[serde(borrow)]
    verb: Text<'a>,
}

#[derive(Deserialize)]
struct Decision<'a> {
    #[serde(borrow)]
    verdict: Text<'a>,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(borrow)]
    status: Text<'a>,
}

#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(borrow)]
    intent: Option<Intent<'a>>,
}

#[derive(Deserialize)]
struct Admin<'a> {
    #[serde(borrow)]
    subject: Text<'a>,
    #[serde(borrow)]
    verb: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Session {
    Started {},
    Ended {},
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Server {
    Started {},
    Stopped {},
    ClockStepped {},
}

impl Record<'_> {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Intent(_) => "intent",
            Self::Outcome(_) => "outcome",
            Self::Refusal(_) => "refusal",
            Self::Admin(_) => "admin",
            Self::Session(_) => "session",
            Self::Server(_) => "server",
            Self::Witness(_) => "witness",
            Self::Alert(_) => "alert",
            Self::Approval(_) => "approval",
        }
    }
}

impl Session {
    const fn verb(&self) -> &'static str {
        match self {
            Self::Started {} => "started",
            Self::Ended {} => "ended",
        }
    }
}

impl Server {
    const fn verb(&self) -> &'static str {
        match self {
            Self::Started {} => "started",
            Self::Stopped {} => "stopped",
            Self::ClockStepped {} => "clock-stepped",
        }
    }
}
