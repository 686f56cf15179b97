//! Bytes that wait for the peer, in order.

use std::collections::VecDeque;

use hotsocket_sandbox::SLICE;

/// Small writes are gathered into chunks of this size, so that a guest that
/// writes byte by byte costs about as much memory as it has written bytes.
const CHUNK: usize = 64 * 1024;

/// A queue of bytes. Whoever fills it keeps to the limit; see
/// [`Window`](hotsocket_sandbox::Window).
#[derive(Debug, Default)]
pub struct WriteQueue {
    chunks: VecDeque<Vec<u8>>,
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
        if let Some(last) = self
            .chunks
            .back_mut()
            .filter(|last| last.len() + rest.len() <= CHUNK)
        {
            last.extend_from_slice(rest);
        } else if self.chunks.is_empty() {
            self.sent = from;
            self.chunks.push_back(bytes);
        } else if from == 0 {
            self.chunks.push_back(bytes);
        } else {
            self.chunks.push_back(rest.to_vec());
        }
    }

    /// The bytes to send next; empty only if nothing waits.
    pub fn front(&self) -> &[u8] {
        self.chunks
            .front()
            .and_then(|chunk| chunk.get(self.sent..))
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
            pushes in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200_000), 0_usize..300, 0_usize..100_000), 0..12)
        ) {
            let (mut queue, mut expected, mut got) = (WriteQueue::default(), Vec::new(), Vec::new());
            for (bytes, from, sent) in pushes {
                let from = from.min(bytes.len());
                expected.extend_from_slice(&bytes[from..]);
                queue.push(bytes, from);
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
