//! Bytes that wait for the peer, in order.

use std::collections::VecDeque;
use std::sync::Arc;

use hotsocket_sandbox::SLICE;

/// Small writes are gathered into chunks of this size, so that a guest that
/// writes byte by byte costs about as much memory as it has written bytes.
const CHUNK: usize = 64 * 1024;

/// Shared bytes up to this many are copied to those before them.
const SMALL: usize = 1024;

/// Some of the bytes.
#[derive(Debug)]
enum Chunk {
    Own(Vec<u8>),
    /// The same for many peers.
    Shared(Arc<[u8]>),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Chunk::Own(bytes) => bytes,
            Chunk::Shared(bytes) => bytes,
        }
    }
}

/// A queue of bytes. Whoever fills it keeps to the limit; see
/// [`Window`](hotsocket_sandbox::Window).
#[derive(Debug, Default)]
pub struct WriteQueue {
    chunks: VecDeque<Chunk>,
    /// How much of the first chunk has been sent.
    sent: usize,
    len: usize,
}

impl WriteQueue {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Queue what is left of `bytes` from `from` on. Takes the whole buffer
    /// over rather than copy it, unless it is small.
    pub fn push(&mut self, bytes: Vec<u8>, from: usize) {
        let Some(rest) = bytes.get(from..).filter(|rest| !rest.is_empty()) else {
            return;
        };
        self.len += rest.len();
        if let Some(Chunk::Own(last)) = self.chunks.back_mut()
            && last.len() + rest.len() <= CHUNK
        {
            last.extend_from_slice(rest);
        } else if self.chunks.is_empty() {
            self.sent = from;
            self.chunks.push_back(Chunk::Own(bytes));
        } else if from == 0 {
            self.chunks.push_back(Chunk::Own(bytes));
        } else {
            self.chunks.push_back(Chunk::Own(rest.to_vec()));
        }
    }

    /// The same with bytes that others have, too. They are not copied unless they are
    /// few.
    pub fn push_shared(&mut self, bytes: &Arc<[u8]>, from: usize) {
        let rest = bytes.get(from..).unwrap_or_default();
        if rest.len() <= SMALL || (from > 0 && !self.chunks.is_empty()) {
            self.push(rest.to_vec(), 0);
            return;
        }
        self.len += rest.len();
        if self.chunks.is_empty() {
            self.sent = from;
        }
        self.chunks.push_back(Chunk::Shared(Arc::clone(bytes)));
    }

    /// The bytes to send next; empty only if nothing waits.
    pub fn front(&self) -> &[u8] {
        self.chunks
            .front()
            .and_then(|chunk| chunk.bytes().get(self.sent..))
            .unwrap_or_default()
    }

    /// So much of [`Self::front`] as is sent at once.
    pub fn slice(&self) -> &[u8] {
        let front = self.front();
        front.get(..SLICE).unwrap_or(front)
    }

    /// So many of [`Self::front`] have been sent.
    pub fn advance(&mut self, count: usize) {
        self.sent += count;
        self.len = self.len.saturating_sub(count);
        if self.front().is_empty() {
            self.chunks.pop_front();
            self.sent = 0;
        }
    }

    pub fn clear(&mut self) {
        *self = WriteQueue::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gives_back_what_was_pushed(
            pushes in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200_000), 0_usize..300, 0_usize..100_000, any::<bool>()), 0..12)
        ) {
            let (mut queue, mut expected, mut got) = (WriteQueue::default(), Vec::new(), Vec::new());
            for (bytes, from, sent, is_shared) in pushes {
                let from = from.min(bytes.len());
                expected.extend_from_slice(&bytes[from..]);
                match is_shared {
                    true => queue.push_shared(&bytes.into(), from),
                    false => queue.push(bytes, from),
                }
                let count = sent.min(queue.front().len());
                got.extend_from_slice(&queue.front()[..count]);
                queue.advance(count);
                prop_assert_eq!(queue.len(), expected.len() - got.len());
            }
            while !queue.is_empty() {
                let front = queue.front().to_vec();
                prop_assert!(!front.is_empty());
                got.extend_from_slice(&front);
                queue.advance(front.len());
            }
            prop_assert_eq!(got, expected);
        }
    }
}
