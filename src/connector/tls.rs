//! TLS settings of every connection: ring, the Mozilla roots, HTTP/1.1. Built when the first `https` host
//! is met, so that a host that only talks plain HTTP pays neither time nor memory for certificates.

use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::engine::Failure;

/// The settings for `https`; the roots are read once per process.
pub fn verified() -> Result<ClientConfig, Failure> {
    static BUILT: OnceLock<ClientConfig> = OnceLock::new();
    if let Some(config) = BUILT.get() {
        return Ok(config.clone());
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    let config = with_roots(roots)?;
    Ok(BUILT.get_or_init(|| config).clone())
}

/// The settings for `https` where only these certificates (PEM) are trusted.
///
/// # Errors
/// `ca_invalid`.
pub fn trusting(pem: &str) -> Result<ClientConfig, Failure> {
    let invalid = || {
        Failure::not_sent("ca_invalid", "the file of certificates to trust holds none")
            .with_help("it is a PEM file with one certificate or more")
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.map_err(|_| invalid())?).map_err(|_| invalid())?;
    }
    if roots.is_empty() { Err(invalid()) } else { with_roots(roots) }
}

/// The settings for `http`: the client wants some, and trusts nobody with these.
pub fn unused() -> Result<ClientConfig, Failure> {
    let mut config = with_roots(RootCertStore::empty())?;
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn with_roots(roots: RootCertStore) -> Result<ClientConfig, Failure> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let provider = PROVIDER.get_or_init(|| Arc::new(ring::default_provider()));
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::not_sent("tls_failed", format!("TLS can not be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_file_names_is_trusted() {
        let der = &webpki_root_certs::TLS_SERVER_ROOT_CERTS[0];
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
        let pem = format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n");
        assert!(trusting(&format!("# our own\n{pem}{pem}")).is_ok());
        for wrong in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert_eq!(trusting(wrong).unwrap_err().code, "ca_invalid", "{wrong}");
        }
    }

    #[test]
    fn the_roots_are_readable_and_shared() {
        let count = {
            let mut roots = RootCertStore::empty();
            let certificates = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned();
            let (added, ignored) = roots.add_parsable_certificates(certificates);
            assert_eq!(ignored, 0);
            added
        };
        assert!(count > 50, "{count}");
        assert!(verified().unwrap().alpn_protocols.is_empty());
    }
}
