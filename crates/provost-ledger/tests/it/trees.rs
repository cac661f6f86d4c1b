//! Trees, tiles and the builder against RFC 6962 and C2SP tlog-tiles.

use proptest::prelude::*;
use provost_ledger::{
    Builder, ENTRY_LEN_MAX, EntryLenError, Hash, TILE_WIDTH, Tile, Tree, leaf_hash, node_hash,
    split_bundle,
};
use sha2::{Digest as _, Sha256};

use crate::ledger::{Ledger, entry};

/// RFC 6962 §2.1, word for word.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(split);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

#[test]
fn roots_of_the_certificate_transparency_test_vectors() {
    let mut tree = Tree::default();
    for (leaf, root) in [
        ("", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        ("00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        ("10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        ("2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        ("3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        ("40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        (
            "5051525354555657",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        ),
        (
            "606162636465666768696a6b6c6d6e6f",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ),
    ] {
        tree.push(leaf_hash(&hex::decode(leaf).unwrap()));
        assert_eq!(hex::encode(tree.root()), root, "size = {}", tree.size());
    }
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(hex::encode(Tree::default().root()), empty);
}

#[test]
fn paths_of_tiles() {
    for (path, tile) in [
        ("tile/entries/x001/x234/067", Some(Tile::bundle(1_234_067))),
        ("tile/entries/000", Some(Tile::bundle(0))),
        ("tile/0/x001/000", Some(Tile::hashes(0, 1000))),
        ("tile/3/999.p/255", Some(Tile::hashes(3, 999).of_width(255))),
        ("tile/entries/273.p/112", Some(Tile::bundle(273).of_width(112))),
        ("tile/entries/x000/001", None), // a longer spelling of 001
        ("tile/entries/001/x234/067", None), // not marked as a directory
        ("tile/entries/1", None),        // not three digits
        ("tile/entries/+01", None),      // a number, but not in digits
        ("tile/00/000", None),           // a leading zero
        ("tile/8/000", None),            // higher than 2^64 entries reach
        ("tile/0/000.p/0", None),        // empty tiles do not exist
        ("tile/0/000.p/256", None),      // full, so not partial
        ("tile/0/000.p/300", None),      // wider than full
        ("tile/0/000.p/", None),
        ("tile/0/", None),
        ("tile/0/000/", None),
        ("checkpoint", None),
    ] {
        assert_eq!(Tile::from_path(path), tile, "path = {path:?}");
        if let Some(tile) = tile {
            assert_eq!(tile.to_string(), path);
        }
    }
}

#[test]
fn files_of_the_tree_of_70000_entries_that_the_specification_describes() {
    let ledger = Ledger::sealed(70_000);
    let full = |level: &str| {
        let prefix = format!("tile/{level}/");
        let paths = ledger.files.keys().filter(|path| path.starts_with(&prefix));
        paths.filter(|path| !path.contains(".p/")).count()
    };
    assert_eq!([full("entries"), full("0"), full("1"), full("2")], [273, 273, 1, 0]);
    let partial: Vec<&String> =
        ledger.files.keys().filter(|path| path.contains(".p/")).collect();
    assert_eq!(
        partial,
        ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1", "tile/entries/273.p/112"]
    );
    let mut files = ledger.files.iter().filter(|(path, _)| !path.contains("entries"));
    assert!(files.all(
        |(path, bytes)| bytes.len() % 32 == 0 && !bytes.is_empty() || path == "checkpoint"
    ));
    assert_eq!(ledger.files["tile/2/000.p/1"].len(), 32);
}

#[test]
fn a_bundle_is_entries_with_big_endian_lengths() {
    let mut builder = Builder::default();
    builder.push(b"ab").unwrap();
    builder.push(&[b'c'; 258]).unwrap();
    let files = builder.partials();
    let bundle = files.iter().find(|file| file.path == "tile/entries/000.p/2").unwrap();
    assert_eq!(bundle.bytes[..7], [0, 2, b'a', b'b', 1, 2, b'c']);
    assert_eq!(split_bundle(&bundle.bytes).unwrap(), [b"ab".as_slice(), &[b'c'; 258]]);
    for (bytes, offset) in [
        (&[0][..], 0),            // half a length
        (&[0, 2, b'a'], 0),       // half an entry
        (&[0, 1, b'a', 0, 0], 3), // an empty entry
        (&[0, 1, b'a', 0, 9], 3), // the second entry is missing
    ] {
        assert_eq!(split_bundle(bytes).unwrap_err().offset, offset, "bytes = {bytes:?}");
    }
}

#[test]
fn entries_have_limits() {
    let mut builder = Builder::default();
    for (len, want) in [
        (0, Err(EntryLenError { len: 0 })),
        (1, Ok(0)),
        (ENTRY_LEN_MAX, Ok(1)),
        (ENTRY_LEN_MAX + 1, Err(EntryLenError { len: ENTRY_LEN_MAX + 1 })),
    ] {
        assert_eq!(builder.push(&vec![b'x'; len]), want, "len = {len}");
    }
    assert_eq!(builder.size(), 2);
}

#[test]
fn a_builder_resumes_at_each_size_around_a_full_tile() {
    let mut builder = Builder::default();
    let mut ledger = Ledger::default();
    ledger.grow(&mut builder, 66_300);
    ledger.write(builder.partials());
    for at in [0, 1, 255, 256, 257, 65_000, 65_535, 65_536, 65_537, 65_792, 66_048, 66_300] {
        let mut resumed = Builder::resume(&ledger, at).unwrap();
        assert_eq!((resumed.size(), resumed.take_full()), (at, vec![]));
        let mut grown = Ledger::default();
        let size = if at < 60_000 { at + 300 } else { 66_300 };
        grown.grow(&mut resumed, size);
        let want = Builder::resume(&ledger, size).unwrap();
        assert_eq!(resumed.root(), want.root(), "at = {at}");
        assert_eq!(resumed.partials(), want.partials(), "at = {at}");
        for (path, bytes) in grown.files {
            assert_eq!(ledger.files.get(&path), Some(&bytes), "at = {at}, path = {path}");
        }
    }
    let resumed = Builder::resume(&ledger, 66_300).unwrap();
    assert_eq!((resumed.root(), resumed.partials()), (builder.root(), builder.partials()));
}

#[test]
fn a_builder_resumes_without_partial_tiles_and_from_wider_bundles() {
    let mut ledger = Ledger::sealed(700);
    ledger.files.retain(|path, _| path.contains("entries") || !path.contains(".p/"));
    let whole = Builder::resume(&ledger, 700).unwrap();
    let at_600 = Builder::resume(&ledger, 600).unwrap();
    assert_eq!(at_600.partials(), Ledger::sealed(600).partials_of(600));
    assert_eq!(whole.partials(), Ledger::sealed(700).partials_of(700));
    let missing = Builder::resume(&ledger, 701).unwrap_err().to_string();
    assert_eq!(missing, "tile/entries/002.p/189 is missing");
}

impl Ledger {
    fn partials_of(&self, size: u64) -> Vec<provost_ledger::File> {
        Builder::resume(self, size).unwrap().partials()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn growing_and_recursion_give_the_same_root(size in 0_u64..2000) {
        let leaves: Vec<Hash> = (0..size).map(|index| leaf_hash(&entry(index))).collect();
        let want = naive_root(&leaves);
        prop_assert_eq!(leaves.iter().copied().collect::<Tree>().root(), want);
        let mut builder = Builder::default();
        Ledger::default().grow(&mut builder, size);
        prop_assert_eq!(builder.root(), want);
    }

    #[test]
    fn a_builder_resumes_anywhere(size in 0_u64..1500, more in 0_u64..600) {
        let mut once = Builder::default();
        let mut ledger = Ledger::default();
        ledger.grow(&mut once, size);
        ledger.write(once.partials());
        let mut twice = Builder::resume(&ledger, size).unwrap();
        ledger.grow(&mut once, size + more);
        let mut other = Ledger::default();
        other.grow(&mut twice, size + more);
        prop_assert_eq!(once.root(), twice.root());
        prop_assert_eq!(once.partials(), twice.partials());
        for (path, bytes) in other.files {
            prop_assert_eq!(ledger.files.get(&path), Some(&bytes));
        }
    }

    #[test]
    fn tile_paths_survive_their_text_form(
        level in 0_u8..8, index: u64, width in 1..=TILE_WIDTH,
    ) {
        for tile in [Tile::hashes(level, index), Tile::bundle(index)] {
            let tile = tile.of_width(width);
            prop_assert_eq!(Tile::from_path(&tile.to_string()), Some(tile));
        }
    }
}
