//! A thousand changes to a finished ledger and its rows: `audit verify` finds each.

use std::{
    fs,
    path::{Path, PathBuf},
};

use provost_scripted::Script;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use crate::{
    raw::{self, message},
    world::{MODEL, World, told},
};

/// Numbers that look random and are the same each time: SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

/// A ledger of two full bundles and a part of one, its server ended.
async fn finished(actions: usize) -> World {
    let mut world = World::start(Script::fixed()).await;
    let (_, token) = world.session().await;
    for _ in 0..actions {
        let answer = raw::ask(world.server().gateway, &token, &message(MODEL)).await;
        assert_eq!(answer.status, 200);
    }
    assert!(world.end("TERM").await.success());
    world.done(&["audit", "verify"]).await;
    world
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

async fn is_found(world: &World, change: &str) {
    let output = world.run(&["audit", "verify"]).await;
    assert_eq!(output.status.code(), Some(1), "not found: {change}: {}", told(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_a_thousand_changes_to_ledger_files_is_found() {
    let world = finished(280).await;
    let ledger = world.data().join("ledger");
    let mut numbers = Numbers(20_261_124);
    let mut changes = 0;
    while changes < 1_000 {
        let files = files(&ledger);
        let path = &files[numbers.below(files.len())];
        let whole = fs::read(path).unwrap();
        if whole.is_empty() {
            continue;
        }
        let (change, altered) = if changes % 10 < 8 {
            let (at, bit) = (numbers.below(whole.len()), numbers.below(8));
            let mut altered = whole.clone();
            altered[at] ^= 1 << bit;
            (format!("bit {bit} of byte {at} flipped in {}", path.display()), altered)
        } else {
            let length = numbers.below(whole.len());
            let change = format!("{} cut to {length} bytes", path.display());
            (change, whole[..length].to_vec())
        };
        fs::write(path, altered).unwrap();
        is_found(&world, &change).await;
        fs::write(path, whole).unwrap();
        changes += 1;
    }
    world.done(&["audit", "verify"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_swapped_and_replaced_files_are_found() {
    let mut world = finished(280).await;
    let ledger = world.data().join("ledger");
    // The journal's segments go once they are sealed: that they are gone is no fault.
    for path in
        files(&ledger).iter().filter(|path| path.extension().is_none_or(|kind| kind != "seg"))
    {
        let aside = world.folder().join("aside");
        fs::rename(path, &aside).unwrap();
        is_found(&world, &format!("{} removed", path.display())).await;
        fs::rename(&aside, path).unwrap();
    }
    let bundles = ledger.join("tile/entries");
    let (one, two) = (bundles.join("000"), bundles.join("001"));
    let (first, second) = (fs::read(&one).unwrap(), fs::read(&two).unwrap());
    fs::write(&one, &second).unwrap();
    fs::write(&two, &first).unwrap();
    is_found(&world, "two bundles swapped").await;
    fs::write(&one, &first).unwrap();
    fs::write(&two, &second).unwrap();

    // Two entries within a bundle change places.
    let split = |bytes: &[u8]| 2 + usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    let at = split(&first);
    let next = at + split(&first[at..]);
    let swapped = [&first[at..next], &first[..at], &first[next..]].concat();
    fs::write(&one, swapped).unwrap();
    is_found(&world, "two entries swapped").await;
    fs::write(&one, &first).unwrap();

    let other = finished(3).await;
    let checkpoint = ledger.join("checkpoint");
    let ours = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, fs::read(other.data().join("ledger/checkpoint")).unwrap()).unwrap();
    is_found(&world, "another ledger's checkpoint").await;
    fs::write(&checkpoint, &ours).unwrap();

    world.serve().await;
    world.session().await;
    assert!(world.end("TERM").await.success());
    let newer = fs::read(&checkpoint).unwrap();
    assert_ne!(newer, ours);
    fs::write(&checkpoint, &ours).unwrap();
    is_found(&world, "our own older checkpoint").await;
    fs::write(&checkpoint, &newer).unwrap();

    let old = world.folder().join("monday.txt");
    fs::write(&old, &ours).unwrap();
    world.done(&["audit", "verify", "--since", old.to_str().unwrap()]).await;
    let alien = other.data().join("ledger/checkpoint");
    let output = world.run(&["audit", "verify", "--since", alien.to_str().unwrap()]).await;
    assert!(!output.status.success(), "{}", told(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_removed_and_added_rows_are_found() {
    let world = finished(20).await;
    let database = world.data().join("provost.db");
    let url = format!("sqlite://{}", database.display());
    let whole = fs::read(&database).unwrap();
    for change in [
        "UPDATE event SET action = 'act_00000000000000000000000000000000' WHERE position = 7",
        "UPDATE event SET agent = 'other-bot' WHERE position = 8",
        "UPDATE event SET project = 'sales' WHERE position = 9",
        "UPDATE event SET kind = 'outcome' WHERE kind = 'intent'",
        "UPDATE event SET at = at + 1 WHERE position = 10",
        "DELETE FROM event WHERE position = 11",
        "DELETE FROM event WHERE position > 12",
        "UPDATE event SET position = position + 1000 WHERE position = 5",
    ] {
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let done = sqlx::query(AssertSqlSafe(change)).execute(&mut connection).await.unwrap();
        assert!(done.rows_affected() > 0, "{change}");
        connection.close().await.unwrap();
        is_found(&world, change).await;
        for beside in ["provost.db-wal", "provost.db-shm"] {
            let _absent = fs::remove_file(world.data().join(beside));
        }
        fs::write(&database, &whole).unwrap();
    }
    world.done(&["audit", "verify"]).await;
}

/// Verifies with `verify_ledger.py`, which shares nothing with us but the specifications.
async fn independently(world: &World) -> std::process::Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/verify_ledger.py");
    let mut python = tokio::process::Command::new("python3");
    python.arg(script).arg(world.data().join("ledger"));
    python.arg(world.data().join("keys/ledger.vkey")).output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_that_is_not_ours_agrees() {
    let world = finished(280).await;
    let output = independently(&world).await;
    assert!(output.status.success(), "{}", told(&output));
    let checkpoint = world.data().join("ledger/checkpoint");
    let note = fs::read_to_string(&checkpoint).unwrap();
    let size = note.lines().nth(1).unwrap().to_owned();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), format!("OK {size}"));

    let bundle = world.data().join("ledger/tile/entries/001");
    let whole = fs::read(&bundle).unwrap();
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    fs::write(&bundle, altered).unwrap();
    assert!(!independently(&world).await.status.success(), "an altered entry");
    fs::write(&bundle, &whole).unwrap();
    fs::write(&checkpoint, note.replacen(&size, "512", 1)).unwrap();
    assert!(!independently(&world).await.status.success(), "an altered size");
}
