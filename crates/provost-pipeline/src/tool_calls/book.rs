//! What is known of the tool calls of every session, and what does not fit together. Pure.
//!
//! Three planes may see one call: the model's stream, where it is asked for; a hook, before it
//! is made; the wire, where it is made. Its id and its arguments say that it is one.

use std::collections::{HashMap, HashSet, VecDeque};

use provost_types::{ActionId, Plane, SessionId};

use crate::Caller;

/// Most calls of one process that are open at once. Ours: an agent has a handful.
pub(crate) const OPEN_MAX: usize = 65_536;

/// Most closed calls remembered of one session. Ours: a result comes soon, or not at all.
const CLOSED_MAX: usize = 1_024;

/// The calls of every session.
#[derive(Debug, Default)]
pub(crate) struct Book {
    sessions: HashMap<SessionId, Calls>,
    open: usize,
}

/// The calls of one session.
#[derive(Debug, Default)]
struct Calls {
    /// Planes it was active on.
    planes: Planes,
    open: HashMap<String, Open>,
    closed: HashMap<String, Closed>,
    /// In the order in which they were closed.
    order: VecDeque<String>,
}

/// A call that was allowed and whose result was not seen yet.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) caller: Caller,
    pub(crate) action: ActionId,
    /// What it was asked with, in a form that does not depend on who printed it.
    pub(crate) arguments: Vec<u8>,
    /// Where it was seen.
    pub(crate) seen: Planes,
}

/// How a call that is not open any more ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It was not allowed.
    Denied,
    /// Its result was seen.
    Done,
}

/// A set of planes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Planes(HashSet<Plane>);

impl Planes {
    pub(crate) fn of(plane: Plane) -> Self {
        Self([plane].into())
    }

    pub(crate) fn contains(&self, plane: Plane) -> bool {
        self.0.contains(&plane)
    }
}

/// What a look at a call finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Nobody saw it before.
    First,
    /// The open call `action` is the same.
    Again {
        action: ActionId,
        /// Whether this plane saw it before.
        by_this: bool,
    },
    /// It is another call under a name that is in use, or was.
    Other {
        /// The open call of that name, if it is open.
        action: Option<ActionId>,
    },
}

/// What does not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    /// A call is made that the model did not ask for in this session.
    UnaskedCall,
    /// A call that was denied is made, or has a result.
    DeniedCallMade,
    /// A call under the id of an open one has other arguments.
    ArgumentsDiffer,
    /// A call has the id of one that is over, or of one that the same plane told of.
    IdUsedTwice,
    /// A result comes for a call that nobody told of.
    ResultWithoutCall,
    /// A call is on the wire, and no hook of a client that has hooks told of it.
    CallWithoutHook,
}

impl Rule {
    /// Its word in records and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::UnaskedCall => "unasked-call",
            Self::DeniedCallMade => "denied-call-made",
            Self::ArgumentsDiffer => "arguments-differ",
            Self::IdUsedTwice => "id-used-twice",
            Self::ResultWithoutCall => "result-without-call",
            Self::CallWithoutHook => "call-without-hook",
        }
    }

    /// What it says to a person.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::UnaskedCall => "the client makes a call that its model did not ask for",
            Self::DeniedCallMade => "the client made a call that was denied",
            Self::ArgumentsDiffer => {
                "a call is made with other arguments than it was asked for with"
            }
            Self::IdUsedTwice => "two calls have the same id",
            Self::ResultWithoutCall => "the client tells of the result of a call nobody saw",
            Self::CallWithoutHook => {
                "a call is on the wire of which no hook told, though the client has hooks"
            }
        }
    }
}

impl Book {
    /// Notes that `session` is active on `plane`; whether that is news.
    pub(crate) fn enter(&mut self, session: SessionId, plane: Plane) -> bool {
        self.sessions.entry(session).or_default().planes.0.insert(plane)
    }

    /// Looks for the call `tool_use` as `plane` sees it, and says what does not fit.
    pub(crate) fn look(
        &self,
        session: SessionId,
        tool_use: &str,
        (plane, arguments): (Plane, &[u8]),
    ) -> (Sight, Option<Rule>) {
        let nothing = Calls::default();
        let calls = self.sessions.get(&session).unwrap_or(&nothing);
        if let Some(open) = calls.open.get(tool_use) {
            let (action, by_this) = (open.action, open.seen.contains(plane));
            let other = Sight::Other { action: Some(action) };
            if open.arguments != arguments {
                return (other, Some(Rule::ArgumentsDiffer));
            }
            return match plane {
                // Two settings files may have the same hook, so hooks may tell twice.
                Plane::Hook => (Sight::Again { action, by_this }, None),
                _ if by_this => (other, Some(Rule::IdUsedTwice)),
                Plane::Mcp if calls.has(Plane::Hook) && !open.seen.contains(Plane::Hook) => {
                    (Sight::Again { action, by_this }, Some(Rule::CallWithoutHook))
                }
                Plane::Llm | Plane::Tool | Plane::Mcp => {
                    (Sight::Again { action, by_this }, None)
                }
            };
        }
        match calls.closed.get(tool_use) {
            Some(Closed::Denied) if plane != Plane::Llm => {
                (Sight::Other { action: None }, Some(Rule::DeniedCallMade))
            }
            Some(_) => (Sight::Other { action: None }, Some(Rule::IdUsedTwice)),
            None if plane != Plane::Llm && calls.has(Plane::Llm) => {
                (Sight::First, Some(Rule::UnaskedCall))
            }
            None => (Sight::First, None),
        }
    }

    /// Whether `session` was ever active on `plane`.
    pub(crate) fn is_active(&self, session: SessionId, plane: Plane) -> bool {
        self.sessions.get(&session).is_some_and(|calls| calls.has(plane))
    }

    /// Whether no more calls may be opened.
    pub(crate) fn is_full(&self) -> bool {
        self.open >= OPEN_MAX
    }

    /// Opens a call; gives the one that was open under its name.
    pub(crate) fn open(&mut self, tool_use: String, open: Open) -> Option<Open> {
        let calls = self.sessions.entry(open.caller.session).or_default();
        calls.forget(&tool_use);
        let before = calls.open.insert(tool_use, open);
        if before.is_none() {
            self.open = self.open.saturating_add(1);
        }
        before
    }

    /// Notes that `plane` saw the open call as well.
    pub(crate) fn note(&mut self, session: SessionId, tool_use: &str, plane: Plane) {
        let calls = self.sessions.get_mut(&session);
        if let Some(open) = calls.and_then(|calls| calls.open.get_mut(tool_use)) {
            open.seen.0.insert(plane);
        }
    }

    /// Closes a call; gives it if it was open, and otherwise how it was closed before.
    pub(crate) fn close(
        &mut self,
        session: SessionId,
        tool_use: &str,
        closed: Closed,
    ) -> (Option<Open>, Option<Closed>) {
        let calls = self.sessions.entry(session).or_default();
        let open = calls.open.remove(tool_use);
        if open.is_some() {
            self.open = self.open.saturating_sub(1);
        }
        let before = calls.closed.get(tool_use).copied();
        if before.is_none() {
            calls.remember(tool_use, closed);
        }
        (open, before)
    }

    /// Forgets the sessions that `is_live` does not know; gives their open calls.
    pub(crate) fn sweep(&mut self, is_live: impl Fn(&SessionId) -> bool) -> Vec<Open> {
        let over = self.sessions.extract_if(|session, _| !is_live(session));
        let over: Vec<Open> = over.flat_map(|(_, calls)| calls.open.into_values()).collect();
        self.open = self.open.saturating_sub(over.len());
        over
    }
}

impl Calls {
    fn has(&self, plane: Plane) -> bool {
        self.planes.contains(plane)
    }

    fn remember(&mut self, tool_use: &str, closed: Closed) {
        if self.order.len() >= CLOSED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.closed.remove(&oldest);
        }
        self.order.push_back(tool_use.to_owned());
        self.closed.insert(tool_use.to_owned(), closed);
    }

    fn forget(&mut self, tool_use: &str) {
        if self.closed.remove(tool_use).is_some() {
            self.order.retain(|closed| closed != tool_use);
        }
    }
}
