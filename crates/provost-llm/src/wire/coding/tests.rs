//! Each coding, cut anywhere, reads as the plain answer does.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use http::{HeaderMap, HeaderValue, header::CONTENT_ENCODING};

use super::{Coding, DECODED_BYTES_MAX, Decoder};
use crate::wire::reply::Unread;

const ANSWER: &[u8] = br#"{"type":"message","model":"m","usage":{"output_tokens":3}}"#;

/// `ANSWER` in brotli: one uncompressed meta-block, then the empty last one (RFC 7932 §9.2).
fn brotli(plain: &[u8]) -> Vec<u8> {
    // WBITS 16 (one zero bit), ISLAST 0, MNIBBLES 4, MLEN - 1, ISUNCOMPRESSED 1.
    let length = u32::try_from(plain.len()).unwrap().saturating_sub(1);
    let header = (length << 4) | (1 << 20);
    [&header.to_le_bytes()[..3], plain, &[0b11]].concat()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// What is decoded, if the decoder does not give up.
fn read(coding: Coding, bytes: &[u8], piece: usize) -> Result<Vec<u8>, Unread> {
    let mut decoder = Decoder::new(coding);
    let mut decoded = Vec::new();
    for piece in bytes.chunks(piece) {
        decoded.extend(decoder.feed(Bytes::copy_from_slice(piece))?);
    }
    Ok(decoded)
}

#[test]
fn codings_by_name() {
    for (values, want) in [
        (&[][..], Some(Coding::Identity)),
        (&["identity"], Some(Coding::Identity)),
        (&["gzip"], Some(Coding::Gzip)),
        (&["GZip"], Some(Coding::Gzip)),
        (&["br"], Some(Coding::Brotli)),
        (&["zstd"], Some(Coding::Zstd)),
        (&["deflate"], Some(Coding::Deflate)),
        (&["compress"], None),
        (&[""], None),
        (&["gzip, br"], None),
        (&["gzip", "gzip"], None),
    ] {
        let headers: HeaderMap = values
            .iter()
            .map(|value| (CONTENT_ENCODING, HeaderValue::from_static(value)))
            .collect();
        assert_eq!(Coding::of(&headers), want, "values = {values:?}");
    }
}

#[test]
fn every_coding_reads_as_the_plain_answer() {
    let plain = Ok(ANSWER.to_vec());
    assert_eq!(read(Coding::Identity, ANSWER, 1000), plain);
    let two_members = [gzip(&ANSWER[..10]), gzip(&ANSWER[10..])].concat();
    for (coding, bytes) in [
        (Coding::Gzip, gzip(ANSWER)),
        (Coding::Gzip, two_members),
        (Coding::Deflate, zlib(ANSWER)),
        (Coding::Brotli, brotli(ANSWER)),
        (Coding::Zstd, zstd::encode_all(ANSWER, 1).unwrap()),
    ] {
        for piece in [1, 3, 1000] {
            assert_eq!(read(coding, &bytes, piece), plain, "{coding:?} in pieces of {piece}");
        }
    }
}

#[test]
fn an_event_is_seen_when_the_encoder_flushes_it() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(b"data: {\"type\":\"message_stop\"}\n\n").unwrap();
    encoder.flush().unwrap();
    let mut decoder = Decoder::new(Coding::Gzip);
    let decoded = decoder.feed(Bytes::copy_from_slice(encoder.get_ref())).unwrap();
    assert_eq!(decoded, "data: {\"type\":\"message_stop\"}\n\n");
}

#[test]
fn broken_or_swollen_answers_are_given_up() {
    let bomb = vec![b' '; DECODED_BYTES_MAX + 1];
    for (coding, bytes) in [
        (Coding::Gzip, ANSWER.to_vec()),
        (Coding::Deflate, ANSWER.to_vec()),
        (Coding::Brotli, vec![0xff; 64]),
        (Coding::Zstd, ANSWER.to_vec()),
        (Coding::Gzip, gzip(&bomb)),
        (Coding::Zstd, zstd::encode_all(&bomb[..], 1).unwrap()),
    ] {
        assert_eq!(read(coding, &bytes, 4096), Err(Unread::Compression), "{coding:?}");
    }
}

#[test]
fn a_window_larger_than_a_server_may_ask_for_is_refused() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(24).unwrap();
    encoder.write_all(&vec![b' '; 1 << 24]).unwrap();
    let read = read(Coding::Zstd, &encoder.finish().unwrap(), 4096);
    assert_eq!(read, Err(Unread::Compression));
}
