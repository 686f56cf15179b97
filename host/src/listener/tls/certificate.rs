//! One certificate with its key: read from PEM, and what it says of itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use serde::{Deserialize, Serialize};
use webpki::EndEntityCert;

use super::options::{CertificateFiles, TlsError};
use super::validity;

/// From here on the log warns that a certificate expires.
const NEAR: Duration = Duration::from_secs(14 * 24 * 3600);

/// A certificate that new handshakes on a listener may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// The address of the listener.
    pub listener: String,
    /// The file (`--tls-cert`) that it was read from.
    pub file: String,
    /// Names of hosts in it; one may begin with `*.`.
    pub names: Vec<String>,
    /// The day on which it expires, and the same in seconds of Unix time.
    pub expires: String,
    pub expires_s: u64,
    /// Whole days until then; less than 0 if it has expired.
    pub days_left: i64,
}

/// A certificate that can be served.
#[derive(Debug)]
pub struct Certificate {
    pub key: Arc<CertifiedKey>,
    /// Names of hosts, in lower case; one of them may begin with `*.`.
    pub names: Vec<String>,
    /// When it expires, in seconds of Unix time.
    pub not_after: u64,
    /// Where it is from, for the log.
    pub chain: PathBuf,
}

/// Why there is a warning of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expiry {
    Expired,
    Near,
}

impl Certificate {
    /// Make one of the content of its files.
    ///
    /// # Errors
    /// When they are not PEM, or don't belong together.
    pub fn parse(
        files: &CertificateFiles,
        chain: &[u8],
        key: &[u8],
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let certificates =
            certificates(chain).map_err(|error| TlsError::pem(&files.chain, &error))?;
        let Some(first) = certificates.first() else {
            return Err(TlsError::lacks(&files.chain, "certificate"));
        };
        let (names, not_after) =
            facts(first).map_err(|error| TlsError::invalid(&files.chain, error))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            rustls::pki_types::pem::Error::NoItemsFound => {
                TlsError::lacks(&files.key, "private key")
            }
            error => TlsError::pem(&files.key, &error),
        })?;
        let key = CertifiedKey::from_der(certificates, key, provider);
        let key = key.map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch {
                chain: files.chain.clone(),
                key: files.key.clone(),
            },
            error => TlsError::invalid(&files.key, error),
        })?;
        Ok(Certificate {
            key: Arc::new(key),
            names,
            not_after,
            chain: files.chain.clone(),
        })
    }

    /// Whether it has expired at this Unix time, or will soon.
    fn expiry(&self, now: u64) -> Option<Expiry> {
        match self.not_after.checked_sub(now).map(Duration::from_secs) {
            None | Some(Duration::ZERO) => Some(Expiry::Expired),
            Some(left) if left < NEAR => Some(Expiry::Near),
            Some(_) => None,
        }
    }

    /// Log a warning if it has expired, or will soon.
    pub fn warn_of_expiry(&self) {
        let chain = self.chain.display();
        let until = self.until();
        match self.expiry(now()) {
            Some(Expiry::Expired) => tracing::warn!(
                kind = "tls",
                certificate = %chain,
                expires = until,
                "the certificate {chain} has expired: it was valid until {until}"
            ),
            Some(Expiry::Near) => tracing::warn!(
                kind = "tls",
                certificate = %chain,
                expires = until,
                "the certificate {chain} expires soon: it is valid until {until}"
            ),
            None => {}
        }
    }

    /// When it expires, for people.
    pub fn until(&self) -> String {
        validity::show(self.not_after)
    }

    /// What to say of it at this Unix time, as one of the listener with this address.
    pub fn status(&self, listener: &str, now: u64) -> CertificateStatus {
        let left = i128::from(self.not_after) - i128::from(now);
        CertificateStatus {
            listener: listener.to_owned(),
            file: self.chain.display().to_string(),
            names: self.names.clone(),
            expires: self.until(),
            expires_s: self.not_after,
            days_left: i64::try_from(left.div_euclid(86_400)).unwrap_or(i64::MAX),
        }
    }
}

/// The Unix time, in seconds.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

/// All certificates of a file.
///
/// # Errors
/// When one is not whole.
pub fn certificates(
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}

/// The names of hosts in it, and until when it is valid.
fn facts(der: &CertificateDer<'_>) -> Result<(Vec<String>, u64), String> {
    let certificate = EndEntityCert::try_from(der);
    let certificate =
        certificate.map_err(|error| format!("no certificate for a server: {error}"))?;
    let names = certificate.valid_dns_names().map(str::to_ascii_lowercase);
    let not_after = validity::not_after(der).ok_or("its validity can't be read")?;
    Ok((names.collect(), not_after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_expires_soon_for_two_weeks() {
        const DAY: u64 = 86_400;
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        let files = CertificateFiles {
            chain: "a.pem".into(),
            key: "a.key".into(),
        };
        let key = key.serialize_pem();
        let provider = super::super::provider();
        let made = Certificate::parse(&files, pem.as_bytes(), key.as_bytes(), &provider);
        let certificate = made.expect("a certificate");
        let end = certificate.not_after;
        for (now, expiry, days_left) in [
            (end - 15 * DAY, None, 15),
            (end - 14 * DAY, None, 14),
            (end - 14 * DAY + 1, Some(Expiry::Near), 13),
            (end - 1, Some(Expiry::Near), 0),
            (end, Some(Expiry::Expired), 0),
            (end + 1, Some(Expiry::Expired), -1),
            (end + 15 * DAY, Some(Expiry::Expired), -15),
        ] {
            assert_eq!(certificate.expiry(now), expiry, "{now}");
            assert_eq!(certificate.status("x", now).days_left, days_left, "{now}");
        }
    }
}
