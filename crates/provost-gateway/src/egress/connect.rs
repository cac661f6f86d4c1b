//! One time limit over all it takes to connect: name, socket, TLS.

use std::{
    error::Error,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use tower::Service;

type Cause = Box<dyn Error + Send + Sync>;

/// Connecting took too long.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {within:?}")]
pub(super) struct TooSlow {
    within: Duration,
}

/// A connector that gives up in time.
#[derive(Clone, Debug)]
pub(super) struct Timed<C> {
    pub(super) connector: C,
    pub(super) within: Duration,
}

impl<C> Service<Uri> for Timed<C>
where
    C: Service<Uri, Error = Cause>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = Cause;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, Cause>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let (within, connecting) = (self.within, self.connector.call(target));
        Box::pin(async move {
            match tokio::time::timeout(within, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(TooSlow { within }.into()),
            }
        })
    }
}
