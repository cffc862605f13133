//! An authority of the sandbox's own, and a certificate for its databases.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// Names that the databases' certificate is good for.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// Files with keys and certificates.
#[derive(Debug)]
pub(in crate::sandbox) struct Certificates {
    /// The authority.
    pub(in crate::sandbox) ca: PathBuf,
    /// The databases' certificate.
    pub(super) certificate: PathBuf,
    /// Its key.
    pub(super) key: PathBuf,
}

impl Certificates {
    pub(super) fn make(directory: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let files = Self {
            ca: directory.join("ca.pem"),
            certificate: directory.join("server.pem"),
            key: directory.join("server.key"),
        };
        let authority = files.issue()?;
        std::fs::write(&files.ca, authority)?;
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
        std::fs::write(&self.key, server_key.serialize_pem())?;
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
