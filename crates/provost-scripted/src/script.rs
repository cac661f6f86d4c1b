//! What decides the answers: a function from a request to a [`Play`].

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::StatusCode;

use crate::{Message, Play, Seen, Step, conversation::Conversation};

/// Requests kept as [`Seen`] unless a script says otherwise; later ones are only counted.
const SEEN_MAX_DEFAULT: usize = 10_000;

/// Decides the answer to each request, and how many requests are kept.
#[derive(Clone)]
pub struct Script {
    pub(crate) play: Arc<dyn Fn(&Seen) -> Play + Send + Sync>,
    pub(crate) seen_max: usize,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("seen_max", &self.seen_max).finish_non_exhaustive()
    }
}

impl Default for Script {
    /// One command, `echo hello from the agent`, then the closing answer.
    fn default() -> Self {
        Self::conversation(["echo hello from the agent"])
    }
}

impl Script {
    /// Answers every request with what `play` returns.
    pub fn new(play: impl Fn(&Seen) -> Play + Send + Sync + 'static) -> Self {
        Self { play: Arc::new(play), seen_max: SEEN_MAX_DEFAULT }
    }

    /// Leads an agent that has a `Bash` tool through `commands`, then quotes what the last
    /// one printed; an agent without one gets a text at once. Knows all routes and scenes.
    pub fn conversation<S: Into<String>>(commands: impl IntoIterator<Item = S>) -> Self {
        let commands = commands.into_iter().map(Into::into).collect();
        let conversation = Conversation { commands };
        Self::new(move |seen| conversation.play(seen))
    }

    /// For benches: the same 600-byte JSON reply or the same 50 events, at the least cost.
    ///
    /// `"stream":true` is looked for in the first and the last 512 bytes of the body only;
    /// requests are counted, not kept.
    pub fn fixed() -> Self {
        let model = "claude-sonnet-5";
        // Message start, block start, ping, 44 deltas, block stop, message delta and stop.
        let events = Message::text(model, "word ".repeat(44)).events();
        let events: Arc<[Bytes]> = events.into();
        let json = Message::text(model, "word ".repeat(55)).json();
        let script = Self::new(move |seen| {
            if asks_for_stream(&seen.body) {
                let events = Arc::clone(&events);
                Play::stream(
                    (0..events.len())
                        .map_while(move |at| events.get(at).cloned().map(Step::Send)),
                )
            } else {
                Play::json(StatusCode::OK, json.clone())
            }
        });
        script.seen_max(0)
    }

    /// Asks `first`; where it answers `None`, this script does.
    #[must_use]
    pub fn unless(self, first: impl Fn(&Seen) -> Option<Play> + Send + Sync + 'static) -> Self {
        let otherwise = self.play;
        let play = move |seen: &Seen| first(seen).unwrap_or_else(|| otherwise(seen));
        Self { play: Arc::new(play), seen_max: self.seen_max }
    }

    /// Keeps the first `requests` requests; all are counted.
    #[must_use]
    pub fn seen_max(self, requests: usize) -> Self {
        Self { seen_max: requests, ..self }
    }
}

fn asks_for_stream(body: &[u8]) -> bool {
    const EDGE: usize = 512;
    let says_so = |part: &[u8]| {
        part.windows(13).any(|window| window == br#""stream":true"#)
            || part.windows(14).any(|window| window == br#""stream": true"#)
    };
    let front = body.get(..EDGE).unwrap_or(body);
    let back = body.get(body.len().saturating_sub(EDGE)..).unwrap_or_default();
    says_so(front) || (body.len() > EDGE && says_so(back))
}
