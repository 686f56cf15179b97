//! One handshake: moves bytes between the stream and rustls until both sides have agreed,
//! or until one of them gives up.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;

use hotsocket_sandbox::{Stream, TlsFacts};
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

/// Both sides of a handshake.
struct Handshake {
    stream: Stream,
    records: Records,
    first: Vec<u8>,
}

/// Do the handshake, with a permit that `slot` waits for once the peer has sent a whole
/// first record: who is silent takes none from others. Whoever computes has one of the
/// permits of `turns` meanwhile.
pub async fn handshake<P>(
    stream: Stream,
    config: &Config,
    slot: impl Future<Output = P>,
    turns: &Semaphore,
) -> Result<Done, Box<Failed>> {
    let (config, resolved) = config.for_connection();
    let connection = match UnbufferedServerConnection::new(config) {
        Ok(connection) => connection,
        Err(error) => {
            return Err(Box::new(Failed {
                failure: Failure::Tls(error),
                first: Vec::new(),
                stream,
                last: Vec::new(),
            }));
        }
    };
    let mut handshake = Handshake {
        stream,
        records: Records::new(connection),
        first: Vec::new(),
    };
    match handshake.run(slot, turns).await {
        Ok(()) => {
            let facts = facts(&handshake.records, resolved.name.get());
            let connection = &handshake.records.connection;
            let outcome = match connection.handshake_kind() {
                Some(HandshakeKind::Resumed) => Outcome::Resumed,
                _ => Outcome::Full,
            };
            Ok(Done {
                stream: Box::new(TlsTransport::new(handshake.stream, handshake.records)),
                facts,
                outcome,
            })
        }
        Err(failure) => Err(Box::new(Failed {
            failure,
            first: handshake.first,
            stream: handshake.stream,
            last: handshake.records.outgoing,
        })),
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

impl Handshake {
    async fn run<P>(
        &mut self,
        slot: impl Future<Output = P>,
        turns: &Semaphore,
    ) -> Result<(), Failure> {
        let mut first = self.first_record().await?;
        let _slot = slot.await;
        self.process(&mut first, turns).await?;
        drop(first);
        while self.records.connection.is_handshaking() {
            let (mut buffer, length) = self.read().await?;
            let received = buffer.all().get_mut(..length).unwrap_or_default();
            self.process(received, turns).await?;
        }
        Ok(())
    }

    /// Read until there is a whole record, or what is none.
    async fn first_record(&mut self) -> Result<Vec<u8>, Failure> {
        loop {
            let (mut buffer, length) = self.read().await?;
            let received = buffer.all().get(..length).unwrap_or_default().to_vec();
            if !is_part_of_record(&received) {
                self.records.incoming = Vec::new();
                return Ok(received);
            }
            self.records.incoming = received;
        }
    }

    /// Let rustls process what has come, and send what it answers.
    async fn process(&mut self, received: &mut [u8], turns: &Semaphore) -> Result<(), Failure> {
        {
            // Never closed.
            let _turn = turns.acquire().await;
            let mut plain = Vec::new();
            let processed = self.records.receive(received, |bytes| {
                plain.extend_from_slice(bytes);
            });
            processed.map_err(Failure::Tls)?;
            self.records.plain = plain;
        }
        self.send().await.map_err(Failure::Io)
    }

    /// Wait for more, and read it behind what has come before.
    async fn read(&mut self) -> Result<(ReadBuffer, usize), Failure> {
        let kept = self.records.incoming.len();
        if kept >= WIRE {
            return Err(Failure::TooLong);
        }
        let read = poll_fn(|cx| {
            let mut buffer = ReadBuffer::take();
            let all = buffer.all().get_mut(..WIRE).unwrap_or_default();
            let mut space = ReadBuf::new(all);
            space.put_slice(&self.records.incoming);
            let read = Pin::new(&mut self.stream).poll_read(cx, &mut space);
            let length = space.filled().len();
            read.map_ok(|()| (buffer, length))
        });
        let (mut buffer, length) = read.await.map_err(Failure::Io)?;
        if length == kept {
            return Err(Failure::Ended);
        }
        if self.first.len() < FIRST {
            let new = buffer.all().get(kept..length).unwrap_or_default();
            let room = FIRST - self.first.len();
            self.first.extend_from_slice(new.get(..room).unwrap_or(new));
        }
        Ok((buffer, length))
    }

    async fn send(&mut self) -> io::Result<()> {
        let outgoing = std::mem::take(&mut self.records.outgoing);
        write_all(&mut self.stream, &outgoing).await
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
