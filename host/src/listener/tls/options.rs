//! What TLS is configured with, and why that may not do.

use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem;

use super::material::Material;

/// See the module's documentation. Files are read by [`Self::check`] and when the
/// listener is made, and again whenever they change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// At least one. The first is that of clients that ask for no name, or for one that
    /// no certificate has.
    pub certificates: Vec<CertificateFiles>,
    /// Whether clients have certificates of their own.
    pub client_auth: ClientAuth,
    /// The certificates that those of clients are signed with, in PEM.
    pub client_ca: Option<PathBuf>,
    /// Which of them are revoked: lists in PEM (RFC 5280, section 5).
    pub client_crl: Option<PathBuf>,
    /// Protocols to choose from, the preferred one first (ALPN, RFC 7301). With none,
    /// what clients offer is ignored.
    pub alpn: Vec<String>,
    pub min_version: MinVersion,
}

/// A certificate and its key, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and after it those that lead to the one that clients trust.
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// Whether clients have certificates. One that is sent is always verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// They are asked, and may have none.
    Request,
    /// They must have one.
    Require,
}

/// When TLS begins on the connections of a listener (the words are those of RFC 8314).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsMode {
    /// With the first byte.
    #[default]
    Implicit,
    /// When the guest says so (`hotsocket:tls`), and in plain text until then.
    Starttls,
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum MinVersion {
    #[default]
    #[value(name = "1.2")]
    Tls12,
    #[value(name = "1.3")]
    Tls13,
}

/// Why TLS cannot be configured so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    #[error(
        "TLS takes pairs of --tls-cert and --tls-key, the first with the first: \
         there are {certificates} and {keys}"
    )]
    Unpaired { certificates: usize, keys: usize },
    #[error("--tls-client-auth needs --tls-client-ca, which says whose certificates are good")]
    NoClientCa,
    #[error("--{0} needs --tls-client-auth request or require")]
    NoClientAuth(&'static str),
    #[error("--tls-alpn: a protocol's name has 1 to 255 bytes")]
    Protocol,
    #[error("cannot read {}: {error}", path.display())]
    Read { path: PathBuf, error: String },
    #[error("{} has no {what} in PEM (`-----BEGIN …`)", path.display())]
    Lacks { path: PathBuf, what: &'static str },
    #[error("{}: {error}", path.display())]
    Invalid { path: PathBuf, error: String },
    #[error("the key in {} is not that of the certificate in {}", key.display(), chain.display())]
    Mismatch { chain: PathBuf, key: PathBuf },
    #[error("TLS cannot be set up: {0}")]
    Provider(String),
}

impl TlsError {
    pub(super) fn read(path: &Path, error: &io::Error) -> Self {
        TlsError::Read {
            path: path.to_owned(),
            error: crate::os_error::message(error),
        }
    }

    pub(super) fn lacks(path: &Path, what: &'static str) -> Self {
        TlsError::Lacks {
            path: path.to_owned(),
            what,
        }
    }

    /// What is wrong with a file that is to be PEM.
    pub(super) fn pem(path: &Path, error: &pem::Error) -> Self {
        let what = match error {
            pem::Error::MissingSectionEnd { .. } => {
                "it is cut off: the end of a section (`-----END …`) is missing".to_owned()
            }
            pem::Error::IllegalSectionStart { line } => format!(
                "the line {:?} begins nothing in PEM",
                String::from_utf8_lossy(line)
            ),
            pem::Error::Base64Decode(_) => {
                "what is between two of its `-----` lines is not in Base64".to_owned()
            }
            error => error.to_string(),
        };
        TlsError::invalid(path, what)
    }

    pub(super) fn invalid(path: &Path, error: impl ToString) -> Self {
        TlsError::Invalid {
            path: path.to_owned(),
            error: error.to_string(),
        }
    }
}

impl TlsOptions {
    /// Pair certificates with keys as the command line names them.
    ///
    /// # Errors
    /// When there are more of the one than of the other.
    pub fn pair(
        chains: Vec<PathBuf>,
        keys: Vec<PathBuf>,
    ) -> Result<Vec<CertificateFiles>, TlsError> {
        if chains.len() != keys.len() {
            return Err(TlsError::Unpaired {
                certificates: chains.len(),
                keys: keys.len(),
            });
        }
        let pairs = chains.into_iter().zip(keys);
        Ok(pairs
            .map(|(chain, key)| CertificateFiles { chain, key })
            .collect())
    }

    /// Read and check the files, and whether all fits together.
    ///
    /// # Errors
    /// Names the first thing that is wrong.
    pub fn check(&self) -> Result<(), TlsError> {
        Material::load(self)?.config(self).map(drop)
    }

    /// Check what needs no file.
    pub(super) fn check_flags(&self) -> Result<(), TlsError> {
        let has_client_auth = self.client_auth != ClientAuth::None;
        if has_client_auth && self.client_ca.is_none() {
            return Err(TlsError::NoClientCa);
        }
        for (flag, file) in [
            ("tls-client-ca", &self.client_ca),
            ("tls-client-crl", &self.client_crl),
        ] {
            if file.is_some() && !has_client_auth {
                return Err(TlsError::NoClientAuth(flag));
            }
        }
        if self.certificates.is_empty() {
            return Err(TlsError::Unpaired {
                certificates: 0,
                keys: 0,
            });
        }
        let is_name = |name: &String| (1..=255).contains(&name.len());
        match self.alpn.iter().all(is_name) {
            true => Ok(()),
            false => Err(TlsError::Protocol),
        }
    }

    /// The files that are watched.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let pairs = self.certificates.iter();
        pairs
            .flat_map(|files| [&files.chain, &files.key])
            .chain(&self.client_ca)
            .chain(&self.client_crl)
            .map(PathBuf::as_path)
    }
}
