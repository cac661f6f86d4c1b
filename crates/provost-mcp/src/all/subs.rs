//! A client's request to all servers, as requests to single ones.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, header::CONTENT_LENGTH, request,
};
use provost_gateway::{HttpAsk, HttpFrame, Serve as _, sse::Events};
use provost_pipeline::Reply;
use tokio::sync::mpsc;

use super::{ToAll, json, open::begun_with, sessions::Member};
use crate::{
    PATH,
    execute::ANSWER_BYTES_MAX,
    header::{LAST_EVENT, NAME, SESSION, VERSION},
    refuse::NO_ANSWER,
    wire::{
        head,
        jsonrpc::{self, Answer, Id, Message},
    },
};

/// How long all servers together may take for what all are asked. Ours: Claude Code waits 30 s
/// for a server to begin, and the others shall be there by then.
const ALL_MAX: Duration = Duration::from_secs(20);

/// What a client says when it has begun a session.
const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// Most frames of an answer that wait.
const FRAMES_MAX: usize = 16;

/// Frames of one server's answer.
pub(super) type Frames = mpsc::Receiver<HttpFrame>;

/// What one server is sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Sub {
    pub(super) body: Bytes,
    /// What `Mcp-Name` repeats of it.
    pub(super) named: Option<String>,
    /// After which event it shall go on.
    pub(super) last_event: Option<String>,
}

/// What one server said to something that all were asked.
#[derive(Debug)]
pub(super) enum Said {
    /// A result, and the head it came with.
    Result(String, HeaderMap),
    /// Something else, as it came.
    No(Response<Bytes>),
    /// Nothing in time.
    Nothing,
}

impl ToAll<'_> {
    /// Asks one server. The action runs on a task of its own; dropping what is returned tells
    /// it that the client left.
    pub(super) fn send(&self, member: &Member, sub: Sub) -> Frames {
        let (reply, frames) = Reply::channel(FRAMES_MAX);
        let ask = HttpAsk::new(self.parts(member, &sub), sub.body);
        let mcp = self.service.mcp.clone();
        self.service.tasks.spawn(Box::pin(async move { mcp.run(ask, reply).await }));
        frames
    }

    fn parts(&self, member: &Member, sub: &Sub) -> request::Parts {
        let asked = &self.ask.parts;
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = asked.method.clone();
        parts.version = asked.version;
        // A server's name is of characters that stand in paths as they are.
        parts.uri = format!("{PATH}{}", member.server).parse().unwrap_or_default();
        parts.headers = asked.headers.clone();
        for name in [SESSION, LAST_EVENT, NAME, CONTENT_LENGTH] {
            parts.headers.remove(name);
        }
        let named = sub.named.as_deref().filter(|_| asked.headers.contains_key(NAME));
        let last_event = sub.last_event.as_ref().and_then(|id| HeaderValue::try_from(id).ok());
        for (name, value) in [
            (SESSION, member.session.clone()),
            (VERSION, member.version.clone()),
            (NAME, named.and_then(head::coded)),
            (LAST_EVENT, last_event),
        ] {
            if let Some(value) = value {
                parts.headers.insert(name, value);
            }
        }
        parts
    }

    /// Those of `members` that policy may let do what was asked: of the others nothing is
    /// asked, and so nothing refused and recorded. All, if there are none.
    pub(super) fn open_to(&self, members: Vec<Member>) -> Vec<Member> {
        let service = self.service;
        let presented = provost_gateway::present(&self.ask.parts.headers);
        let (open, closed): (Vec<_>, Vec<_>) = members.into_iter().partition(|member| {
            let server = service.mcp.plane.servers.get(&member.server);
            let action =
                server.and_then(|server| self.asked.action(server, &self.ask.body).ok());
            action.is_some_and(|action| service.mcp.pipeline.would_allow(&presented, &action))
        });
        if open.is_empty() { closed } else { open }
    }

    /// Asks each of `members` the same.
    pub(super) async fn ask_each(&self, members: Vec<Member>) -> Vec<(Member, Said)> {
        let body = &self.ask.body;
        let asked = members.into_iter().map(|member| (member, body.clone())).collect();
        let mut all = self.ask_all(asked).await;
        for said in &mut all {
            self.ask_renewed(body, said).await;
        }
        all
    }

    /// Asks each of some servers something, all at once.
    pub(super) async fn ask_all(&self, asked: Vec<(Member, Bytes)>) -> Vec<(Member, Said)> {
        let sent: Vec<_> = asked
            .into_iter()
            .map(|(member, body)| {
                let frames = self.send(&member, Sub { body, ..Sub::default() });
                (member, frames)
            })
            .collect();
        let mut over = pin!(tokio::time::sleep(ALL_MAX));
        let mut all = Vec::with_capacity(sent.len());
        // Each is under way already; here they are only heard, one after the other.
        for (member, frames) in sent {
            let said = tokio::select! {
                biased;
                said = heard(frames) => said,
                () = over.as_mut() => Said::Nothing,
            };
            log_left_out(&member, &said);
            all.push((member, said));
        }
        all
    }

    /// Asks again those whose own session was over, in new ones.
    async fn ask_renewed(&self, asked: &Bytes, said: &mut (Member, Said)) {
        if let (member, Said::No(response)) = &*said
            && let Some(member) = self.renewed(member, response).await
        {
            let frames = self.send(&member, Sub { body: asked.clone(), ..Sub::default() });
            let again = tokio::time::timeout(ALL_MAX, heard(frames)).await;
            *said = (member, again.unwrap_or(Said::Nothing));
        }
    }

    /// A server in a new session, if that which it had is over and it begins another.
    pub(super) async fn renewed(
        &self,
        member: &Member,
        response: &Response<Bytes>,
    ) -> Option<Member> {
        let is_over = response.status() == StatusCode::NOT_FOUND && member.session.is_some();
        let session = self.session().filter(|_| is_over && self.ask.parts.method == "POST")?;
        let body = self.service.sessions.beginning(session)?;
        let begin = Sub { body, ..Sub::default() };
        let begun = heard(self.send(&Member::named(&member.server), begin));
        let Ok(Said::Result(result, headers)) = tokio::time::timeout(ALL_MAX, begun).await
        else {
            return None;
        };
        let (member, _) = begun_with(&member.server, (&result, &headers))?;
        let initialized = Sub { body: Bytes::from_static(INITIALIZED), ..Sub::default() };
        let told = heard(self.send(&member, initialized));
        let _not_needed = tokio::time::timeout(ALL_MAX, told).await;
        self.service.sessions.renew(session, member.clone());
        tracing::info!(server = %member.server, "a session with it was over: began another");
        Some(member)
    }

    /// What a client is told that got no result from any server.
    pub(super) fn none(&self, said: Vec<(Member, Said)>) -> Response<Bytes> {
        let first = said.into_iter().find_map(|(_, said)| match said {
            Said::No(response) => Some(response),
            Said::Result(..) | Said::Nothing => None,
        });
        first.unwrap_or_else(|| {
            self.error(NO_ANSWER, "There is no answer: no MCP server gave one in time.")
        })
    }

    /// Asks each that may have `capability`, if it takes one, and is content with one.
    pub(super) async fn each(&self, capability: Option<&str>) -> Response<Bytes> {
        let able = self.members.iter();
        let able = able.filter(|member| capability.is_none_or(|can| member.may(can)));
        let said = self.ask_each(able.cloned().collect()).await;
        if said.iter().any(|(_, said)| matches!(said, Said::Result(..))) {
            return self.answer("{}");
        }
        self.none(said)
    }

    /// Tells each.
    pub(super) async fn tell(&self) -> Response<Bytes> {
        let said = self.ask_each(self.members.clone()).await;
        let is_taken = |said: &Said| match said {
            Said::No(response) => response.status().is_success(),
            Said::Result(..) => true,
            Said::Nothing => false,
        };
        if said.iter().any(|(_, said)| is_taken(said)) {
            return head::bare(StatusCode::ACCEPTED);
        }
        self.none(said)
    }

    /// Ends the session with each.
    pub(super) async fn end(&self) -> Response<Bytes> {
        let members = self.members.iter().filter(|member| member.session.is_some());
        let said = self.ask_each(members.cloned().collect()).await;
        self.session().into_iter().for_each(|id| self.service.sessions.end(id));
        tracing::debug!(servers = said.len(), "a session with all servers ended");
        head::bare(StatusCode::OK)
    }
}

/// The whole of what a server says to something that all were asked.
async fn heard(mut frames: Frames) -> Said {
    match frames.recv().await {
        Some(HttpFrame::Whole(response)) => said(response),
        Some(HttpFrame::Head(parts)) => match streamed(frames).await {
            Some(text) => said(Response::from_parts(parts, text)),
            None => Said::Nothing,
        },
        Some(HttpFrame::Data(_) | HttpFrame::End | HttpFrame::Abort) | None => Said::Nothing,
    }
}

/// The answer in a stream; what else is in it is of no request of this client's.
async fn streamed(mut frames: Frames) -> Option<Bytes> {
    let mut events = Events::new(ANSWER_BYTES_MAX);
    while let Some(HttpFrame::Data(bytes)) = frames.recv().await {
        events.push(&bytes).ok()?;
        while let Some(event) = events.next() {
            if let Some(data) = event.data
                && let Ok(Message::Answer { .. }) = jsonrpc::read_told(&data)
            {
                return Some(data.into());
            }
        }
    }
    None
}

fn said(response: Response<Bytes>) -> Said {
    if !response.status().is_success() {
        return Said::No(response);
    }
    let (parts, body) = response.into_parts();
    match jsonrpc::read_told(&body) {
        Ok(Message::Answer { answer: Answer::Result(result), .. }) => {
            Said::Result(result, parts.headers)
        }
        Ok(Message::Answer { .. }) => Said::No(json(body)),
        Ok(Message::Request { .. } | Message::Notification { .. }) | Err(_) => {
            Said::No(Response::from_parts(parts, body))
        }
    }
}

fn log_left_out(member: &Member, said: &Said) {
    let server = &member.server;
    match said {
        Said::Result(..) => {}
        Said::No(response) if response.body().is_empty() => {}
        Said::No(response) => {
            let status = response.status();
            let why: String =
                String::from_utf8_lossy(response.body()).chars().take(300).collect();
            tracing::info!(%server, %status, why, "left out of what all servers were asked");
        }
        Said::Nothing => {
            tracing::warn!(%server, "no answer in time to what all servers were asked");
        }
    }
}

/// A request of our own for the next page of a list.
pub(super) fn next_page(
    id: &Id,
    (method, params): (&str, Option<&str>),
    cursor: &str,
) -> Bytes {
    let params = params.and_then(|params| serde_json::from_str(params).ok());
    let mut params: serde_json::Map<String, serde_json::Value> = params.unwrap_or_default();
    params.insert("cursor".to_owned(), cursor.into());
    jsonrpc::request(id, method, &serde_json::Value::Object(params).to_string())
}
