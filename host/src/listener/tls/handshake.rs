//! One handshake: moves bytes between the stream and rustls until both sides have agreed,
//! or until one of them gives up.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hotsocket_sandbox::{Stream, TlsFacts, let_others_run};
use rustls::server::UnbufferedServerConnection;
use rustls::{CipherSuite, HandshakeKind, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;

use super::config::Config;
use super::outcome::{Failure, Outcome};
use super::records::{Records, WIRE};
use super::transport::TlsTransport;
use crate::channel::ReadBuffer;

/// So many of the peer's first bytes tell what it speaks.
const FIRST: usize = 8;

/// What is read of a peer whose handshake has failed, so that closing the socket does not
/// destroy the alert on its way (RFC 1122, section 4.2.2.13).
const DISCARDED: usize = 256 * 1024;

/// A handshake that has succeeded.
pub struct Done {
    pub stream: Stream,
    pub facts: TlsFacts,
    pub outcome: Outcome,
}

/// One that has failed, with what it takes to tell the peer; see [`Failed::finish`].
pub struct Failed {
    pub failure: Failure,
    /// What the peer has sent first.
    pub first: Vec<u8>,
    stream: Stream,
    /// An alert, if there is one.
    last: Vec<u8>,
}

/// The peer's side of a handshake.
struct Peer {
    stream: Stream,
    /// What it has sent first.
    first: Vec<u8>,
}

/// Do the handshake, with a permit that `slot` waits for once the peer has sent a whole
/// first record: who is silent takes none from others. Only then is `config` looked at.
/// Whoever computes has one of the permits of `turns` meanwhile.
pub async fn handshake<P>(
    stream: Stream,
    config: &ArcSwap<Config>,
    slot: impl Future<Output = P>,
    turns: &Arc<Semaphore>,
) -> Result<Done, Box<Failed>> {
    let mut peer = Peer {
        stream,
        first: Vec::new(),
    };
    let hello = match peer.first_record().await {
        Ok(hello) => hello,
        Err(failure) => return Err(peer.failed(failure, Vec::new())),
    };
    let _slot = slot.await;
    // Not before: a peer could be silent until its certificate is revoked, and be judged by
    // the list from when it connected.
    let (config, resolved) = config.load().for_connection();
    let connection = match UnbufferedServerConnection::new(config) {
        Ok(connection) => connection,
        Err(error) => return Err(peer.failed(Failure::Tls(error), Vec::new())),
    };
    let mut records = Records::new(connection);
    match peer.agree(&mut records, hello, turns).await {
        Ok(()) => {
            let facts = facts(&records, resolved.name.get());
            let outcome = match records.connection.handshake_kind() {
                Some(HandshakeKind::Resumed) => Outcome::Resumed,
                _ => Outcome::Full,
            };
            Ok(Done {
                stream: Box::new(TlsTransport::new(peer.stream, records)),
                facts,
                outcome,
            })
        }
        Err(failure) => Err(peer.failed(failure, records.outgoing)),
    }
}

/// Whether these bytes may begin a record of a handshake and are not all of it (RFC 8446,
/// section 5.1): its type, two bytes of version, two of length.
fn is_part_of_record(bytes: &[u8]) -> bool {
    const HANDSHAKE: u8 = 22;
    const MAX_RECORD: usize = (1 << 14) + 256;
    match bytes {
        [] => true,
        [HANDSHAKE, 3, _, high, low, content @ ..] => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            // A longer one is refused at once (section 5.2).
            length <= MAX_RECORD && content.len() < length
        }
        [HANDSHAKE, _, _, _, _, ..] => false,
        [HANDSHAKE, ..] => true,
        _ => false,
    }
}

impl Peer {
    /// Read until there is a whole record, or what is none.
    async fn first_record(&mut self) -> Result<Vec<u8>, Failure> {
        let mut received = Vec::new();
        while is_part_of_record(&received) {
            received = self.read(&received).await?;
        }
        Ok(received)
    }

    /// Go on after the first record until both sides have agreed.
    async fn agree(
        &mut self,
        records: &mut Records,
        hello: Vec<u8>,
        turns: &Arc<Semaphore>,
    ) -> Result<(), Failure> {
        self.process(records, hello, turns).await?;
        while records.connection.is_handshaking() {
            let received = self.read(&records.incoming).await?;
            self.process(records, received, turns).await?;
        }
        Ok(())
    }

    /// Let rustls process what has come, and send what it answers.
    async fn process(
        &mut self,
        records: &mut Records,
        mut received: Vec<u8>,
        turns: &Arc<Semaphore>,
    ) -> Result<(), Failure> {
        // Never closed.
        let turn = Arc::clone(turns).acquire_owned().await;
        let mut plain = Vec::new();
        let processed = records.receive(&mut received, |bytes| plain.extend_from_slice(bytes));
        records.plain = plain;
        drop(received);
        // Who waits for the turn begins only when all that is ready has run. Else there would
        // never be one who waits, and all handshakes that are ready would compute before a
        // session runs. Not here: a session that does its handshake in between may be busy with
        // a swap for seconds.
        tokio::spawn(async move {
            let_others_run().await;
            drop(turn);
        });
        processed.map_err(Failure::Tls)?;
        let outgoing = std::mem::take(&mut records.outgoing);
        write_all(&mut self.stream, &outgoing)
            .await
            .map_err(Failure::Io)
    }

    /// Wait for more, and read it behind what has come before. It is copied: hundreds may
    /// wait for their turn, and would each keep a whole buffer of the thread's.
    async fn read(&mut self, before: &[u8]) -> Result<Vec<u8>, Failure> {
        if before.len() >= WIRE {
            return Err(Failure::TooLong);
        }
        let read = poll_fn(|cx| {
            let mut buffer = ReadBuffer::take();
            let all = buffer.all().get_mut(..WIRE).unwrap_or_default();
            let mut space = ReadBuf::new(all);
            space.put_slice(before);
            let read = Pin::new(&mut self.stream).poll_read(cx, &mut space);
            read.map_ok(|()| space.filled().to_vec())
        });
        let received = read.await.map_err(Failure::Io)?;
        let new = received.get(before.len()..).unwrap_or_default();
        if new.is_empty() {
            return Err(Failure::Ended);
        }
        if self.first.len() < FIRST {
            let room = FIRST - self.first.len();
            self.first.extend_from_slice(new.get(..room).unwrap_or(new));
        }
        Ok(received)
    }

    /// The handshake has failed. `last` is what is still to be sent.
    fn failed(self, failure: Failure, last: Vec<u8>) -> Box<Failed> {
        Box::new(Failed {
            failure,
            first: self.first,
            stream: self.stream,
            last,
        })
    }
}

async fn write_all(stream: &mut Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes)).await?;
        if sent == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(sent..).unwrap_or_default();
    }
    Ok(())
}

impl Failed {
    /// Tell the peer, and wait until it has ended or has sent too much. Closes the
    /// connection.
    pub async fn finish(mut self) {
        if self.last.is_empty() || write_all(&mut self.stream, &self.last).await.is_err() {
            return;
        }
        let stream = &mut self.stream;
        if poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx))
            .await
            .is_err()
        {
            return;
        }
        let mut discarded = 0;
        while discarded < DISCARDED {
            let read = poll_fn(|cx| {
                let mut buffer = ReadBuffer::take();
                let mut space = ReadBuf::new(buffer.bytes());
                let read = Pin::new(&mut *stream).poll_read(cx, &mut space);
                let count = space.filled().len();
                read.map_ok(|()| count)
            });
            match read.await {
                Ok(0) | Err(_) => return,
                Ok(count) => discarded += count,
            }
        }
    }
}

/// What both sides have agreed on.
fn facts(records: &Records, name: Option<&String>) -> TlsFacts {
    let connection = &records.connection;
    let certificates = connection.peer_certificates().unwrap_or_default();
    let suite = connection.negotiated_cipher_suite();
    TlsFacts {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLSv1.2",
        },
        cipher_suite: suite.map_or("", |suite| iana_name(suite.suite())),
        server_name: name.cloned(),
        protocol: connection.alpn_protocol().map(<[u8]>::to_vec),
        certificates: certificates.iter().map(|der| der.to_vec()).collect(),
    }
}

/// rustls' names of the suites of TLS 1.3 are not those of the registry.
fn iana_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};

    use hotsocket_sandbox::Transport;
    use tokio::task::yield_now;

    use super::super::material::Material;
    use super::super::options::TlsOptions;
    use super::*;

    /// A peer that has sent this, and takes all that it is sent.
    struct Sent(&'static [u8]);

    impl AsyncRead for Sent {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            buffer.put_slice(std::mem::take(&mut self.0));
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Sent {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl Transport for Sent {
        fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn reset(self: Box<Self>) {}
    }

    #[tokio::test]
    async fn sessions_run_between_two_handshakes_that_are_ready() {
        let material = Material {
            pairs: Vec::new(),
            clients: None,
        };
        let config = material.config(&TlsOptions::default());
        let config = Arc::new(ArcSwap::from_pointee(config.expect("a configuration")));
        let turns = Arc::new(Semaphore::new(1));
        let times = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&times);
        let session = tokio::spawn(async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
        });
        let flood: Vec<_> = (0..10)
            .map(|_| {
                let (config, turns) = (Arc::clone(&config), Arc::clone(&turns));
                let times = Arc::clone(&times);
                tokio::spawn(async move {
                    let stream = Box::new(Sent(b"GET / HTTP/1.0\r\n\r\n"));
                    let done = handshake(stream, &config, ready(()), &turns).await;
                    assert!(done.is_err());
                    times.load(Ordering::Relaxed)
                })
            })
            .collect();
        let mut ended = Vec::new();
        for handshake in flood {
            ended.push(handshake.await.expect("it ends"));
        }
        session.abort();
        ended.sort_unstable();
        assert!(ended.is_sorted_by(|one, next| one < next), "{ended:?}");
    }
}
