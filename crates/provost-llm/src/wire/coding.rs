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

use super::reply::{Seen, Unread, Watch};

/// Most that is decoded of one answer. Unit: bytes. Ours: answers are below 4 MiB; a small
/// body that unfolds into more is an attack on our memory or our time.
pub(crate) const DECODED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Most that one piece may unfold into. Unit: bytes.
const PIECE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Buffer between the brotli decoder and the watch. Unit: bytes.
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

/// Decodes an answer into its watch.
pub(crate) struct Decoder {
    inner: Inner,
    broken: bool,
}

enum Inner {
    Identity(Box<Sink>),
    Gzip(Box<MultiGzDecoder<Sink>>),
    Deflate(Box<ZlibDecoder<Sink>>),
    Brotli(Box<BrotliDecoder<Sink>>),
    Zstd(Box<ZstdDecoder<Sink, raw::Decoder<'static>>>),
}

impl Decoder {
    /// A decoder of `coding` that feeds `watch`.
    pub(crate) fn new(coding: Coding, watch: Watch) -> Self {
        let mut sink = Sink { watch, decoded: 0, out: BytesMut::new() };
        let inner = match coding {
            Coding::Identity => Inner::Identity(Box::new(sink)),
            Coding::Gzip => Inner::Gzip(Box::new(MultiGzDecoder::new(sink))),
            Coding::Deflate => Inner::Deflate(Box::new(ZlibDecoder::new(sink))),
            Coding::Brotli => {
                Inner::Brotli(Box::new(BrotliDecoder::new(sink, BROTLI_BUFFER_BYTES)))
            }
            Coding::Zstd => match bounded_zstd() {
                Ok(decoder) => Inner::Zstd(Box::new(ZstdDecoder::new(sink, decoder))),
                Err(_no_memory) => {
                    sink.watch.give_up(Unread::Compression);
                    Inner::Identity(Box::new(sink))
                }
            },
        };
        Self { inner, broken: false }
    }

    /// Takes the next bytes of the answer as they came; gives them decoded.
    ///
    /// # Errors
    ///
    /// [`Unread::Compression`]
    pub(crate) fn feed(&mut self, bytes: Bytes) -> Result<Bytes, Unread> {
        let written = match &mut self.inner {
            Inner::Identity(sink) => {
                sink.watch.feed(&bytes);
                return Ok(bytes);
            }
            _ if self.broken => return Err(Unread::Compression),
            Inner::Gzip(decoder) => decoder.write_all(&bytes).and_then(|()| decoder.flush()),
            Inner::Deflate(decoder) => decoder.write_all(&bytes).and_then(|()| decoder.flush()),
            Inner::Brotli(decoder) => decoder.write_all(&bytes).and_then(|()| decoder.flush()),
            Inner::Zstd(decoder) => decoder.write_all(&bytes).and_then(|()| decoder.flush()),
        };
        if written.is_err() {
            self.broken = true;
            self.sink().watch.give_up(Unread::Compression);
            return Err(Unread::Compression);
        }
        Ok(self.sink().out.split().freeze())
    }

    /// What was seen, now that nothing more comes.
    pub(crate) fn end(mut self) -> Seen {
        std::mem::replace(&mut self.sink().watch, Watch::nothing()).end()
    }

    /// What was seen so far.
    pub(crate) fn seen(&mut self) -> &Seen {
        self.sink().watch.seen()
    }

    fn sink(&mut self) -> &mut Sink {
        match &mut self.inner {
            Inner::Identity(sink) => sink,
            Inner::Gzip(decoder) => decoder.get_mut(),
            Inner::Deflate(decoder) => decoder.get_mut(),
            Inner::Brotli(decoder) => decoder.get_mut(),
            Inner::Zstd(decoder) => decoder.writer_mut(),
        }
    }
}

/// A zstd decoder that takes no window larger than a server may ask for.
fn bounded_zstd() -> io::Result<raw::Decoder<'static>> {
    let mut decoder = raw::Decoder::new()?;
    decoder.set_parameter(raw::DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
    Ok(decoder)
}

/// Where decoded bytes go.
struct Sink {
    watch: Watch,
    decoded: usize,
    out: BytesMut,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.decoded = self.decoded.saturating_add(bytes.len());
        if self.decoded > DECODED_BYTES_MAX || self.out.len() > PIECE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.watch.feed(bytes);
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
