//! Secrets: from the environment, a file, or Secrets Manager. They leave this file only as [`SecretString`].

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use aws_sdk_secretsmanager::Client as SecretsManager;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::client::{Connect, Connection};
use super::connect::Aws;
use super::error::{ErrorKind, Service};
use super::policy_scope::PolicyScope;
use crate::estate::SecretRef;

/// The largest secret that is read from a file.
const MAX_BYTES: u64 = 64 * 1024;
/// Where the kernel shows itself: no secret is kept there.
const SYSTEM: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The stage that Secrets Manager gives to the version before the last rotation.
const PREVIOUS: &str = "AWSPREVIOUS";

/// AWS appends a hyphen and six characters to a secret's name.
const SECRET_SUFFIX: &str = "-??????";

/// Secrets Manager.
const SECRETS_MANAGER: Service = Service { prefix: "secretsmanager", codes: &[("DecryptionFailure", ErrorKind::Key)] };

impl Connect for SecretsManager {
    fn connect(connection: &Connection) -> Self {
        let config = aws_sdk_secretsmanager::config::Builder::from(&connection.config);
        let config = connection.interceptors().fold(config, aws_sdk_secretsmanager::config::Builder::interceptor);
        Self::from_conf(config.build())
    }
}

/// Fetches a secret.
///
/// # Errors
/// Where it is not there, may not be read, or is empty. The error names the reference, never the value.
pub async fn resolve(aws: &Aws, reference: &SecretRef) -> anyhow::Result<SecretString> {
    let SecretRef::SecretsManager { id, key } = reference else { return resolve_local(reference) };
    let secret = from_secrets_manager(aws, id, key.as_deref(), None).await?;
    anyhow::ensure!(!secret.is_empty(), "`{reference}` is empty");
    Ok(secret.into())
}

/// The version of a secret before its last rotation; `None` where the secret is kept elsewhere, which knows no versions.
///
/// # Errors
/// Where there is none, or it may not be read.
pub async fn resolve_previous(aws: &Aws, reference: &SecretRef) -> anyhow::Result<Option<SecretString>> {
    let SecretRef::SecretsManager { id, key } = reference else { return Ok(None) };
    let secret = from_secrets_manager(aws, id, key.as_deref(), Some(PREVIOUS)).await?;
    Ok(Some(secret).filter(|secret| !secret.is_empty()).map(Into::into))
}

/// Fetches a secret from where no client is needed: the environment or a file.
///
/// # Errors
/// Where it is not there, is empty, or is kept in Secrets Manager.
pub fn resolve_local(reference: &SecretRef) -> anyhow::Result<SecretString> {
    let secret = match reference {
        SecretRef::Env(name) => std::env::var(name).with_context(|| format!("`{reference}` is not set"))?,
        SecretRef::File(path) => from_file(path).with_context(|| format!("failed to read `{reference}`"))?,
        SecretRef::SecretsManager { .. } => bail!("`{reference}` cannot be read before the store is open"),
    };
    anyhow::ensure!(!secret.is_empty(), "`{reference}` is empty");
    Ok(secret.into())
}

fn from_file(path: &Path) -> anyhow::Result<String> {
    let real = std::fs::canonicalize(path)?;
    // `/proc/self/environ` holds every other secret of this process, and an estate file also says where a secret goes.
    let system = SYSTEM.iter().find(|system| real.starts_with(system));
    anyhow::ensure!(system.is_none(), "a secret is not kept in `{}`", system.unwrap_or(&""));
    let found = std::fs::metadata(&real)?;
    anyhow::ensure!(found.is_file(), "it is not a regular file");
    // What the kernel makes up on the spot has no size, wherever it is mounted.
    anyhow::ensure!(found.len() > 0, "it is empty");
    anyhow::ensure!(found.len() <= MAX_BYTES, "it is larger than {MAX_BYTES} bytes");
    let mut text = String::new();
    std::fs::File::open(&real)?.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

async fn from_secrets_manager(aws: &Aws, id: &str, key: Option<&str>, stage: Option<&str>) -> anyhow::Result<String> {
    let request =
        aws.client::<SecretsManager>().get_secret_value().secret_id(id).set_version_stage(stage.map(str::to_owned));
    let answer = request.send().await;
    let answer = answer.map_err(|error| SECRETS_MANAGER.error("GetSecretValue", error)).map_err(|error| {
        // A missing right to the secret is named by AWS, one to its key is not.
        let named = error.message.contains("to perform") || error.kind != ErrorKind::Denied;
        let missing = if named { String::new() } else { format!(" without `{}`", error.denied_action()) };
        anyhow::Error::new(error).context(format!("failed to read `secretsmanager:{id}`{missing}"))
    })?;
    let text = answer.secret_string.with_context(|| format!("`secretsmanager:{id}` holds no text"))?;
    pick(&text, key)
        .with_context(|| format!("`secretsmanager:{id}` is JSON without the key `{}`", key.unwrap_or("password")))
}

/// A secret is either the text itself or one member of a JSON object, as RDS stores them.
fn pick(text: &str, key: Option<&str>) -> Option<String> {
    let json: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(text).ok();
    match (json, key) {
        (Some(object), key) => object.get(key.unwrap_or("password"))?.as_str().map(str::to_owned),
        (None, None) => Some(text.to_owned()),
        (None, Some(_)) => None,
    }
}

/// Secrets that a key of the customer's encrypts need that key.
pub(super) fn statements(scope: &PolicyScope<'_>) -> Vec<Value> {
    let of_databases = scope.estate.databases.iter().filter_map(|database| database.test.password.as_ref());
    let of_channels = scope.estate.channels.iter().flat_map(|channel| channel.way.secrets());
    let names = of_databases.chain(of_channels).filter_map(|reference| match reference {
        SecretRef::SecretsManager { id, .. } if id.starts_with("arn:") => Some(id.clone()),
        SecretRef::SecretsManager { id, .. } => {
            let (partition, account) = (scope.partition().id, scope.account());
            let region = scope.region;
            Some(format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{id}{SECRET_SUFFIX}"))
        }
        SecretRef::Env(_) | SecretRef::File(_) => None,
    });
    let action = "secretsmanager:GetSecretValue";
    scope.with_keys(names.collect(), action, "ReadSecrets", "secretsmanager", &json!("kms:Decrypt"))
}

#[cfg(test)]
mod tests {
    use super::{from_file, pick};

    #[test]
    fn a_file_is_a_regular_one_that_is_not_the_kernels() {
        let directory =
            std::env::temp_dir().join(format!("drctl-secret-{}-{:x}", std::process::id(), rand::random::<u64>()));
        std::fs::create_dir(&directory).unwrap();
        let (secret, link, socket) = (directory.join("secret"), directory.join("link"), directory.join("socket"));
        std::fs::write(&secret, "hunter2\n").unwrap();
        std::os::unix::fs::symlink("/proc/self/environ", &link).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(from_file(&secret).unwrap(), "hunter2");
        for path in [&link, &socket, &directory, &directory.join("absent")] {
            assert!(from_file(path).is_err(), "{}", path.display());
        }
        assert!(from_file("/proc/self/environ".as_ref()).unwrap_err().to_string().contains("/proc"));
        std::fs::write(&secret, "").unwrap();
        assert_eq!(from_file(&secret).unwrap_err().to_string(), "it is empty");
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_secret_is_text_or_a_member_of_json() {
        assert_eq!(pick("plain", None).as_deref(), Some("plain"));
        assert_eq!(pick(r#"{"username":"a","password":"b"}"#, None).as_deref(), Some("b"));
        assert_eq!(pick(r#"{"pw":"c"}"#, Some("pw")).as_deref(), Some("c"));
        assert_eq!(pick(r#"{"pw":"c"}"#, None), None);
        assert_eq!(pick("plain", Some("pw")), None);
    }
}
