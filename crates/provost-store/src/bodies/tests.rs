//! Bodies as they are written, read back, cut, lost and deleted.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use bytes::Bytes;
use provost_types::{ActionId, Timestamp};
use uuid::Uuid;

use super::{Bodies, BodyError, BodyPart, Kept};
use crate::ProjectKeys;

const DAY: u64 = 86_400_000_000;

fn action_on(day: u64) -> ActionId {
    let at = uuid::Timestamp::from_unix(uuid::NoContext, day.saturating_mul(86_400), 0);
    ActionId::new(Uuid::new_v7(at))
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for dir in fs::read_dir(folder).unwrap() {
        for file in fs::read_dir(dir.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            found.push(path.strip_prefix(folder).unwrap().display().to_string());
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn bodies_come_back_however_they_were_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (bodies, keys) = (Bodies::new(dir.path()), ProjectKeys::generate());
    for (piece, pieces) in [(0, 0_u8), (0, 3), (1, 10), (1000, 200), (65_536, 3), (500_000, 2)]
    {
        let action = ActionId::generate();
        let mut writer = bodies.writer(action, BodyPart::Response, keys.body_recipient());
        let mut whole = Vec::new();
        for number in 0..pieces {
            let bytes = vec![number; piece];
            whole.extend_from_slice(&bytes);
            writer.write(Bytes::from(bytes)).await;
        }
        let read = async || {
            bodies.read(action, BodyPart::Response, keys.body_identity()).await.unwrap()
        };
        assert_eq!(read().await, None, "nothing before the end");
        assert_eq!(writer.finish().await, Kept::Whole);
        assert_eq!(read().await, Some(whole), "{pieces} pieces of {piece} bytes");
        let none = bodies.read(action, BodyPart::Request, keys.body_identity()).await;
        assert_eq!(none.unwrap(), None);
    }
}

#[tokio::test]
async fn bodies_are_private_and_unreadable_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let (bodies, keys) = (Bodies::new(dir.path()), ProjectKeys::generate());
    let action = action_on(20_000);
    let mut writer = bodies.writer(action, BodyPart::Request, keys.body_recipient());
    writer.write(Bytes::from_static(b"my card is 4111")).await;
    writer.finish().await;
    let name = format!("2024-10-04/{action}.request.age");
    assert_eq!(files(dir.path()), [name.as_str()]);
    let path = dir.path().join(name);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = fs::read(&path).unwrap();
    assert!(!bytes.windows(4).any(|four| four == b"4111"));

    let read = async |keys: &ProjectKeys| {
        bodies.read(action, BodyPart::Request, keys.body_identity()).await
    };
    let other = ProjectKeys::generate();
    assert!(matches!(read(&other).await, Err(BodyError::NotOurs { .. })));
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(matches!(read(&keys).await, Err(BodyError::NotOurs { .. })));
}

#[tokio::test]
async fn a_body_is_cut_where_it_gets_too_long() {
    let dir = tempfile::tempdir().unwrap();
    let (bodies, keys) = (Bodies::with_limit(dir.path(), 100_000), ProjectKeys::generate());
    for (len, want) in [(99_999, Kept::Whole), (100_000, Kept::Whole), (100_001, Kept::Cut)] {
        let action = ActionId::generate();
        let mut writer = bodies.writer(action, BodyPart::Response, keys.body_recipient());
        writer.write(Bytes::from(vec![1; 70_000])).await;
        writer.write(Bytes::from(vec![1; len - 70_000])).await;
        assert_eq!(writer.finish().await, want, "len = {len}");
        let body = bodies.read(action, BodyPart::Response, keys.body_identity()).await;
        assert_eq!(body.unwrap().unwrap().len(), len.min(100_000));
    }
}

#[tokio::test]
async fn an_unfinished_body_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (bodies, keys) = (Bodies::new(dir.path()), ProjectKeys::generate());
    let mut writer =
        bodies.writer(ActionId::generate(), BodyPart::Response, keys.body_recipient());
    writer.write(Bytes::from(vec![1; 200_000])).await;
    assert_eq!(files(dir.path()).len(), 1);
    drop(writer);
    assert_eq!(files(dir.path()).len(), 0);

    fs::write(dir.path().join("unfinished/act_0.response.age"), b"left by a crash").unwrap();
    Bodies::new(dir.path());
    assert_eq!(files(dir.path()).len(), 0);
}

#[tokio::test]
async fn a_disk_that_fails_loses_the_body_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (bodies, keys) = (Bodies::new(dir.path()), ProjectKeys::generate());
    let in_the_way = dir.path().join("unfinished");
    fs::write(&in_the_way, b"").unwrap();
    let action = ActionId::generate();
    let mut writer = bodies.writer(action, BodyPart::Response, keys.body_recipient());
    for _ in 0..3 {
        writer.write(Bytes::from(vec![1; 70_000])).await;
    }
    assert_eq!(writer.finish().await, Kept::Nothing);
    fs::remove_file(&in_the_way).unwrap();
    let writer = bodies.writer(action, BodyPart::Response, keys.body_recipient());
    assert_eq!(writer.finish().await, Kept::Whole);
}

#[tokio::test]
async fn days_that_are_over_are_deleted_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (bodies, keys) = (Bodies::new(dir.path()), ProjectKeys::generate());
    let actions = [action_on(20_000), action_on(20_001), action_on(20_002)];
    for action in actions {
        bodies.writer(action, BodyPart::Request, keys.body_recipient()).finish().await;
        bodies.writer(action, BodyPart::Response, keys.body_recipient()).finish().await;
    }
    let noon = Timestamp(20_001 * DAY + DAY / 2);
    assert_eq!(bodies.delete_before(noon).await.unwrap(), ["2024-10-04"]);
    assert_eq!(bodies.delete_before(noon).await.unwrap(), [""; 0]);
    bodies.delete(actions[1]).await.unwrap();
    bodies.delete(actions[1]).await.unwrap();
    let left = [BodyPart::Request, BodyPart::Response]
        .map(|part| format!("2024-10-06/{}.{part}.age", actions[2]));
    assert_eq!(files(dir.path()), left);
}
