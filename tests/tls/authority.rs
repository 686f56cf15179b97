//! Certificates for tests.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationList,
    CertificateRevocationListParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
};

use super::client::ClientConfig;
use crate::harness::Serve;

/// Who signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// A certificate with its key, in PEM.
pub struct Issued {
    pub certificate: String,
    pub key: String,
    serial: SerialNumber,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate for these names, of servers and of clients.
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_until(names, 2090)
    }

    /// The same, until the first day of that year.
    pub fn issue_until(&self, names: &[&str], year: i32) -> Issued {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let serial = SerialNumber::from_slice(&key.public_key_raw()[40..50]);
        let mut params = CertificateParams::new(names).expect("names");
        params.serial_number = Some(serial.clone());
        params.not_after = date_time_ymd(year, 1, 1);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = params.signed_by(&key, &self.issuer);
        Issued {
            certificate: certificate.expect("a certificate").pem(),
            key: key.serialize_pem(),
            serial,
        }
    }

    /// A list on which these are revoked.
    pub fn revoke(&self, revoked: &[&Issued]) -> String {
        self.list(revoked, None).pem().expect("PEM")
    }

    /// A list that is whole, but for the entry of this one: its reason is none that there is
    /// (RFC 5280, section 5.3.1).
    pub fn revoke_wrongly(&self, revoked: &Issued) -> String {
        let list = self.list(&[revoked], Some(RevocationReason::KeyCompromise));
        let mut list = list.der().to_vec();
        // An ENUMERATED in an OCTET STRING, after the identifier 2.5.29.21.
        let reason = b"\x06\x03\x55\x1d\x15\x04\x03\x0a\x01\x01";
        let at = list.windows(reason.len()).position(|part| part == reason);
        list[at.expect("a reason") + reason.len() - 1] = 7;
        let list = STANDARD.encode(list);
        format!("-----BEGIN X509 CRL-----\n{list}\n-----END X509 CRL-----\n")
    }

    fn list(
        &self,
        revoked: &[&Issued],
        reason: Option<RevocationReason>,
    ) -> CertificateRevocationList {
        let revoked = revoked.iter().map(|issued| RevokedCertParams {
            serial_number: issued.serial.clone(),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: reason,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).expect("a list")
    }

    /// What a client needs to trust it.
    pub fn client(&self) -> ClientConfig {
        ClientConfig::trusting(&self.pem)
    }
}

impl Issued {
    /// Into the files `NAME.pem` and `NAME.key` of a server to be started.
    pub fn write(&self, serve: &Serve, name: &str) {
        self.write_to(&serve.path(""), name);
    }

    pub fn write_to(&self, dir: &Path, name: &str) {
        fs::write(dir.join(format!("{name}.pem")), &self.certificate).expect("written");
        fs::write(dir.join(format!("{name}.key")), &self.key).expect("written");
    }
}
