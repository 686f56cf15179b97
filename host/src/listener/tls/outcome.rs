//! What becomes of handshakes: a word for each outcome, which is counted, and a sentence
//! for the log, which says what the peer has done wrong.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

macro_rules! outcomes {
    ($($(#[$doc:meta])* $name:ident = $word:literal),* $(,)?) => {
        /// What became of a handshake.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Outcome {
            $($(#[$doc])* $name),*
        }

        impl Outcome {
            #[cfg(test)]
            const ALL: &[Outcome] = &[$(Outcome::$name),*];

            /// As the log and metrics name it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Outcome::$name => $word),*
                }
            }
        }
    };
}

outcomes! {
    /// It has succeeded.
    Full = "full",
    /// The same, with a session from before.
    Resumed = "resumed",
    /// Nothing came before the peer closed the connection: a probe, perhaps.
    Silent = "silent",
    /// The peer closed the connection in the middle.
    Closed = "closed",
    TimedOut = "timed-out",
    /// We closed the connection in the middle: the server stops, or the time of a swap's
    /// drain is over.
    CutOff = "cut-off",
    NotTls = "not-tls",
    /// The peer speaks no version that we speak.
    Version = "version",
    /// Nothing else in common: ciphers, groups, signatures, protocols.
    NothingInCommon = "nothing-in-common",
    /// The peer's certificate is missing or is not accepted.
    ClientCertificate = "client-certificate",
    /// The peer has given up; often it does not accept our certificate.
    Alert = "alert",
    /// What came violates the protocol.
    Malformed = "malformed",
}

/// Why a handshake has failed.
#[derive(Debug)]
pub enum Failure {
    /// rustls has found it out.
    Tls(Error),
    Io(io::Error),
    /// The peer closed the connection, or its side of it.
    Ended,
    /// A message is longer than any that a handshake has.
    TooLong,
}

impl Failure {
    /// Its outcome, and what the peer has done, to follow "its peer". `first` is what it
    /// has sent first.
    pub fn describe(&self, first: &[u8]) -> (Outcome, String) {
        let sentence = |outcome, what: &str| (outcome, what.to_owned());
        match self {
            Failure::Ended | Failure::Io(_) if first.is_empty() => {
                sentence(Outcome::Silent, "has closed it without sending anything")
            }
            Failure::Ended => sentence(Outcome::Closed, "has closed it in the middle"),
            Failure::Io(error) => (Outcome::Closed, format!("is gone: {error}")),
            Failure::TooLong => sentence(Outcome::Malformed, "sends a message without end"),
            Failure::Tls(error) => match not_tls(first) {
                Some(what) => sentence(Outcome::NotTls, what),
                None => of_tls(error),
            },
        }
    }
}

/// What it is, if it begins as no TLS does.
fn not_tls(first: &[u8]) -> Option<&'static str> {
    const METHODS: [&[u8]; 8] = [
        b"GET", b"POST", b"HEAD", b"PUT", b"DELE", b"OPTI", b"CONN", b"PRI ",
    ];
    const HANDSHAKE: u8 = 0x16;
    match first {
        [HANDSHAKE, ..] | [] => None,
        _ if METHODS.iter().any(|method| first.starts_with(method)) => {
            Some("speaks HTTP without TLS: the address begins with https://")
        }
        _ if first.starts_with(b"PROXY") || first.starts_with(b"\r\n\r\n\0") => {
            // The first one, if there was to be one, has been read by the layer before.
            Some(
                "sends a PROXY header where TLS is to begin: it may send none (--proxy-protocol), \
                 or it sends a second one",
            )
        }
        _ if first.starts_with(b"SSH-") => Some("speaks SSH, not TLS"),
        // The hello of SSLv2 (RFC 6101, appendix E), which old clients send.
        [0x80..=0xff, _, 1, ..] => Some("speaks SSLv2, which nobody should"),
        _ => Some("does not speak TLS"),
    }
}

fn of_tls(error: &Error) -> (Outcome, String) {
    use PeerIncompatible as Peer;
    let (outcome, what) = match error {
        Error::PeerIncompatible(
            Peer::ServerDoesNotSupportTls12Or13
            | Peer::ServerTlsVersionIsDisabledByOurConfig
            | Peer::SupportedVersionsExtensionRequired
            // Every client since TLS 1.2 sends it (RFC 5246, section 7.4.1.4.1).
            | Peer::SignatureAlgorithmsExtensionRequired
            | Peer::Tls12NotOffered
            | Peer::Tls12NotOfferedOrEnabled
            | Peer::NullCompressionRequired,
        ) => (
            Outcome::Version,
            "speaks no version of TLS that is allowed (--tls-min-version)",
        ),
        Error::PeerIncompatible(Peer::NoCipherSuitesInCommon) => (
            Outcome::NothingInCommon,
            "offers no cipher suite that is good enough",
        ),
        Error::PeerIncompatible(Peer::NoKxGroupsInCommon) => (
            Outcome::NothingInCommon,
            "offers no key exchange that is good enough",
        ),
        Error::PeerIncompatible(Peer::NoSignatureSchemesInCommon) => (
            Outcome::NothingInCommon,
            "accepts no signature that the certificate's key can make",
        ),
        Error::PeerIncompatible(other) => {
            return (
                Outcome::NothingInCommon,
                format!("lacks what is needed ({other:?})"),
            );
        }
        Error::NoApplicationProtocol => (
            Outcome::NothingInCommon,
            "offers none of the protocols of --tls-alpn",
        ),
        Error::NoCertificatesPresented => (
            Outcome::ClientCertificate,
            "has sent no certificate (--tls-client-auth require)",
        ),
        Error::InvalidCertificate(error) => {
            let what = match error {
                CertificateError::UnknownIssuer => {
                    "has a certificate that is not signed by one of --tls-client-ca"
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "has a certificate that has expired"
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "has a certificate that is not valid yet"
                }
                CertificateError::Revoked => "has a certificate that is revoked (--tls-client-crl)",
                CertificateError::UnknownRevocationStatus => {
                    "has a certificate of a CA that has no list in --tls-client-crl"
                }
                other => {
                    let what = format!("has a certificate that is not accepted: {other}");
                    return (Outcome::ClientCertificate, what);
                }
            };
            (Outcome::ClientCertificate, what)
        }
        Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::UnsupportedCertificate),
        ) => {
            let what = format!("does not accept the server's certificate (alert {alert:?})");
            return (Outcome::Alert, what);
        }
        Error::AlertReceived(alert) => {
            return (Outcome::Alert, format!("has given up (alert {alert:?})"));
        }
        Error::PeerSentOversizedRecord
        | Error::InvalidMessage(InvalidMessage::MessageTooLarge) => {
            (Outcome::Malformed, "sends a record longer than TLS allows")
        }
        Error::DecryptError => (Outcome::Malformed, "sends a record that can't be decrypted"),
        other => {
            return (
                Outcome::Malformed,
                format!("violates the protocol: {other}"),
            );
        }
    };
    (outcome, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted() {
        let names = Outcome::ALL.iter().map(|outcome| outcome.name());
        assert!(names.eq(crate::service::TLS_OUTCOMES.iter().copied()));
    }

    #[test]
    fn the_log_says_in_plain_words_what_is_not_tls() {
        let error = Failure::Tls(Error::InvalidMessage(InvalidMessage::InvalidContentType));
        for (first, part) in [
            (b"GET / HTTP/1.1".as_slice(), "HTTP without TLS"),
            (b"SSH-2.0-OpenSSH", "SSH"),
            (b"PROXY TCP4", "PROXY header"),
            (b"\x80\x2e\x01\x00\x02", "SSLv2"),
            (b"hello", "does not speak TLS"),
        ] {
            let (outcome, what) = error.describe(first);
            assert_eq!(outcome, Outcome::NotTls);
            assert!(what.contains(part), "{what}");
        }
        let (outcome, _) = error.describe(b"\x16\x03\x01");
        assert_eq!(outcome, Outcome::Malformed);
        assert_eq!(Failure::Ended.describe(b"").0, Outcome::Silent);
        assert_eq!(Failure::Ended.describe(b"\x16").0, Outcome::Closed);
    }
}
