//! A listener whose requests go to a closure, and a raw client for it.

use std::{
    fmt,
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Response, request, response};
use provost_gateway::{HttpAsk, HttpFrame, HttpServer, Limits, Serve, Tls};
use provost_pipeline::{Malformed, Reply};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) type Replying = Reply<HttpFrame>;
type Run =
    dyn Fn(HttpAsk, Replying, Told) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// Where the closure and the driver tell the test what happened.
#[derive(Clone)]
pub(crate) struct Told(mpsc::UnboundedSender<String>);

impl Told {
    pub(crate) fn say(&self, what: impl Into<String>) {
        self.0.send(what.into()).unwrap();
    }
}

struct Closure {
    run: Box<Run>,
    told: Told,
}

impl fmt::Debug for Closure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closure")
    }
}

impl Serve for Closure {
    async fn run(&self, ask: HttpAsk, reply: Replying) {
        (self.run)(ask, reply, self.told.clone()).await;
    }

    async fn refuse(&self, head: request::Parts, malformed: Malformed) -> HttpFrame {
        self.told.say(format!("refused {}: {malformed}", head.uri));
        HttpFrame::Whole(Response::builder().status(413).body(Bytes::from("no")).unwrap())
    }

    async fn note_headless(&self, malformed: Malformed) {
        self.told.say(format!("headless: {malformed}"));
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) tasks: TaskTracker,
    told: mpsc::UnboundedReceiver<String>,
}

impl Server {
    /// The next thing that happened.
    pub(crate) async fn told(&mut self) -> String {
        in_time(self.told.recv()).await.unwrap()
    }

    pub(crate) fn told_nothing(&mut self) -> bool {
        self.told.try_recv().is_err()
    }

    pub(crate) async fn client(&self) -> Client {
        Client(connect(self.address).await)
    }

    /// Shuts down and waits until every task has ended.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.close();
        in_time(self.tasks.wait()).await;
    }
}

pub(crate) async fn start<F, R>(limits: Limits, run: R) -> Server
where
    F: Future<Output = ()> + Send + 'static,
    R: Fn(HttpAsk, Replying, Told) -> F + Send + Sync + 'static,
{
    start_with(limits, None, run).await
}

pub(crate) async fn start_with<F, R>(limits: Limits, tls: Option<Arc<Tls>>, run: R) -> Server
where
    F: Future<Output = ()> + Send + 'static,
    R: Fn(HttpAsk, Replying, Told) -> F + Send + Sync + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, told) = mpsc::unbounded_channel();
    let run = move |ask: HttpAsk, reply: Replying, told: Told| {
        Box::pin(run(ask, reply, told)) as Pin<Box<dyn Future<Output = ()> + Send>>
    };
    let serve = Closure { run: Box::new(run), told: Told(sender) };
    let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
    let server = HttpServer { serve, limits, tls };
    tasks.spawn(server.listen(listener, shutdown.clone(), tasks.clone()));
    Server { address, shutdown, tasks, told }
}

/// Fails a test that would hang; no test waits this long on purpose.
async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("nothing happens any more")
}

/// Answers with the length of the body.
pub(crate) async fn count(ask: HttpAsk, mut reply: Replying, told: Told) {
    let length = ask.body.len().to_string();
    told.say(format!("{} {}", ask.parts.uri, ask.body.len()));
    reply.send(HttpFrame::Whole(Response::new(length.into()))).await.unwrap();
}

/// The head of a chunked reply.
pub(crate) fn head() -> HttpFrame {
    HttpFrame::Head(parts(200, None))
}

pub(crate) fn parts(status: u16, length: Option<usize>) -> response::Parts {
    let mut response = Response::builder().status(status);
    if let Some(length) = length {
        response = response.header("content-length", length);
    }
    response.body(()).unwrap().into_parts().0
}

pub(crate) fn text(bytes: &'static str) -> HttpFrame {
    HttpFrame::Data(Bytes::from_static(bytes.as_bytes()))
}

#[expect(clippy::disallowed_methods, reason = "a test is the client")]
pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until what was read contains `end`.
    pub(crate) async fn read_until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(end) {
            let mut space = [0; 4096];
            let length = in_time(self.0.read(&mut space)).await.unwrap();
            assert_ne!(length, 0, "ended after {}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&space[..length]);
        }
        String::from_utf8(read).unwrap()
    }

    /// Reads to the end; says whether it was a clean one.
    pub(crate) async fn read_to_end(&mut self) -> (String, bool) {
        let mut read = Vec::new();
        let clean = in_time(self.0.read_to_end(&mut read)).await.is_ok();
        (String::from_utf8_lossy(&read).into_owned(), clean)
    }
}
