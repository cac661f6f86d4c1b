//! Provost's own requests: metadata, keys and tokens of authorization servers.
//!
//! Not against a [`provost_pipeline::Permit`], for they belong to no agent's action, and
//! nothing an agent sent may be in them. Bounded in time and size, never in the clear beyond
//! this machine, never redirected.

use std::{net::IpAddr, path::Path, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri, Version};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};

use super::{Connections, EgressError, EgressLimits, EgressSetupError, UpstreamBody, client};

/// Largest answer. Unit: bytes. Ours: metadata, key sets and tokens are a few kilobytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Longest wait for a whole answer. Ours: an agent may be waiting behind it.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Sends requests of Provost's own. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct Errands {
    client: Connections,
}

/// There is no answer. The text holds nothing of the request or the answer.
#[derive(Debug, thiserror::Error)]
pub enum ErrandError {
    /// The address is one of another machine, without encryption.
    #[error("its address is not https")]
    Plain,
    /// It was not reached, or broke off.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// It took too long altogether.
    #[error("it gave no whole answer within {ANSWER_MAX:?}")]
    Slow,
    /// Its answer is too large.
    #[error("its answer is larger than {ANSWER_BYTES_MAX} bytes")]
    Large,
}

impl Errands {
    /// Trusts the public web's certificate authorities, and those in the PEM file
    /// `authorities` besides. Dials nothing yet.
    ///
    /// # Errors
    ///
    /// [`EgressSetupError`] if `authorities` cannot be used.
    pub fn new(authorities: Option<&Path>) -> Result<Self, EgressSetupError> {
        let limits = EgressLimits { idle_connections_max: 8, ..EgressLimits::default() };
        Ok(Self { client: client(authorities, &limits)? })
    }

    /// Sends `request` and waits for the whole answer, whatever its status.
    ///
    /// # Errors
    ///
    /// [`ErrandError`].
    pub async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ErrandError> {
        if !is_private(request.uri()) {
            return Err(ErrandError::Plain);
        }
        let (mut head, body) = request.into_parts();
        head.version = Version::HTTP_11;
        let request = Request::from_parts(head, Full::new(body));
        let answered = tokio::time::timeout(ANSWER_MAX, self.whole(request)).await;
        answered.map_err(|_| ErrandError::Slow)?
    }

    async fn whole(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, ErrandError> {
        let answer = self.client.request(request).await.map_err(EgressError::of_request)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(UpstreamBody::new(body, ANSWER_MAX), ANSWER_BYTES_MAX);
        match body.collect().await {
            Ok(whole) => Ok(Response::from_parts(head, whole.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(ErrandError::Large),
            Err(error) => Err(match error.downcast::<EgressError>() {
                Ok(error) => (*error).into(),
                Err(error) => EgressError::Reset(error).into(),
            }),
        }
    }
}

/// Whether nobody on a network can read what is sent there.
fn is_private(target: &Uri) -> bool {
    match target.scheme_str() {
        Some("https") => true,
        Some("http") => target.host().is_some_and(is_loopback),
        _ => false,
    }
}

/// Whether a host, as a URL names it, is this machine.
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{Request, Uri};

    use super::{ErrandError, Errands, is_private};

    #[test]
    fn what_is_sent_is_encrypted_or_stays_on_the_machine() {
        for (target, want) in [
            ("https://as.example/token", true),
            ("http://as.example/token", false),
            ("http://127.0.0.1:9/", true),
            ("http://[::1]:9/", true),
            ("http://localhost:9/", true),
            ("http://localhost.example/", false),
            ("http://127.0.0.1.example/", false),
            ("http://10.0.0.1/", false),
            ("ftp://127.0.0.1/", false),
            ("/token", false),
        ] {
            assert_eq!(is_private(&target.parse::<Uri>().unwrap()), want, "{target}");
        }
    }

    #[tokio::test]
    async fn nothing_is_sent_in_the_clear_to_another_machine() {
        let request = Request::get("http://192.0.2.1/").body(Bytes::new()).unwrap();
        let asked = Errands::new(None).unwrap().ask(request).await;
        assert!(matches!(asked, Err(ErrandError::Plain)));
    }
}
