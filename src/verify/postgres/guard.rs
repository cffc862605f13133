//! What a PostgreSQL server may send at most. Errors and notices are cut on the way in, anything else that is too large
//! ends the connection: no backup decides how much memory drctl takes.
//!
//! A backend's message is one byte of type, four bytes of length that count themselves, and the rest. Source: PostgreSQL's
//! manual, "Message Formats".

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The largest message that passes as it is. Values are cut at the server, so that only catalogues come near.
const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// The largest error or notice that passes; the rest of it is dropped.
const MAX_ERROR_BYTES: usize = 8 << 10;
const BUFFER_BYTES: usize = 32 << 10;
const HEADER_BYTES: usize = 5;
const LENGTH_BYTES: usize = 4;

/// A stream on which no message is larger than allowed.
pub(super) struct Guard<S> {
    stream: S,
    input: Vec<u8>,
    output: Vec<u8>,
    /// How much of `output` was taken.
    taken: usize,
    cutter: Cutter,
    refused: Arc<AtomicBool>,
}

impl<S> Guard<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            input: vec![0; BUFFER_BYTES],
            output: Vec::with_capacity(BUFFER_BYTES),
            taken: 0,
            cutter: Cutter::default(),
            refused: Arc::default(),
        }
    }

    /// Becomes true when a message was too large, and the connection had to end.
    pub(super) fn refused(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.refused)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let guard = &mut *self;
        loop {
            let waiting = &guard.output[guard.taken..];
            if !waiting.is_empty() {
                let count = waiting.len().min(into.remaining());
                into.put_slice(&waiting[..count]);
                guard.taken += count;
                return Poll::Ready(Ok(()));
            }
            guard.output.clear();
            guard.taken = 0;
            let mut buffer = ReadBuf::new(&mut guard.input);
            ready!(Pin::new(&mut guard.stream).poll_read(context, &mut buffer))?;
            let read = buffer.filled();
            if read.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if let Err(error) = guard.cutter.pass(read, &mut guard.output) {
                guard.refused.store(true, Ordering::Relaxed);
                return Poll::Ready(Err(error));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Where in a message the stream is.
enum Cutter {
    Header(Vec<u8>),
    /// So many bytes of a message that passes.
    Passing(usize),
    /// So many bytes of one that is cut, and what is kept of it.
    Cutting(u8, usize, Vec<u8>),
}

impl Default for Cutter {
    fn default() -> Self {
        Self::Header(Vec::with_capacity(HEADER_BYTES))
    }
}

impl Cutter {
    fn pass(&mut self, mut bytes: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        while !bytes.is_empty() {
            match self {
                Self::Header(header) => {
                    let (part, rest) = bytes.split_at(bytes.len().min(HEADER_BYTES - header.len()));
                    header.extend_from_slice(part);
                    bytes = rest;
                    if header.len() == HEADER_BYTES {
                        *self = begin(header, output)?;
                    }
                }
                Self::Passing(left) => {
                    let (part, rest) = bytes.split_at(bytes.len().min(*left));
                    output.extend_from_slice(part);
                    bytes = rest;
                    *left -= part.len();
                    if *left == 0 {
                        *self = Self::default();
                    }
                }
                Self::Cutting(kind, left, kept) => {
                    let (part, rest) = bytes.split_at(bytes.len().min(*left));
                    kept.extend_from_slice(&part[..part.len().min(MAX_ERROR_BYTES - kept.len())]);
                    bytes = rest;
                    *left -= part.len();
                    if *left == 0 {
                        end(*kind, kept, output);
                        *self = Self::default();
                    }
                }
            }
        }
        Ok(())
    }
}

/// What becomes of a message, by its header.
fn begin(header: &[u8], output: &mut Vec<u8>) -> io::Result<Cutter> {
    let kind = header[0];
    let length = header[1..].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let Some(body) = length.checked_sub(LENGTH_BYTES) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is shorter than its own length"));
    };
    if body > MAX_ERROR_BYTES && matches!(kind, b'E' | b'N') {
        return Ok(Cutter::Cutting(kind, body, Vec::new()));
    }
    if body > MAX_MESSAGE_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message has {body} bytes")));
    }
    output.extend_from_slice(header);
    Ok(if body == 0 { Cutter::default() } else { Cutter::Passing(body) })
}

/// Writes an error or a notice that was cut: its fields begin with severity, code and message, and end with a zero.
fn end(kind: u8, kept: &mut Vec<u8>, output: &mut Vec<u8>) {
    if let Err(error) = std::str::from_utf8(kept)
        && error.error_len().is_none()
    {
        kept.truncate(error.valid_up_to());
    }
    if kept.last() != Some(&0) {
        kept.push(0);
    }
    kept.push(0);
    let length = u32::try_from(kept.len() + LENGTH_BYTES).unwrap_or(u32::MAX);
    output.push(kind);
    output.extend_from_slice(&length.to_be_bytes());
    output.extend_from_slice(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + LENGTH_BYTES).unwrap();
        [&[kind], length.to_be_bytes().as_slice(), body].concat()
    }

    fn passed(bytes: &[u8], step: usize) -> io::Result<Vec<u8>> {
        let (mut cutter, mut output) = (Cutter::default(), Vec::new());
        for part in bytes.chunks(step) {
            cutter.pass(part, &mut output)?;
        }
        Ok(output)
    }

    #[test]
    fn what_is_small_passes_however_it_is_cut_up() {
        let stream = [message(b'Z', b"I"), message(b'D', b""), message(b'E', b"SERROR\0\0"), message(b'D', &[7; 9000])];
        let stream = stream.concat();
        for step in [1, 2, 3, 7, 4096] {
            assert_eq!(passed(&stream, step).unwrap(), stream);
        }
    }

    #[test]
    fn a_large_error_is_cut_and_what_follows_is_whole() {
        let body = ["SERROR\0C12345\0M".to_owned(), "ä".repeat(1_000_000), "\0\0".to_owned()].concat();
        let stream = [message(b'E', body.as_bytes()), message(b'Z', b"I")].concat();
        let out = passed(&stream, 1000).unwrap();
        assert!(out.len() < MAX_ERROR_BYTES + 20 && out.ends_with(&message(b'Z', b"I")));
        let length = u32::from_be_bytes(out[1..5].try_into().unwrap()) as usize;
        let error = std::str::from_utf8(&out[5..=length]).unwrap();
        assert!(error.starts_with("SERROR\0C12345\0Mää") && error.ends_with("ä\0\0"));
    }

    #[test]
    fn a_large_value_is_refused_at_its_first_bytes() {
        let mut header = message(b'D', b"");
        header[1..].copy_from_slice(&100_000_000_u32.to_be_bytes());
        assert!(passed(&header, 5).is_err());
        assert!(passed(&[b'D', 0, 0, 0, 3], 5).is_err());
    }
}
