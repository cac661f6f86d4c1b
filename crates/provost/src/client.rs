//! The control API as the command line calls it: one code path, three ways to the server.
//!
//! `--server URL` names one; else a server that runs on the data directory is reached through
//! its socket; else this process opens the data directory itself and calls the same router,
//! holding the same lock a server would.

mod remote;
mod socket;

use std::{io, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use provost_api::ErrorBody;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};

use crate::app::InProcess;
pub(crate) use remote::{NotNamed, Remote, bearer, innermost};
pub(crate) use socket::Socket;

/// Longest wait for an answer; the longest poll is half of it. Unit: seconds.
const ANSWER_WAIT_S_MAX: u64 = 60;
/// Largest answer that is read. Unit: bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A caller of the control API.
#[derive(Debug)]
pub(crate) struct Client {
    way: Way,
    token: Option<SecretString>,
}

/// How the server is reached.
#[derive(Debug)]
pub(crate) enum Way {
    /// Over HTTP(S).
    Remote(Box<Remote>),
    /// Through the socket in the data directory.
    Socket(Socket),
    /// In this process.
    InProcess(Box<InProcess>),
}

/// A call that did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The server's address is not one.
    #[error("`{server}` is not a server's address; it looks like https://host:8485")]
    BadServer {
        /// What was given.
        server: String,
    },
    /// A token would have crossed the network in the clear.
    #[error(
        "a token is not sent to {server} over plain HTTP; use https, or a loopback address"
    )]
    PlainToken {
        /// Where it would have gone.
        server: String,
    },
    /// There is no server there, or it does not answer.
    #[error("the server at {server} cannot be reached")]
    Unreachable {
        /// Where it was looked for.
        server: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server does not know the caller, or does not let it do this.
    #[error("refused: {} ({})", .0.message, .0.code)]
    Refused(ErrorBody),
    /// The server answered that it cannot.
    #[error("{} ({})", .0.message, .0.code)]
    Answered(ErrorBody),
    /// The answer is not one of this API.
    #[error("the answer of {server} is not one of Provost's (HTTP {status})")]
    Garbled {
        /// Who answered.
        server: String,
        /// With what status.
        status: StatusCode,
        /// What is wrong with it.
        #[source]
        source: Option<serde_json::Error>,
    },
}

impl Client {
    /// A client that goes this way, with a token if the caller has one.
    ///
    /// # Errors
    ///
    /// [`ClientError::PlainToken`] if the token could be read by others on the way.
    pub(crate) fn new(way: Way, token: Option<SecretString>) -> Result<Self, ClientError> {
        match (&way, &token) {
            (Way::Remote(remote), Some(_)) if !remote.keeps_secrets() => {
                Err(ClientError::PlainToken { server: remote.name() })
            }
            _ => Ok(Self { way, token }),
        }
    }

    /// Where it calls, for people.
    pub(crate) fn server(&self) -> String {
        match &self.way {
            Way::Remote(remote) => remote.name(),
            Way::Socket(socket) => socket.name(),
            Way::InProcess(_) => "this process".to_owned(),
        }
    }

    /// Whether a server runs that will still be there when this process has ended.
    pub(crate) const fn is_served(&self) -> bool {
        !matches!(self.way, Way::InProcess(_))
    }

    /// Lets go of the data directory, after everything is on disk.
    pub(crate) async fn close(self) {
        if let Way::InProcess(process) = self.way {
            process.close().await;
        }
    }

    /// `GET path`.
    ///
    /// # Errors
    ///
    /// [`ClientError`], as for every call.
    pub(crate) async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, ClientError> {
        self.call(Method::GET, path, None::<&()>).await
    }

    /// `POST path` with a body.
    ///
    /// # Errors
    ///
    /// [`ClientError`], as for every call.
    pub(crate) async fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, ClientError> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `PUT path` with a body.
    ///
    /// # Errors
    ///
    /// [`ClientError`], as for every call.
    pub(crate) async fn put<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, ClientError> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// `DELETE path`.
    ///
    /// # Errors
    ///
    /// [`ClientError`], as for every call.
    pub(crate) async fn delete<A: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<A, ClientError> {
        self.call(Method::DELETE, path, None::<&()>).await
    }

    async fn call<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<A, ClientError> {
        let request = self.request(method, path, body)?;
        let wait = Duration::from_secs(ANSWER_WAIT_S_MAX);
        let sent = async {
            match &self.way {
                Way::Remote(remote) => remote.send(request).await,
                Way::Socket(socket) => socket.send(request).await,
                Way::InProcess(process) => process.send(request).await,
            }
        };
        let answer = tokio::time::timeout(wait, sent)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|source| ClientError::Unreachable { server: self.server(), source })?;
        self.understood(&answer)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let unsendable =
            |source: io::Error| ClientError::Unreachable { server: self.server(), source };
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = &self.token {
            let bearer = format!("Bearer {}", token.expose_secret());
            request = request.header(header::AUTHORIZATION, bearer);
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                serde_json::to_vec(body).map_err(|error| unsendable(error.into()))?
            }
            None => Vec::new(),
        };
        request.body(Full::from(body)).map_err(|error| unsendable(io::Error::other(error)))
    }

    fn understood<A: DeserializeOwned>(
        &self,
        answer: &Response<Bytes>,
    ) -> Result<A, ClientError> {
        let (status, body) = (answer.status(), answer.body());
        let garbled = |source| ClientError::Garbled {
            server: self.server(),
            status,
            source: Some(source),
        };
        if status.is_success() {
            // An answer without a body is the unit value.
            let body: &[u8] = if body.is_empty() { b"null" } else { body };
            return serde_json::from_slice(body).map_err(garbled);
        }
        let error: ErrorBody = serde_json::from_slice(body).map_err(garbled)?;
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(ClientError::Refused(error))
            }
            _ => Err(ClientError::Answered(error)),
        }
    }
}

impl ClientError {
    /// The stable code the server answered with, if it answered.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(body) | Self::Answered(body) => Some(&body.code),
            Self::BadServer { .. }
            | Self::PlainToken { .. }
            | Self::Unreachable { .. }
            | Self::Garbled { .. } => None,
        }
    }
}

/// `path?name=value&…` with the fields of `query` that are there.
pub(crate) fn with_query(path: &str, query: &impl Serialize) -> String {
    let fields = match serde_json::to_value(query) {
        Ok(serde_json::Value::Object(fields)) => fields,
        Ok(_) | Err(_) => serde_json::Map::new(),
    };
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name}={}", percent_encoded(&text))
        })
        .collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// The text with everything but RFC 3986 "unreserved" characters as `%XX`.
pub(crate) fn percent_encoded(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    });
    encoded.collect()
}

/// Reads an answer's whole body, within [`ANSWER_BYTES_MAX`].
///
/// # Errors
///
/// The connection broke, or the body is larger than that.
pub(crate) async fn collected<B>(answer: Response<B>) -> io::Result<Response<Bytes>>
where
    B: http_body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    use http_body_util::BodyExt as _;
    let (parts, body) = answer.into_parts();
    let body = http_body_util::Limited::new(body, ANSWER_BYTES_MAX);
    let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
    Ok(Response::from_parts(parts, bytes))
}

#[cfg(test)]
mod tests {
    use provost_api::EventQuery;

    use super::with_query;

    #[test]
    fn queries_hold_what_is_there_and_nothing_that_could_break_out() {
        let none = EventQuery::default();
        assert_eq!(with_query("/v1/events", &none), "/v1/events");
        let some = EventQuery { after: Some(7), kind: Some("a&b=/é".to_owned()), ..none };
        assert_eq!(
            with_query("/v1/events", &some),
            "/v1/events?after=7&kind=a%26b%3D%2F%C3%A9"
        );
    }
}
