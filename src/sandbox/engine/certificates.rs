//! An authority of the sandbox's own, and a certificate for its databases.

use std::path::{Path, PathBuf};

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// Names that the databases' certificate is good for.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// The first line of a bundle that the sandbox wrote: what begins otherwise is somebody else's, and stays.
const BUNDLE_MARK: &str = "# The authority of a drctl sandbox. AWS's own bundle is global-bundle.pem.";

/// Files with keys and certificates.
#[derive(Debug)]
pub(in crate::sandbox) struct Certificates {
    /// The databases' certificate.
    pub(super) certificate: PathBuf,
    /// Its key.
    pub(super) key: PathBuf,
}

impl Certificates {
    /// Makes them in `directory`, and writes the authority's own certificate to `bundle`.
    pub(super) fn make(directory: &Path, bundle: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let files = Self { certificate: directory.join("server.pem"), key: directory.join("server.key") };
        let authority = files.issue()?;
        write_bundle(bundle, &authority)?;
        Ok(files)
    }

    /// Replaces the databases' certificate by one of an authority that nobody knows.
    pub(super) fn replace_by_untrusted(&self) -> anyhow::Result<()> {
        self.issue().map(drop)
    }

    /// Makes an authority and writes a certificate that it signed; yields the authority's own, as PEM.
    fn issue(&self) -> anyhow::Result<String> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "drctl sandbox authority");
        let certificate = params.self_signed(&key)?;
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate()?;
        let mut server = CertificateParams::new(NAMES.map(str::to_owned).to_vec())?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.distinguished_name.push(DnType::CommonName, "drctl sandbox database");
        let signed = server.signed_by(&server_key, &issuer)?;
        std::fs::write(&self.certificate, signed.pem())?;
        write_private(&self.key, &server_key.serialize_pem())?;
        Ok(certificate.pem())
    }

    /// Copies certificate and key into a database's directory, the key for its eyes only.
    pub(super) fn install(&self, directory: &Path, user: Option<super::process::User>) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let own = directory.join("drctl-tls");
        std::fs::create_dir_all(&own)?;
        for file in [&self.certificate, &self.key] {
            let copy = own.join(file.file_name().unwrap_or_default());
            std::fs::copy(file, &copy)?;
            std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o600))?;
        }
        if let Some(user) = user {
            user.give(&own)?;
        }
        Ok(())
    }
}

/// Writes the authority's certificate where clients look for it, but never over a bundle of somebody else's.
fn write_bundle(bundle: &Path, authority: &str) -> anyhow::Result<()> {
    let foreign = std::fs::read_to_string(bundle).is_ok_and(|text| !text.is_empty() && !text.starts_with(BUNDLE_MARK));
    anyhow::ensure!(!foreign, "`{}` is not a bundle of the sandbox's, and is not overwritten", bundle.display());
    std::fs::write(bundle, format!("{BUNDLE_MARK}\n{authority}"))
        .with_context(|| format!("failed to write the authority to `{}`", bundle.display()))
}

/// Writes a file that only its owner reads, from its first byte on.
fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let _ = std::fs::remove_file(file);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    Ok(file.write_all(text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_for_its_owner_only_and_no_foreign_bundle_is_overwritten() {
        let directory = std::env::temp_dir().join(format!("drctl-certificates-{:x}", rand::random::<u64>()));
        std::fs::create_dir(&directory).unwrap();
        let bundle = directory.join("bundle.pem");
        let files = Certificates::make(&directory, &bundle).unwrap();
        assert_eq!(std::fs::metadata(&files.key).unwrap().permissions().mode() & 0o777, 0o600);
        Certificates::make(&directory, &bundle).unwrap();
        std::fs::write(&bundle, "-----BEGIN CERTIFICATE-----").unwrap();
        assert!(Certificates::make(&directory, &bundle).is_err());
        assert_eq!(std::fs::read_to_string(&bundle).unwrap(), "-----BEGIN CERTIFICATE-----");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
