//! An MCP server on loopback with everything that the conformance scenarios ask for.
//!
//! Tools, resources, prompts, completion, logging, sampling, elicitation, subscriptions and
//! resumed streams, in sessions (up to 2025-11-25) and without (2026-07-28). Built on `rmcp`,
//! so that what the gateway meets was not made by those who made the gateway. Not shipped:
//! tests put it behind the gateway, `main.rs` runs it by hand. No tasks: `rmcp` has no store
//! for them over HTTP.

mod content;
mod inputs;
mod server;
mod tools;

use std::{io, net::SocketAddr, sync::Arc};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::server::{Server, Shared};

type Service = StreamableHttpService<Server, LocalSessionManager>;

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct Fixture {
    address: SocketAddr,
    _running: DropGuard,
}

impl Fixture {
    /// Starts a server on a free port of loopback.
    ///
    /// # Errors
    ///
    /// When there is no port to listen on.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let sessions = Arc::new(LocalSessionManager::default());
        let shared = Arc::new(Shared::new(Arc::clone(&sessions)));
        let config =
            StreamableHttpServerConfig::default().with_cancellation_token(stop.child_token());
        let service =
            StreamableHttpService::new(move || Ok(Server::new(&shared)), sessions, config);
        let tasks = TaskTracker::new();
        tasks.spawn(listen(listener, service, stop.clone(), tasks.clone()));
        Ok(Self { address, _running: stop.drop_guard() })
    }

    /// Where it serves MCP.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }
}

async fn listen(
    listener: TcpListener,
    service: Service,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    while let Some(Ok((stream, _))) = stop.run_until_cancelled(listener.accept()).await {
        let (service, stop) = (service.clone(), stop.clone());
        tasks.spawn(async move { stop.run_until_cancelled(converse(stream, service)).await });
    }
}

async fn converse(stream: TcpStream, service: Service) {
    let server = Builder::new(TokioExecutor::new()).http1_only();
    let service = TowerToHyperService::new(service);
    // A connection that breaks is the client's affair: many scenarios break theirs.
    server.serve_connection(TokioIo::new(stream), service).await.ok();
}
