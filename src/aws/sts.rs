//! Who is calling, and whether a key can be used: STS and KMS.

use super::connect::Aws;
use super::error::{Error, ErrorKind, Result, classify};

/// The account that the credentials belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Twelve digits.
    pub id: String,
    /// The caller.
    pub arn: String,
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
    /// Who the credentials belong to. Also the first call of every run: the sandbox makes itself known by it.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn account(&self) -> Result<Account> {
        let answer = self.sts.get_caller_identity().send().await.map_err(|e| classify("GetCallerIdentity", e))?;
        Ok(Account { id: answer.account.unwrap_or_default(), arn: answer.arn.unwrap_or_default() })
    }

    /// Who the credentials belong to, where that is the account that is meant. Nothing is asked before this. The sandbox
    /// is no account: production's own file is rehearsed in it.
    ///
    /// # Errors
    /// Where the call failed, or the credentials are of another account than `wanted`.
    pub async fn account_of(&self, wanted: Option<&str>) -> Result<Account> {
        let account = self.account().await?;
        match wanted {
            Some(wanted) if wanted != account.id && !self.origin.clock.is_simulated() => {
                Err(wrong_account(wanted, &account))
            }
            _ => Ok(account),
        }
    }

    /// The state of a KMS key. Not being allowed to look is [`KeyState::Unknown`], not an error.
    pub async fn key_state(&self, key: &str) -> KeyState {
        match self.kms.describe_key().key_id(key).send().await.map_err(|e| classify("DescribeKey", e)) {
            Ok(answer) => {
                let state = answer.key_metadata.and_then(|key| key.key_state);
                match state.as_ref().map(aws_sdk_kms::types::KeyState::as_str) {
                    Some("Enabled") => KeyState::Enabled,
                    Some(other) => KeyState::Unusable(other.to_owned()),
                    None => KeyState::Unknown("KMS did not tell the key's state".to_owned()),
                }
            }
            Err(error) => KeyState::Unknown(error.to_string()),
        }
    }
}

fn wrong_account(wanted: &str, account: &Account) -> Error {
    let Account { id, arn } = account;
    let message = format!("`{arn}` is of account {id}, and `[estate] account` is {wanted}");
    Error { operation: "GetCallerIdentity", code: None, message, kind: ErrorKind::WrongAccount }
}
