//! Streams of events: the answer to one request, and what a server says unasked.
//!
//! A stream that breaks is gone on with where it broke, as far as the server's revision of the
//! protocol has that.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use provost_gateway::sse::{Event, Events};
use tokio::time::{sleep, timeout};

use super::{
    gateway::{CallError, is_stream},
    relay::{Relay, Request},
};

/// Longest event. Unit: bytes. Source: the gateway's limit of an answer, with room for framing.
const EVENT_BYTES_MAX: usize = 32 << 20;
/// First wait before a broken stream is opened again; doubles. Unit: milliseconds. Ours.
const REOPEN_WAIT_MS: u64 = 500;
/// Longest such wait, also if the server asks for more. Unit: milliseconds. Ours.
const REOPEN_WAIT_MS_MAX: u64 = 30_000;
/// How often in a row an answer is gone on with. Ours.
const RESUMED_MAX: u32 = 5;
/// Longest wait for the end of a stream behind its answer, so that the gateway sees that all of
/// it was taken. Unit: seconds. Ours.
const REST_WAIT_S_MAX: u64 = 5;

/// How far a stream has come.
#[derive(Debug, Default)]
struct Place {
    last_event: Option<HeaderValue>,
    /// What the server wants to be waited before it is opened again. Unit: milliseconds.
    retry_ms: Option<u64>,
    /// How often it was opened again without anything coming.
    vain: u32,
}

impl Place {
    fn saw(&mut self, event: &Event) {
        self.vain = 0;
        if let Some(id) = &event.id {
            // An empty one, or what cannot stand in a header, is none.
            let id = HeaderValue::from_bytes(id).ok().filter(|id| !id.is_empty());
            self.last_event = id;
        }
        self.retry_ms = retry_ms(&event.raw).or(self.retry_ms);
    }

    /// How long to wait before it is opened again.
    fn wait(&mut self) -> Duration {
        let doubled = REOPEN_WAIT_MS.saturating_mul(1 << self.vain.min(16));
        self.vain = self.vain.saturating_add(1);
        let wait_ms = doubled.max(self.retry_ms.unwrap_or_default());
        let first_ms = if self.vain == 1 { self.retry_ms } else { None };
        Duration::from_millis(first_ms.unwrap_or(wait_ms).min(REOPEN_WAIT_MS_MAX))
    }
}

/// What an event asks for with its `retry` field.
fn retry_ms(raw: &[u8]) -> Option<u64> {
    let lines = raw.split(|byte| matches!(byte, b'\n' | b'\r'));
    let value = lines.filter_map(|line| line.strip_prefix(b"retry:")).next_back()?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

/// What a message is taken for, as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// The answer to the request.
    Answer,
    /// Anything else.
    Aside,
}

impl Relay {
    /// Passes on a request's stream until its answer.
    pub(super) async fn follow(
        &self,
        request: &Request,
        answer: Response<Incoming>,
    ) -> Result<(), CallError> {
        let mut place = Place::default();
        let mut body = answer.into_body();
        loop {
            if self.passed(Some(request), &mut body, &mut place).await == Seen::Answer {
                return Ok(());
            }
            let can_resume = place.last_event.is_some()
                && !self.settled().is_stateless()
                && place.vain < RESUMED_MAX;
            if !can_resume {
                return Err(CallError::BrokenOff);
            }
            sleep(place.wait()).await;
            let headers = self.settled().headers_of_stream(place.last_event.as_ref());
            match self.gateway.send(Method::GET, headers, Bytes::new()).await {
                Ok(answer) if answer.status().is_success() && is_stream(answer.headers()) => {
                    body = answer.into_body();
                }
                Ok(answer) if !is_passing(answer.status()) => return Err(CallError::BrokenOff),
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Passes on what the server says unasked, for as long as it has a stream for that.
    pub(super) async fn hear(&self) {
        let mut place = Place::default();
        loop {
            let headers = self.settled().headers_of_stream(place.last_event.as_ref());
            match self.gateway.send(Method::GET, headers, Bytes::new()).await {
                Ok(answer) if answer.status().is_success() && is_stream(answer.headers()) => {
                    self.passed(None, &mut answer.into_body(), &mut place).await;
                }
                Ok(answer) if !is_passing(answer.status()) => {
                    let status = answer.status();
                    if status != StatusCode::METHOD_NOT_ALLOWED && !status.is_success() {
                        let error = CallError::Status { status };
                        self.note(&format!("the server is not heard unasked: {error}"));
                    }
                    return;
                }
                Ok(_) | Err(_) => {}
            }
            sleep(place.wait()).await;
        }
    }

    /// Passes on a stream's messages, up to the request's answer or where the stream ends.
    async fn passed(
        &self,
        request: Option<&Request>,
        body: &mut Incoming,
        place: &mut Place,
    ) -> Seen {
        let mut events = Events::new(EVENT_BYTES_MAX);
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(bytes) = frame.into_data() else { continue };
            if events.push(&bytes).is_err() {
                self.note("the stream was cut: an event was too long");
                return Seen::Aside;
            }
            while let Some(event) = events.next() {
                place.saw(&event);
                if self.event(request, &event).await == Seen::Answer {
                    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
                    let _more = timeout(Duration::from_secs(REST_WAIT_S_MAX), rest).await;
                    return Seen::Answer;
                }
            }
        }
        Seen::Aside
    }

    async fn event(&self, request: Option<&Request>, event: &Event) -> Seen {
        let is_message = event.name.is_empty() || event.name == "message";
        // The first event of a stream may have an id and nothing else.
        let Some(data) = event.data.as_ref().filter(|data| is_message && !data.is_empty())
        else {
            return Seen::Aside;
        };
        if let Some(request) = request
            && self.pass(request, data).await
        {
            return Seen::Answer;
        }
        self.pass_aside(data).await;
        Seen::Aside
    }
}

/// Whether what was answered may be something else the next time.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use provost_gateway::sse::Event;

    use super::{Place, retry_ms};

    #[test]
    fn a_stream_is_opened_again_ever_more_slowly_until_something_comes() {
        let mut place = Place::default();
        let mut waited = || place.wait().as_millis();
        let got: Vec<u128> = (0..8).map(|_| waited()).collect();
        assert_eq!(got, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        place.saw(&Event::read("id: 7\nretry: 10\n\n".into()));
        assert_eq!(place.wait().as_millis(), 10);
        assert_eq!(place.wait().as_millis(), 1000, "and not as fast as the server likes");
        assert_eq!(place.last_event.as_ref().unwrap(), "7");
        place.saw(&Event::read("data: x\n\n".into()));
        assert_eq!(place.last_event.as_ref().unwrap(), "7");
        place.saw(&Event::read("id: a\0b\n\n".into()));
        assert_eq!(place.last_event, None);
    }

    #[test]
    fn what_a_server_asks_to_wait() {
        for (raw, want) in [
            ("retry: 10\ndata: x\n\n", Some(10)),
            ("data: x\rretry:3000\r\r", Some(3000)),
            ("data: retry: 1\n\n", None),
            ("retry: soon\n\n", None),
            ("retry: -1\n\n", None),
        ] {
            assert_eq!(retry_ms(raw.as_bytes()), want, "raw = {raw:?}");
        }
    }
}
