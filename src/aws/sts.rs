//! The STS API: who is calling.

use aws_sdk_sts::Client as Sts;

use super::client::{Connect, Connection};
use super::connect::Aws;
use super::error::{Error, ErrorKind, Result, Service};

/// STS.
const STS: Service = Service { prefix: "sts", codes: &[] };

impl Connect for Sts {
    fn connect(connection: &Connection) -> Self {
        let config = aws_sdk_sts::config::Builder::from(&connection.config);
        Self::from_conf(connection.interceptors().fold(config, aws_sdk_sts::config::Builder::interceptor).build())
    }
}

/// The account that the credentials belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Twelve digits.
    pub id: String,
    /// The caller.
    pub arn: String,
}

impl Aws {
    /// Who the credentials belong to. Also the first call of every run: the sandbox makes itself known by it.
    ///
    /// # Errors
    /// Where the call failed.
    pub async fn account(&self) -> Result<Account> {
        let answer =
            self.client::<Sts>().get_caller_identity().send().await.map_err(|e| STS.error("GetCallerIdentity", e))?;
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
}

fn wrong_account(wanted: &str, account: &Account) -> Error {
    let Account { id, arn } = account;
    let message = format!("`{arn}` is of account {id}, and `[estate] account` is {wanted}");
    Error::new("GetCallerIdentity", ErrorKind::WrongAccount, message)
}
