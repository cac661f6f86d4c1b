//! A call that waits for people, to a client that reads events: the stream begins before there
//! is an answer, and tells of progress, so that neither the client nor a proxy gives up.
//! Source: MCP 2025-06-18 and 2026-07-28, "Progress"; WHATWG HTML §9.2.6 for comments.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header::ACCEPT};
use provost_gateway::HttpFrame;
use provost_pipeline::Reply;
use provost_types::ApprovalId;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    classify::{Asked, What},
    refuse::{self, NO_ANSWER},
    wire::{
        edit, events, head,
        jsonrpc::{self, Message},
    },
};

/// How far a client was kept waiting.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// How often it was told so; 0 before the stream has begun.
    rounds: u64,
}

impl Waiting {
    /// Whether a client can be kept waiting with what it asks.
    pub(crate) fn is_possible(asked: &Asked, headers: &HeaderMap) -> bool {
        let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|it| it.to_str().ok());
        asked.is_call() && accepted.any(|accepted| accepted.contains("text/event-stream"))
    }

    /// Whether the stream has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.rounds > 0
    }

    /// What tells the client once more that it waits.
    pub(crate) fn tell(&mut self, asked: &Asked, on: ApprovalId) -> Vec<HttpFrame> {
        let mut frames = Vec::new();
        if !self.has_begun() {
            let (mut begun, ()) = Response::new(()).into_parts();
            begun.headers = head::of_stream(None);
            frames.push(HttpFrame::Head(begun));
        }
        self.rounds = self.rounds.saturating_add(1);
        let told = match progress_token(asked) {
            Some(token) => events::message(&progress(&token, self.rounds, on)),
            // No notification without a token; a comment keeps the connection alive.
            None => Bytes::from_static(b": people are asked\n\n"),
        };
        frames.push(HttpFrame::Data(told));
        frames
    }
}

/// Passes the frames of an answer on as the rest of a stream that has begun.
pub(crate) async fn pass_on(
    mut frames: mpsc::Receiver<HttpFrame>,
    reply: &mut Reply<HttpFrame>,
    asked: &Asked,
) {
    loop {
        let frame = tokio::select! {
            frame = frames.recv() => frame,
            // The answer is dropped with its frames.
            () = reply.gone() => return,
        };
        let Some(frame) = frame else { return };
        for frame in continued(frame, asked) {
            if reply.send(frame).await.is_err() {
                return;
            }
        }
    }
}

/// A frame of an answer as part of a stream that has begun.
pub(crate) fn continued(frame: HttpFrame, asked: &Asked) -> Vec<HttpFrame> {
    match frame {
        HttpFrame::Head(_) => Vec::new(),
        HttpFrame::Whole(response) => {
            let told = match answers(asked, response.body()) {
                true => response.into_body(),
                false => no_answer(asked, response.status()),
            };
            vec![HttpFrame::Data(events::message(&told)), HttpFrame::End]
        }
        HttpFrame::Data(_) | HttpFrame::End | HttpFrame::Abort => vec![frame],
    }
}

/// The client's name for this request's progress, if it wants to hear of any.
fn progress_token(asked: &Asked) -> Option<Value> {
    let What::Post(Message::Request { params, .. }) = &asked.what else { return None };
    let token = edit::at(params.text()?, &["_meta", "progressToken"])?;
    let token: Value = serde_json::from_str(token.get()).ok()?;
    (token.is_string() || token.is_i64() || token.is_u64()).then_some(token)
}

fn progress(token: &Value, rounds: u64, on: ApprovalId) -> Vec<u8> {
    let message = format!("people are asked: approval {on}");
    let params = json!({"message": message, "progress": rounds, "progressToken": token});
    let notification =
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
    notification.to_string().into_bytes()
}

/// Whether a body is the answer to what was asked: for another the client would not look, and
/// wait on.
fn answers(asked: &Asked, body: &[u8]) -> bool {
    let of = match jsonrpc::read_told(body) {
        Ok(Message::Answer { id, .. }) => id,
        Ok(Message::Request { .. } | Message::Notification { .. }) | Err(_) => None,
    };
    of.is_some() && of.as_ref() == refuse::id(asked)
}

/// The status is sent already, so an error says what it would have said.
fn no_answer(asked: &Asked, status: StatusCode) -> Bytes {
    let message = format!("There is no answer: the MCP server answered with status {status}.");
    jsonrpc::error(refuse::id(asked), NO_ANSWER, &message)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method, Request, Response, StatusCode};
    use provost_gateway::HttpFrame;
    use provost_types::ApprovalId;

    use super::{Waiting, continued};
    use crate::classify::Asked;

    fn asked(body: &str, accept: &str) -> (Asked, HeaderMap) {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/mcp/x")
            .header("content-type", "application/json")
            .header("accept", accept)
            .body(())
            .unwrap();
        let (parts, ()) = request.into_parts();
        (Asked::read(&parts, body.as_bytes()).unwrap(), parts.headers)
    }

    const BOTH: &str = "application/json, text/event-stream";

    fn call(meta: &str) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{{meta}"name":"x"}}}}"#
        )
    }

    fn shown(frames: Vec<HttpFrame>) -> String {
        let shown = |frame| match frame {
            HttpFrame::Head(head) => format!("head {}|", head.status.as_u16()),
            HttpFrame::Data(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            HttpFrame::Whole(_) => "whole|".to_owned(),
            HttpFrame::End => "end|".to_owned(),
            HttpFrame::Abort => "abort|".to_owned(),
        };
        frames.into_iter().map(shown).collect()
    }

    #[test]
    fn a_call_of_a_client_that_reads_events_can_wait() {
        let list = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#.to_owned();
        for (body, accept, want) in
            [(call(""), BOTH, true), (call(""), "application/json", false), (list, BOTH, false)]
        {
            let (asked, headers) = asked(&body, accept);
            assert_eq!(Waiting::is_possible(&asked, &headers), want, "{body} {accept}");
        }
    }

    #[test]
    fn it_is_told_of_progress_that_grows_or_of_none() {
        let on = ApprovalId::generate();
        let of = |meta: &str| {
            let (asked, _) = asked(&call(meta), BOTH);
            let mut waiting = Waiting::default();
            let told = [waiting.tell(&asked, on), waiting.tell(&asked, on)].map(shown);
            told.map(|told| told.replace(&on.to_string(), "APR"))
        };
        let comment = ": people are asked\n\n";
        assert_eq!(of(""), [format!("head 200|{comment}"), comment.to_owned()]);
        assert_eq!(of(r#""_meta":{"progressToken":1.5},"#)[1], comment);
        let progress = |number: u64| {
            format!(
                "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\
                 \"notifications/progress\",\"params\":{{\"message\":\"people are asked: \
                 approval APR\",\"progress\":{number},\"progressToken\":\"t\"}}}}\n\n"
            )
        };
        assert_eq!(
            of(r#""_meta":{"progressToken":"t"},"#),
            [format!("head 200|{}", progress(1)), progress(2)]
        );
    }

    #[test]
    fn an_answer_goes_on_as_the_rest_of_the_stream() {
        let (asked, _) = asked(&call(""), BOTH);
        let whole = |status: StatusCode, body: &str| {
            let mut response = Response::new(Bytes::from(body.to_owned()));
            *response.status_mut() = status;
            HttpFrame::Whole(response)
        };
        let (head, ()) = Response::new(()).into_parts();
        let no_answer = |status: &str| {
            format!(
                "event: message\ndata: {{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{{\"code\":-32011,\
                 \"message\":\"There is no answer: the MCP server answered with status \
                 {status}.\"}}}}\n\nend|"
            )
        };
        let (not_found, ok) = (no_answer("404 Not Found"), no_answer("200 OK"));
        for (frame, want) in [
            (HttpFrame::Head(head), ""),
            (HttpFrame::Data(Bytes::from_static(b"x")), "x"),
            (HttpFrame::End, "end|"),
            (
                whole(StatusCode::OK, "{\"jsonrpc\":\"2.0\",\n\"id\":7,\"result\":{}}"),
                "event: message\ndata: {\"jsonrpc\":\"2.0\",\ndata: \"id\":7,\"result\":{}}\n\n\
                 end|",
            ),
            (whole(StatusCode::NOT_FOUND, "<html>"), &not_found),
            (
                whole(StatusCode::NOT_FOUND, r#"{"jsonrpc":"2.0","id":null,"error":{}}"#),
                &not_found,
            ),
            (whole(StatusCode::OK, r#"{"jsonrpc":"2.0","id":null,"result":{}}"#), &ok),
            (whole(StatusCode::OK, r#"{"jsonrpc":"2.0","id":8,"result":{}}"#), &ok),
            (whole(StatusCode::OK, r#"{"jsonrpc":"2.0","id":"7","result":{}}"#), &ok),
            (whole(StatusCode::OK, r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#), &ok),
        ] {
            assert_eq!(shown(continued(frame, &asked)), want);
        }
    }
}
