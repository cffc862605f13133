//! TLS to a copy: which authorities are trusted, and what a failed handshake means.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::answer::ConnectError;
use crate::estate::TlsMode;

/// The largest file of authorities that is read; RDS's global bundle has a fifth of it.
const MAX_CA_BYTES: u64 = 1 << 20;

/// Whether a file holds authorities that can be trusted: looked at before anything is restored.
///
/// # Errors
/// In words, without the path.
pub fn check_ca(path: &Path) -> Result<(), String> {
    read_ca(path).map(drop)
}

/// The authorities to trust: those of `ca` alone where it is given, else the system's.
pub(super) fn authorities(ca: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    match ca {
        Some(path) => read_ca(path)
            .map_err(|cause| ConnectError::Authorities(format!("`{}` cannot be used: {cause}", path.display()))),
        None => {
            let certificates = rustls_native_certs::load_native_certs().certs;
            Ok(certificates.into_iter().filter(is_usable).collect())
        }
    }
}

fn read_ca(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("it is no file".to_owned());
    }
    if about.len() > MAX_CA_BYTES {
        return Err(format!("it has more than {MAX_CA_BYTES} bytes"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let certificates = certificates.map_err(|error| format!("it is no PEM: {error}"))?;
    let usable: Vec<_> = certificates.into_iter().filter(is_usable).collect();
    if usable.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    Ok(usable)
}

fn is_usable(certificate: &CertificateDer<'static>) -> bool {
    RootCertStore::empty().add(certificate.clone()).is_ok()
}

/// How a client that verifies, or one that only encrypts, shakes hands.
pub(super) fn client(mode: TlsMode, ca: Option<&Path>) -> Result<ClientConfig, ConnectError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectError::Other(error.to_string()))?;
    if mode == TlsMode::Require {
        let anybody = Arc::new(Anybody(provider));
        return Ok(builder.dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth());
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities(ca)?);
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// What `tls = "require"` asks for: encryption, with whomever.
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
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Why a handshake failed, where it was TLS and not the network.
pub(super) fn refusal(error: &(dyn std::error::Error + 'static)) -> Option<ConnectError> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(of_tls(tls));
        }
        // An `io::Error` shows its cause's source, not its cause.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Some(of_tls(tls));
        }
        cause = error.source();
    }
    None
}

fn of_tls(error: &rustls::Error) -> ConnectError {
    use CertificateError::{NotValidForName, NotValidForNameContext};
    let text = error.to_string();
    match error {
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            ConnectError::WrongName(text)
        }
        _ => ConnectError::Tls(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_authority_is_found_out() {
        let directory = std::env::temp_dir().join(format!("drctl-ca-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("ca.pem");
        assert!(check_ca(&file).unwrap_err().contains("No such file"));
        assert_eq!(check_ca(&directory).unwrap_err(), "it is no file");
        std::fs::write(&file, "hello").unwrap();
        assert_eq!(check_ca(&file).unwrap_err(), "it holds no certificate");
        let key = rcgen::KeyPair::generate().unwrap();
        let own = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(&file, own.pem()).unwrap();
        assert_eq!(check_ca(&file), Ok(()));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_wrong_name_is_told_apart_from_a_wrong_authority() {
        let wrapped = |error| io::Error::other(rustls::Error::InvalidCertificate(error));
        assert!(matches!(refusal(&wrapped(CertificateError::NotValidForName)), Some(ConnectError::WrongName(_))));
        assert!(matches!(refusal(&wrapped(CertificateError::UnknownIssuer)), Some(ConnectError::Tls(_))));
        assert!(refusal(&io::Error::other("reset")).is_none());
    }
}
