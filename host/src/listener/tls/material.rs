//! What the files say: certificates with their keys, and whose certificates clients may
//! have. Each file is taken as new only together with those that belong to it, and only
//! if all is in order; so there is always something to serve.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};

use super::certificate::{Certificate, certificates};
use super::options::{CertificateFiles, ClientAuth, TlsError, TlsOptions};
use crate::guest_file;

/// No file of TLS is larger; a list of revoked certificates may have many entries.
const MAX_FILE: usize = 16 << 20;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Material {
    pub pairs: Vec<Source<Certificate>>,
    /// `None` where clients are not asked for certificates.
    pub clients: Option<Source<Clients>>,
}

/// What came of the content of some files.
#[derive(Debug)]
pub struct Source<T> {
    /// Of the content.
    hash: [u8; 32],
    pub value: Arc<T>,
}

/// Whose certificates clients may have.
#[derive(Debug)]
pub struct Clients {
    pub roots: Arc<RootCertStore>,
    pub revoked: Vec<CertificateRevocationListDer<'static>>,
}

/// A part of the material has changed, or has not and should have.
pub type Change = Result<String, TlsError>;

impl Material {
    /// Read it for the first time.
    ///
    /// # Errors
    /// Names the first thing that is wrong.
    pub fn load(options: &TlsOptions) -> Result<Self, TlsError> {
        options.check_flags()?;
        let provider = super::provider();
        let load = |files: &CertificateFiles| {
            let (hash, [chain, key]) = read([&files.chain, &files.key])?;
            let value = Arc::new(Certificate::parse(files, &chain, &key, &provider)?);
            Ok(Source { hash, value })
        };
        let pairs = options.certificates.iter().map(load);
        let pairs = pairs.collect::<Result<_, TlsError>>()?;
        let clients = match (options.client_auth, &options.client_ca) {
            (ClientAuth::None, _) | (_, None) => None,
            (_, Some(ca)) => {
                let read = read_clients(ca, options.client_crl.as_deref())?;
                let value = Arc::new(Clients::parse(options, &read)?);
                Some(Source {
                    hash: read.hash,
                    value,
                })
            }
        };
        Ok(Material { pairs, clients })
    }

    /// Read it again: what has come of each part, if anything. Parts that can't be used
    /// stay as they are.
    pub fn reload(&mut self, options: &TlsOptions, provider: &CryptoProvider) -> Vec<Change> {
        let mut changes = Vec::new();
        for (files, pair) in options.certificates.iter().zip(&mut self.pairs) {
            let load = read([&files.chain, &files.key]).and_then(|(hash, [chain, key])| {
                if hash == pair.hash {
                    return Ok(None);
                }
                let value = Arc::new(Certificate::parse(files, &chain, &key, provider)?);
                let until = value.until();
                *pair = Source { hash, value };
                Ok(Some(format!(
                    "the certificate {} was reloaded: it is valid until {until}",
                    files.chain.display()
                )))
            });
            changes.extend(load.transpose());
        }
        if let (Some(ca), Some(clients)) = (&options.client_ca, &mut self.clients) {
            let load = read_clients(ca, options.client_crl.as_deref()).and_then(|read| {
                if read.hash == clients.hash {
                    return Ok(None);
                }
                let value = Arc::new(Clients::parse(options, &read)?);
                *clients = Source {
                    hash: read.hash,
                    value,
                };
                Ok(Some(format!(
                    "{} was reloaded: it says whose certificates clients may have",
                    ca.display()
                )))
            });
            changes.extend(load.transpose());
        }
        changes
    }
}

impl<T> Clone for Source<T> {
    fn clone(&self) -> Self {
        Source {
            hash: self.hash,
            value: Arc::clone(&self.value),
        }
    }
}

impl Clients {
    fn parse(options: &TlsOptions, read: &ClientFiles) -> Result<Self, TlsError> {
        let path = options.client_ca.as_deref().unwrap_or(Path::new(""));
        let found = certificates(&read.roots).map_err(|error| TlsError::pem(path, &error))?;
        if found.is_empty() {
            return Err(TlsError::lacks(path, "certificate"));
        }
        let mut store = RootCertStore::empty();
        for certificate in found {
            let added = store.add(certificate);
            added.map_err(|error| {
                let what = format!("one of its certificates cannot be read ({error})");
                TlsError::invalid(path, what)
            })?;
        }
        let path = options.client_crl.as_deref().unwrap_or(Path::new(""));
        let lists = read.revoked.as_deref().map(|pem| {
            let lists = CertificateRevocationListDer::pem_slice_iter(pem);
            let lists: Vec<_> = lists
                .collect::<Result<_, _>>()
                .map_err(|error| TlsError::pem(path, &error))?;
            // Else what is wrong in one would be found when all of the material is put
            // together, and keep new certificates out. Its entries are read by `to_owned`.
            for list in &lists {
                webpki::BorrowedCertRevocationList::from_der(list)
                    .and_then(|list| list.to_owned())
                    .map_err(|error| TlsError::invalid(path, of_list(&error)))?;
            }
            match lists.is_empty() {
                true => Err(TlsError::lacks(path, "list of revoked certificates")),
                false => Ok(lists),
            }
        });
        Ok(Clients {
            roots: Arc::new(store),
            revoked: lists.transpose()?.unwrap_or_default(),
        })
    }
}

/// What is wrong with a list of revoked certificates, and what helps.
fn of_list(error: &webpki::Error) -> String {
    match error {
        webpki::Error::UnsupportedDeltaCrl => {
            "a delta list says only what has changed: name the complete list of that CA".to_owned()
        }
        webpki::Error::UnsupportedIndirectCrl
        | webpki::Error::UnsupportedCrlIssuingDistributionPoint => {
            "one of its lists is not about all certificates of the CA that has signed it: name a \
             list that is"
                .to_owned()
        }
        error => format!(
            "one of its lists of revoked certificates cannot be read ({error:?}): fetch it again; \
             `openssl crl -noout -text -in FILE` shows what is in one"
        ),
    }
}

/// The content of the files about clients.
struct ClientFiles {
    hash: [u8; 32],
    roots: Vec<u8>,
    revoked: Option<Vec<u8>>,
}

fn read_clients(ca: &Path, crl: Option<&Path>) -> Result<ClientFiles, TlsError> {
    let (hash, roots, revoked) = match crl {
        None => read([ca]).map(|(hash, [ca])| (hash, ca, None))?,
        Some(crl) => read([ca, crl]).map(|(hash, [ca, crl])| (hash, ca, Some(crl)))?,
    };
    Ok(ClientFiles {
        hash,
        roots,
        revoked,
    })
}

/// Read files that belong together, and hash what is in them.
fn read<const N: usize>(paths: [&Path; N]) -> Result<([u8; 32], [Vec<u8>; N]), TlsError> {
    let mut contents = [const { Vec::new() }; N];
    let mut hash = Sha256::new();
    for (path, content) in paths.iter().zip(&mut contents) {
        *content =
            guest_file::read(path, MAX_FILE).map_err(|error| TlsError::read(path, &error))?;
        if content.len() > MAX_FILE {
            return Err(TlsError::invalid(path, "it has more than 16 MiB"));
        }
        hash.update(content.len().to_le_bytes());
        hash.update(content);
    }
    Ok((hash.finalize().into(), contents))
}
