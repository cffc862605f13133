//! How long the credentials last: a run must not outlive what it needs to clean up.

use aws_credential_types::provider::ProvideCredentials;
use jiff::Timestamp;

use super::connect::Aws;
use super::error::{Error, ErrorKind, Result};

/// Set by `aws configure export-credentials --format env` and by aws-vault beside the credentials; SDKs do not read it.
const EXPIRATION_VARIABLE: &str = "AWS_CREDENTIAL_EXPIRATION";
const TOKEN_VARIABLE: &str = "AWS_SESSION_TOKEN";

/// How long credentials last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialsLife {
    /// They have no end, or are renewed by whoever provides them.
    Lasting,
    /// They end then, and nobody renews them.
    Until(Timestamp),
    /// They are temporary, nobody renews them, and nobody says when they end.
    Temporary,
}

impl Aws {
    /// How long the credentials last, those that a role is assumed with where one is: the role's are renewed with them.
    ///
    /// Credentials that come with an expiry are from a provider that renews them (instance metadata, containers, SSO,
    /// web identity, a process). That such a provider goes on renewing them is an assumption: an SSO login ends, too, and
    /// no SDK says when.
    ///
    /// # Errors
    /// Where there are none.
    pub async fn credentials_life(&self) -> Result<CredentialsLife> {
        let Some(provider) = &self.origin.base else { return Ok(CredentialsLife::Lasting) };
        let credentials = provider
            .provide_credentials()
            .await
            .map_err(|error| Error::new("the credentials", ErrorKind::Credentials, error.to_string()))?;
        let token = credentials.session_token();
        let in_environment = token.is_some() && std::env::var(TOKEN_VARIABLE).ok().as_deref() == token;
        let variable = std::env::var(EXPIRATION_VARIABLE).ok().filter(|_| in_environment);
        Ok(judge(credentials.expiry().is_some(), token.is_some(), variable.as_deref()))
    }
}

fn judge(is_renewed: bool, is_temporary: bool, variable: Option<&str>) -> CredentialsLife {
    if is_renewed || !is_temporary {
        return CredentialsLife::Lasting;
    }
    variable.and_then(|text| text.trim().parse().ok()).map_or(CredentialsLife::Temporary, CredentialsLife::Until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_temporary_credentials_that_nobody_renews_end() {
        let at = "2026-11-27T12:00:00+00:00";
        assert_eq!(judge(true, true, Some(at)), CredentialsLife::Lasting);
        assert_eq!(judge(false, false, Some(at)), CredentialsLife::Lasting);
        assert_eq!(judge(false, true, Some(at)), CredentialsLife::Until("2026-11-27T12:00:00Z".parse().unwrap()));
        assert_eq!(judge(false, true, None), CredentialsLife::Temporary);
        assert_eq!(judge(false, true, Some("soon")), CredentialsLife::Temporary);
    }
}
