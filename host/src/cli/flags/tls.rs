//! The flags about TLS.

use std::path::PathBuf;

use crate::limits::Limits;
use crate::listener::tls::{ClientAuth, MinVersion, TlsError, TlsMode, TlsOptions};

const TLS: &str = "TLS";

/// They hold for every listener but Unix sockets.
#[derive(Debug, clap::Args)]
pub(super) struct TlsFlags {
    /// Speak TLS: file with the certificate and those that it is signed with (PEM). May be given
    /// several times: clients get the one for the name that they ask for, or else the first
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    tls_cert: Vec<PathBuf>,

    /// File with the key of the certificate (PEM); the first for the first
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    tls_key: Vec<PathBuf>,

    /// When TLS begins: with the first byte, or in plain text until the guest says so
    #[arg(long, value_name = "MODE", value_enum, default_value_t = TlsMode::default(), requires = "tls_cert", help_heading = TLS)]
    pub(super) tls_mode: TlsMode,

    /// Protocols to choose from (ALPN), such as h2,http/1.1, the preferred one first [default: none]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', requires = "tls_cert", help_heading = TLS, hide_short_help = true)]
    tls_alpn: Vec<String>,

    /// Oldest version of TLS
    #[arg(long, value_name = "VERSION", value_enum, default_value_t = MinVersion::default(), requires = "tls_cert", help_heading = TLS, hide_short_help = true)]
    tls_min_version: MinVersion,

    /// Whether clients have certificates
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ClientAuth::default(), requires = "tls_cert", help_heading = TLS, hide_short_help = true)]
    tls_client_auth: ClientAuth,

    /// File with the certificates (PEM) that those of clients are signed with
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = TLS, hide_short_help = true)]
    tls_client_ca: Option<PathBuf>,

    /// File with lists of revoked certificates (PEM), one of every CA that signs those of clients
    #[arg(long, value_name = "FILE", requires = "tls_client_ca", help_heading = TLS, hide_short_help = true)]
    tls_client_crl: Option<PathBuf>,

    /// TLS handshakes at once; more wait for their turn
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_handshakes, help_heading = TLS, hide_short_help = true)]
    pub(super) max_handshakes: usize,
}

impl TlsFlags {
    /// The options that they stand for; `None` without TLS.
    ///
    /// # Errors
    /// When there are not as many keys as certificates.
    pub(super) fn options(self) -> Result<Option<TlsOptions>, TlsError> {
        let certificates = TlsOptions::pair(self.tls_cert, self.tls_key)?;
        let options = TlsOptions {
            certificates,
            client_auth: self.tls_client_auth,
            client_ca: self.tls_client_ca,
            client_crl: self.tls_client_crl,
            alpn: self.tls_alpn,
            min_version: self.tls_min_version,
        };
        Ok((!options.certificates.is_empty()).then_some(options))
    }
}
