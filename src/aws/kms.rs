//! The KMS API: whether a key can be used.

use aws_sdk_kms::{Client as Kms, types as sdk};
use serde_json::{Value, json};

use super::client::{Connect, Connection};
use super::connect::Aws;
use super::error::{ErrorKind, Service};
use super::policy_scope::PolicyScope;

/// KMS.
const KMS: Service = Service {
    prefix: "kms",
    codes: &[
        ("DisabledException", ErrorKind::Key),
        ("KeyUnavailableException", ErrorKind::Key),
        ("KMSInvalidStateException", ErrorKind::Key),
    ],
};

impl Connect for Kms {
    fn connect(connection: &Connection) -> Self {
        let config = aws_sdk_kms::config::Builder::from(&connection.config);
        Self::from_conf(connection.interceptors().fold(config, aws_sdk_kms::config::Builder::interceptor).build())
    }
}

/// Whether a KMS key can decrypt a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It can.
    Enabled,
    /// It cannot, and why: `Disabled`, `PendingDeletion`, ...
    Unusable(String),
    /// It may not be looked at.
    Unknown(String),
}

impl Aws {
    /// The state of a KMS key. Not being allowed to look is [`KeyState::Unknown`], not an error.
    pub async fn key_state(&self, key: &str) -> KeyState {
        match self.client::<Kms>().describe_key().key_id(key).send().await.map_err(|e| KMS.error("DescribeKey", e)) {
            Ok(answer) => {
                let state = answer.key_metadata.and_then(|key| key.key_state);
                match state.as_ref().map(sdk::KeyState::as_str) {
                    Some("Enabled") => KeyState::Enabled,
                    Some(other) => KeyState::Unusable(other.to_owned()),
                    None => KeyState::Unknown("KMS did not tell the key's state".to_owned()),
                }
            }
            Err(error) => KeyState::Unknown(error.to_string()),
        }
    }
}

/// "AWS KMS key management" in the RDS user guide asks for `CreateGrant` and `DescribeKey` of whoever restores;
/// the reference lists the other two as dependent actions.
pub(super) fn statements(scope: &PolicyScope<'_>) -> Vec<Value> {
    let key = scope.any_key(scope.region);
    let through = scope.via("rds", scope.region);
    vec![
        // A disabled key makes every backup useless: asked before a restore, without RDS.
        json!({ "Sid": "LookAtKeys", "Effect": "Allow", "Action": "kms:DescribeKey", "Resource": key }),
        json!({
            "Sid": "DecryptVolumesThroughRds", "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": key, "Condition": { "StringEquals": { "kms:ViaService": through } },
        }),
        json!({
            "Sid": "LetRdsUseKeys", "Effect": "Allow", "Action": "kms:CreateGrant", "Resource": key,
            "Condition": {
                "Bool": { "kms:GrantIsForAWSResource": "true" }, "StringEquals": { "kms:ViaService": through },
            },
        }),
    ]
}
