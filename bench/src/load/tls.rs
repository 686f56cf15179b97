//! Clients that speak TLS 1.3: requests on connections that stay, short connections with or
//! without a session from before, and silent ones.
//!
//! They trust any certificate: here time and memory of servers are measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::payload::Payload;
use super::{Args, Stats};
use crate::Result;

/// Of one request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// See the module's documentation.
pub struct Clients {
    connector: TlsConnector,
    payload: Arc<Payload>,
    address: SocketAddr,
    at_once: usize,
    size: usize,
    /// Of a storm there are none.
    connected: Vec<TlsStream<TcpStream>>,
}

impl Clients {
    /// Those of a storm connect later.
    pub async fn connect(args: &Args, is_storm: bool, resumes: bool) -> Result<Self> {
        let mut clients = Clients {
            connector: connector(resumes)?,
            payload: Arc::new(Payload::new()),
            address: args.address,
            at_once: args.connections,
            size: args.size,
            connected: Vec::new(),
        };
        for number in 0..args.connections {
            if !is_storm {
                let mut stream = clients.open().await?;
                request(&mut stream, clients.payload.piece(number * 101, args.size)).await?;
                clients.connected.push(stream);
            }
        }
        Ok(clients)
    }

    async fn open(&self) -> Result<TlsStream<TcpStream>> {
        open(&self.connector, self.address).await
    }

    /// There is nothing to measure of silent ones.
    pub fn nothing(&self) -> Stats {
        Stats::new()
    }

    /// Requests, each after the reply to the one before.
    pub async fn echo(&mut self, time: Duration) -> Result<Stats> {
        let started = Instant::now();
        let mut running = JoinSet::new();
        for (number, mut stream) in self.connected.drain(..).enumerate() {
            let (payload, size) = (Arc::clone(&self.payload), self.size);
            running.spawn(async move {
                let mut stats = Stats::new();
                let mut at = number * 101;
                while started.elapsed() < time {
                    let sent = Instant::now();
                    request(&mut stream, payload.piece(at, size)).await?;
                    stats.count(size, sent.elapsed());
                    at += 1;
                }
                Result::Ok((stream, stats))
            });
        }
        let mut total = Stats::new();
        while let Some(done) = running.join_next().await {
            let (stream, stats) = done??;
            self.connected.push(stream);
            total.add(&stats);
        }
        total.elapsed = started.elapsed();
        Ok(total)
    }

    /// Connect, one request, close.
    pub async fn storm(&mut self, time: Duration) -> Result<Stats> {
        let started = Instant::now();
        let mut running = JoinSet::new();
        for number in 0..self.at_once {
            let (connector, payload) = (self.connector.clone(), Arc::clone(&self.payload));
            let (address, size) = (self.address, self.size);
            running.spawn(async move {
                let mut stats = Stats::new();
                let mut at = number * 101;
                while started.elapsed() < time {
                    let connecting = Instant::now();
                    let mut stream = open(&connector, address).await?;
                    request(&mut stream, payload.piece(at, size)).await?;
                    stream.shutdown().await?;
                    stats.count(size, connecting.elapsed());
                    at += 1;
                }
                Result::Ok(stats)
            });
        }
        let mut total = Stats::new();
        while let Some(done) = running.join_next().await {
            total.add(&done??);
        }
        total.elapsed = started.elapsed();
        Ok(total)
    }
}

async fn open(connector: &TlsConnector, address: SocketAddr) -> Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let name = ServerName::try_from("localhost")?;
    let handshake = tokio::time::timeout(TIMEOUT, connector.connect(name, socket)).await;
    Ok(handshake.map_err(|_| "a handshake has taken 30 s")??)
}

async fn request(stream: &mut TlsStream<TcpStream>, bytes: &[u8]) -> Result<()> {
    let exchange = async {
        stream.write_all(bytes).await?;
        stream.flush().await?;
        let mut reply = vec![0; bytes.len()];
        stream.read_exact(&mut reply).await?;
        match reply == bytes {
            true => Ok(()),
            false => Err(std::io::Error::other("a reply differs from its request")),
        }
    };
    let exchanged = tokio::time::timeout(TIMEOUT, exchange).await;
    Ok(exchanged.map_err(|_| "a reply has not come in 30 s")??)
}

fn connector(resumes: bool) -> Result<TlsConnector> {
    let provider = Arc::new(default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    if !resumes {
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config).into())
}

/// Trusts every certificate, and nobody without its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
