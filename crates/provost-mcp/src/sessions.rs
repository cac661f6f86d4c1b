//! Whose a client's session with a server is, and what is in flight in it.
//!
//! A server names a session when it begins; a Provost session may use only those it began.
//! Held in memory: after a restart every such session is unknown, and clients begin anew.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use provost_types::SessionId;

use crate::{server::ServerName, wire::jsonrpc::Id};

/// Most sessions with servers that are remembered. Ours: some hundred bytes each.
const KNOWN_MAX: usize = 16_384;

/// Most of one Provost session; then its own oldest is forgotten. Ours: an agent and its
/// subagents have one for each server.
const KNOWN_OF_ONE_MAX: usize = 256;

/// Most requests in flight, and most without an answer, in one session, be it with one server
/// or with all. Ours.
pub(crate) const REQUESTS_MAX: usize = 1024;

/// Most tool calls that servers asked back for and that are not made again yet. Ours.
const ASKED_BACK_MAX: usize = 4096;

/// A session with a server, by the id that the server gave it.
pub(crate) type Key = (ServerName, String);

/// Every session with a server that is known. Cheap to clone: clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    sessions: HashMap<Key, Session>,
    begun: u64,
    /// Tool calls that a server asked back for: they are made again.
    asked_back: HashSet<(SessionId, String)>,
}

#[derive(Debug)]
struct Session {
    owner: SessionId,
    /// In what order they began.
    number: u64,
    in_flight: HashSet<Id>,
    /// Requests whose stream ended before their answer, with their methods: the client may
    /// resume it.
    unanswered: HashMap<Id, String>,
}

/// A request that may not be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotNow {
    /// Its answer could be taken for the other's.
    #[error("a request with this `id` is in flight in this session: use another `id`")]
    Twice,
    /// Too many.
    #[error("more than {REQUESTS_MAX} requests are in flight in this session")]
    Many,
}

impl Sessions {
    /// A server began a session for `owner`.
    pub(crate) fn begin(&self, key: Key, owner: SessionId) {
        let mut known = self.known();
        known.begun = known.begun.saturating_add(1);
        let number = known.begun;
        let session =
            Session { owner, number, in_flight: HashSet::new(), unanswered: HashMap::new() };
        known.sessions.insert(key, session);
        let own = known.sessions.values().filter(|session| session.owner == owner).count();
        if own > KNOWN_OF_ONE_MAX {
            known.forget_oldest(|session| session.owner == owner);
        }
        if known.sessions.len() > KNOWN_MAX {
            known.forget_oldest(|_| true);
        }
    }

    /// Whether a session is known and `owner`'s.
    pub(crate) fn is_of(&self, key: &Key, owner: SessionId) -> bool {
        self.known().sessions.get(key).is_some_and(|session| session.owner == owner)
    }

    /// A session is over.
    pub(crate) fn end(&self, key: &Key) {
        self.known().sessions.remove(key);
    }

    /// Notes that a request is in flight, until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// [`NotNow`].
    pub(crate) fn enter(&self, key: &Key, id: &Id) -> Result<Entered, NotNow> {
        if let Some(session) = self.known().sessions.get_mut(key) {
            if session.in_flight.len() >= REQUESTS_MAX {
                return Err(NotNow::Many);
            }
            if !session.in_flight.insert(id.clone()) {
                return Err(NotNow::Twice);
            }
            session.unanswered.remove(id);
        }
        Ok(Entered { sessions: self.clone(), key: key.clone(), id: id.clone() })
    }

    /// Notes that a request was not answered, though a later stream may bring the answer.
    pub(crate) fn leave_unanswered(&self, key: &Key, id: &Id, method: &str) {
        if let Some(session) = self.known().sessions.get_mut(key)
            && session.unanswered.len() < REQUESTS_MAX
        {
            session.unanswered.insert(id.clone(), method.to_owned());
        }
    }

    /// The method of a request that was not answered, once.
    pub(crate) fn take_unanswered(&self, key: &Key, id: &Id) -> Option<String> {
        self.known().sessions.get_mut(key)?.unanswered.remove(id)
    }

    /// Notes that a server wants something before it does what a tool call asks for.
    pub(crate) fn note_asked_back(&self, session: SessionId, tool_use: String) {
        let asked_back = &mut self.known().asked_back;
        if asked_back.len() >= ASKED_BACK_MAX {
            // Those that are made again after this look like calls of their own.
            asked_back.clear();
        }
        asked_back.insert((session, tool_use));
    }

    /// Whether a server asked back for a tool call, once.
    pub(crate) fn take_asked_back(&self, session: SessionId, tool_use: &str) -> bool {
        self.known().asked_back.remove(&(session, tool_use.to_owned()))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn forget_oldest(&mut self, among: impl Fn(&Session) -> bool) {
        let candidates = self.sessions.iter().filter(|(_, session)| among(session));
        let oldest = candidates.min_by_key(|(_, session)| session.number);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.sessions.remove(&key);
        }
    }
}

/// A request in flight.
#[derive(Debug)]
pub(crate) struct Entered {
    sessions: Sessions,
    key: Key,
    id: Id,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(session) = self.sessions.known().sessions.get_mut(&self.key) {
            session.in_flight.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use provost_types::SessionId;

    use super::{KNOWN_OF_ONE_MAX, NotNow, Sessions};
    use crate::wire::jsonrpc::Id;

    fn key(id: impl Into<String>) -> super::Key {
        ("s".parse().unwrap(), id.into())
    }

    #[test]
    fn a_session_is_its_owners_until_it_ends() {
        let (sessions, owner) = (Sessions::default(), SessionId::generate());
        assert!(!sessions.is_of(&key("a"), owner));
        sessions.begin(key("a"), owner);
        assert!(sessions.is_of(&key("a"), owner));
        assert!(!sessions.is_of(&key("a"), SessionId::generate()));
        assert!(!sessions.is_of(&("t".parse().unwrap(), "a".to_owned()), owner));
        sessions.end(&key("a"));
        assert!(!sessions.is_of(&key("a"), owner));
    }

    #[test]
    fn one_that_begins_many_forgets_its_own() {
        let (sessions, owner, other) =
            (Sessions::default(), SessionId::generate(), SessionId::generate());
        sessions.begin(key("other"), other);
        for number in 0..=KNOWN_OF_ONE_MAX {
            sessions.begin(key(number.to_string()), owner);
        }
        assert!(!sessions.is_of(&key("0"), owner));
        assert!(sessions.is_of(&key("1"), owner));
        assert!(sessions.is_of(&key("other"), other));
    }

    #[test]
    fn an_id_is_in_flight_once() {
        let (sessions, id) = (Sessions::default(), Id::Number(1));
        sessions.begin(key("a"), SessionId::generate());
        let entered = sessions.enter(&key("a"), &id).unwrap();
        assert_eq!(sessions.enter(&key("a"), &id).unwrap_err(), NotNow::Twice);
        drop(sessions.enter(&key("a"), &Id::Text("1".to_owned())).unwrap());
        drop(entered);
        drop(sessions.enter(&key("a"), &id).unwrap());
    }

    #[test]
    fn a_late_answer_is_taken_once() {
        let (sessions, id) = (Sessions::default(), Id::Number(1));
        sessions.begin(key("a"), SessionId::generate());
        sessions.leave_unanswered(&key("a"), &id, "tools/list");
        assert_eq!(sessions.take_unanswered(&key("a"), &id).as_deref(), Some("tools/list"));
        assert_eq!(sessions.take_unanswered(&key("a"), &id), None);
    }
}
