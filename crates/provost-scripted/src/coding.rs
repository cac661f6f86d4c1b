//! Content codings, streamed: what goes in with one step can be decoded when it arrives.
//!
//! `gzip` and `deflate` compress. `br` and `zstd` only store: a few bytes of framing around
//! what they carry, which every decoder must accept.

use std::io::Write;

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use http::HeaderValue;

use crate::play::{Content, Step};

/// A content coding (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`, RFC 1952.
    Gzip,
    /// `deflate`, which is the zlib format of RFC 1950.
    Deflate,
    /// `br`, RFC 7932, in uncompressed meta-blocks.
    Brotli,
    /// `zstd`, RFC 8878, in raw blocks.
    Zstd,
}

impl Coding {
    /// The coding's name in `content-encoding`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    pub(crate) const fn header_value(self) -> HeaderValue {
        HeaderValue::from_static(self.as_str())
    }

    pub(crate) fn encode(self, content: Content) -> Content {
        let mut encoder = Encoder::new(self);
        match content {
            Content::Whole(bytes) => {
                let mut encoded = encoder.piece(&bytes);
                encoded.extend_from_slice(&encoder.finish());
                Content::Whole(encoded.into())
            }
            Content::Steps(steps) => {
                let mut encoder = Some(encoder);
                let end = std::iter::once(None);
                Content::Steps(Box::new(steps.map(Some).chain(end).filter_map(move |step| {
                    Some(match step {
                        Some(Step::Send(bytes)) => {
                            Step::Send(encoder.as_mut()?.piece(&bytes).into())
                        }
                        Some(other) => other,
                        None => Step::Send(encoder.take()?.finish().into()),
                    })
                })))
            }
        }
    }
}

/// Largest stored block. Unit: bytes. Source: the 16-bit length form of RFC 7932 §9.2; RFC
/// 8878 §3.1.1.2.4 allows more.
const BLOCK_MAX: usize = 65_536;

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
    // `begun`: the stream's header, which comes once, is out.
    Brotli { begun: bool },
    Zstd { begun: bool },
}

impl Encoder {
    fn new(coding: Coding) -> Self {
        match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Coding::Deflate => Self::Deflate(ZlibEncoder::new(Vec::new(), Compression::fast())),
            Coding::Brotli => Self::Brotli { begun: false },
            Coding::Zstd => Self::Zstd { begun: false },
        }
    }

    /// Encodes one piece so that it can be decoded without the next.
    fn piece(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len().saturating_add(16));
        match self {
            Self::Gzip(encoder) => {
                drop(encoder.write_all(bytes).and_then(|()| encoder.flush())); // to a Vec
                out = std::mem::take(encoder.get_mut());
            }
            Self::Deflate(encoder) => {
                drop(encoder.write_all(bytes).and_then(|()| encoder.flush()));
                out = std::mem::take(encoder.get_mut());
            }
            Self::Brotli { begun } => {
                for block in bytes.chunks(BLOCK_MAX) {
                    out.extend_from_slice(&brotli_block(block.len(), begun));
                    out.extend_from_slice(block);
                }
            }
            Self::Zstd { begun } => {
                out.extend_from_slice(zstd_header(begun));
                for block in bytes.chunks(BLOCK_MAX) {
                    out.extend_from_slice(&zstd_block(block.len()));
                    out.extend_from_slice(block);
                }
            }
        }
        out
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Gzip(encoder) => encoder.finish().unwrap_or_default(),
            Self::Deflate(encoder) => encoder.finish().unwrap_or_default(),
            // ISLAST and ISLASTEMPTY; before any block, after the one-bit WBITS of 16.
            Self::Brotli { begun } => vec![if begun { 0b11 } else { 0b110 }],
            Self::Zstd { mut begun } => {
                let mut out = zstd_header(&mut begun).to_vec();
                out.extend_from_slice(&[0b001, 0, 0]); // last block, raw, empty
                out
            }
        }
    }
}

/// RFC 7932 §9: WBITS (once, `0` = 16), ISLAST `0`, MNIBBLES `00` = 4, MLEN - 1,
/// ISUNCOMPRESSED `1`, padding to a byte.
fn brotli_block(len: usize, begun: &mut bool) -> [u8; 3] {
    let len = u32::try_from(len.saturating_sub(1)).unwrap_or_default() & 0xffff;
    let shift = if std::mem::replace(begun, true) { 3 } else { 4 };
    low_three((len << shift) | (1 << 16 << shift))
}

/// RFC 8878 §3.1.1: magic, a descriptor of nothing, a window of 128 KiB.
fn zstd_header(begun: &mut bool) -> &'static [u8] {
    if std::mem::replace(begun, true) { &[] } else { &[0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3] }
}

/// RFC 8878 §3.1.1.2: Last_Block 0, Block_Type 0 (raw), Block_Size.
fn zstd_block(len: usize) -> [u8; 3] {
    low_three(u32::try_from(len).unwrap_or_default() << 3)
}

fn low_three(word: u32) -> [u8; 3] {
    let [first, second, third, _] = word.to_le_bytes();
    [first, second, third]
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::{Coding, Encoder};

    fn decode(coding: Coding, encoded: &[u8]) -> Vec<u8> {
        let mut decoded = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(encoded).read_to_end(&mut decoded),
            Coding::Deflate => {
                flate2::read::ZlibDecoder::new(encoded).read_to_end(&mut decoded)
            }
            Coding::Brotli => {
                brotli_decompressor::Decompressor::new(encoded, 4096).read_to_end(&mut decoded)
            }
            Coding::Zstd => {
                zstd::stream::read::Decoder::new(encoded).unwrap().read_to_end(&mut decoded)
            }
        }
        .unwrap_or_else(|error| panic!("{coding:?}: {error}"));
        decoded
    }

    #[test]
    fn real_decoders_read_every_coding_back() {
        let long = vec![7; 200_000];
        for pieces in [&[][..], &[&b""[..]], &[b"a"], &[b"one ", b"two"], &[&long, b"x"]] {
            for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
                let mut encoder = Encoder::new(coding);
                let mut encoded: Vec<u8> =
                    pieces.iter().flat_map(|piece| encoder.piece(piece)).collect();
                encoded.extend(encoder.finish());
                assert_eq!(decode(coding, &encoded), pieces.concat(), "{coding:?}");
            }
        }
    }
}
