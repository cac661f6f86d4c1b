//! Serving the control API on a listener: limits, and an orderly end.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{BoxError, Router, body::HttpBody, http::Request, serve::Listener};
use bytes::Bytes;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use crate::LocalPeer;

/// Most connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 512;

/// Longest time the head of a request may take to arrive, and a connection may lie idle.
const HEAD_MAX: Duration = Duration::from_secs(30);

/// Largest head of a request. Unit: bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Longest time a request may go on once the server stops.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Serves `router` on `listener` until `shutdown`, then ends what is in flight within a few
/// seconds. No caller is taken for local: each has to show a credential.
///
/// The listener may add TLS. It must bind to loopback unless it does, or the operator said so.
pub async fn serve_tcp<L: Listener>(listener: L, router: Router, shutdown: CancellationToken) {
    serve(listener, router, |_| None, shutdown).await;
}

/// Serves `router` on `listener`; `peer` says which connections are a local process's.
pub(crate) async fn serve<L: Listener>(
    mut listener: L,
    router: Router,
    peer: fn(&L::Addr) -> Option<LocalPeer>,
    shutdown: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = TaskTracker::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((place, listener.accept().await))
        };
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = accepted => accepted,
        };
        let Some((place, (io, address))) = accepted else { break };
        let service = Marked { router: router.clone(), peer: peer(&address) };
        let shutdown = shutdown.clone();
        connections.spawn(async move {
            converse(io, service, shutdown).await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Serves one connection to its end.
async fn converse<I>(io: I, service: Marked, shutdown: CancellationToken)
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let connection = http.serve_connection(TokioIo::new(io), TowerToHyperService::new(service));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Ok(ended),
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN_MAX, connection).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(error, "control connection broke"),
        Err(_) => tracing::warn!("control connection cut: it did not end in time"),
    }
}

/// The router, and whom its requests come from.
#[derive(Clone)]
struct Marked {
    router: Router,
    peer: Option<LocalPeer>,
}

impl<B> Service<Request<B>> for Marked
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = <Router as Service<Request<B>>>::Response;
    type Error = <Router as Service<Request<B>>>::Error;
    type Future = <Router as Service<Request<B>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<Request<B>>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        self.router.call(request)
    }
}
