//! A client that speaks TLS, by rustls, and never waits for ever.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConnection, RootCertStore, SupportedProtocolVersion};

use super::authority::Issued;
use crate::harness::{Client, Server};

/// What clients are made from; sessions of one are resumed by the next.
#[derive(Clone)]
pub struct ClientConfig {
    config: Arc<rustls::ClientConfig>,
    name: String,
}

impl ClientConfig {
    pub fn trusting(pem: &str) -> Self {
        Self::new(pem, None, rustls::ALL_VERSIONS)
    }

    pub fn new(
        pem: &str,
        own: Option<&Issued>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
        roots.add(root).expect("a certificate");
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = CertificateDer::from_pem_slice(own.certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes());
                builder
                    .with_client_auth_cert(vec![chain.expect("PEM")], key.expect("PEM"))
                    .expect("a pair")
            }
        };
        ClientConfig {
            config: Arc::new(config),
            name: "a.test".to_owned(),
        }
    }

    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        let config = Arc::make_mut(&mut self.config);
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        self
    }

    /// The server that it asks for.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    pub fn connect(&self, server: &Server) -> TlsClient {
        self.try_connect(server.addresses[0]).expect("a handshake")
    }

    /// Connect, and do the handshake.
    ///
    /// # Errors
    /// When it fails.
    pub fn try_connect(&self, address: SocketAddr) -> io::Result<TlsClient> {
        self.handshake(Client::try_connect(address)?)
    }

    /// Do the handshake on a connection that is there.
    ///
    /// # Errors
    /// When it fails.
    pub fn handshake(&self, tcp: Client) -> io::Result<TlsClient> {
        let name = ServerName::try_from(self.name.clone()).expect("a name");
        let connection = ClientConnection::new(Arc::clone(&self.config), name);
        let mut client = TlsClient {
            tls: connection.expect("a connection"),
            tcp,
        };
        while client.tls.is_handshaking() {
            client.tls.complete_io(&mut client.tcp.stream)?;
        }
        Ok(client)
    }
}

/// A connection under TLS.
pub struct TlsClient {
    pub tls: ClientConnection,
    pub tcp: Client,
}

impl TlsClient {
    fn stream(&mut self) -> rustls::Stream<'_, ClientConnection, std::net::TcpStream> {
        rustls::Stream::new(&mut self.tls, &mut self.tcp.stream)
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.stream().write_all(bytes.as_ref());
        sent.expect("the server takes it");
    }

    #[track_caller]
    pub fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let mut got = vec![0; expected.as_ref().len()];
        self.stream().read_exact(&mut got).expect("an answer");
        assert!(
            got == expected.as_ref(),
            "read {:?}",
            String::from_utf8_lossy(&got[..got.len().min(200)])
        );
    }

    #[track_caller]
    pub fn ask(&mut self, question: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) {
        self.send(question);
        self.expect(answer);
    }

    /// close_notify, and nothing more from us.
    pub fn end(&mut self) {
        self.tls.send_close_notify();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.tcp.stream).expect("sent");
        }
    }

    /// FIN without close_notify.
    pub fn truncate(&mut self) {
        self.tcp.stream.shutdown(Shutdown::Write).expect("FIN");
    }

    /// Everything up to the server's close_notify.
    ///
    /// # Errors
    /// When there is none, or the server sends an alert.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream().read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[track_caller]
    pub fn expect_rest(&mut self, expected: impl AsRef<[u8]>) {
        let rest = self.rest().expect("close_notify");
        assert!(
            rest == expected.as_ref(),
            "read {} bytes: {:?}",
            rest.len(),
            String::from_utf8_lossy(&rest[..rest.len().min(200)])
        );
    }

    /// The alert with which the server has refused what the handshake, or what came
    /// after it, has said.
    #[track_caller]
    pub fn alert(&mut self) -> String {
        self.rest().expect_err("an alert").to_string()
    }
}
