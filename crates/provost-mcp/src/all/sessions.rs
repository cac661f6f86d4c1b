//! Clients' sessions with all servers at once: whose each is, and the session with each server
//! that it stands for. Held in memory, like the sessions with one server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::HeaderValue;
use provost_types::SessionId;

use crate::{
    sessions::{NotNow, REQUESTS_MAX},
    wire::jsonrpc::Id,
};

/// Most that are remembered. Ours: some kilobytes each.
const KNOWN_MAX: usize = 4096;

/// Most of one Provost session; then its own oldest is forgotten. Ours: an agent and its
/// subagents have one each.
const KNOWN_OF_ONE_MAX: usize = 64;

/// One server, as a client's session has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    /// Its name.
    pub(super) server: String,
    /// The session with it, if it has such.
    pub(super) session: Option<HeaderValue>,
    /// The revision that it speaks, if it was agreed upon.
    pub(super) version: Option<HeaderValue>,
    /// What it can do, by the names of its capabilities; unknown where there are no sessions.
    pub(super) can: Option<Vec<String>>,
}

impl Member {
    /// A server that nothing was agreed upon with.
    pub(super) fn named(server: &str) -> Self {
        Self { server: server.to_owned(), ..Self::default() }
    }

    /// Whether it may have what `capability` names.
    pub(super) fn may(&self, capability: &str) -> bool {
        self.can.as_ref().is_none_or(|can| can.iter().any(|one| one == capability))
    }
}

/// Every session that is known. Cheap to clone: clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    sessions: HashMap<String, Session>,
    begun: u64,
}

#[derive(Debug)]
struct Session {
    owner: SessionId,
    /// In what order they began.
    number: u64,
    members: Vec<Member>,
    /// What it began with, to begin again with a server that ended its own.
    beginning: Bytes,
    /// Which server has which request.
    in_flight: HashMap<Id, String>,
}

impl Sessions {
    /// Begins one of `owner`'s with the message `beginning`; its id.
    pub(super) fn begin(
        &self,
        owner: SessionId,
        (members, beginning): (Vec<Member>, Bytes),
    ) -> String {
        let id = SessionId::generate().to_string();
        let mut known = self.known();
        known.begun = known.begun.saturating_add(1);
        let number = known.begun;
        let session = Session { owner, number, members, beginning, in_flight: HashMap::new() };
        known.sessions.insert(id.clone(), session);
        let own = known.sessions.values().filter(|session| session.owner == owner).count();
        if own > KNOWN_OF_ONE_MAX {
            known.forget_oldest(|session| session.owner == owner);
        }
        if known.sessions.len() > KNOWN_MAX {
            known.forget_oldest(|_| true);
        }
        id
    }

    /// The servers of a session, if it is known and `owner`'s.
    pub(super) fn members(&self, id: &str, owner: SessionId) -> Option<Vec<Member>> {
        let known = self.known();
        let session = known.sessions.get(id).filter(|session| session.owner == owner)?;
        Some(session.members.clone())
    }

    /// The message that a session began with.
    pub(super) fn beginning(&self, id: &str) -> Option<Bytes> {
        Some(self.known().sessions.get(id)?.beginning.clone())
    }

    /// A server's own session is another from now on.
    pub(super) fn renew(&self, id: &str, member: Member) {
        let mut known = self.known();
        let members = known.sessions.get_mut(id).map(|session| &mut session.members);
        let own = members.into_iter().flatten().find(|own| own.server == member.server);
        if let Some(own) = own {
            *own = member;
        }
    }

    /// A session is over.
    pub(super) fn end(&self, id: &str) {
        self.known().sessions.remove(id);
    }

    /// Notes which server has a request, until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// [`NotNow`].
    pub(super) fn enter(
        &self,
        session: &str,
        id: &Id,
        server: &str,
    ) -> Result<Entered, NotNow> {
        if let Some(known) = self.known().sessions.get_mut(session) {
            if known.in_flight.len() >= REQUESTS_MAX {
                return Err(NotNow::Many);
            }
            if known.in_flight.contains_key(id) {
                return Err(NotNow::Twice);
            }
            known.in_flight.insert(id.clone(), server.to_owned());
        }
        Ok(Entered { sessions: self.clone(), session: session.to_owned(), id: id.clone() })
    }

    /// Which server has a request.
    pub(super) fn server_of(&self, session: &str, id: &Id) -> Option<String> {
        self.known().sessions.get(session)?.in_flight.get(id).cloned()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn forget_oldest(&mut self, among: impl Fn(&Session) -> bool) {
        let candidates = self.sessions.iter().filter(|(_, session)| among(session));
        let oldest = candidates.min_by_key(|(_, session)| session.number);
        if let Some(id) = oldest.map(|(id, _)| id.clone()) {
            self.sessions.remove(&id);
        }
    }
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct Entered {
    sessions: Sessions,
    session: String,
    id: Id,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(session) = self.sessions.known().sessions.get_mut(&self.session) {
            session.in_flight.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use provost_types::SessionId;

    use super::{KNOWN_OF_ONE_MAX, Member, NotNow, Sessions};
    use crate::wire::jsonrpc::Id;

    fn nobody() -> (Vec<Member>, Bytes) {
        (Vec::new(), Bytes::new())
    }

    #[test]
    fn a_session_is_its_owners_until_it_ends() {
        let (sessions, owner) = (Sessions::default(), SessionId::generate());
        let id = sessions.begin(owner, (vec![Member::named("a")], Bytes::new()));
        assert_eq!(sessions.members(&id, owner).unwrap().len(), 1);
        assert!(sessions.members(&id, SessionId::generate()).is_none());
        sessions.end(&id);
        assert!(sessions.members(&id, owner).is_none());
    }

    #[test]
    fn one_that_begins_many_forgets_its_own() {
        let (sessions, owner, other) =
            (Sessions::default(), SessionId::generate(), SessionId::generate());
        let others = sessions.begin(other, nobody());
        let first = sessions.begin(owner, nobody());
        for _ in 0..KNOWN_OF_ONE_MAX {
            sessions.begin(owner, nobody());
        }
        assert!(sessions.members(&first, owner).is_none());
        assert!(sessions.members(&others, other).is_some());
    }

    #[test]
    fn an_id_is_in_flight_once_whichever_server_has_it() {
        let (sessions, id) = (Sessions::default(), Id::Number(1));
        let session = sessions.begin(SessionId::generate(), nobody());
        let entered = sessions.enter(&session, &id, "a").unwrap();
        assert_eq!(sessions.enter(&session, &id, "b").unwrap_err(), NotNow::Twice);
        assert_eq!(sessions.server_of(&session, &id).as_deref(), Some("a"));
        drop(entered);
        assert_eq!(sessions.server_of(&session, &id), None);
    }
}
