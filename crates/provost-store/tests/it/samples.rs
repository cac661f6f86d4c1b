//! Rows and events to keep: small, distinct, and made in one place.

use std::{borrow::Borrow, time::Duration};

use provost_ledger::{
    Admin, Alert, Approval, Brief, Event, Intent, Record, Refused, ServerEvent, SessionEvent,
    Subject, Witness,
};
use provost_store::{
    AgentRow, BodyMode, CredentialRow, Holder, HumanRow, ProjectRow, SessionRow, Store,
    StoreError,
};
use provost_types::{
    ActionId, AgentName, ApprovalId, BootId, Correlation, CredentialId, Decision, Digest,
    HumanId, Monotonic, Outcome, PolicyVersion, Role, SessionId, Status, Timestamp, Verdict,
};

/// A second, for times: `at(3)` is three seconds after the epoch.
pub(crate) fn at(second: u64) -> Timestamp {
    Timestamp(second * 1_000_000)
}

pub(crate) fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

pub(crate) fn project(text: &str) -> ProjectRow {
    ProjectRow {
        name: name(text),
        bodies: BodyMode::Digests,
        sealed_keys: vec![0, 255, b'\''],
        created_at: at(1),
    }
}

pub(crate) fn agent(text: &str, project: &str) -> AgentRow {
    AgentRow { name: name(text), project: name(project), created_at: at(2), retired_at: None }
}

pub(crate) fn human(text: &str) -> HumanRow {
    HumanRow {
        id: HumanId::generate(),
        name: text.to_owned(),
        role: Role::Operator,
        created_at: at(3),
        removed_at: None,
    }
}

/// A credential whose digest is of its own id.
pub(crate) fn credential(holder: Holder) -> CredentialRow {
    let id = CredentialId::generate();
    let mut sha256 = [7; 32];
    sha256[..16].copy_from_slice(id.uuid().as_bytes());
    CredentialRow {
        id,
        holder,
        label: "laptop".to_owned(),
        sha256,
        created_at: at(4),
        expires_at: Some(at(1000)),
        last_used_at: None,
        revoked_at: None,
    }
}

pub(crate) fn session(agent: &str, project: &str) -> (SessionRow, CredentialRow) {
    let id = SessionId::generate();
    let session = SessionRow {
        id,
        agent: name(agent),
        project: name(project),
        opened_by: "local/1000".to_owned(),
        started_at: at(5),
        last_seen_at: at(5),
        idle_max: Duration::from_micros(1_500_001),
        expires_at: at(500),
        ended_at: None,
        end_reason: None,
    };
    (session, credential(Holder::Session(id)))
}

/// A store at `url` with the project `finance` and its agent `bot`.
pub(crate) async fn inhabited(url: &str) -> Store {
    let store = Store::connect(url).await.unwrap();
    store.put_project(&project("finance")).await.unwrap();
    store.put_agent(&agent("bot", "finance")).await.unwrap();
    store
}

/// An event of `bot` that belongs to `action`.
pub(crate) fn event(action: Option<ActionId>, record: Record) -> Event {
    let named = |text| name::<AgentName>(text);
    Event {
        at: at(10),
        elapsed: Monotonic(5),
        boot: BootId::new(uuid::Uuid::from_u128(1)),
        subject: Subject {
            action,
            agent: Some(named("bot")),
            project: Some(name("finance")),
            session: Some(SessionId::new(uuid::Uuid::from_u128(2))),
        },
        record,
    }
}

pub(crate) fn intent(model: &str) -> Intent {
    Intent {
        plane: "llm".to_owned(),
        verb: "message".to_owned(),
        resource_kind: "Llm::Model".to_owned(),
        resource_id: model.to_owned(),
        context: Vec::new(),
        correlation: Correlation::default(),
        arguments: Some(Digest([1; 32])),
        argument_bytes: 100,
        credential: CredentialId::new(uuid::Uuid::from_u128(3)),
        decision: Decision {
            verdict: Verdict::Allow,
            policies: Vec::new(),
            version: PolicyVersion(Digest([2; 32])),
            reason: String::new(),
        },
    }
}

/// Intent and outcome of one action.
pub(crate) fn action() -> (ActionId, [Event; 2]) {
    let id = ActionId::generate();
    let intent = event(Some(id), Record::Intent(intent("claude-sonnet-5")));
    let outcome = event(Some(id), Record::Outcome(Outcome::new(Status::Succeeded)));
    (id, [intent, outcome])
}

/// One event of every kind that has no outcome to wait for.
pub(crate) fn others() -> [Event; 5] {
    let refused = Refused {
        code: "denied".to_owned(),
        reason: "no policy permits it".to_owned(),
        intent: Some(intent("nul\0model")),
        credential: None,
    };
    let admin = Admin {
        by: "local/0".to_owned(),
        verb: "agent.create".to_owned(),
        subject: "agent/bot".to_owned(),
        detail: [("project".to_owned(), "finance".to_owned())].into(),
    };
    let ended = SessionEvent::Ended { reason: "killed".to_owned() };
    let server =
        Event { subject: Subject::default(), ..event(None, Record::Admin(admin.clone())) };
    [
        event(Some(ActionId::generate()), Record::Refusal(refused)),
        event(None, Record::Admin(admin)),
        event(None, Record::Session(ended)),
        Event { record: Record::Server(ServerEvent::Stopped), ..server.clone() },
        Event { record: Record::Server(ServerEvent::ClockStepped { by_us: -5 }), ..server },
    ]
}

/// What does not come from one request alone.
pub(crate) fn joined() -> [Event; 3] {
    [
        event(
            Some(ActionId::generate()),
            Record::Witness(Witness {
                plane: "hook".to_owned(),
                via: ActionId::generate(),
                tool_use: "toolu_1".to_owned(),
                arguments: None,
                argument_bytes: 2,
            }),
        ),
        event(
            None,
            Record::Alert(Alert {
                rule: "arguments-differ".to_owned(),
                message: "they do".to_owned(),
                detail: std::collections::BTreeMap::new(),
            }),
        ),
        event(
            Some(ActionId::generate()),
            Record::Approval(Approval {
                approval: ApprovalId::generate(),
                step: "approved".to_owned(),
                by: "human/ada".to_owned(),
                detail: std::collections::BTreeMap::new(),
                intent: None,
            }),
        ),
    ]
}

/// Indexes events from position `from` on, by their entries.
pub(crate) async fn index(
    store: &Store,
    from: u64,
    events: impl IntoIterator<Item: Borrow<Event>>,
) -> Result<(), StoreError> {
    let entries: Vec<_> = events.into_iter().map(|event| event.borrow().encode()).collect();
    let briefs: Vec<_> = entries.iter().map(|entry| Brief::read(entry).unwrap()).collect();
    store.index(from, &briefs).await
}
