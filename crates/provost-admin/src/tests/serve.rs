//! The listeners: who is local, and an orderly end.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UnixStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::harness::Server;
use crate::{ControlSocket, SocketError, router, serve_tcp, serve_unix};

const ASK: &[u8] = b"GET /v1/me HTTP/1.1\r\nhost: provost\r\nconnection: close\r\n\r\n";

fn owner(path: &Path) -> u32 {
    fs::metadata(path).unwrap().uid()
}

async fn ask(mut stream: UnixStream) -> String {
    stream.write_all(ASK).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_socket_takes_its_peer_for_the_local_admin() {
    let server = Server::start().await;
    let path = server.dir.path().join("control.sock");
    let owner = owner(server.dir.path());
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let socket = ControlSocket::bind(&path, owner).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let app = std::sync::Arc::clone(&server.app);
    tasks.spawn(serve_unix(socket, router(app), stop.clone()));
    let answer = ask(UnixStream::connect(&path).await.unwrap()).await;
    let want = format!(r#"{{"name":"local/{owner}","role":"admin"}}"#);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with(&want), "{answer}");
    let second = ControlSocket::bind(&path, owner).unwrap_err();
    assert!(matches!(second, SocketError::InUse { .. }), "{second}");
    let idle = UnixStream::connect(&path).await.unwrap();
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    drop(idle);
    assert!(!path.exists());
}

#[tokio::test]
async fn only_a_socket_that_nobody_answers_on_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let owner = owner(dir.path());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a server that was killed leaves its socket");
    let socket = ControlSocket::bind(&path, owner).unwrap();
    drop(socket);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    let error = ControlSocket::bind(&path, owner).unwrap_err();
    assert!(matches!(error, SocketError::NotASocket { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    let long = dir.path().join("a".repeat(120)).join("control.sock");
    let error = ControlSocket::bind(&long, owner).unwrap_err();
    assert!(matches!(error, SocketError::Io { .. }), "{error}");
}

#[tokio::test]
async fn nobody_is_local_over_tcp() {
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let app = std::sync::Arc::clone(&server.app);
    tasks.spawn(serve_tcp(listener, router(app), stop.clone()));
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(ASK).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
    assert!(answer.contains("www-authenticate: Bearer"), "{answer}");
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}
