//! Content codings of answers: they are decoded, for what cannot be read cannot be governed.
//!
//! We ask upstreams for `identity`; this is for those that compress all the same. No more is
//! decoded of one answer than [`DECODED_BYTES_MAX`].

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter as BrotliDecoder;
use bytes::{Bytes, BytesMut};
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header::CONTENT_ENCODING};
use zstd::stream::{raw, zio::Writer as ZstdDecoder};

use super::reply::Unread;

/// Most that is decoded of one answer. Unit: bytes. Ours: answers are below 4 MiB; a small
/// body that unfolds into more is an attack on our memory or our time.
pub(crate) const DECODED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most that one piece may unfold into. Unit: bytes.
const PIECE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The brotli decoder's buffer. Unit: bytes.
const BROTLI_BUFFER_BYTES: usize = 4096;

/// Largest zstd window, as a power of two. Unit: log2 of bytes. Source: RFC 9659 §3, 8 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// The one coding of a message with these headers; `None` if it is unknown, or several.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut named = headers.get_all(CONTENT_ENCODING).iter();
        let Some(name) = named.next() else { return Some(Self::Identity) };
        if named.next().is_some() {
            return None;
        }
        [
            ("identity", Self::Identity),
            ("gzip", Self::Gzip),
            ("x-gzip", Self::Gzip),
            ("deflate", Self::Deflate),
            ("br", Self::Brotli),
            ("zstd", Self::Zstd),
        ]
        .into_iter()
        .find_map(|(word, coding)| {
            name.as_bytes().eq_ignore_ascii_case(word.as_bytes()).then_some(coding)
        })
    }
}

/// Decodes one answer.
pub(crate) struct Decoder(Inner);

enum Inner {
    Identity,
    Gzip(Box<MultiGzDecoder<Sink>>),
    Deflate(Box<ZlibDecoder<Sink>>),
    Brotli(Box<BrotliDecoder<Sink>>),
    Zstd(Box<ZstdDecoder<Sink, raw::Decoder<'static>>>),
    /// It gave up.
    Broken,
}

impl Decoder {
    /// A decoder of `coding`.
    pub(crate) fn new(coding: Coding) -> Self {
        let sink = Sink::default();
        let inner = match coding {
            Coding::Identity => Inner::Identity,
            Coding::Gzip => Inner::Gzip(Box::new(MultiGzDecoder::new(sink))),
            Coding::Deflate => Inner::Deflate(Box::new(ZlibDecoder::new(sink))),
            Coding::Brotli => {
                Inner::Brotli(Box::new(BrotliDecoder::new(sink, BROTLI_BUFFER_BYTES)))
            }
            Coding::Zstd => match bounded_zstd() {
                Ok(decoder) => Inner::Zstd(Box::new(ZstdDecoder::new(sink, decoder))),
                Err(_no_memory) => Inner::Broken,
            },
        };
        Self(inner)
    }

    /// Takes the next bytes of the answer as they came; gives them decoded.
    ///
    /// # Errors
    ///
    /// [`Unread::Compression`]
    pub(crate) fn feed(&mut self, bytes: Bytes) -> Result<Bytes, Unread> {
        let decoded = match &mut self.0 {
            Inner::Identity => return Ok(bytes),
            Inner::Broken => None,
            Inner::Gzip(decoder) => written(&mut **decoder, &bytes).map(|()| decoder.get_mut()),
            Inner::Deflate(decoder) => {
                written(&mut **decoder, &bytes).map(|()| decoder.get_mut())
            }
            Inner::Brotli(decoder) => {
                written(&mut **decoder, &bytes).map(|()| decoder.get_mut())
            }
            Inner::Zstd(decoder) => {
                written(&mut **decoder, &bytes).map(|()| decoder.writer_mut())
            }
        };
        let decoded = decoded.map(|sink| sink.out.split().freeze());
        decoded.ok_or_else(|| {
            self.0 = Inner::Broken;
            Unread::Compression
        })
    }
}

fn written(decoder: &mut impl Write, bytes: &[u8]) -> Option<()> {
    decoder.write_all(bytes).and_then(|()| decoder.flush()).ok()
}

/// A zstd decoder that takes no window larger than a server may ask for.
fn bounded_zstd() -> io::Result<raw::Decoder<'static>> {
    let mut decoder = raw::Decoder::new()?;
    decoder.set_parameter(raw::DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
    Ok(decoder)
}

/// Where decoded bytes go.
#[derive(Default)]
struct Sink {
    decoded: usize,
    out: BytesMut,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.decoded = self.decoded.saturating_add(bytes.len());
        if self.decoded > DECODED_BYTES_MAX || self.out.len() > PIECE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
