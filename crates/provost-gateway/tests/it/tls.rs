//! TLS: HTTP/1.1 and HTTP/2 over it, and certificates that change while it runs.

use std::{fs, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use provost_gateway::{HttpFrame, Limits, Reload, Tls, TlsError, TlsFiles};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::server::{Server, connect, count, head, start_with, text};

fn write_certificate(directory: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(directory.join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

fn files(directory: &Path) -> TlsFiles {
    TlsFiles { certificates: directory.join("cert.pem"), key: directory.join("key.pem") }
}

async fn dial(
    server: &Server,
    trusted: &CertificateDer<'static>,
    alpn: &[u8],
) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, connect(server.address).await).await
}

#[tokio::test]
async fn http_1_is_spoken_over_tls() {
    let directory = TempDir::new().unwrap();
    let trusted = write_certificate(directory.path());
    let tls = Arc::new(Tls::load(files(directory.path())).unwrap());
    let server = start_with(Limits::default(), Some(tls), count).await;
    let mut client = dial(&server, &trusted, b"http/1.1").await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut reply = String::new();
    client.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 OK"), "{reply}");
    server.stop().await;
}

#[tokio::test]
async fn http_2_streams_end_or_reset_one_by_one() {
    let directory = TempDir::new().unwrap();
    let trusted = write_certificate(directory.path());
    let tls = Arc::new(Tls::load(files(directory.path())).unwrap());
    let server = start_with(Limits::default(), Some(tls), |ask, mut reply, _| async move {
        reply.send(head()).await.unwrap();
        reply.send(text("hello")).await.unwrap();
        let good = ask.parts.uri.path() == "/good";
        reply.send(if good { HttpFrame::End } else { HttpFrame::Abort }).await.unwrap();
    })
    .await;
    let io = TokioIo::new(dial(&server, &trusted, b"h2").await.unwrap());
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    server.tasks.spawn(async move { drop(connection.await) });
    let ask = |path| {
        let uri = format!("https://localhost{path}");
        let request = Request::get(uri).body(Full::new(Bytes::new())).unwrap();
        sender.clone().send_request(request)
    };
    let bad = ask("/bad").await.unwrap();
    let good = ask("/good").await.unwrap();
    assert!(bad.into_body().collect().await.is_err());
    assert_eq!(good.into_body().collect().await.unwrap().to_bytes(), "hello");
    let again = ask("/good").await.unwrap();
    assert_eq!(again.into_body().collect().await.unwrap().to_bytes(), "hello");
    drop(sender);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_or_no_tls_is_cut() {
    let directory = TempDir::new().unwrap();
    drop(write_certificate(directory.path()));
    let tls = Arc::new(Tls::load(files(directory.path())).unwrap());
    let header_read_timeout = Duration::from_millis(50);
    let limits = Limits { header_read_timeout, ..Limits::default() };
    let mut server = start_with(limits, Some(tls), count).await;
    for bytes in ["", "\u{16}\u{3}", "GET / HTTP/1.1\r\n\r\n"] {
        let mut client = server.client().await;
        client.send(bytes).await;
        let (reply, _) = client.read_to_end().await;
        assert!(!reply.contains("HTTP"), "{reply}");
    }
    assert!(server.told_nothing());
    server.stop().await;
}

#[tokio::test]
async fn changed_certificates_are_taken_and_bad_ones_are_not() {
    let directory = TempDir::new().unwrap();
    let first = write_certificate(directory.path());
    let tls = Arc::new(Tls::load(files(directory.path())).unwrap());
    let server = start_with(Limits::default(), Some(Arc::clone(&tls)), count).await;
    assert_eq!(tls.reload().unwrap(), Reload::Unchanged);
    dial(&server, &first, b"http/1.1").await.unwrap();

    let key = fs::read(directory.path().join("key.pem")).unwrap();
    let second = write_certificate(directory.path());
    assert_eq!(tls.reload().unwrap(), Reload::Reloaded);
    dial(&server, &second, b"http/1.1").await.unwrap();
    assert!(dial(&server, &first, b"http/1.1").await.is_err(), "the old one is gone");

    let good = fs::read(directory.path().join("key.pem")).unwrap();
    for (bad, want) in [
        (Some(&key[..]), "the key and the certificate do not go together"),
        (Some(b"x"), "does not hold what it should in PEM"),
        (None, "cannot be read"),
    ] {
        let path = directory.path().join("key.pem");
        match bad {
            // Grown, so that it differs from the last whatever the clock's grain.
            Some(bad) => fs::write(&path, [bad, b"\n"].concat()).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let error = tls.reload().unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
        assert_eq!(tls.reload().unwrap(), Reload::Unchanged, "said once");
        dial(&server, &second, b"http/1.1").await.unwrap();
    }
    fs::write(directory.path().join("key.pem"), good).unwrap();
    assert_eq!(tls.reload().unwrap(), Reload::Reloaded);
    server.stop().await;
}

#[test]
fn missing_files_are_named() {
    let directory = TempDir::new().unwrap();
    let error = Tls::load(files(directory.path())).unwrap_err();
    assert!(
        matches!(&error, TlsError::File { path, .. } if path.ends_with("cert.pem")),
        "{error}"
    );
}
