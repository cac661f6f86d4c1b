//! The journal segment's bytes.

use proptest::prelude::*;
use provost_ledger::{
    ENTRY_LEN_MAX,
    segment::{FRAME_HEADER_LEN, SEGMENT_HEADER_LEN, frame, header, scan, segment_path},
};

fn segment(first: u64, entries: &[Vec<u8>]) -> Vec<u8> {
    let frames = entries.iter().flat_map(|entry| frame(entry).unwrap());
    header(first).into_iter().chain(frames).collect()
}

#[test]
fn the_format_is_fixed() {
    assert_eq!(segment_path(1234), "journal/00000000000000001234.seg");
    assert_eq!(hex::encode(header(258)), "70766a726e6c310a0201000000000000d7bed9fe");
    assert_eq!(hex::encode(frame(b"ab").unwrap()), "020000003a5a50236162");
}

#[test]
fn no_frame_holds_nothing_or_too_much() {
    for (len, fits) in
        [(0, false), (1, true), (ENTRY_LEN_MAX, true), (ENTRY_LEN_MAX + 1, false)]
    {
        assert_eq!(frame(&vec![b'x'; len]).is_ok(), fits, "len = {len}");
    }
}

#[test]
fn what_follows_the_end_must_be_zero() {
    let whole = segment(5, &[b"one".to_vec(), b"two".to_vec()]);
    for (tail, torn) in [
        (vec![], false),
        (vec![0; 3], false),
        (vec![0; 4096], false),
        (vec![0, 0, 0, 0, 0, 0, 0, 0, 1], true), // beyond a zero length
        (vec![3, 0, 0, 0], true),                // half a frame
        (frame(b"three").unwrap()[..12].into(), true), // most of one
        (vec![255; 64], true),                   // a length out of bounds
    ] {
        let bytes = [whole.clone(), tail.clone()].concat();
        let scan = scan(&bytes).unwrap();
        assert_eq!(scan.entries, [b"one", b"two"], "tail = {tail:?}");
        assert_eq!((scan.first_index, scan.end, scan.torn), (5, whole.len(), torn));
    }
}

proptest! {
    #[test]
    fn every_flip_and_cut_is_noticed(
        entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
        first: u64,
        at: prop::sample::Index,
        bit in 0..8,
    ) {
        let whole = segment(first, &entries);
        let want = scan(&whole).unwrap();
        prop_assert_eq!(&want.entries, &entries);
        prop_assert_eq!((want.first_index, want.end, want.torn), (first, whole.len(), false));

        let mut flipped = whole.clone();
        let at = at.index(whole.len());
        flipped[at] ^= 1_u8 << bit;
        prop_assert!(scan(&flipped).is_ok_and(|it| it.torn) == (at >= SEGMENT_HEADER_LEN));

        let cut = &whole[..at];
        match scan(cut) {
            Err(_) => prop_assert!(at < SEGMENT_HEADER_LEN),
            Ok(it) => {
                prop_assert!(entries.starts_with(
                    &it.entries.iter().map(|entry| entry.to_vec()).collect::<Vec<_>>()
                ));
                let kept: usize = it.entries.iter().map(|e| e.len() + FRAME_HEADER_LEN).sum();
                prop_assert_eq!(it.end, SEGMENT_HEADER_LEN + kept);
                prop_assert_eq!(it.torn, cut[it.end..].iter().any(|&byte| byte != 0));
            }
        }
    }

    #[test]
    fn scan_survives_anything(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let garbage = [header(1), bytes].concat();
        prop_assert!(scan(&garbage).unwrap().end <= garbage.len());
    }
}
