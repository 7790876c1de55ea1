//! TLS to the database: ring, and the trust that the address asks for. Without a name to verify it guards
//! against listeners and not against a server that pretends, as libpq's `prefer` and `require` do.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::super::error::{Error, Result, code};
use super::address::Trust;

/// The settings for `trust`; none where there is to be no TLS.
///
/// # Errors
/// `store_address` where the file of roots cannot be read, or holds none.
pub(super) fn settings(trust: &Trust) -> Result<Option<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::mistake(format!("TLS can not be set up: {error}")))?;
    Ok(match trust {
        Trust::Plain => None,
        Trust::Anybody => {
            let verifier = Arc::new(Anybody { provider });
            Some(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
        }
        Trust::Named { roots } => {
            let roots = match roots {
                Some(file) => read(file)?,
                None => {
                    let mut roots = RootCertStore::empty();
                    roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
                    roots
                }
            };
            Some(builder.with_root_certificates(roots).with_no_client_auth())
        }
    })
}

fn read(file: &Path) -> Result<RootCertStore> {
    let wrong = |why: String| {
        let message = format!("the file {} of `sslrootcert` cannot be used: {why}", file.display());
        Error::new(code::ADDRESS, message, "Name a PEM file with the certificates that sign the server's")
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))? {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("it holds no certificate".to_owned())) } else { Ok(roots) }
}

/// Takes every certificate, but only from whoever holds its key.
#[derive(Debug)]
struct Anybody {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
