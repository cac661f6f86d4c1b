//! Upstreams that fail, and disks that fill or turn read-only.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use provost_scripted::Script;
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    raw::{self, message, streamed},
    world::{MODEL, World, eventually},
};

/// The outcome of the newest action.
async fn outcome(world: &World) -> Value {
    let (_, outcomes) = world.concluded().await;
    outcomes.last().unwrap()["record"]["outcome"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_fails_is_passed_on_or_named_and_always_recorded() {
    let mut world = World::install(Script::default()).await;
    world.set("PROVOST_LLM_HEAD_TIMEOUT_S", "1");
    world.serve().await;
    let (_, token) = world.session().await;
    let gateway = world.server().gateway;
    for (scene, status, recorded) in [
        ("status-529", 529, "failed"),
        ("status-429", 429, "failed"),
        ("status-500", 500, "failed"),
        ("status-401", 502, "failed"), // our key is bad, not the agent's
        ("hang", 504, "failed"),
        ("reset", 502, "failed"),
        ("no-usage", 200, "succeeded"),
        ("gzip", 200, "succeeded"),
        ("deflate", 200, "succeeded"),
        ("br", 200, "succeeded"),
        ("zstd", 200, "succeeded"),
        ("bytewise", 200, "succeeded"),
    ] {
        let body = message(&format!("{MODEL}+{scene}"));
        let answer = raw::ask(gateway, &token, &body).await;
        assert_eq!(answer.status, status, "{scene}: {answer:?}");
        let outcome = outcome(&world).await;
        assert_eq!(outcome["status"], recorded, "{scene}: {outcome}");
        if status == 200 && scene != "no-usage" {
            assert!(outcome["usage"]["output"].as_u64().unwrap() > 0, "{scene}: {outcome}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_never_ends_cleanly() {
    let world = World::start(Script::default()).await;
    let (_, token) = world.session().await;
    let gateway = world.server().gateway;
    for scene in ["eof-mid-stream", "close-mid-stream", "reset-mid-stream", "garbage"] {
        let body = streamed(&format!("{MODEL}+{scene}"));
        let answer = raw::ask(gateway, &token, &body).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains("event: error"), "{scene}: {text}");
        assert!(!text.contains("message_stop"), "{scene}: {text}");
        let outcome = outcome(&world).await;
        assert_eq!(outcome["status"], "failed", "{scene}: {outcome}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_not_there_is_a_bad_gateway() {
    let mut world = World::install(Script::default()).await;
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    world.set("PROVOST_LLM_UPSTREAM", &format!("http://{port}"));
    world.serve().await;
    let (_, token) = world.session().await;
    let answer = raw::ask(world.server().gateway, &token, &message(MODEL)).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(outcome(&world).await["status"], "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_stream_says_why_and_the_next_request_is_refused() {
    let world = World::start(Script::default()).await;
    let (id, token) = world.session().await;
    let gateway = world.server().gateway;
    let bearer = format!("Bearer {token}");
    let body = streamed(&format!("{MODEL}+endless-5")).to_string();
    let mut stream = raw::open(gateway, &[("authorization", &bearer)], body.as_bytes()).await;
    raw::read_until(&mut stream, "content_block_delta").await;
    world.done(&["session", "kill", &id, "--reason", "it went astray"]).await;
    let rest = raw::read_until(&mut stream, "it went astray").await;
    assert!(rest.contains("event: error"), "{rest}");
    assert!(!rest.contains("message_stop"), "{rest}");
    let answer = raw::ask(gateway, &token, &message(MODEL)).await;
    assert_eq!((answer.status, answer.header("x-should-retry")), (403, Some("false")));
    assert!(answer.error().1.contains("it went astray"));
}

/// A small file system of our own; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m,mode=0700", "provost-test"])
            .arg(&path)
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(path)),
            _ => None,
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _best_effort = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_everything_until_there_is_room_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let Some(disk) = SmallDisk::mount(data.clone()) else {
        println!("SKIPPED: a full disk: a tmpfs cannot be mounted here (not root?)");
        return;
    };
    let mut world = World::install_in(Script::default(), folder, data).await;
    world.serve().await;
    let (_, token) = world.session().await;
    let gateway = world.server().gateway;
    assert_eq!(raw::ask(gateway, &token, &message(MODEL)).await.status, 200);
    let before = world.upstream.request_count("/v1/messages");

    let filler = disk.0.join("filler");
    let fill = || {
        let mut file =
            std::fs::File::options().create(true).append(true).open(&filler).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![0; size];
            while std::io::Write::write_all(&mut file, &block).is_ok() {}
        }
    };
    // What the journal has laid down ahead is good for some entries: ask until it is used.
    let refused = eventually("the ledger is full", async || {
        fill();
        let answer = raw::ask(gateway, &token, &message(MODEL)).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(world.upstream.request_count("/v1/messages") > before);
    nothing_happens(&world, &token).await;

    std::fs::remove_file(&filler).unwrap();
    all_is_well_again(&mut world, &token).await;
    drop(world);
    drop(disk);
}

/// A file nobody may write, not even through a handle that was opened before: what a disk
/// that turned read-only looks like. Writable again when dropped.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn new(path: PathBuf) -> Option<Self> {
        chattr("+i", &path).then_some(Self(path))
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        assert!(chattr("-i", &self.0), "{} can be written again", self.0.display());
    }
}

fn chattr(change: &str, path: &Path) -> bool {
    Command::new("chattr").arg(change).arg(path).status().is_ok_and(|status| status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_turned_read_only_refuses_everything_until_it_can_be_written() {
    let mut world = World::install(Script::default()).await;
    world.serve().await;
    let (_, token) = world.session().await;
    let gateway = world.server().gateway;
    assert_eq!(raw::ask(gateway, &token, &message(MODEL)).await.status, 200);
    world.concluded().await;

    let segments = std::fs::read_dir(world.data().join("ledger/journal")).unwrap();
    let last = segments.map(|entry| entry.unwrap().path()).max().unwrap();
    let Some(read_only) = ReadOnly::new(last) else {
        println!("SKIPPED: a read-only ledger: no file can be made immutable here (not root?)");
        return;
    };
    nothing_happens(&world, &token).await;

    drop(read_only);
    all_is_well_again(&mut world, &token).await;
}

/// Every request is refused for the ledger, none reaches the upstream, `readyz` is red.
async fn nothing_happens(world: &World, token: &str) {
    let (gateway, control) = (world.server().gateway, world.server().control);
    let sent = world.upstream.request_count("/v1/messages");
    for _ in 0..5 {
        let refused = raw::ask(gateway, token, &message(MODEL)).await;
        assert_eq!(refused.status, 503, "{refused:?}");
        assert_eq!(refused.header("x-should-retry"), Some("false"));
        assert!(refused.error().1.contains("ledger"), "{refused:?}");
    }
    assert_eq!(world.upstream.request_count("/v1/messages"), sent, "nothing was sent");
    eventually("it says that it is not ready", async || {
        (get(control, "/readyz").await.status == 503).then_some(())
    })
    .await;
    assert_eq!(get(control, "/healthz").await.status, 200);
}

/// It recovers without a restart, and its ledger verifies.
async fn all_is_well_again(world: &mut World, token: &str) {
    let (gateway, control) = (world.server().gateway, world.server().control);
    eventually("it recovers by itself", async || {
        (raw::ask(gateway, token, &message(MODEL)).await.status == 200).then_some(())
    })
    .await;
    eventually("it is ready again", async || {
        (get(control, "/readyz").await.status == 200).then_some(())
    })
    .await;
    world.concluded().await;
    assert!(world.end("TERM").await.success());
    world.done(&["audit", "verify"]).await;
}

pub(crate) async fn get(to: std::net::SocketAddr, path: &str) -> raw::Answer {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    raw::read(&mut stream).await
}
