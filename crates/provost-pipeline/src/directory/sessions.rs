//! Sessions: opened, kept alive by use, and over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use provost_ledger::{Record, SessionEvent, Subject};
use provost_store::{CredentialRow, Holder, SessionFilter, SessionRow};
use provost_types::{AgentName, Clock, CredentialId, Monotonic, SessionId, Timestamp};
use secrecy::SecretString;

use super::{Credential, Directory, DirectoryError, ENDED_KEPT, State};
use crate::{
    By,
    credential::{self, Kind},
};

/// How long a session may live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Longest time without an action.
    pub idle_max: Duration,
    /// Longest time altogether.
    pub lifetime_max: Duration,
}

/// A session just opened: its credential's text is here and nowhere else.
#[derive(Debug)]
pub struct OpenedSession {
    /// The session.
    pub session: SessionRow,
    /// What the agent authenticates with.
    pub credential: SecretString,
}

/// What a session's credential is known by.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: CredentialId,
    pub(super) sha256: [u8; 32],
    pub(super) label: &'static str,
    /// When it does not count any more, if it says so itself.
    pub(super) until: Option<Timestamp>,
}

/// A session that goes on.
#[derive(Debug)]
pub(crate) struct LiveSession {
    pub(crate) row: SessionRow,
    last_seen: AtomicU64,
    last_seen_monotonic: AtomicU64,
    expires_monotonic: Monotonic,
    in_flight: AtomicUsize,
}

impl LiveSession {
    pub(crate) fn new(row: SessionRow, clock: &dyn Clock) -> Self {
        let left = row.expires_at.since(clock.wall());
        let now = clock.monotonic();
        let left = u64::try_from(left.as_micros()).unwrap_or(u64::MAX);
        Self {
            last_seen: AtomicU64::new(row.last_seen_at.0),
            last_seen_monotonic: AtomicU64::new(now.0),
            expires_monotonic: Monotonic(now.0.saturating_add(left)),
            in_flight: AtomicUsize::new(0),
            row,
        }
    }

    /// The limit it has reached, if any. Either clock is enough, so that setting the wall
    /// clock back does not lengthen a session.
    pub(crate) fn limit_reached(&self, clock: &dyn Clock) -> Option<&'static str> {
        let (wall, monotonic) = (clock.wall(), clock.monotonic());
        if wall >= self.row.expires_at || monotonic >= self.expires_monotonic {
            return Some("its maximum lifetime was reached");
        }
        if self.in_flight.load(Ordering::SeqCst) > 0 {
            return None;
        }
        let seen = Timestamp(self.last_seen.load(Ordering::SeqCst));
        let seen_monotonic = self.last_seen_monotonic.load(Ordering::SeqCst);
        let idle = Duration::from_micros(monotonic.0.saturating_sub(seen_monotonic));
        (wall.since(seen).max(idle) >= self.row.idle_max).then_some("it was idle too long")
    }

    fn touch(&self, clock: &dyn Clock) {
        self.last_seen.fetch_max(clock.wall().0, Ordering::SeqCst);
        self.last_seen_monotonic.fetch_max(clock.monotonic().0, Ordering::SeqCst);
    }

    /// The row with its newest time of use.
    pub(crate) fn row(&self) -> SessionRow {
        let last_seen_at = Timestamp(self.last_seen.load(Ordering::SeqCst));
        SessionRow { last_seen_at, ..self.row.clone() }
    }
}

/// Keeps a session from counting as idle while one of its actions is in flight.
#[derive(Debug)]
pub(crate) struct InFlight {
    live: Arc<LiveSession>,
    clock: Arc<dyn Clock>,
}

impl InFlight {
    pub(crate) fn enter(live: &Arc<LiveSession>, clock: &Arc<dyn Clock>) -> Self {
        live.in_flight.fetch_add(1, Ordering::SeqCst);
        live.touch(clock.as_ref());
        Self { live: Arc::clone(live), clock: Arc::clone(clock) }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.live.touch(self.clock.as_ref());
        self.live.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Directory {
    /// Opens a session for an agent that may act now.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::NoSuch`] or retired agent; [`DirectoryError::Stopped`] if it, its
    /// project or everything is paused or killed.
    pub async fn open_session(
        &self,
        by: &By,
        agent: &AgentName,
        terms: Terms,
    ) -> Result<OpenedSession, DirectoryError> {
        let fresh = credential::generate(Kind::Session)?;
        let key = Key { id: fresh.id, sha256: fresh.sha256, label: "session", until: None };
        let session = self.open(by, agent, terms, key).await?;
        Ok(OpenedSession { session, credential: fresh.text })
    }

    /// Opens a session whose credential is `key`, for as long as both `terms` and it last.
    ///
    /// # Errors
    ///
    /// As [`Directory::open_session`]; [`DirectoryError::Taken`] if the key is one already.
    pub(super) async fn open(
        &self,
        by: &By,
        agent: &AgentName,
        terms: Terms,
        key: Key,
    ) -> Result<SessionRow, DirectoryError> {
        let _changing = self.changing.lock().await;
        if self.state.read().credentials.contains_key(&key.sha256) {
            return Err(DirectoryError::Taken { what: format!("a credential {}", key.label) });
        }
        let agent_row = self.live_agent(agent)?;
        let id = SessionId::generate();
        self.state
            .write()
            .tree
            .enter(&agent_row.project, agent, id)
            .map_err(|reason| DirectoryError::Stopped { sentence: reason.message })?;
        let now = self.now();
        let expires_at = now.plus(terms.lifetime_max);
        let session = SessionRow {
            id,
            agent: agent.clone(),
            project: agent_row.project,
            opened_by: by.to_string(),
            started_at: now,
            last_seen_at: now,
            idle_max: terms.idle_max,
            expires_at: key.until.map_or(expires_at, |until| until.min(expires_at)),
            ended_at: None,
            end_reason: None,
        };
        let credential = CredentialRow {
            id: key.id,
            holder: Holder::Session(id),
            label: key.label.to_owned(),
            sha256: key.sha256,
            created_at: now,
            // Remembered for as long as it could be shown again.
            expires_at: key.until.or(Some(session.expires_at)),
            last_used_at: None,
            revoked_at: None,
        };
        let started = SessionEvent::Started {
            by: by.to_string(),
            credential: key.id,
            expires_at: session.expires_at,
        };
        self.recorder.record(subject(&session), Record::Session(started)).await?;
        self.store.open_session(&session, &credential).await?;
        let live = LiveSession::new(session.clone(), self.clock());
        let mut state = self.state.write();
        state.credentials.insert(credential.sha256, Credential::new(credential));
        state.sessions.insert(id, Arc::new(live));
        Ok(session)
    }

    /// Ends a session; what is in flight is cut.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::NoSuch`] live session.
    pub async fn end_session(
        &self,
        by: &By,
        id: SessionId,
        reason: &str,
    ) -> Result<(), DirectoryError> {
        let _changing = self.changing.lock().await;
        if !self.state.read().sessions.contains_key(&id) {
            return Err(DirectoryError::no_such(format!("live session {id}")));
        }
        self.end_sessions(by, reason, |session| session.row.id == id).await
    }

    /// Ends every live session that `chosen` picks. Takes effect before it is recorded:
    /// ending is a refusal of what comes next, and must not wait for a disk.
    pub(super) async fn end_sessions(
        &self,
        by: &By,
        reason: &str,
        chosen: impl Fn(&LiveSession) -> bool,
    ) -> Result<(), DirectoryError> {
        let now = self.now();
        let ended: Vec<_> = {
            let mut state = self.state.write();
            let ended: Vec<_> =
                state.sessions.values().filter(|session| chosen(session)).cloned().collect();
            for session in &ended {
                state.sessions.remove(&session.row.id);
                state.tree.end(session.row.id, &over_sentence(session.row.id, reason));
            }
            ended
        };
        for session in ended {
            let reason = format!("{reason} ({by})");
            let record = Record::Session(SessionEvent::Ended { reason: reason.clone() });
            self.recorder.record(subject(&session.row), record).await?;
            let seen = session.row().last_seen_at;
            self.store.touch_sessions(&[(session.row.id, seen)]).await?;
            self.store.end_session(session.row.id, now, &reason).await?;
        }
        Ok(())
    }

    /// Sessions, newest first.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Store`] if the database cannot be read.
    pub async fn sessions(
        &self,
        filter: &SessionFilter,
        limit: u32,
    ) -> Result<Vec<SessionRow>, DirectoryError> {
        let rows = self.store.sessions(filter, limit).await?;
        let state = self.state.read();
        let newest = |row: SessionRow| match state.sessions.get(&row.id) {
            Some(live) => live.row(),
            None => row,
        };
        Ok(rows.into_iter().map(newest).collect())
    }

    /// One session, live or over.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::NoSuch`] session.
    pub async fn session(&self, id: SessionId) -> Result<SessionRow, DirectoryError> {
        let live = self.state.read().sessions.get(&id).map(|live| live.row());
        if let Some(row) = live {
            return Ok(row);
        }
        let row = self.store.session(id).await?;
        row.ok_or_else(|| DirectoryError::no_such(format!("session {id}")))
    }

    /// Waits until a session is killed or over, and says why. Returns at once if it is.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::NoSuch`] session.
    pub async fn session_over(&self, id: SessionId) -> Result<String, DirectoryError> {
        let path = {
            let mut state = self.state.write();
            match state.sessions.get(&id).map(|live| live.row.clone()) {
                None => None,
                Some(row) => {
                    if let Some(sentence) = state.tree.killed(&row.project, &row.agent, id) {
                        return Ok(sentence);
                    }
                    Some(state.tree.path_of(&row.project, &row.agent, id))
                }
            }
        };
        match path {
            Some(path) => Ok(path.stopped().await.sentence().to_owned()),
            None => {
                let row = self.session(id).await?;
                Ok(over_sentence(id, row.end_reason.as_deref().unwrap_or("ended")))
            }
        }
    }

    /// Ends the sessions that have reached a limit, and writes down when the others and
    /// their credentials were last used. Called at an interval.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] if that could not be recorded or stored; it is tried again.
    pub async fn sweep(&self) -> Result<(), DirectoryError> {
        let changing = self.changing.lock().await;
        for limit in ["its maximum lifetime was reached", "it was idle too long"] {
            self.end_sessions(&By::provost(), limit, |session| {
                session.limit_reached(self.clock()) == Some(limit)
            })
            .await?;
        }
        drop(changing);
        self.forget_ended();
        let (sessions, credentials): (Vec<_>, Vec<_>) = {
            let state = self.state.read();
            let used = |credential: &Arc<Credential>| {
                let row = credential.row();
                let changed = row.last_used_at != credential.row.last_used_at;
                row.last_used_at.filter(|_| changed).map(|at| (row.id, at))
            };
            let seen =
                state.sessions.values().map(|live| (live.row.id, live.row().last_seen_at));
            (seen.collect(), state.credentials.values().filter_map(used).collect())
        };
        self.store.touch_sessions(&sessions).await?;
        self.store.touch_credentials(&credentials).await?;
        Ok(())
    }
}

impl Directory {
    /// Forgets the credentials of sessions that are long over.
    fn forget_ended(&self) {
        let before = self.now().minus(ENDED_KEPT);
        let mut state = self.state.write();
        let State { credentials, sessions, .. } = &mut *state;
        credentials.retain(|_, credential| match credential.row.holder {
            Holder::Session(id) => {
                sessions.contains_key(&id)
                    || credential.row.expires_at.is_none_or(|at| at > before)
            }
            Holder::Agent(_) | Holder::Human(_) => true,
        });
    }
}

fn subject(session: &SessionRow) -> Subject {
    Subject {
        action: None,
        agent: Some(session.agent.clone()),
        project: Some(session.project.clone()),
        session: Some(session.id),
    }
}

fn over_sentence(id: SessionId, reason: &str) -> String {
    format!("session {id} is over: {reason}")
}
