//! The HTTP driver: listens, frames requests, and writes what the pipeline answers.
//!
//! Each connection is a task and each request another, so that a client's leaving never drops
//! an action: it closes the queue of reply frames, and the gateway hears of that.
//!
//! A client that closes its sending half counts as gone, since nothing tells it from one that
//! left. Over TLS, HTTP/2 is spoken to those who prefer it.

mod body;
mod reply;
mod wire;

use std::{
    error::Error as _,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use http::{HeaderValue, Request, Response, Version, header::CONNECTION, request};
use hyper::{
    body::Incoming,
    rt::Executor,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use provost_pipeline::{Gateway as _, Malformed, MalformedKind, Pipeline, Reply};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::body::Room;
use self::{
    body::Rooms,
    reply::{Aborted, ReplyBody},
    wire::{Phase, PhaseCell, Wire},
};
use crate::{HttpAsk, HttpFrame, HttpPlane, Limits, Tls};

/// Pause after a connection could not be taken, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Most requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 128;

/// How often a quiet HTTP/2 client is asked whether it is there, and how long it may think.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Header fields hyper parses without extra memory.
const HEADERS_FREE: usize = 100;

/// Least buffer for reading. Unit: bytes.
const BUFFER_MIN: usize = 64 * 1024;

/// What a listener does with requests; [`Governed`] is the one that serves agents.
pub trait Serve: Send + Sync + 'static {
    /// Answers one whole request. Runs on a task of its own, to the end.
    fn run(&self, ask: HttpAsk, reply: Reply<HttpFrame>) -> impl Future<Output = ()> + Send;

    /// Says no to a request whose head was read and whose body was not.
    fn refuse(
        &self,
        head: request::Parts,
        malformed: Malformed,
    ) -> impl Future<Output = HttpFrame> + Send;

    /// Takes note of a request whose head was not read; the client was told.
    fn note_headless(&self, malformed: Malformed) -> impl Future<Output = ()> + Send;
}

/// Serves a plane's requests through the pipeline.
#[derive(Clone, Debug)]
pub struct Governed<P> {
    /// The one way through.
    pub pipeline: Arc<Pipeline>,
    /// The plane.
    pub plane: P,
}

impl<P: HttpPlane> Serve for Governed<P> {
    async fn run(&self, ask: HttpAsk, reply: Reply<HttpFrame>) {
        self.pipeline.run(&mut self.plane.gateway(&ask), ask, reply).await;
    }

    async fn refuse(&self, head: request::Parts, malformed: Malformed) -> HttpFrame {
        let ask = HttpAsk::new(head, bytes::Bytes::new());
        let gateway = self.plane.gateway(&ask);
        let presented = gateway.present(&ask);
        let refusal = self.pipeline.refuse_early(&presented, malformed).await;
        gateway.refuse(&refusal)
    }

    async fn note_headless(&self, malformed: Malformed) {
        let _refusal = self.pipeline.refuse_headless(malformed).await;
    }
}

/// One listener's server.
#[derive(Debug)]
pub struct HttpServer<S> {
    /// What is done with requests.
    pub serve: S,
    /// How much is taken.
    pub limits: Limits,
    /// With what certificate; `None` serves plain HTTP.
    pub tls: Option<Arc<Tls>>,
}

impl<S: Serve> HttpServer<S> {
    /// Serves connections until `shutdown`; then those that are idle are closed, the others
    /// after their reply. Every task is one of `tasks`: wait for those to know all is over.
    pub async fn listen(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
        tasks: TaskTracker,
    ) {
        let Self { serve, limits, tls } = self;
        let places = Arc::new(Semaphore::new(limits.connections_max));
        let rooms = Rooms::new(&limits);
        let tasks_of_connections = tasks.clone();
        let shared = Arc::new(Shared { serve, limits, tls, rooms, tasks });
        let accept = async {
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let connection =
                            Arc::clone(&shared).connection(stream, shutdown.child_token());
                        tasks_of_connections.spawn(async move {
                            connection.await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "connection not accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        shutdown.run_until_cancelled(accept).await;
    }
}

/// What all connections of a listener share.
#[derive(Debug)]
struct Shared<S> {
    serve: S,
    limits: Limits,
    tls: Option<Arc<Tls>>,
    rooms: Rooms,
    tasks: TaskTracker,
}

impl<S: Serve> Shared<S> {
    async fn connection(self: Arc<Self>, stream: TcpStream, shutdown: CancellationToken) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY not set"); // the client is gone already
        }
        let phase = PhaseCell::new();
        let wire = Wire::new(stream, phase.clone(), &self.limits);
        let Some(tls) = &self.tls else { return self.http1(wire, phase, shutdown).await };
        match tls.accept(wire).await {
            Err(error) => tracing::debug!(%error, "TLS handshake failed"),
            Ok(stream) => {
                phase.set(Phase::New);
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    self.http2(stream, phase, shutdown).await;
                } else {
                    self.http1(stream, phase, shutdown).await;
                }
            }
        }
    }

    async fn http1<I>(self: Arc<Self>, io: I, phase: PhaseCell, shutdown: CancellationToken)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http1::Builder::new();
        builder
            .header_read_timeout(None) // the wire's business
            .max_header_size(self.limits.header_bytes_max)
            .max_buf_size(self.limits.header_bytes_max.max(BUFFER_MIN))
            .writev(false); // one write of many small events beats a list of them
        if self.limits.headers_max != HEADERS_FREE {
            builder.max_headers(self.limits.headers_max);
        }
        let (shared, of_requests) = (Arc::clone(&self), phase.clone());
        let service =
            service_fn(move |request| Arc::clone(&shared).answer(request, of_requests.clone()));
        let connection = pin!(builder.serve_connection(TokioIo::new(io), service));
        let ended = drive(connection, &shutdown, http1::Connection::graceful_shutdown).await;
        if let Some(malformed) =
            ended.err().and_then(|error| self.headless(&error, phase.get()))
        {
            self.serve.note_headless(malformed).await;
        }
    }

    async fn http2<I>(self: Arc<Self>, io: I, phase: PhaseCell, shutdown: CancellationToken)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let headers_max = u32::try_from(self.limits.header_bytes_max).unwrap_or(u32::MAX);
        let mut builder = http2::Builder::new(Tracked(self.tasks.clone()));
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(headers_max)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY);
        let service =
            service_fn(move |request| Arc::clone(&self).answer(request, phase.clone()));
        let connection = pin!(builder.serve_connection(TokioIo::new(io), service));
        let ended = drive(connection, &shutdown, http2::Connection::graceful_shutdown).await;
        if let Err(error) = ended {
            tracing::debug!(%error, "connection broke");
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        phase: PhaseCell,
    ) -> Result<Response<ReplyBody>, Aborted> {
        phase.set(Phase::Busy);
        let phase = (request.version() < Version::HTTP_2).then_some(phase);
        let method = request.method().clone();
        let (reply, frames) = Reply::channel(self.limits.frames_max);
        let tasks = self.tasks.clone();
        // Boxed because it is large, and spawning moves it several times.
        tasks.spawn(Box::pin(self.request(request, reply, phase.clone())));
        reply::respond(&method, frames, phase).await
    }

    async fn request(
        self: Arc<Self>,
        request: Request<Incoming>,
        mut reply: Reply<HttpFrame>,
        phase: Option<PhaseCell>,
    ) {
        let (head, mut body) = request.into_parts();
        let unread = match body::read(&mut body, &self.rooms, &self.limits).await {
            Ok((body, room)) => {
                let ask = HttpAsk::with_room(head, body, room);
                return self.serve.run(ask, reply).await;
            }
            Err(unread) => unread,
        };
        let is_http1 = phase.is_some();
        if let Some(phase) = phase {
            phase.set(Phase::Unread);
        }
        let mut frame = self.serve.refuse(head, unread.malformed()).await;
        if is_http1 {
            close_after(&mut frame);
        }
        if reply.send(frame).await.is_err() {
            tracing::debug!(%unread, "client left before its refusal");
        }
    }

    /// What is to be noted of a connection that ended in the middle of a head.
    fn headless(&self, error: &hyper::Error, phase: Phase) -> Option<Malformed> {
        let Limits { header_bytes_max, headers_max, .. } = self.limits;
        let timed_out = error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>())
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
        let (kind, message) = if error.is_parse_too_large() {
            let sizes = format!("{header_bytes_max} bytes or {headers_max} fields");
            (MalformedKind::TooLarge, format!("the request head is larger than {sizes}"))
        } else if error.is_parse() {
            (MalformedKind::Syntax, "that is not an HTTP/1.1 request head".to_owned())
        } else if phase == Phase::Head && timed_out {
            (MalformedKind::Syntax, "the request head took too long to arrive".to_owned())
        } else if phase == Phase::Head && error.is_incomplete_message() {
            (MalformedKind::Syntax, "the request head broke off in the middle".to_owned())
        } else {
            tracing::debug!(%error, "connection broke");
            return None;
        };
        Some(Malformed { message, kind })
    }
}

/// Runs a connection to its end; asks it to end when `shutdown` comes.
async fn drive<C, T>(
    mut connection: Pin<&mut C>,
    shutdown: &CancellationToken,
    end: fn(Pin<&mut C>),
) -> T
where
    C: Future<Output = T>,
{
    let mut asked = pin!(shutdown.cancelled());
    let mut is_asked = false;
    poll_fn(|context| {
        if let Poll::Ready(ended) = connection.as_mut().poll(context) {
            return Poll::Ready(ended);
        }
        if !is_asked && asked.as_mut().poll(context).is_ready() {
            is_asked = true;
            end(connection.as_mut());
            return connection.as_mut().poll(context);
        }
        Poll::Pending
    })
    .await
}

/// The rest of the request is not read, so the connection cannot be used again.
fn close_after(frame: &mut HttpFrame) {
    let headers = match frame {
        HttpFrame::Whole(response) => response.headers_mut(),
        HttpFrame::Head(head) => &mut head.headers,
        HttpFrame::Data(_) | HttpFrame::End | HttpFrame::Abort => return,
    };
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
}

/// Lets HTTP/2 spawn its streams where shutdown waits for them.
#[derive(Clone, Debug)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}
