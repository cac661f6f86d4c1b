//! `provost mcp login`: a person's login at an MCP server, for Provost.
//!
//! The browser comes back to this command, which passes on the address it came back to. Codes
//! are exchanged, and tokens kept, by the server alone.

use std::{io, net::Ipv4Addr, time::Duration};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use provost_api::{BeginMcpLogin, FinishMcpLogin, McpLogin, McpLoginBegun, Sensitive};
use provost_mcp::ServerName;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::task::TaskTracker;

use super::{super::secret::read_value, visible};
use crate::{client::Client, printer::Printer};

/// Where the browser comes back to.
const PATH: &str = "/callback";
/// How long a person may take; the server waits no longer.
const LOGIN_MAX: Duration = Duration::from_secs(600);
/// How long a connection may take to say what it wants.
const HEAD_MAX: Duration = Duration::from_secs(30);
/// Longest address that is pasted. Unit: bytes.
const PASTED_BYTES_MAX: u64 = 16 * 1024;
/// What the browser shows at the end.
const PAGE: &str = "Provost has it. You may close this page and look at your terminal.\n";

/// Logs Provost in at an MCP server that wants OAuth
///
/// Prints an address to open in a browser, and waits for the browser to come back to this
/// machine. Agents then reach the server with what was granted; none of them sees it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  provost mcp login github
  provost mcp login --paste github        # where no browser runs")]
pub(super) struct Login {
    /// The server, as the configuration calls it
    #[arg(id = "mcp_server", value_name = "SERVER")]
    server: ServerName,
    /// Ask for the address that the browser comes back to, for a browser elsewhere
    #[arg(long)]
    paste: bool,
    /// The port the browser comes back to [default: a free one]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Read the secret of the client in `oauth_client` from standard input
    #[arg(long, conflicts_with = "paste")]
    client_secret: bool,
}

/// Forgets a login; calls of that server fail from then on
///
/// The authorization server is not told: end the grant there as well.
#[derive(Debug, Args)]
pub(super) struct Logout {
    /// The server, as the configuration calls it
    #[arg(id = "mcp_server", value_name = "SERVER")]
    server: ServerName,
}

/// Logs in.
pub(super) async fn run(asked: Login, client: &Client, printer: Printer) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, asked.port)).await;
    let listener = listener.context("cannot listen for the browser")?;
    let redirect = format!("http://{}{PATH}", listener.local_addr()?);
    let client_secret =
        asked.client_secret.then(|| read_value(|prompt| printer.note(prompt), "client secret"));
    let begin =
        BeginMcpLogin { redirect: redirect.clone(), client_secret: client_secret.transpose()? };
    let path = format!("/v1/mcp/servers/{}/login", asked.server);
    let begun: McpLoginBegun = client.post(&path, &begin).await?;
    let scopes = match begun.scopes.as_slice() {
        [] => "none in particular".to_owned(),
        scopes => visible(&scopes.join(" ")),
    };
    printer.note(&format!(
        "authorization server: {}\nclient: {}\nscopes: {scopes}\n\nIf that is whom {} should \
         trust, open:\n\n  {}\n",
        visible(&begun.issuer),
        visible(&begun.client),
        asked.server,
        visible(&begun.url),
    ));
    let redirected = if asked.paste {
        drop(listener);
        pasted(&redirect, printer).await?
    } else {
        let waiting = brought_back(listener, begun.state);
        let waited = tokio::time::timeout(LOGIN_MAX, waiting).await;
        let target = waited.context("nobody came back from the browser in time")??;
        redirect.trim_end_matches(PATH).to_owned() + &target
    };
    let finish = FinishMcpLogin { redirected: Sensitive(redirected) };
    let login: McpLogin = client.post(&format!("{path}/finish"), &finish).await?;
    printer.answer(&login, |login| {
        let renews = if login.renews { ", and renewed by itself" } else { "" };
        let until = match (&login.expires_at, login.renews) {
            (Some(at), false) => format!(" until {at}; log in again then"),
            _ => String::new(),
        };
        format!("logged in at {} for {}{renews}{until}", visible(&login.issuer), login.server)
    })?;
    Ok(())
}

/// Forgets a login.
pub(super) async fn end(asked: Logout, client: &Client, printer: Printer) -> Result<()> {
    let () = client.delete(&format!("/v1/mcp/servers/{}/login", asked.server)).await?;
    printer.answer(&(), |()| format!("logged out of {}", asked.server))?;
    Ok(())
}

/// The address that a person copies out of their browser.
async fn pasted(redirect: &str, printer: Printer) -> Result<String> {
    printer.note(&format!(
        "The browser then ends at a page that it cannot show. Paste its address, which begins \
         with {redirect}:"
    ));
    let read = tokio::task::spawn_blocking(|| {
        let mut text = String::new();
        let mut input = io::Read::take(io::stdin().lock(), PASTED_BYTES_MAX);
        io::BufRead::read_line(&mut input, &mut text).map(|_| text)
    });
    let text = read.await?.context("cannot read the address")?;
    let text = text.trim();
    if text.is_empty() {
        bail!("nothing was given on standard input");
    }
    Ok(text.to_owned())
}

/// Waits for the browser; the path and query that it comes back with.
async fn brought_back(listener: TcpListener, state: String) -> Result<String> {
    let (send, mut receive) = mpsc::channel(1);
    let connections = TaskTracker::new();
    let target = loop {
        tokio::select! {
            target = receive.recv() => break target.context("the browser went away")?,
            accepted = listener.accept() => {
                let (stream, _) = accepted.context("cannot listen for the browser")?;
                let (send, state) = (send.clone(), state.clone());
                let service = service_fn(move |request| {
                    std::future::ready(Ok::<_, hyper::Error>(answer(&request, &state, &send)))
                });
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_MAX)
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service);
                // A browser opens more connections than it uses.
                connections.spawn(async move { drop(serving.await) });
            }
        }
    };
    connections.close();
    // The page is shown if the browser takes it soon.
    drop(tokio::time::timeout(Duration::from_secs(1), connections.wait()).await);
    Ok(target)
}

/// Takes the first request that is an answer to this login, and no other.
fn answer(
    request: &Request<Incoming>,
    state: &str,
    send: &mpsc::Sender<String>,
) -> Response<Full<Bytes>> {
    let query = request.uri().query().unwrap_or_default();
    let is_ours = request.uri().path() == PATH
        && query.split('&').any(|one| one.strip_prefix("state=") == Some(state));
    let target = request.uri().path_and_query().map(ToString::to_string);
    let is_first = |target| send.try_send(target).is_ok();
    let (status, page) = match target.filter(|_| is_ours) {
        Some(target) if is_first(target.clone()) => (StatusCode::OK, PAGE),
        _ => (StatusCode::NOT_FOUND, "Nothing is waited for here.\n"),
    };
    let mut response = Response::new(Full::from(page));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
